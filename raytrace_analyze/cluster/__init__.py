"""A Ray cluster: what lies on its nodes brought together, and work on files that all of its nodes see done there."""
