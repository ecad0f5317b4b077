"""What the hook knows of Ray's inside: where things are in each version, and how its functions are patched."""
