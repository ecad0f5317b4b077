"""Ray's libraries, and loops, on screen: one table each."""
