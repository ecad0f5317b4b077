"""The one table that users of each of Ray's libraries need: one module a library."""
