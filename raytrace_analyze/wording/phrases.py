"""Pieces of sentences that several of them have in common."""

from pathlib import PurePath

SHORT_ID = 6
"""How many digits of an id of Ray's tell it from the others."""


def short_id(identifier: str) -> str:
    """The first digits of an id of Ray's, which tell it from the others."""
    return identifier[:SHORT_ID]


def on_node(node_id: str | None) -> str:
    """Where, as ` on node 1a2b3c`; nothing where that is not known."""
    return f" on node {short_id(node_id)}" if node_id else ""


def in_process(pid: int | None) -> str:
    """In which process, as ` [process 4711]`; nothing where that is not known."""
    return f" [process {pid}]" if pid is not None else ""


def attempt_or_it(attempt: int | None) -> str:
    """An attempt after the first by its number, else `it`."""
    return f"attempt {attempt}" if attempt else "it"


def place_text(place: str | None) -> str:
    """Where in the program (`file:line`), as ` (train.py:42)`; nothing where that is not known."""
    if not place:
        return ""
    file, _, line = place.rpartition(":")
    return f" ({PurePath(file).name}:{line})"


def at_text(place: str | None) -> str:
    """Where in the program, as ` at train.py:42`; nothing where that is not known."""
    return f" at {PurePath(place).name}" if place else ""


def times_text(count: int) -> str:
    """How often."""
    return "once" if count == 1 else f"{count:,} times"
