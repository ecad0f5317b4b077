"""Datasets that are split among several consumers: their blocks come by calls of an actor, which asks the execution."""

from __future__ import annotations

import contextvars
import sys
from types import FrameType
from typing import Any

from raytrace_hook.ray import objects

_MODULE = "ray.data._internal.iterator.stream_split_iterator"
_GET = "get"
"""The actor's method that gives a consumer's next block."""

asked: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar("raytrace_asked", default=None)
"""What gets, in this context, the ids of the tasks whose results Ray's own calls wait for."""


def note_call(frame: Any) -> None:
    """Note what a call of `ray.get` that Ray makes waits for, where somebody wants to know that."""
    noted = asked.get()
    if noted is None:
        return
    references = frame.f_locals.get("object_refs")
    if objects.is_object_ref(references):
        noted += objects.task_ids_of([references])


def is_asked_for_a_split() -> bool:
    """Tell whether the present thread is asked for a consumer's next block, which is its only reason to wait."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name == _GET and frame.f_globals.get("__name__") == _MODULE:
            return True
        frame = frame.f_back
    return False
