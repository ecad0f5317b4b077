"""A span table that is larger than memory, put together on disk."""
