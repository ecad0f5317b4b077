"""The program's life: the driver's span, what its background thread does, how it ends."""
