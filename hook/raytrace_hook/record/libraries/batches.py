"""Waits of a program for its next batch of a dataset.

Threads of Ray Data's ask for blocks and make batches of them, ahead of the program. Which of their waits mattered is
told by the program's own: it waited for the tasks whose blocks came to these threads until it went on.
"""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Iterator
from typing import Any, Callable

from raytrace_hook import names
from raytrace_hook.log import warn_once
from raytrace_hook.ray import data_internals, library_patches, objects
from raytrace_hook.ray.patching import when_loaded
from raytrace_hook.ray.tracebacks import leave_out_this_frame
from raytrace_hook.record.libraries import datasets, splits
from raytrace_hook.record.libraries.thread_runs import of_thread
from raytrace_hook.record.origin.call_sites import called_by_ray
from raytrace_hook.record.waiting.open_wait import Wait
from raytrace_hook.record.waiting.waits import Waits, covered

_ARRIVED = "_raytrace_arrived"
_MOST_ARRIVED = 64
"""How many tasks a wait for a batch names, the latest: one batch may be made of many blocks."""


def install(waits: Waits) -> None:
    """Record these waits from now on; Ray Data may be loaded later."""
    when_loaded(library_patches.BATCHES, lambda: library_patches.patch_bundles(_feeding))
    when_loaded(
        library_patches.BATCHES, lambda: library_patches.patch_batches(lambda original: _batching(original, waits))
    )


def _feeding(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what makes batches of blocks, in a thread."""

    def pipeline(batches: Any, bundles: Any, *arguments: Any, **keywords: Any) -> Any:
        arrived: deque[str] = deque(maxlen=_MOST_ARRIVED)
        setattr(batches, _ARRIVED, arrived)
        return original(batches, _noting(bundles, arrived), *arguments, **keywords)

    return pipeline


def _noting(bundles: Iterator[Any], arrived: deque[str]) -> Iterator[Any]:
    source = iter(bundles)
    try:
        while True:
            asked: list[str] = []
            was_asked = splits.asked.get()
            try:
                splits.asked.set(asked)
                bundle = next(source)
            except StopIteration:
                return
            finally:
                # A block of a dataset that is split comes by a call, which is waited for, too.
                splits.asked.set(was_asked)
            try:
                arrived.extend([*objects.task_ids_of(data_internals.blocks_of(bundle)), *asked])
            except Exception as error:
                warn_once("which tasks a batch comes from could not be recorded", error)
            yield bundle
    except BaseException as error:
        leave_out_this_frame(error)
        raise


def _batching(original: Callable[..., Any], waits: Waits) -> Callable[..., Any]:
    """Wrap where a program waits for its next batch."""

    @contextlib.contextmanager
    def get_next_batch_context(batches: Any, *arguments: Any, **keywords: Any) -> Iterator[Any]:
        wait = _begin(waits)
        was_covered = covered.get()
        try:
            covered.set(True)
            with original(batches, *arguments, **keywords) as entered:
                yield entered
        except BaseException as error:
            leave_out_this_frame(error)
            raise
        finally:
            covered.set(was_covered)
            since_ns = 0 if wait is None else wait.measured_ns
            waits.end(wait, lambda: {names.READY_TASK_IDS: datasets.waited_for(_arrived(batches), since_ns)})

    return get_next_batch_context


def _begin(waits: Waits) -> Wait | None:
    if of_thread.run is not None:
        return waits.begin(names.BATCH_SPAN, 0, awaited=names.BATCH_SPAN)
    return None if called_by_ray() else waits.begin(names.NEXT_SPAN, 1)


def _arrived(batches: Any) -> list[str]:
    """Return the tasks of the blocks that came since the last batch."""
    arrived: deque[str] = getattr(batches, _ARRIVED, deque())
    found: dict[str, None] = {}
    while arrived:
        found[arrived.popleft()] = None
    return list(found)
