"""The fuzz, for half a minute with a fixed seed; `make fuzz` runs it for an hour."""

import time

from tests.faults.fuzz import run


def failures_within(seconds: float, seed: int) -> list[str]:
    count, failures = run(iter(range(seed * 10**6, (seed + 1) * 10**6)), time.monotonic() + seconds)
    assert count
    return [f"case {failure.number}: {failure.what}\n{failure.detail}" for failure in failures]


def test_no_input_brings_anything_down() -> None:
    assert failures_within(30, seed=1) == []
