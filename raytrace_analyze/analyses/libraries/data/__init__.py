"""Ray Data in one table."""
