"""What handlers of Ray Serve do in a replica: how long each keeps its event loop, its CPU time, where it is idle.

Serve's span of a request begins on the replica's event loop; the program's code runs on another one, or in a thread.
What that did goes on Serve's span.
"""

from __future__ import annotations

import functools
import inspect
import time
from asyncio import _get_running_loop  # None where there is no loop, instead of an error
from typing import Any, Callable

from raytrace_hook import names
from raytrace_hook.log import warn_once
from raytrace_hook.ray import internals, serve_patches
from raytrace_hook.ray.patching import when_loaded
from raytrace_hook.ray.tracebacks import leave_out_this_frame
from raytrace_hook.record.libraries.serve_loops import Driven, LoopTime, present

_HANDLES = "replica_handle_request"
"""What the names of Serve's spans of requests in a replica begin with."""
_WITH_CONSUMED = 2
"""What comes of a handler, and whether it was a generator that is over."""
_NOT_RECORDED = "what a handler of Ray Serve does could not be recorded"


def install(watch: Callable[[int], None]) -> None:
    """Record this from now on; Ray Serve may be loaded later. `watch` lets the sampler look at an open span here."""

    def running(original: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap what calls the program's code in a replica: handlers, and what sets the deployment up."""

        async def call_func_or_gen(replica: Any, function: Any, /, *arguments: Any, **keywords: Any) -> Any:
            handled = _handled(watch)
            try:
                if handled is None:
                    return await original(replica, function, *arguments, **keywords)
                function = handled.seen(function)
                present.set(handled.time)
                found = await Driven(original(replica, function, *arguments, **keywords), (handled.time,))
                handled.goes_on = _streams(found)
                return found
            except BaseException as error:
                leave_out_this_frame(error)
                raise
            finally:
                if handled is not None:
                    handled.tell()

        return call_func_or_gen

    when_loaded(internals.SERVE_REPLICA_MODULE, lambda: serve_patches.patch_serve_handlers(running))


class _Handled:
    """A request whose handler runs."""

    __slots__ = ("_span", "_watch", "cpu_ns", "goes_on", "time")

    def __init__(self, span: Any, watch: Callable[[int], None]) -> None:
        self._span, self._watch = span, watch
        self.time = LoopTime()
        self.cpu_ns = 0
        self.goes_on = False
        """What it gave is made while Serve sends it, which is not seen here."""

    def look(self) -> None:
        """Let the sampler look at what this thread does for the request."""
        self._watch(self._span.get_span_context().span_id)

    def seen(self, function: Any) -> Any:
        """Return the same function, looked at where Serve calls it in a thread of its own."""
        if not (inspect.isfunction(function) or inspect.ismethod(function)) or _is_special(function):
            return function

        @functools.wraps(function)
        def run(*arguments: Any, **keywords: Any) -> Any:
            if _get_running_loop() is not None:  # what it does there counts for the loop's turns
                return function(*arguments, **keywords)
            self.look()
            used = time.thread_time_ns()
            try:
                return function(*arguments, **keywords)
            except BaseException as error:
                leave_out_this_frame(error)
                raise
            finally:
                self.cpu_ns += time.thread_time_ns() - used

        return run

    def tell(self) -> None:
        """Say on Serve's span what was seen, if that is all."""
        if self.goes_on:
            return
        try:
            self._span.set_attribute(names.LOOP_NS, int(self.time.kept_ns))
            self._span.set_attribute(names.LOOP_IDLE_NS, self.time.idle_ns)
            self._span.set_attribute(names.HANDLER_CPU_NS, self.cpu_ns + int(self.time.cpu_ns))
        except Exception as error:
            warn_once(_NOT_RECORDED, error)


def _streams(found: Any) -> bool:
    """Tell whether a handler gave what is made item by item; Serve says beside it if that is over already."""
    result, is_consumed = found if isinstance(found, tuple) and len(found) == _WITH_CONSUMED else (found, False)
    is_generator = inspect.isgenerator(result) or inspect.isasyncgen(result)
    return is_consumed is True or is_generator or hasattr(result, "body_iterator")


def _is_special(function: Any) -> bool:
    return (
        inspect.iscoroutinefunction(function)
        or inspect.isgeneratorfunction(function)
        or inspect.isasyncgenfunction(function)
    )


def _handled(watch: Callable[[int], None]) -> _Handled | None:
    """Return the request that is handled here; None for what is none, or not recorded."""
    try:
        for span in serve_patches.serve_spans()[-1:]:
            if span.is_recording() and span.name.startswith(_HANDLES):
                handled = _Handled(span, watch)
                handled.look()
                return handled
    except Exception as error:
        warn_once(_NOT_RECORDED, error)
    return None
