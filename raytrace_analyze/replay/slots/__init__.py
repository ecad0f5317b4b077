"""Slots: how many there were, who holds them, and the lanes of calls that stand in line."""
