"""Results that become known to a process outside a wait: in a callback, while the program does something else."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Iterable, Iterator
from typing import Any, Callable

from opentelemetry import context as context_api
from opentelemetry import trace

from raytrace_hook import names
from raytrace_hook.log import warn_once
from raytrace_hook.ray import internals, objects, patches
from raytrace_hook.ray.patching import when_loaded
from raytrace_hook.record.waiting.waits import Waits

Deliver = Callable[[Any, Iterable[Any]], None]
"""Notes that these objects were delivered to whoever worked in this context."""


def delivering(waits: Waits) -> Deliver:
    """Return what records a delivery: a span of no length under that of the context, else under the driver's."""

    def deliver(context: Any, references: Iterable[Any]) -> None:
        try:
            if not internals.tracing_is_on():
                return
            if not trace.get_current_span(context).is_recording():
                context = context_api.get_current()  # of a driver's thread, that is the driver's span
            if trace.get_current_span(context).is_recording():
                waits.mark(names.DELIVERY_SPAN, context, {names.READY_TASK_IDS: objects.task_ids_of(references)})
        except Exception as error:
            warn_once("a delivery could not be recorded", error)

    return deliver


def install(deliver: Deliver) -> None:
    """Record what the threads that collect a pool's results take in while nobody waits for them."""

    def starting(original: Callable[..., Any]) -> Callable[..., Any]:
        def __init__(thread: Any, *arguments: Any, **keywords: Any) -> None:
            original(thread, *arguments, **keywords)
            thread._ready_index_queue = _ReadyIndices(thread, deliver)

        return __init__

    when_loaded(internals.POOL_MODULE, lambda: patches.patch_pool_results(starting))


@contextlib.contextmanager
def waiting_for(thread: Any) -> Iterator[None]:
    """Mark that a thread waits for the results that this one collects: until then they are no deliveries."""
    indices = getattr(thread, "_ready_index_queue", None)
    if not isinstance(indices, _ReadyIndices):
        yield
        return
    indices.waiting += 1
    try:
        yield
    finally:
        indices.waiting -= 1


class _ReadyIndices(queue.Queue):  # type: ignore[type-arg] # of numbers
    """What the thread puts the number of a result into once it is there."""

    def __init__(self, thread: Any, deliver: Deliver) -> None:
        super().__init__()
        self._thread, self._deliver = thread, deliver
        self._context = context_api.get_current()
        self.waiting = 0
        """How many threads wait for the pool's results, and are recorded as such."""

    def put(self, index: Any, block: bool = True, timeout: float | None = None) -> None:
        """Take the number of a result that is there."""
        if not self.waiting:
            self._deliver(self._context, [self._thread._object_refs[index]])
        super().put(index, block, timeout)
