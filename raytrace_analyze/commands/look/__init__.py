"""Commands that show what is in spans."""
