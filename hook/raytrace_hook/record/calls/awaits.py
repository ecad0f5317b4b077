"""Waits of coroutines for results of Ray: `await reference`, `asyncio.gather` of references."""

from __future__ import annotations

import concurrent.futures
from typing import Any, Callable

from raytrace_hook import names
from raytrace_hook.ray import objects, patches
from raytrace_hook.record.calls.futures import DeliveredFuture
from raytrace_hook.record.calls.get_wait_put import came_and_missing
from raytrace_hook.record.origin.call_sites import called_by_ray
from raytrace_hook.record.waiting.open_wait import locate
from raytrace_hook.record.waiting.suspensions import of_ray
from raytrace_hook.record.waiting.waits import Waits, covered


def install(waits: Waits) -> None:
    """Record these waits from now on."""

    def awaiting(original: Callable[..., Any]) -> Callable[..., Any]:
        def wrap_future(future: Any, *arguments: Any, **keywords: Any) -> Any:
            reference = getattr(future, "object_ref", None)
            if reference is None:
                return original(future, *arguments, **keywords)
            if isinstance(future, DeliveredFuture):
                future.is_awaited = True
            if not covered.get() and not called_by_ray():
                wait = waits.begin(names.AWAIT_SPAN, 1, [reference])
                if wait is not None:
                    locate(wait)
                # Added before asyncio's own callback: the span is written before the coroutine goes on.
                future.add_done_callback(lambda done: _awaited(waits, wait, reference, done))
            awaitable = original(future, *arguments, **keywords)
            of_ray.add(awaitable)
            return awaitable

        return wrap_future

    patches.patch_await(awaiting)


def _awaited(waits: Waits, wait: Any, reference: Any, done: Any) -> None:
    if done.cancelled():
        error = concurrent.futures.CancelledError("cancelled")
        waits.end(wait, lambda: came_and_missing([], [reference], False), error)
    else:
        waits.end(wait, lambda: {names.READY_TASK_IDS: objects.task_ids_of([reference])}, done.exception())
