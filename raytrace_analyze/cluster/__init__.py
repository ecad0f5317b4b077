"""Span files that lie on the nodes of a Ray cluster: found and merged there, and brought together here."""
