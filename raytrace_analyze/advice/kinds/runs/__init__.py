"""Runs of functions: too small, too slow, failed, idle, late to start, or waiting for others."""
