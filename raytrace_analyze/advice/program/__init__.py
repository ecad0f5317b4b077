"""What the program's own source says of what it does with a result."""
