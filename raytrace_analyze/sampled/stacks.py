"""The stacks in which the hook's sampler found a span's thread."""

from collections.abc import Iterator
from typing import NamedTuple

from raytrace_analyze.names.attributes import STACKS, json_of
from raytrace_analyze.vocabulary.paths import Activity

_LONGEST_NUMBER = 15


class Stack(NamedTuple):
    """Where a thread was found, and how often."""

    activity: str
    """`cpu` or `idle`."""
    frames: list[str]
    """As `load (/p/etl.py:42)`, the outermost first."""
    looks: int


def read_stacks(attributes: str | None) -> Iterator[Stack]:
    """Read them from a span's attributes (JSON), as `cpu;main (/p/train.py:70);load (/p/etl.py:42) 17` a line."""
    told = json_of(attributes, {}).get(STACKS)
    for line in told.splitlines() if isinstance(told, str) else ():
        stack, _, count = line.rpartition(" ")
        activity, *frames = stack.split(";")
        is_count = count.isascii() and count.isdigit() and len(count) <= _LONGEST_NUMBER
        if activity in (Activity.CPU, Activity.IDLE) and is_count:
            yield Stack(activity, frames, int(count))
