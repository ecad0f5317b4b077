"""What several formats are made of: the span graph, lanes, stacks."""
