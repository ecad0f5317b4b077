"""The diagnosis on screen."""
