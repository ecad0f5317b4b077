"""Generator tasks: their whole bodies, and when their items were there."""
