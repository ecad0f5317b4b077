"""Waits in Ray's libraries that are the program's own: for the results of a pool, for the next blocks of a dataset.

Inside, Ray waits in threads of its own and in short turns, which says nothing about the program.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Callable

from raytrace_hook import names, ray_internals, ray_patches
from raytrace_hook.futures import Begin, End
from raytrace_hook.patching import when_loaded
from raytrace_hook.tracebacks import leave_out_this_frame


def install(begin: Begin, end: End) -> None:
    """Record these waits from now on; the libraries may be loaded later."""

    def pool(original: Callable[..., Any]) -> Callable[..., Any]:
        def wait_for_results(thread: Any, *arguments: Any, **keywords: Any) -> Any:
            wait = begin(names.GET_SPAN, len(thread._object_refs))
            index = None
            try:
                index = original(thread, *arguments, **keywords)
                return index
            except BaseException as error:
                leave_out_this_frame(error)
                raise
            finally:
                end(wait, lambda: _named(_results(thread, index)))

        return wait_for_results

    def dataset(original: Callable[..., Any]) -> Callable[..., Any]:
        def wait_for_blocks(state: Any, *arguments: Any, **keywords: Any) -> Any:
            wait = begin(names.NEXT_SPAN, 1)
            blocks = None
            try:
                blocks = original(state, *arguments, **keywords)
                return blocks
            except BaseException as error:
                leave_out_this_frame(error)
                raise
            finally:
                end(wait, lambda: _named(ray_internals.blocks_of(blocks)))

        return wait_for_blocks

    when_loaded(ray_internals.POOL_MODULE, lambda: ray_patches.patch_pool(pool))
    when_loaded(ray_internals.DATASET_MODULE, lambda: ray_patches.patch_dataset(dataset))


def _results(thread: Any, index: int | None) -> list[Any]:
    if index is not None:
        return [thread._object_refs[index]]
    return [one for one, result in zip(thread._object_refs, thread._results) if result is not None]


def _named(references: Iterable[Any]) -> dict[str, Any]:
    return {names.READY_TASK_IDS: ray_internals.task_ids_of(references)}
