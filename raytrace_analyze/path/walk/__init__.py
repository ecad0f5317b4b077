"""The walk back from a scope's end: one step, what it can lead to, and many scopes or long chains at once."""
