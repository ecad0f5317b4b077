"""Kills merges, traced processes and clusters, and counts what is there afterwards: `make torture`."""
