"""What a version of Ray lacks that tracing makes use of."""

import re

OLDEST = (2, 9)
"""Older ones cannot trace functions that were decorated before `ray.init`, and number no attempts."""

_LACKS = (
    ((2, 9), (2, 11), "states"),
    ((2, 54), (2, 55), "client"),
    ((2, 60), (10**6, 0), "generators"),
)
"""From which version, below which, and the word for what is not there or wrong."""


def parse_version(text: str) -> tuple[int, int] | None:
    """Read the first two numbers of a version; None where there are none."""
    match = re.match(r"(\d{1,6})\.(\d{1,6})", text)
    return (int(match[1]), int(match[2])) if match else None


def lacks(version: tuple[int, int]) -> list[str]:
    """Give words for what this version lacks: `too old`, `states`, `client`, `generators`."""
    if version < OLDEST:
        return ["too old"]
    return [what for first, below, what in _LACKS if first <= version < below]
