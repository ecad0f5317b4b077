"""What Ray's training libraries do for a program: Train, Tune, and functions that they run in threads."""
