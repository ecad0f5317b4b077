"""Is tracing on, and can what it recorded be relied on: a finding a thing that was looked at."""
