"""Waits for the next item of a generator task: `ray.next`."""

from __future__ import annotations

from typing import Any, Callable

from raytrace_hook import names
from raytrace_hook.ray import objects, patches
from raytrace_hook.ray.tracebacks import leave_out_this_frame
from raytrace_hook.record.calls.get_wait_put import came_and_missing
from raytrace_hook.record.libraries import datasets
from raytrace_hook.record.origin.call_sites import called_by_ray
from raytrace_hook.record.waiting.waits import Waits, covered


def install(waits: Waits) -> None:
    """Record these waits from now on."""

    def _next_sync(original: Callable[..., Any]) -> Callable[..., Any]:
        def _next_sync(generator: Any, *arguments: Any, **keywords: Any) -> Any:
            step = _Step(waits, generator)
            try:
                step.begin()
                item = original(generator, *arguments, **keywords)
                step.finish(item)
                return item
            except BaseException as error:
                leave_out_this_frame(error)
                step.fail(error)
                raise

        return _next_sync

    def _next_async(original: Callable[..., Any]) -> Callable[..., Any]:
        async def _next_async(generator: Any, *arguments: Any, **keywords: Any) -> Any:
            step = _Step(waits, generator)
            try:
                step.begin()
                item = await original(generator, *arguments, **keywords)
                step.finish(item)
                return item
            except BaseException as error:
                leave_out_this_frame(error)
                step.fail(error)
                raise

        return _next_async

    patches.patch_next(_next_sync, _next_async)


class _Step:
    """One wait for an item. Whoever waits for it, what Ray calls in there is part of it."""

    __slots__ = ("_generator", "_wait", "_waits", "_was_covered")

    def __init__(self, waits: Waits, generator: Any) -> None:
        self._waits, self._generator = waits, generator
        self._wait: Any = None
        self._was_covered = covered.get()

    def begin(self) -> None:
        # What an execution's thread takes from its tasks it has waited for in its polls.
        if not self._was_covered and not datasets.is_executing() and not called_by_ray():
            self._wait = self._waits.begin(names.NEXT_SPAN, 1, [self._generator])
        covered.set(True)

    def finish(self, item: Any) -> None:
        wait = self._over()
        # After a time-out the item is a reference to nothing.
        if item.is_nil():
            self._waits.end(wait, lambda: came_and_missing([], [self._generator], True), may_go_on=True)
        else:
            self._waits.end(wait, lambda: self._came(item))

    def fail(self, error: BaseException) -> None:
        wait = self._over()
        if isinstance(error, (StopIteration, StopAsyncIteration)):
            self._waits.end(wait, lambda: self._came(None))
        else:
            self._waits.end(wait, lambda: came_and_missing([], [self._generator], False), error)

    def _over(self) -> Any:
        covered.set(self._was_covered)
        wait, self._wait = self._wait, None
        return wait

    def _came(self, item: Any) -> dict[str, Any]:
        found: dict[str, Any] = {names.READY_TASK_IDS: objects.task_ids_of([self._generator])}
        index = None if item is None else objects.item_index(item)
        if index is not None:
            found[names.ITEM] = index
        return found
