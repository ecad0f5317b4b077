"""Replaying a job forward: its constraints, and when everything happens after a change."""
