"""Ways to run the decoding of many files: local processes."""
