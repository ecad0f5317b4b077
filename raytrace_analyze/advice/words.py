"""Words that several patterns use in their sentences."""

from pathlib import PurePath

from raytrace_analyze.advice.source_files import place_of
from raytrace_analyze.path.result import DRIVER


def name_of(function: str) -> str:
    """A function in a sentence, without the module of the program itself."""
    return "the driver" if function == DRIVER else f"`{function.removeprefix('__main__.')}`"


def place_text(site: str | None) -> str:
    """Where in the program, as ` (train.py:42)`; nothing where that is not known."""
    if not site:
        return ""
    file, line = place_of(site.splitlines()[0])
    return f" ({PurePath(file).name}:{line})"


def times_text(count: int) -> str:
    """How often."""
    return "once" if count == 1 else f"{count:,} times"
