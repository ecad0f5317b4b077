"""Functions that a library runs in a thread of an actor, told as runs of their own.

The call that starts such a thread returns at once (or waits for its results one by one), so the actor's own spans say
nothing of where the time goes: the function gets a submission, under that call, and a run, in its thread.
"""

from __future__ import annotations

import functools
import hashlib
import threading
from typing import Any, Callable

from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from raytrace_hook import names
from raytrace_hook.log import warn_once
from raytrace_hook.ray import actors
from raytrace_hook.ray.tracebacks import error_text, leave_out_this_frame
from raytrace_hook.spans import ids
from raytrace_hook.spans.present import Present

_MOST_LAYERS = 10


def thread_task_id(actor_id: str, number: int = 0) -> str:
    """Return the id that the function counts under: it is no task of Ray's. Whoever knows the actor knows it.

    `number` tells apart the functions that one actor runs one after another.
    """
    return hashlib.sha256(f"{actor_id} {number}".encode()).hexdigest()[:48]


def function_name(target: Any) -> str:
    """Return the program's function, with its module, in what a library made of it to run it."""
    for _ in range(_MOST_LAYERS):
        inner = _inside(target)
        if inner is None:
            break
        target = inner
    name = getattr(target, "__qualname__", None) or type(target).__qualname__
    return f"{getattr(target, '__module__', None) or type(target).__module__}.{name}"


def _inside(target: Any) -> Any:
    """Return the function that this one calls, where a library made it; None where it is the program's."""
    wrapped = getattr(target, "__wrapped__", None) or (target.func if isinstance(target, functools.partial) else None)
    if wrapped is not None:
        return wrapped
    names_in = getattr(getattr(target, "__code__", None), "co_freevars", ())
    held = dict(zip(names_in, (cell.cell_contents for cell in getattr(target, "__closure__", None) or ())))
    if not str(getattr(target, "__module__", "")).startswith("ray."):
        return None
    trainable = getattr(type(held.get("self")), "_trainable_func", None)
    return next((held[name] for name in ("train_fn", "train_func") if name in held), trainable)


class ThreadRun:
    """One function: made where it is started, entered and ended in its thread."""

    def __init__(self, function: str, task_id: str, attributes: dict[str, Any], context: Any = None) -> None:
        """Record the submission, here and now, or under `context`; `attributes` are the run's."""
        self.task_id = task_id
        actor_id = actors.own_actor_id()
        shared = {"ray.remote": "function", "ray.function": function}
        tracer = ids.get_tracer(__name__)
        # It takes nothing of a node that whoever starts it has not.
        own = {names.SUBMITTED_TASK_ID: task_id, names.DEPENDENCY_TASK_IDS: (), names.RESOURCES: "{}"}
        span = tracer.start_span(
            f"{function} ray.remote", kind=SpanKind.PRODUCER, attributes={**shared, **own}, context=context
        )
        span.end()
        self._name = function + names.RUN_SUFFIX
        self.context: Any = trace.set_span_in_context(span)
        """What is done within it stands under this: its run, once that has begun."""
        self._attributes = {**shared, "ray.task_id": task_id, names.CONCURRENT: True, **attributes}
        if actor_id is not None:
            self._attributes["ray.actor_id"] = actor_id
        self.span: Span | None = None
        self._present = Present()

    def enter(self) -> None:
        """Begin the run in this thread."""
        try:
            tracer = ids.get_tracer(__name__)
            self.span = tracer.start_span(
                self._name, context=self.context, kind=SpanKind.CONSUMER, attributes=self._attributes
            )
            self.context = trace.set_span_in_context(self.span, self.context)
            self._present.take(self.context)
        except Exception as error:
            warn_once("a function that runs in a thread could not be recorded", error)

    def end(self, error: BaseException | None = None) -> None:
        """End the run, once."""
        try:
            self._present.put_back()
            span = self.span
            if span is not None and span.is_recording():
                if isinstance(error, Exception) and not isinstance(error, StopIteration):
                    span.set_status(Status(StatusCode.ERROR, error_text(error)))
                span.end()
            self.span = None
        except Exception as problem:
            warn_once("a function that runs in a thread could not be recorded", problem)

    def running(self, target: Callable[..., Any], at_end: Callable[[], None] = lambda: None) -> Callable[..., Any]:
        """Return the same function, recorded as this run; `at_end` is called while the run is open still."""

        def run(*arguments: Any, **keywords: Any) -> Any:
            try:
                self.enter()
                of_thread.run = latest.run = self
                returned = target(*arguments, **keywords)
                of_thread.run = None
                at_end()
                self.end()
                return returned
            except BaseException as error:
                leave_out_this_frame(error)
                of_thread.run = None
                if self.span is not None:
                    at_end()
                self.end(error)
                raise

        for name in ("__module__", "__name__", "__qualname__"):
            if hasattr(target, name):
                setattr(run, name, getattr(target, name))
        return run


class _OfThread(threading.local):
    run: ThreadRun | None = None


class _Latest:
    run: ThreadRun | None = None


of_thread = _OfThread()
"""The function that runs in this thread, if it is one of these."""
latest = _Latest()
"""The one that was begun last in this process."""
