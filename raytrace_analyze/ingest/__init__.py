"""From paths to the span table, what is told of that, and what is read of a table too large for memory."""
