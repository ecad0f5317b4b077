"""Who holds a lock or a semaphore of asyncio that an asynchronous method waits for."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Iterable
from types import FrameType
from typing import Any, Callable

from opentelemetry import trace

from raytrace_hook.log import warn_once
from raytrace_hook.ray.patching import patched, replace_attribute
from raytrace_hook.ray.tracebacks import leave_out_this_frame
from raytrace_hook.record.waiting.flows import current

_HELD_BY = "_raytrace_held_by"
"""The attribute of a lock that says so: the spans of runs of asynchronous methods, and how often each has taken it."""
_MOST_TOLD = 16
_KINDS = (asyncio.Lock, asyncio.Semaphore)


@patched("who holds a lock of asyncio is not recorded")
def install() -> None:
    """Note from now on who takes and gives back the locks and semaphores of asyncio; a condition has such a lock."""
    if not all(inspect.iscoroutinefunction(kind.acquire) for kind in _KINDS):
        raise TypeError("to acquire a lock of asyncio is no coroutine")
    for kind in _KINDS:
        replace_attribute(kind, "acquire", _acquiring)
        replace_attribute(kind, "release", _releasing)


def lock_of(frames: Iterable[FrameType]) -> Any:
    """Return the lock or semaphore that code on a stack is about to take; None where it takes none."""
    owners = (frame.f_locals.get("self") for frame in frames if frame.f_code.co_name == "acquire")
    return next((owner for owner in owners if isinstance(owner, _KINDS)), None)


def holders_of(lock: Any) -> list[str]:
    """Name the runs that hold a lock by their spans, a few of many."""
    return [f"{span_id:016x}" for span_id in list(getattr(lock, _HELD_BY, ()))[:_MOST_TOLD]]


def _acquiring(original: Callable[..., Any]) -> Callable[..., Any]:
    async def acquire(lock: Any) -> Any:
        try:
            taken = await original(lock)
        except BaseException as error:
            leave_out_this_frame(error)
            raise
        _note(_took, lock)
        return taken

    return acquire


def _releasing(original: Callable[..., Any]) -> Callable[..., Any]:
    def release(lock: Any) -> Any:
        try:
            given_back = original(lock)
        except BaseException as error:
            leave_out_this_frame(error)
            raise
        _note(_gave_back, lock)
        return given_back

    return release


def _note(what: Callable[[Any], None], lock: Any) -> None:
    """Note what became of a lock: whoever took it, or gave it back, goes on whatever comes of that."""
    try:
        what(lock)
    except Exception as error:
        warn_once("who holds a lock of asyncio could not be recorded", error)


def _took(lock: Any) -> None:
    flow = current.get()
    if flow is not None:
        # Not before: the run's span begins within the coroutine.
        flow.span_id = flow.span_id or trace.get_current_span().get_span_context().span_id
        held = lock.__dict__.setdefault(_HELD_BY, {})
        held[flow.span_id] = held.get(flow.span_id, 0) + 1


def _gave_back(lock: Any) -> None:
    held = lock.__dict__.get(_HELD_BY)
    if held:
        # Who gives it back need not be who took it: then the first who did has it no longer.
        flow = current.get()
        span_id = flow.span_id if flow is not None and flow.span_id in held else next(iter(held))
        held[span_id] -= 1
        if not held[span_id]:
            del held[span_id]
