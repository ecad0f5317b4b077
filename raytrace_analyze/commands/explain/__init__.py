"""Commands that tell why it took so long, and what to change."""
