"""The files of a process: how a span becomes a line, and where the lines go."""
