"""What was seen of each pattern that costs a job time, and what to do about it."""
