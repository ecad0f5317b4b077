"""The spans of a table as arrays, and how they belong together: scopes, clipping, relations."""
