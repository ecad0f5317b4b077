"""What a caller names something by: one of the words of a kind, or any text."""

from enum import StrEnum
from typing import TypeVar

from raytrace_analyze.errors import UsageError
from raytrace_analyze.text.closest import did_you_mean

_Word = TypeVar("_Word", bound=StrEnum)


def choose(kind: type[_Word], wanted: str, what: str, *, but: tuple[_Word, ...] = ()) -> _Word:
    """Read one of the words of a kind, `but` for some. Raises UsageError for any other, which names the choices.

    `what` says in the message what the word is, such as `group`.
    """
    choices = [word for word in kind if word not in but]
    if wanted in choices:
        return kind(wanted)
    meant = did_you_mean(str(wanted), choices)
    raise UsageError(f"there is no {what} {str(wanted)!r}{meant}; choose one of {', '.join(choices)}")


def as_name(wanted: object, what: str) -> str:
    """Give what a caller named something by, such as a `job`; raises UsageError for anything but a text."""
    if isinstance(wanted, str):
        return wanted
    raise UsageError(
        f"a {what} is named by a text, as in {what}={str(wanted)!r}; this is of type {type(wanted).__name__}"
    )
