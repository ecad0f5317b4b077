"""What holds for all tests."""

from hypothesis import settings

# Tests say what is true, not how fast: a busy machine must not fail them.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
