"""Ray Tune in one table."""
