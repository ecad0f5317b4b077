"""Where Ray is patched: one function a place, each safe on its own (see `patching.patched`)."""

from __future__ import annotations

import asyncio
import functools
import inspect
import sys
from typing import Any, Callable

from raytrace_hook import names
from raytrace_hook.ray.internals import (
    DATASET_MODULE,
    EXECUTOR_MODULE,
    GRAPH_MODULE,
    OPERATOR_MODULE,
    PLACEMENT_MODULE,
    POOL_MODULE,
    load,
)
from raytrace_hook.ray.patching import Overlay, Wrapper, patched, replace_attribute, replace_code


@patched("spans of ray.get, ray.wait and ray.put")
def patch_calls(begin: Callable[[str], Any]) -> None:
    """Make the sections of these three functions that Ray's profiler marks enter what `begin(name)` returns.

    The functions themselves stay as they are: names imported early follow, and tracebacks show no frame of ours.
    """
    ray = load("ray")
    for function, needed in (
        (ray.get, {"object_refs"}),
        (ray.wait, {"ready_ids"}),
        (ray.put, {"value"}),
    ):
        code = inspect.unwrap(function).__code__
        if not needed <= set(code.co_varnames) or not {"profiling", "profile"} <= set(code.co_names):
            raise TypeError(f"{function.__name__} is not as expected")

    def wrapper(original: Callable[..., Any]) -> Callable[..., Any]:
        def profile(event_type: Any, *arguments: Any, **keywords: Any) -> Any:
            section = original(event_type, *arguments, **keywords)
            return Both(begin(event_type), section) if event_type in CALLS else section

        return profile

    replace_attribute(load("ray._private.profiling"), "profile", wrapper)


CALLS = frozenset((names.GET_SPAN, names.WAIT_SPAN, names.PUT_SPAN))
"""What Ray's profiler calls these sections, and we their spans."""


class Both:
    """Two context managers in one."""

    __slots__ = ("_first", "_second")

    def __init__(self, first: Any, second: Any) -> None:
        self._first, self._second = first, second

    def __enter__(self) -> None:
        self._first.start(sys._getframe(1))
        self._second.__enter__()

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self._second.__exit__(kind, error, traceback)
        self._first.finish(sys._getframe(1), error)


@patched("the size of exported functions and classes")
def patch_exports(wrapper: Wrapper) -> None:
    """Wrap what pickles a function or a class before it is exported."""
    for module in ("ray.remote_function", "ray._private.function_manager"):
        replace_attribute(load(module), "pickle_dumps", wrapper)


@patched("the size of what ray.put stores")
def patch_serialize(wrapper: Wrapper) -> None:
    """Wrap what serializes an object: only its result knows the size."""
    replace_attribute(load("ray._private.serialization").SerializationContext, "serialize", wrapper)


@patched("spans of await")
def patch_await(wrapper: Wrapper) -> None:
    """Wrap the step in which a reference becomes awaitable: `ObjectRef` itself can't be patched."""
    replace_attribute(asyncio, "wrap_future", wrapper)


@patched("spans of ObjectRef.future().result()")
def patch_future(future_class: Any) -> None:
    """Let `ObjectRef.future()` make futures of this class: Ray's compiled code looks the class up by this path."""
    raylet = load("ray._raylet")
    original = raylet.concurrent
    if not hasattr(original, "_raytrace_original"):
        futures = Overlay(original.futures, Future=future_class)
        raylet.concurrent = Overlay(original, futures=futures, _raytrace_original=original)


@patched("spans of generator iteration")
def patch_next(wrapper: Wrapper, async_wrapper: Wrapper) -> None:
    """Wrap the iteration over the results of a generator task."""
    raylet = load("ray._raylet")
    generator = getattr(raylet, "ObjectRefGenerator", None) or raylet.StreamingObjectRefGenerator
    replace_attribute(generator, "_next_sync", wrapper)
    replace_attribute(generator, "_next_async", async_wrapper)


@patched("the driver's end at ray.shutdown")
def patch_shutdown(wrapper: Wrapper) -> None:
    """Wrap `ray.shutdown` in place: what it does at the interpreter's exit is bound early."""
    replace_code(load("ray").shutdown, wrapper)


@patched("what follows on ray.init")
def patch_connect(wrapper: Wrapper, mark: str) -> None:
    """Wrap what connects a driver: Ray calls the hook only once per process. Once for each `mark`."""
    worker = load("ray._private.worker")
    if not hasattr(worker.connect, mark):
        replacement = functools.wraps(worker.connect)(wrapper(worker.connect))
        setattr(replacement, mark, True)
        worker.connect = replacement


@patched("waits for the results of a pool", of_library=True)
def patch_pool(wrapper: Wrapper) -> None:
    """Wrap where a program waits for the thread that collects a pool's results: for all of them, or the next."""
    thread = load(POOL_MODULE).ResultThread
    replace_attribute(thread, "join", wrapper)
    replace_attribute(thread, "next_ready_index", wrapper)


@patched("deliveries of a pool's results", of_library=True)
def patch_pool_results(wrapper: Wrapper) -> None:
    """Wrap the making of a thread that collects a pool's results."""
    replace_attribute(load(POOL_MODULE).ResultThread, "__init__", wrapper)


@patched("waits for compiled graphs", of_library=True)
def patch_compiled_graphs(get_wrapper: Wrapper, await_wrapper: Wrapper) -> None:
    """Wrap what waits for the result of a compiled graph."""
    module = load(GRAPH_MODULE)
    replace_attribute(module.CompiledDAGRef, "get", get_wrapper)
    replace_attribute(module.CompiledDAGFuture, "__await__", await_wrapper)


@patched("waits for placement groups")
def patch_placement_groups(ready_wrapper: Wrapper, wait_wrapper: Wrapper) -> None:
    """Wrap what gives an object to wait with for a placement group, and what waits for it."""
    group = load(PLACEMENT_MODULE).PlacementGroup
    replace_attribute(group, "ready", ready_wrapper)
    replace_attribute(group, "wait", wait_wrapper)


@patched("removals of placement groups")
def patch_removals(wrapper: Wrapper) -> None:
    """Wrap what removes a placement group, in place."""
    replace_code(load(PLACEMENT_MODULE).remove_placement_group, wrapper)


@patched("spans of ray.cancel and ray.kill")
def patch_endings(cancel: Wrapper, kill: Wrapper, exit_actor: Wrapper) -> None:
    """Wrap what ends a task or an actor, in place."""
    ray = load("ray")
    replace_code(ray.cancel, cancel)
    replace_code(ray.kill, kill)
    replace_code(load("ray.actor").exit_actor, exit_actor)


@patched("waits for the blocks of a dataset", of_library=True)
def patch_dataset(wrapper: Wrapper) -> None:
    """Wrap where a program waits for the thread that computes a dataset."""
    replace_attribute(load(DATASET_MODULE).OpState, "get_output_blocking", wrapper)


@patched("what the operators of a dataset did", of_library=True)
def patch_executor(execute: Wrapper, run: Wrapper, shutdown: Wrapper) -> None:
    """Wrap where Ray Data sets an execution up, where its own thread drives it, and its end."""
    executor = load(EXECUTOR_MODULE).StreamingExecutor
    replace_attribute(executor, "execute", execute)
    replace_attribute(executor, "run", run)
    replace_attribute(executor, "shutdown", shutdown)


@patched("what held the operators of a dataset back from starting tasks", of_library=True)
def patch_held_submissions(wrapper: Wrapper) -> None:
    """Wrap what tells an operator of Ray Data that it may start no task."""
    replace_attribute(load(OPERATOR_MODULE).PhysicalOperator, "notify_in_task_submission_backpressure", wrapper)


@patched("what held the output of a dataset's operators back", of_library=True)
def patch_held_output(wrapper: Wrapper) -> None:
    """Wrap what tells an operator of Ray Data that no output of its tasks is taken."""
    replace_attribute(load(OPERATOR_MODULE).PhysicalOperator, "notify_in_task_output_backpressure", wrapper)
