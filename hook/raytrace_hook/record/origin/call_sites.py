"""Who made a call: which line of the program, or Ray itself.

Only the numbers of lines are written down, never what stands in them.
"""

from __future__ import annotations

import os
import sys
from types import CodeType, FrameType

from raytrace_hook.record.origin.on_behalf import is_on_behalf

_MOST_FRAMES = 4
"""How many frames of the program are told: the call itself and who called that."""
_NOT_THE_PROGRAM = ("ray.", "raytrace_hook.", "opentelemetry.", "concurrent.futures.", "asyncio.", "threading.")
_COMPREHENSIONS = frozenset(("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"))
_LIBRARIES = ("ray.data.", "ray.train.", "ray.tune.", "ray.serve.", "ray.air.", "ray.rllib.")
_MOST_KNOWN = 10_000
_PROGRAM, _STANDARD, _RAY = "the program", "the standard library", "ray"
_kinds: dict[str, str] = {}
"""By module, as `_kind_of` tells it."""
_known: dict[tuple[int, ...], tuple[str, tuple[CodeType, ...]]] = {}
"""Texts by the frames' code and place in it. The code is held so that no other can come to have its number."""


def call_site() -> str | None:
    """Return `file:line` of the program's innermost frames, one a line, innermost first; None outside a program."""
    return caller()[0]


def caller(above: int = 1) -> tuple[str | None, str | None]:
    """Return where the present call stands, as `call_site` does, and which of Ray's libraries makes it.

    The library is None where the program makes the call itself. `above` is how many functions that are none of the
    program's are known to stand innermost: each that is looked at costs.
    """
    frames: list[FrameType] = []
    library = None
    frame = sys._getframe(above + 1)
    is_inside_one = False
    while frame is not None and len(frames) < _MOST_FRAMES:
        name = frame.f_globals.get("__name__") or ""
        kind = _kinds.get(name) or _kind_of(name)
        if kind is _PROGRAM and name == "__main__" and frame.f_code.co_filename.endswith(_STARTERS):
            kind = _RAY
        if kind is _PROGRAM:
            # A comprehension and the function that it stands in are one place.
            if not is_inside_one:
                frames.append(frame)
            is_inside_one = frame.f_code.co_name in _COMPREHENSIONS
        elif kind is _STANDARD:
            pass  # what it calls, and who called it, is told
        elif frames:
            break  # what called the program is Ray again: a task's body begins here
        elif kind is not _RAY:
            library = kind
        frame = frame.f_back  # type: ignore[assignment] # the last frame's is None, as the loop expects
    return site_of(frames), library


def _kind_of(module: str) -> str:
    """Return whose module this is: what is below, or the name of a library of Ray's."""
    if module.partition(".")[0] in _STANDARD_LIBRARY:
        kind = _STANDARD
    elif is_program(module):
        kind = _PROGRAM
    else:
        kind = ".".join(module.split(".", 2)[:2]) if module.startswith(_LIBRARIES) else _RAY
    if len(_kinds) < _MOST_KNOWN:
        _kinds[module] = kind
    return kind


def is_program(module: str) -> bool:
    """Tell whether a module is the program's, by its name."""
    return not f"{module}.".startswith(_NOT_THE_PROGRAM)


def site_of(frames: list[FrameType]) -> str | None:
    """Return `file:line` of these frames, innermost first, one a line, up to four; None of none."""
    frames = frames[:_MOST_FRAMES]
    if not frames:
        return None
    numbers: list[int] = []
    for frame in frames:
        numbers += (id(frame.f_code), frame.f_lasti)
    key = tuple(numbers)
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
    """Tell whether a call is Ray's own business: no code of the program stands anywhere above it in this thread.

    What Ray's libraries wait for in a thread in which the program has called them, the program waits for; so it does
    in a run of theirs that stands in for it.
    """
    frame = sys._getframe(1)
    is_in_ray = False
    while frame is not None:
        name = frame.f_globals.get("__name__") or ""
        if name.startswith("ray."):
            if name == _SERVE_HANDLE and frame.f_code.co_name == "__await__":
                return False
            if name not in _TRANSPARENT:
                is_in_ray = True
                if name.startswith(_INTERNAL):
                    return True
        elif _is_of_the_program(name, frame):
            return False
        frame = frame.f_back  # type: ignore[assignment] # the last frame's is None, as the loop expects
    return is_in_ray and not is_on_behalf()


def is_for_the_program() -> bool:
    """Tell whether the program makes a call, or a library of Ray's that stands in for it."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if _is_of_the_program(frame.f_globals.get("__name__") or "", frame):
            return True
        frame = frame.f_back
    return is_on_behalf()


def _is_of_the_program(module: str, frame: FrameType) -> bool:
    if not is_program(module) or module.partition(".")[0] in _STANDARD_LIBRARY:
        return False
    return not (module == "__main__" and frame.f_code.co_filename.endswith(_WORKER_MAIN))


_STANDARD_LIBRARY = frozenset(
    getattr(sys, "stdlib_module_names", ("contextlib", "functools", "queue", "runpy", "selectors", "multiprocessing"))
)
_WORKER_MAIN = os.path.join("ray", "_private", "workers", "default_worker.py")
_STARTERS = (_WORKER_MAIN, os.path.join("raytrace_analyze", "ray_programs", "traced_run.py"))
"""What is `__main__` in a worker, and what runs a program for `raytrace-analyze record`."""
_TRANSPARENT = {
    "ray._private.worker",
    "ray._private.client_mode_hook",
    "ray._private.auto_init_hook",
    "ray._private.object_ref_generator",
}
_SERVE_HANDLE = "ray.serve.handle"
"""What awaits a response of Serve's: asyncio may do that in a task of its own, in which the program does not stand."""
_INTERNAL = ("ray._private.", "ray._common.", "ray.actor", "ray.remote_function")
"""What they wait for is part of starting, submitting or looking something up, whoever asked for it."""
