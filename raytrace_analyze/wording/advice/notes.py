"""What is missing for advice to be complete."""

from collections.abc import Mapping

from raytrace_analyze.text.units import count_text
from raytrace_analyze.vocabulary.advice import NotRead

NO_WAITS = (
    "these spans do not tell what was waited for, so how results are got cannot be judged; trace with raytrace_hook to "
    "know"
)
NO_SLOTS = "how many tasks can run at a time is not known; taken to be as many as there are (--had-slots tells it)"


_WHY = {
    NotRead.OUTSIDE: "in none of the folders that may be read",
    NotRead.MISSING: "not there, or not a file that can be read",
    NotRead.TOO_LARGE: "too large",
    NotRead.NO_PROGRAM: "no Python program",
}


def source_not_read(files: Mapping[str, NotRead]) -> str:
    """Say which files of the program were not read, and why (by file; one at least)."""
    first, why = next(iter(files.items()))
    more = f" (and {count_text(len(files) - 1, 'more file')} neither)" if len(files) > 1 else ""
    return (
        f"the program's source was not read: {first!r} is {_WHY[why]}{more}; so what it does with some results is not "
        "known (--source FOLDER names a folder that may be read)"
    )
