"""What was read, collected or merged, and what it lacks, on screen."""
