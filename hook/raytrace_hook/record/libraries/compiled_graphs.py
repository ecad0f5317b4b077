"""Waits for what a compiled graph gives: its references are of none of Ray's tasks, but of steps."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Callable

from raytrace_hook import names
from raytrace_hook.ray import internals, objects, patches
from raytrace_hook.ray.patching import when_loaded
from raytrace_hook.ray.tracebacks import leave_out_this_frame
from raytrace_hook.record.libraries import graph_steps
from raytrace_hook.record.waiting.waits import Waits, covered

_AWAITED = "compiled graph"


def install(waits: Waits) -> None:
    """Record these waits from now on, where this version of Ray has compiled graphs."""

    def get_of(original: Callable[..., Any]) -> Callable[..., Any]:
        def get(reference: Any, *arguments: Any, **keywords: Any) -> Any:
            steps = graph_steps.results_of(reference)
            wait = waits.begin(names.GET_SPAN, 1, awaited=_AWAITED, asked=steps)
            was_covered = covered.get()
            problem: BaseException | None = None
            try:
                covered.set(True)
                return original(reference, *arguments, **keywords)
            except BaseException as error:
                leave_out_this_frame(error)
                problem = error
                raise
            finally:
                covered.set(was_covered)
                waits.end(wait, lambda: _found(steps, problem), problem, objects.is_channel_timeout(problem))

        return get

    def await_of(original: Callable[..., Any]) -> Callable[..., Any]:
        def __await__(future: Any) -> Generator[Any, Any, Any]:
            steps = graph_steps.results_of(future)
            wait = waits.begin(names.GET_SPAN, 1, awaited=_AWAITED, asked=steps)
            problem: BaseException | None = None
            try:
                return (yield from original(future))
            except BaseException as error:
                leave_out_this_frame(error)
                problem = error
                raise
            finally:
                waits.end(wait, lambda: _found(steps, problem), problem)

        return __await__

    graph_steps.install(waits)
    when_loaded(internals.GRAPH_MODULE, lambda: patches.patch_compiled_graphs(get_of, await_of))


def _found(steps: list[str], problem: BaseException | None) -> dict[str, Any]:
    if objects.is_channel_timeout(problem):
        return {names.READY_TASK_IDS: [], names.TIMED_OUT: True, names.AWAITED_TASK_IDS: steps}
    return {names.READY_TASK_IDS: steps}
