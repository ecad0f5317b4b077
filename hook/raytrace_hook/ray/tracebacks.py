"""Keeps tracing out of the tracebacks that a program shows: an error reads as it does without the hook."""

from __future__ import annotations

import re
from typing import Any, Callable

_FRAME = re.compile(
    r'(?P<margin>[ |]*)File "(?:[^"]*[/\\]tracing_helper\.py", line \d+, in _function_with_tracing$'
    r'|[^"]*[/\\]raytrace_hook[/\\](?:\w+[/\\])*\w+\.py", line \d+, in )'
)
"""Not what Ray puts around the methods of actors: that is there without tracing, too."""


_LONGEST_TEXT = 500
_LEFT_OUT = " ...\n"
_LONGEST_START = 200


def error_text(error: BaseException) -> str:
    """Return the type of an exception and what it says of itself, if it can.

    Of a long one lines in the middle are left out: what Ray passes on says in its last one what it is. The last
    ones are kept whole, since no half of one shows what it has to hide.
    """
    said = str(error) if has_text(error) else "(its text can't be had)"
    text = f"{type(error).__name__}: {said}"
    if len(text) <= _LONGEST_TEXT:
        return text
    _, is_cut, last_lines = text[_LONGEST_START + len(_LEFT_OUT) - _LONGEST_TEXT :].partition("\n")
    return f"{text[:_LONGEST_START]}{_LEFT_OUT}{last_lines}" if is_cut else text[:_LONGEST_TEXT]


def has_text(error: BaseException) -> bool:
    """Tell whether an exception can say something of itself: its own `__str__` may fail."""
    try:
        str(error)
    except Exception:
        return False
    return True


def leave_out_this_frame(error: BaseException) -> None:
    """Take the frame that handles `error` off its traceback; with a bare `raise` after it, it does not come back.

    Before Python 3.11 it does.
    """
    traceback = error.__traceback__
    if traceback is not None:
        error.__traceback__ = traceback.tb_next


def formatting(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what Ray gives the text of a task's traceback to, before it is sent to whoever asks for the result."""

    def format_error_message(exception_message: Any, *arguments: Any, **keywords: Any) -> Any:
        return original(_without_tracing(exception_message), *arguments, **keywords)

    return format_error_message


def _without_tracing(text: str) -> str:
    kept: list[str] = []
    below: str | None = None
    for line in text.split("\n"):
        frame = _FRAME.match(line)
        if frame is not None:
            below = frame["margin"] + "  "  # its code and what marks the place in it
        elif below is None or not line.startswith(below):
            below = None
            kept.append(line)
    return "\n".join(kept)
