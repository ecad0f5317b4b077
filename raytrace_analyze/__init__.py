"""Tells from OpenTelemetry span files why a Ray job took as long as it did."""
