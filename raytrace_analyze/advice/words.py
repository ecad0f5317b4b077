"""Words that several patterns use in their sentences."""

from pathlib import PurePath

from raytrace_analyze.advice.source_files import place_of


def place_text(site: str | None) -> str:
    """Where in the program, as ` (train.py:42)`; nothing where that is not known."""
    if not site:
        return ""
    file, line = place_of(site.splitlines()[0])
    return f" ({PurePath(file).name}:{line})"


def at_text(place: str | None) -> str:
    """Where in the program, as ` at train.py:42`; nothing where that is not known."""
    return f" at {PurePath(place).name}" if place else ""


def times_text(count: int) -> str:
    """How often."""
    return "once" if count == 1 else f"{count:,} times"
