"""Waits of Ray Serve's requests for their batches (`@serve.batch`): for others to fill it, and for its turn."""

from __future__ import annotations

import time
from typing import Any, Callable

from opentelemetry import context as context_api

from raytrace_hook import names
from raytrace_hook.log import warn_once
from raytrace_hook.ray import internals, serve_patches
from raytrace_hook.ray.patching import when_loaded
from raytrace_hook.ray.tracebacks import leave_out_this_frame
from raytrace_hook.record.libraries.serve_loops import Driven, LoopTime, present
from raytrace_hook.record.waiting.waits import Waits

_QUEUED = "_raytrace_queued"
_FILLED = "_raytrace_filled"
_LOOP_TIME = "_raytrace_loop_time"
_NOT_RECORDED = "waits for batches of Ray Serve could not be recorded"


def install(waits: Waits) -> None:
    """Record these waits from now on; Ray Serve may be loaded later."""
    has_turns = False  # else a batch begins where it was waited for, as in older versions

    def forming(original: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap what gives the next batch."""

        async def wait_for_batch(queue: Any, *arguments: Any, **keywords: Any) -> Any:
            try:
                found = await original(queue, *arguments, **keywords)
            except BaseException as error:
                leave_out_this_frame(error)
                raise
            batch = found[0] if isinstance(found, tuple) else found
            _note_formed(waits, queue, batch)
            if not has_turns:
                _note_begun(waits, queue, batch)
            return found

        return wait_for_batch

    def running(original: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap what runs a batch once it has its turn."""
        nonlocal has_turns
        has_turns = True

        async def process(queue: Any, function: Any, batch: Any, *arguments: Any, **keywords: Any) -> Any:
            _note_begun(waits, queue, batch)
            try:
                ran = original(queue, function, batch, *arguments, **keywords)
                return await Driven(ran, _loop_times(batch))
            except BaseException as error:
                leave_out_this_frame(error)
                raise

        return process

    when_loaded(internals.SERVE_BATCHING_MODULE, lambda: serve_patches.patch_serve_batches(_queueing, forming, running))


def _queueing(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what puts a request into the queue of those that are to be in a batch; it does so in its own context."""

    def put(queue: Any, request: Any) -> Any:
        try:
            setattr(request, _QUEUED, (time.time_ns(), context_api.get_current()))
            setattr(request, _LOOP_TIME, present.get())
        except Exception as error:
            warn_once(_NOT_RECORDED, error)
        return original(queue, request)

    return put


def _note_formed(waits: Waits, queue: Any, batch: Any) -> None:
    try:
        if not batch or not internals.tracing_is_on():
            return
        known = [(request, *getattr(request, _QUEUED)) for request in batch if hasattr(request, _QUEUED)]
        filled = _filled_ns(queue, [queued_ns for _, queued_ns, _ in known])
        about = {**_awaited(queue, "fill"), names.BATCH_SIZE: len(batch), names.MAX_BATCH_SIZE: queue.max_batch_size}
        for request, queued_ns, context in known:
            waits.mark(names.BATCH_FILL_SPAN, context, about, queued_ns, filled)
            setattr(request, _FILLED, filled)
    except Exception as error:
        warn_once(_NOT_RECORDED, error)


def _filled_ns(queue: Any, queued: list[int]) -> int:
    """Return when a batch that is there now was filled: as its last request came, or when no more was waited for.

    It may be noticed later: something else on the event loop blocked that.
    """
    last = max(queued, default=0)
    if len(queued) < queue.max_batch_size:
        last = max(last, min(queued, default=0) + int(queue.batch_wait_timeout_s * 1e9))
    return min(last, time.time_ns())


def _loop_times(batch: Any) -> list[LoopTime]:
    """Return those of the requests in a batch, which share what it takes of the event loop."""
    try:
        return [found for request in batch if (found := getattr(request, _LOOP_TIME, None)) is not None]
    except Exception as error:
        warn_once(_NOT_RECORDED, error)
        return []


def _note_begun(waits: Waits, queue: Any, batch: Any) -> None:
    try:
        now = time.time_ns()
        for request in batch:
            filled = getattr(request, _FILLED, None)
            if filled is not None and not request.future.cancelled() and waits.is_long(now - filled):
                waits.mark(names.BATCH_TURN_SPAN, getattr(request, _QUEUED)[1], _awaited(queue, "begin"), filled, now)
    except Exception as error:
        warn_once(_NOT_RECORDED, error)


def _awaited(queue: Any, to: str) -> dict[str, Any]:
    function = getattr(queue, "_function_name", None)
    awaited = f"batch of {function} to {to}" if function else f"batch to {to}"
    return {names.READY_TASK_IDS: [], names.AWAITED: awaited}
