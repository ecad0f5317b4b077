"""What is recorded: runs, submits, waits, generators, the driver and Ray's task events."""
