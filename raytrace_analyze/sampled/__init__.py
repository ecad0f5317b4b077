"""What the hook's sampler tells of threads: what they were idle in, and for whom they asked and slept."""
