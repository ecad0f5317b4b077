"""Ray Train in one table."""
