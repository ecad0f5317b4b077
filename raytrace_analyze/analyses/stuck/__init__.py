"""What had not ended: what runs now, what hangs, what never started."""
