"""Ray Train: the training function of each rank as a run, its reports and checkpoints, and who waits for it.

In a worker of Train the training function runs in a thread, and `ray.train.report` is where the ranks meet. The
controller asks every other second how far they are: that is one wait, for the functions of all ranks.
"""

from __future__ import annotations

from typing import Any, Callable

from raytrace_hook import names
from raytrace_hook.log import warn_once
from raytrace_hook.ray import actors, internals, library_patches
from raytrace_hook.ray.patching import when_loaded
from raytrace_hook.record.libraries.sections import Section, recording, waiting
from raytrace_hook.record.libraries.thread_runs import ThreadRun, function_name, latest, of_thread, thread_task_id
from raytrace_hook.record.waiting.waits import Waits

_WAIT = "_raytrace_wait"


def install(waits: Waits) -> None:
    """Record Train from now on; it may be loaded later."""
    when_loaded(library_patches.TRAIN_THREAD, lambda: library_patches.patch_train_thread(_starting))
    when_loaded(
        library_patches.TRAIN_CONTEXT,
        lambda: library_patches.patch_train_context(recording(_report), recording(_store)),
    )
    when_loaded(
        library_patches.TRAIN_GROUP,
        lambda: library_patches.patch_train_group(
            lambda original: _polling(original, waits), lambda original: _ending(original, waits)
        ),
    )


def _starting(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what starts the thread of a training function."""

    def run(runner: Any, target: Callable[..., Any], *arguments: Any, **keywords: Any) -> Any:
        return original(runner, _recorded(target), *arguments, **keywords)

    return run


def _recorded(target: Callable[..., Any]) -> Callable[..., Any]:
    try:
        actor_id = actors.own_actor_id()
        if actor_id is None or not internals.tracing_is_on():
            return target
        context = library_patches.train_context()
        place = context.distributed_context
        about = {names.RANK: place.world_rank, names.WORLD_SIZE: place.world_size}
        name = context.get_experiment_name()
        if name:
            about[names.EXPERIMENT] = str(name)
        return ThreadRun(function_name(target), thread_task_id(actor_id), about).running(target)
    except Exception as error:
        warn_once("a training function could not be recorded", error)
        return target


def _report(context: Any, metrics: Any, checkpoint: Any = None, *_: Any, **__: Any) -> Section:
    """Record `ray.train.report` in a worker: a wait of its own around the wait for the other ranks."""
    about = {names.REPORT: getattr(context, "report_call_index", 0), names.HAS_CHECKPOINT: checkpoint is not None}
    return Section(names.REPORT_SPAN, {**waiting(names.REPORT_SPAN), **about})


def _store(
    context: Any, name: str, metrics: Any, checkpoint: Any = None, *_: Any, **__: Any
) -> Section | ThreadRun | None:
    """Record what brings a checkpoint to its storage; nothing where there is none."""
    return None if checkpoint is None else _recorded_storing(getattr(context, "report_call_index", 1) - 1)


def _recorded_storing(report: int) -> Section | ThreadRun | None:
    """Record the storing of this report's checkpoint: within the report, or as a run beside the training."""
    about = {names.REPORT: report}
    if of_thread.run is not None:
        return Section(names.CHECKPOINT_SPAN, about)
    if latest.run is None:
        return None
    return ThreadRun(names.CHECKPOINT_SPAN, thread_task_id(latest.run.task_id, report), about, latest.run.context)


def _polling(original: Callable[..., Any], waits: Waits) -> Callable[..., Any]:
    """Wrap what asks the ranks how far they are: from the first time until all are done, the controller waits."""

    def poll_status(group: Any, *arguments: Any, **keywords: Any) -> Any:
        if getattr(group, _WAIT, None) is None:
            setattr(group, _WAIT, waits.begin(names.AWAIT_SPAN, len(_functions(group))))
        status = original(group, *arguments, **keywords)
        if getattr(status, "finished", False) or getattr(status, "errors", None):
            _end_wait(group, waits)
        return status

    return poll_status


def _ending(original: Callable[..., Any], waits: Waits) -> Callable[..., Any]:
    """Wrap what ends the workers of a group, whatever they were doing."""

    def end(group: Any, *arguments: Any, **keywords: Any) -> Any:
        _end_wait(group, waits)
        return original(group, *arguments, **keywords)

    return end


def _end_wait(group: Any, waits: Waits) -> None:
    wait = getattr(group, _WAIT, None)
    setattr(group, _WAIT, None)
    if wait is not None:
        found = _functions(group)
        waits.end(wait, lambda: {names.READY_TASK_IDS: found})


def _functions(group: Any) -> list[str]:
    """Return the ids of the training functions of all ranks."""
    try:
        return [thread_task_id(worker.actor._actor_id.hex()) for worker in group.get_workers()]
    except Exception as error:
        warn_once("what Train's controller waits for could not be recorded", error)
        return []
