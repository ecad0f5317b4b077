"""What holds the critical paths of a table larger than memory: one stretch of time after the other."""
