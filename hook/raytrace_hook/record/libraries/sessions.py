"""The functions of Tune's trials (and of Train before its second version): runs in threads, from report to report."""

from __future__ import annotations

import threading
from typing import Any, Callable

from raytrace_hook import names
from raytrace_hook.log import warn_once
from raytrace_hook.ray import actors, internals, library_patches
from raytrace_hook.ray.patching import when_loaded
from raytrace_hook.ray.tracebacks import leave_out_this_frame
from raytrace_hook.record.generators.items import Items
from raytrace_hook.record.libraries.sections import Section, recording, waiting
from raytrace_hook.record.libraries.thread_runs import ThreadRun, function_name, of_thread, thread_task_id
from raytrace_hook.record.waiting.waits import Waits

_SESSION = "_raytrace_session"
_AGAIN = "__duplicate__"
"""What Tune adds to a result that is none."""


class _Session:
    """One function of a trial, or of a rank, with the results that it has given and that were taken."""

    def __init__(self, run: ThreadRun, rank: int | None) -> None:
        self.run = run
        self.rank = rank
        self.given = Items(None, 0)
        self.taken = 0

    def tell(self) -> None:
        """Say in the run's span when its results were there."""
        if self.run.span is not None:
            self.given.tell(self.run.span)


class _Counter:
    """How many functions this process has run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._count = 0

    def next(self) -> int:
        with self._lock:
            self._count += 1
            return self._count - 1


_counter = _Counter()


def install(waits: Waits) -> None:
    """Record them from now on; the library may be loaded later."""
    when_loaded(
        library_patches.SESSION,
        lambda: library_patches.patch_session(_starting, lambda original: _taking(original, waits), _giving),
    )
    when_loaded(
        library_patches.SESSION,
        lambda: library_patches.patch_session_report(recording(_report)),
    )
    when_loaded(library_patches.STORAGE, lambda: library_patches.patch_storage(recording(_store)))


def _starting(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what starts the thread of a function."""

    def start(session: Any, *arguments: Any, **keywords: Any) -> Any:
        try:
            _record(session)
        except Exception as error:
            warn_once("a trial's function could not be recorded", error)
        return original(session, *arguments, **keywords)

    return start


def _record(session: Any) -> None:
    actor_id = actors.own_actor_id()
    if actor_id is None or not internals.tracing_is_on():
        return
    about: dict[str, Any] = {}
    rank = session.world_rank
    if rank is not None:
        about = {names.RANK: rank, names.WORLD_SIZE: session.world_size}
    trial = session.trial_info
    if trial is not None:
        about[names.EXPERIMENT] = str(trial.experiment_name)
        if rank is None:
            about[names.TRIAL] = str(trial.id)
    thread = session.training_thread
    run = ThreadRun(function_name(thread._target), thread_task_id(actor_id, _counter.next()), about)
    recorded = _Session(run, rank)
    setattr(session, _SESSION, recorded)
    thread._target = run.running(thread._target, recorded.tell)


def _taking(original: Callable[..., Any], waits: Waits) -> Callable[..., Any]:
    """Wrap where the actor waits for the function's next result."""

    def get_next(session: Any, *arguments: Any, **keywords: Any) -> Any:
        recorded: _Session | None = getattr(session, _SESSION, None)
        wait = None if recorded is None else waits.begin(names.AWAIT_SPAN, 1)
        result, problem = None, None
        try:
            result = original(session, *arguments, **keywords)
            return result
        except BaseException as error:
            leave_out_this_frame(error)
            problem = error
            raise
        finally:
            if recorded is not None:
                waits.end(wait, lambda: _taken(recorded, result), problem)

    return get_next


def _taken(recorded: _Session, result: Any) -> dict[str, Any]:
    found: dict[str, Any] = {names.READY_TASK_IDS: [recorded.run.task_id]}
    if result is not None and recorded.taken < recorded.given.count:
        found[names.ITEM] = recorded.taken
        recorded.taken += 1
    return found


def _giving(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap where the function gives a result and is held until it may go on."""

    def _report_training_result(session: Any, *arguments: Any, **keywords: Any) -> Any:
        recorded: _Session | None = getattr(session, _SESSION, None)
        if recorded is None or recorded.run is not of_thread.run:
            return original(session, *arguments, **keywords)
        number = {} if _is_the_last_again(arguments) else {names.REPORT: recorded.given.count}
        recorded.given.come()
        section = Section(names.AWAIT_SPAN, waiting(names.REPORT_SPAN, **number))
        try:
            if recorded.rank is None:
                section.enter()
            returned = original(session, *arguments, **keywords)
            section.end()
            return returned
        except BaseException as error:
            leave_out_this_frame(error)
            section.end()
            raise

    return _report_training_result


def _is_the_last_again(arguments: tuple[Any, ...]) -> bool:
    """Tell whether Tune itself gives the last result again, to say that the function has ended."""
    return bool(arguments) and _AGAIN in (getattr(arguments[0], "metrics", None) or {})


def _report(session: Any, metrics: Any, checkpoint: Any = None, *_: Any, **__: Any) -> Section | None:
    """Record `report` of a rank: where the ranks meet."""
    recorded: _Session | None = getattr(session, _SESSION, None)
    if recorded is None or recorded.rank is None:
        return None
    about = {names.REPORT: recorded.given.count, names.HAS_CHECKPOINT: checkpoint is not None}
    return Section(names.REPORT_SPAN, {**waiting(names.REPORT_SPAN), **about})


def _store(*_: Any, **__: Any) -> Section | None:
    """Record what brings a checkpoint to its storage."""
    return None if of_thread.run is None else Section(names.CHECKPOINT_SPAN, {})
