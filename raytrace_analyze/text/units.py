"""Nanoseconds to text, in one place."""

import math
from collections.abc import Sequence

_STEPS = ((1, "ns"), (1_000, "µs"), (1_000_000, "ms"), (1_000_000_000, "s"))


def duration_text(duration_ns: float) -> str:
    """Write a duration for a person: three digits and a unit, minutes and hours from two minutes on.

    >>> duration_text(2_513_000_000), duration_text(16_310_000), duration_text(0), duration_text(754e9)
    ('2.51 s', '16.3 ms', '0 s', '12 min 34 s')
    """
    if duration_ns == 0:
        return "0 s"
    if duration_ns < 0:
        return "-" + duration_text(-duration_ns)
    seconds = round(duration_ns / 1e9)
    if seconds >= 120:
        minutes, rest = divmod(seconds, 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
    for size, unit in reversed(_STEPS):
        value = duration_ns / size
        if value >= 0.9995 or size == 1:
            digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
            return f"{value:.{0 if size == 1 else digits}f} {unit}"
    raise AssertionError("unreachable: the last step takes everything")


def sum_texts(parts_ns: Sequence[int]) -> list[str]:
    """Write durations so that what is written adds up to their sum as written by `duration_text`, to the last digit.

    >>> sum_texts([2_184_000_000, 513_000_000, 343_000_000]), duration_text(3_040_000_000)
    (['2.19 s', '0.51 s', '0.34 s'], '3.04 s')
    """
    whole = sum(parts_ns)
    size, unit = next((step for step in reversed(_STEPS) if whole >= 0.9995 * step[0]), _STEPS[0])
    value = whole / size
    digits = 0 if size == 1 or round(whole / 1e9) >= 120 else 2 if value < 9.995 else 1 if value < 99.95 else 0
    quantum = size / 10**digits
    floors = [math.floor(part / quantum) for part in parts_ns]
    missing = round(whole / quantum) - sum(floors)
    by_remainder = sorted(range(len(floors)), key=lambda each: floors[each] - parts_ns[each] / quantum)
    for each in by_remainder[:missing]:
        floors[each] += 1
    return [f"{count * quantum / size:.{digits}f} {unit}" for count in floors]


def offset_text(offset_ns: int, whole_ns: int) -> str:
    """Write a point in time of something that took `whole_ns`, so that points below each other line up.

    >>> offset_text(901_303_000, 11_211_710_000), offset_text(1_500, 80_000)
    ('0.901 s', '1.500 µs')
    """
    size, unit = next((step for step in reversed(_STEPS) if whole_ns >= step[0]), _STEPS[0])
    return f"{offset_ns / size:.{0 if size == 1 else 3}f} {unit}"


def share_text(part: float, whole: float) -> str:
    """Write a share as a percentage; nothing that is there is rounded to 0 %."""
    if whole <= 0:
        return "-"
    share = 100 * part / whole
    if 0 < share < 0.1:
        return "<0.1 %"
    return f"{share:.1f} %"


def bytes_text(size: float) -> str:
    """Write a size for a person, in powers of 1000.

    >>> bytes_text(960_000_000), bytes_text(1_250_000), bytes_text(512)
    ('960 MB', '1.25 MB', '512 B')
    """
    for step, unit in ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= 0.9995 * step:
            value = size / step
            return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} {unit}"
    return f"{size:.0f} B"


def count_text(count: int, singular: str, plural: str | None = None) -> str:
    """Write a count with its noun: `1 span`, `12,345 spans`."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"
