"""Who made a call: which line of the program, or Ray itself.

Only the numbers of lines are written down, never what stands in them.
"""

from __future__ import annotations

import os
import sys
from types import CodeType, FrameType

from raytrace_hook.ray import internals

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


def called_by_ray() -> bool:
    """Tell whether the code that made a call is Ray's own (not its helpers that a user waits in)."""
    frame = sys._getframe(1)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name not in _TRANSPARENT and not name.startswith("raytrace_hook."):
            if frame.f_code.co_name == "_start_actor_pool" and name == internals.POOL_MODULE:
                return False
            return name.startswith("ray.") and not name.startswith(_USER_FACING)
        frame = frame.f_back  # type: ignore[assignment] # the last frame's is None, as the loop expects
    return False


_TRANSPARENT = {
    "ray._private.worker",
    "ray._private.client_mode_hook",
    "ray._private.auto_init_hook",
    "ray._private.object_ref_generator",
}
_USER_FACING = ("ray.util.actor_pool", "ray.util.queue", "ray.util.helpers", "ray.util.joblib")
