"""What waits waited for, and what let suspended methods and actors' calls go on."""
