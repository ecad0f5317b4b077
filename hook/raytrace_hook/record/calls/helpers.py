"""Waits in Ray's libraries that are the program's own: for the results of a pool, for the next blocks of a dataset.

Inside, Ray waits in threads of its own and in short turns, which says nothing about the program.
"""

from __future__ import annotations

import time
from typing import Any, Callable

from raytrace_hook import names
from raytrace_hook.log import warn_once
from raytrace_hook.ray import data_internals, internals, objects, patches
from raytrace_hook.ray.patching import when_loaded
from raytrace_hook.ray.tracebacks import leave_out_this_frame
from raytrace_hook.record.calls.futures import Begin, End
from raytrace_hook.record.calls.get_wait_put import came_and_missing
from raytrace_hook.record.libraries import datasets, splits
from raytrace_hook.record.origin.call_sites import called_by_ray
from raytrace_hook.record.waiting.deliveries import waiting_for
from raytrace_hook.record.waiting.waits import covered


def install(begin: Begin, end: End) -> None:
    """Record these waits from now on; the libraries may be loaded later."""
    of_pool = _recorded(begin, end, names.GET_SPAN, lambda thread: len(thread._object_refs), _results)
    of_dataset = _recorded(begin, end, names.NEXT_SPAN, lambda _: 1, _blocks, _is_no_wait_of_the_program)
    when_loaded(internals.POOL_MODULE, lambda: patches.patch_pool(of_pool))
    when_loaded(internals.DATASET_MODULE, lambda: patches.patch_dataset(of_dataset))


Found = Callable[[Any, Any, "BaseException | None", int], "tuple[dict[str, Any], bool]"]
"""Tells by an object, what its method returned or raised, and since when: the attributes, and whether it may go on."""


def _never() -> bool:
    return False


def _recorded(
    begin: Begin,
    end: End,
    name: str,
    count: Callable[[Any], int],
    found: Found,
    is_part_of_another: Callable[[], bool] = _never,
) -> Callable[..., Any]:
    """Return what wraps a method in which a program waits; a call that is part of another wait is none."""

    def wrapper(original: Callable[..., Any]) -> Callable[..., Any]:
        def wait(owner: Any, *arguments: Any, **keywords: Any) -> Any:
            if is_part_of_another():
                return original(owner, *arguments, **keywords)
            since_ns = time.time_ns()
            opened, returned, problem = None, None, None
            was_covered = covered.get()
            try:
                opened = begin(name, count(owner), [])
                covered.set(True)
                with waiting_for(owner):
                    returned = original(owner, *arguments, **keywords)
                return returned
            except BaseException as error:
                leave_out_this_frame(error)
                problem = error
                raise
            finally:
                covered.set(was_covered)
                attributes, may_go_on = _told(name, found, owner, returned, problem, since_ns)
                end(opened, lambda: attributes, may_go_on=may_go_on)

        return wait

    return wrapper


def _told(name: str, found: Found, *outcome: Any) -> tuple[dict[str, Any], bool]:
    try:
        return found(*outcome)
    except Exception as error:
        warn_once(f"what a {name} came back with could not be recorded", error)
        return {names.READY_TASK_IDS: []}, False


def _results(thread: Any, index: int | None, problem: BaseException | None, _: int) -> tuple[dict[str, Any], bool]:
    """Tell of a pool: of one result by its number, else of all that are there by now."""
    references = thread._object_refs
    if index is not None:
        return {names.READY_TASK_IDS: objects.task_ids_of([references[index]])}, False
    timed_out = isinstance(problem, TimeoutError) or (problem is None and thread.is_alive())
    ready = [one for one, result in zip(references, list(thread._results)) if result is not None]
    if problem is not None or timed_out:
        return came_and_missing(ready, references, timed_out), timed_out
    return {names.READY_TASK_IDS: objects.task_ids_of(ready)}, False


def _is_no_wait_of_the_program() -> bool:
    """Tell whether a thread of Ray Data's asks for a block, which makes it ready for the program's next batch."""
    return covered.get() or (called_by_ray() and not splits.is_asked_for_a_split())


def _blocks(state: Any, bundle: Any, problem: BaseException | None, since_ns: int) -> tuple[dict[str, Any], bool]:
    """Tell of a dataset. Blocks that the execution put itself, like empty partitions, come from no task."""
    if bundle is None:
        return {names.READY_TASK_IDS: datasets.task_of(state)}, False
    task_ids = objects.task_ids_of(data_internals.blocks_of(bundle))
    found = datasets.waited_for(task_ids, since_ns) if task_ids else datasets.task_of(state)
    return {names.READY_TASK_IDS: found}, not task_ids
