"""Commands that bring spans together: traced programs, clusters, files."""
