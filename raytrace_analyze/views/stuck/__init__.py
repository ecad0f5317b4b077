"""What hangs or runs, and the story of one task, on screen."""
