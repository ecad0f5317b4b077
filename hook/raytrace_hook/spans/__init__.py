"""The spans of Ray's own tracing, the same ones at a part of the price: how they are made, carried and ended."""
