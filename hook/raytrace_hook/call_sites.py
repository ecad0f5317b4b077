"""Where in the program a call was made: which line waits, which line submits.

Only lines are written down, never what stands in them.
"""

from __future__ import annotations

import os
import sys
from types import CodeType, FrameType

_MOST_FRAMES = 4
"""How many frames of the program are told: the call itself and who called that."""
_NOT_THE_PROGRAM = ("ray.", "raytrace_hook.", "opentelemetry.", "concurrent.futures.", "asyncio.")
_COMPREHENSIONS = frozenset(("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"))
_MOST_KNOWN = 10_000
_known: dict[tuple[int, ...], tuple[str, tuple[CodeType, ...]]] = {}
"""Texts by the frames' code and place in it. The code is held so that no other can come to have its number."""


def call_site() -> str | None:
    """Return `file:line` of the program's innermost frames, one a line, innermost first; None outside a program."""
    frames: list[FrameType] = []
    frame = sys._getframe(1)
    is_inside_one = False
    while frame is not None and len(frames) < _MOST_FRAMES:
        name = frame.f_globals.get("__name__") or ""
        if not f"{name}.".startswith(_NOT_THE_PROGRAM):
            # A comprehension and the function that it stands in are one place.
            if not is_inside_one:
                frames.append(frame)
            is_inside_one = frame.f_code.co_name in _COMPREHENSIONS
        elif frames:
            break  # what called the program is Ray again: a task's body begins here
        frame = frame.f_back  # type: ignore[assignment] # the last frame's is None, as the loop expects
    if not frames:
        return None
    key = tuple(number for frame in frames for number in (id(frame.f_code), frame.f_lasti))
    known = _known.get(key)
    if known is None:
        text = "\n".join(map(_place, frames))
        known = text, tuple(frame.f_code for frame in frames)
        if len(_known) < _MOST_KNOWN:
            _known[key] = known
    return known[0]


def _place(frame: FrameType) -> str:
    file = frame.f_code.co_filename
    # A program is often started by a relative path; `<stdin>` and the like are no paths.
    return f"{file if file.startswith('<') else os.path.abspath(file)}:{frame.f_lineno}"
