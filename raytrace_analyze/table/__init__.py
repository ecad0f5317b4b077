"""The span table: records put together, sessions told apart, nulls filled, written and read."""
