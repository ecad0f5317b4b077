"""Waits in Ray's libraries that are the program's own: for the results of a pool, for the next blocks of a dataset.

Inside, Ray waits in threads of its own and in short turns, which says nothing about the program.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Callable

from raytrace_hook import names
from raytrace_hook.ray import internals, patches
from raytrace_hook.ray.patching import when_loaded
from raytrace_hook.ray.tracebacks import leave_out_this_frame
from raytrace_hook.record.futures import Begin, End


def install(begin: Begin, end: End) -> None:
    """Record these waits from now on; the libraries may be loaded later."""

    def recorded(
        name: str, count: Callable[[Any], int], references: Callable[[Any, Any], Iterable[Any]]
    ) -> Callable[..., Any]:
        """Return what wraps a method; `references` tells by its object and what it returned (or None) what is there."""

        def wrapper(original: Callable[..., Any]) -> Callable[..., Any]:
            def wait(owner: Any, *arguments: Any, **keywords: Any) -> Any:
                opened = begin(name, count(owner), [])
                returned = None
                try:
                    returned = original(owner, *arguments, **keywords)
                    return returned
                except BaseException as error:
                    leave_out_this_frame(error)
                    raise
                finally:
                    end(opened, lambda: _named(references(owner, returned)))

            return wait

        return wrapper

    pool = recorded(names.GET_SPAN, lambda thread: len(thread._object_refs), _results)
    dataset = recorded(names.NEXT_SPAN, lambda _: 1, lambda _, blocks: internals.blocks_of(blocks))
    when_loaded(internals.POOL_MODULE, lambda: patches.patch_pool(pool))
    when_loaded(internals.DATASET_MODULE, lambda: patches.patch_dataset(dataset))


def _results(thread: Any, index: int | None) -> list[Any]:
    if index is not None:
        return [thread._object_refs[index]]
    return [one for one, result in zip(thread._object_refs, thread._results) if result is not None]


def _named(references: Iterable[Any]) -> dict[str, Any]:
    return {names.READY_TASK_IDS: internals.task_ids_of(references)}
