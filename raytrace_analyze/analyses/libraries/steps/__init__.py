"""Programs that repeat: their steps in one table."""
