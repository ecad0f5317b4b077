"""The commands of loops and of Ray's libraries: one module a command."""
