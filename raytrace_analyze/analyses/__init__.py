"""Answers about a trace beside its critical path: one module an analysis."""
