"""The driver itself: what it works, what it is idle in, and for whom."""
