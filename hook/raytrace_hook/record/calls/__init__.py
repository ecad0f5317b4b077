"""Calls by which a program waits for results: of Ray, of `await`, of futures, helpers and generators."""
