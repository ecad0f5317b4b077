"""Clocks that contradict each other: which hosts are off, by how much, and the table with that corrected."""
