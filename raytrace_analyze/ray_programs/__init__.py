"""What runs inside a traced Ray program's own process."""
