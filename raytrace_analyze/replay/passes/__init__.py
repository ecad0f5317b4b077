"""The passes through the constraints: forward, backward, and what was critical."""
