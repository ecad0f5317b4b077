"""Text as such: times in words, what may be shown, what a terminal can write, what was meant."""
