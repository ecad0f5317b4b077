"""What the threads of long runs and the driver do: looked at a few times a second, by one thread of the process."""
