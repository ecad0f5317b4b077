"""Who holds a lock that a thread waits for: the threads that are within a `with` of the same lock, or own it.

A lock of Python does not say who has it, but the code on a stack does: where a frame is between the beginning and the
end of `with self.lock:`, its thread took what stands there. The object is looked up without running any code of the
program: names, and attributes that stand in an object itself. A re-entrant lock says itself whose it is.
"""

from __future__ import annotations

import dis
import functools
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from inspect import CO_OPTIMIZED
from types import CodeType, FrameType
from typing import Any, NamedTuple

TAKES = (".acquire", ".__enter__")
"""How what takes a lock ends, as `places.what_it_calls` tells it."""
_ENTERS = "BEFORE_WITH"
_LEAVES = "WITH_EXCEPT_START"
_LOADS = ("LOAD_FAST", "LOAD_DEREF", "LOAD_CLOSURE", "LOAD_GLOBAL", "LOAD_NAME")
_ATTRIBUTES = ("LOAD_ATTR", "LOAD_METHOD")
_REENTRANT = type(threading.RLock())
_KNOWN = (type(threading.Lock()), _REENTRANT, threading.Semaphore, threading.BoundedSemaphore)
_CALLS = ("CALL", "CALL_KW")
_BESIDES = ("PRECALL", "PUSH_NULL", "KW_NAMES")
_OWNER = re.compile(r"owner=(\d+)")
_MOST_FRAMES = 200
_SHARED = 3
"""How many references there are to what a frame shows of its variables while only we hold it, but for the frame."""


class _With(NamedTuple):
    """A `with` in some code: where it is entered, from where to where its body goes, and the names of what it takes."""

    enters: int
    begins: int
    ends: int
    taken: tuple[str, ...]


def holders(waiting: FrameType, others: Mapping[int, FrameType]) -> list[int]:
    """Return which of some other threads hold the lock that a thread is about to take; none where it is not known.

    Takes the innermost frames: of the thread that waits, and of the others by their numbers.
    """
    lock = _wanted(waiting)
    if lock is None:
        return []
    owner = _OWNER.search(repr(lock)) if type(lock) is _REENTRANT else None
    if owner is not None and int(owner.group(1)):
        return [number for number in others if number == int(owner.group(1))]
    return [number for number, frame in others.items() if any(one is lock for one in _held(frame))]


def _wanted(frame: FrameType | None) -> Any:
    """Return the lock that code on a stack is about to take, by the innermost frame that names it.

    How such a thing is made of others (a semaphore of a condition, that of a lock) is not asked for.
    """
    for current in _frames(frame):
        if current.f_globals.get("__name__") == threading.__name__:
            continue
        for one in _withs(current.f_code):
            if one.enters == current.f_lasti:
                return _lock(current, one.taken)
        taken = _calls(current.f_code).get(current.f_lasti)
        if taken is not None:
            return _lock(current, taken)
    return None


def _held(frame: FrameType | None) -> Iterator[Any]:
    """Give the locks that a thread has taken with `with`, but for what it has let go to wait for a condition."""
    let_go = [
        _inner(current.f_locals.get("self"))
        for current in _frames(frame)
        if current.f_code is threading.Condition.wait.__code__
    ]
    for current in _frames(frame):
        for one in _withs(current.f_code):
            if one.begins <= current.f_lasti < one.ends:
                lock = _lock(current, one.taken)
                if lock is not None and not any(lock is other for other in let_go):
                    yield lock


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    for _ in range(_MOST_FRAMES):
        if frame is None:
            return
        yield frame
        frame = frame.f_back


def _lock(frame: FrameType, names: tuple[str, ...]) -> Any:
    """Return the lock that names stand for in a frame; None where they stand for anything else."""
    shown = frame.f_locals
    value = shown.get(names[0], frame.f_globals.get(names[0]))
    # Before Python 3.13 these are kept by the frame: what the program lets go of would be held until it returns.
    if frame.f_code.co_flags & CO_OPTIMIZED and isinstance(shown, dict) and sys.getrefcount(shown) <= _SHARED:
        shown.clear()
    for name in names[1:]:
        value = _own(value).get(name)
    return _inner(value)


def _own(value: Any) -> dict[str, Any]:
    """Return what stands in an object itself; nothing for one that keeps it otherwise."""
    try:
        found = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return found if isinstance(found, dict) else {}


def _inner(value: Any) -> Any:
    """Return what is really taken: that of a condition is a lock."""
    kind = type(value)
    if kind is threading.Condition:
        return _inner(value.__dict__.get("_lock"))
    return value if kind in _KNOWN else None


@functools.lru_cache(maxsize=2000)
def _withs(code: CodeType) -> tuple[_With, ...]:
    """Return the `with`s in some code, as far as the code tells what they take."""
    if sys.version_info < (3, 11):
        return ()
    instructions = list(dis.get_instructions(code))
    if not any(one.opname == _ENTERS for one in instructions):
        return ()
    names = {one.offset: place for place, one in enumerate(instructions)}
    bodies: dict[int, tuple[int, int]] = {}
    for entry in getattr(dis.Bytecode(code), "exception_entries", ()):
        place = names.get(entry.target, 0)
        if any(one.opname == _LEAVES for one in instructions[place : place + 3]):
            start, end = bodies.get(entry.target, (entry.start, entry.end))
            bodies[entry.target] = min(start, entry.start), max(end, entry.end)
    found = []
    for place, one in enumerate(instructions):
        after = [body for body in bodies.values() if body[0] > one.offset]
        taken = _named_before(instructions, place) if one.opname == _ENTERS and after else None
        if taken is not None:
            found.append(_With(one.offset, *min(after), taken))
    return tuple(found)


@functools.lru_cache(maxsize=2000)
def _calls(code: CodeType) -> dict[int, tuple[str, ...]]:
    """Return the calls of `acquire` in some code: where they stand, and the names of what they take."""
    if sys.version_info < (3, 11) or "acquire" not in code.co_names:
        return {}
    instructions = list(dis.get_instructions(code))
    found = {}
    for place, (one, after) in enumerate(zip(instructions, instructions[1:])):
        taken = _named_before(instructions, place) if one.opname in _CALLS else None
        if taken is not None and len(taken) > 1 and taken[-1] == "acquire":
            # Of a call of Python code the place is the end of the instruction.
            found.update(dict.fromkeys(range(one.offset, after.offset), taken[:-1]))
    return found


def _named_before(instructions: list[dis.Instruction], place: int) -> tuple[str, ...] | None:
    """Return the names that are loaded right before an instruction, from where its own source begins."""
    before = instructions[place - 1] if instructions[place].opname == _ENTERS else instructions[place]
    position = before.positions
    start = position and (position.lineno, position.col_offset)
    names: list[str] = []
    for one in reversed(instructions[:place]):
        if not one.positions or (one.positions.lineno, one.positions.col_offset) != start:
            if names:
                return None
            continue
        if one.opname in _ATTRIBUTES:
            names.append(str(one.argval))
        elif one.opname in _LOADS:
            return (str(one.argval), *names[::-1])
        elif names or one.opname not in _BESIDES:
            return None
    return None
