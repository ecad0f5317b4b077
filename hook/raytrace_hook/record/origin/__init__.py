"""Who made a call: which line of the program, or Ray; for which job; on behalf of what."""
