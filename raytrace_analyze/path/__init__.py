"""The causal critical path: what a scope was really waiting for, from its end back to its start."""
