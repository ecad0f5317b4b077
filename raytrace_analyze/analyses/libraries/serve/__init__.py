"""Ray Serve in one table."""
