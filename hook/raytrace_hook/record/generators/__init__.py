"""Generator tasks: their whole bodies, their items, and waits for these."""
