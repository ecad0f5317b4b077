"""Executions of Ray Data: which operator submits a task, what each operator did in all, and what held it back.

An execution runs in a thread of its own, and that is a run of its own: the tasks are submitted in it, and it waits for
them, while the program does something else or waits for blocks. What is told of an operator is told once, at the
execution's end, by a span of no length: an operator is nothing that a program waits for, its tasks are.
"""

from __future__ import annotations

import contextvars
import json
import sys
import time
import weakref
from collections import OrderedDict
from typing import Any, Callable

from opentelemetry import context as context_api

from raytrace_hook import names
from raytrace_hook.log import warn_once
from raytrace_hook.ray import data_internals, internals, patches
from raytrace_hook.ray.patching import when_loaded
from raytrace_hook.ray.tracebacks import leave_out_this_frame
from raytrace_hook.record.libraries.back_pressure import BackPressure
from raytrace_hook.record.libraries.thread_runs import ThreadRun, thread_task_id
from raytrace_hook.record.origin import on_behalf
from raytrace_hook.record.waiting.waits import Waits
from raytrace_hook.spans import ids

_SUBMISSION, _OUTPUT = "submission", "output"
_HELD_NS = 250_000_000
"""An execution's thread looks ten times a second for what is ready: what it gives out later than that it held."""
_MOST_READY = 10_000
"""Of how many tasks it is known when they were seen to be ready, the latest."""
_RUN_ID = "_raytrace_run_id"
_FUNCTION = "StreamingExecutor.run"
"""What Ray Data calls what an execution's own thread does."""

_current: contextvars.ContextVar[_Execution | None] = contextvars.ContextVar("raytrace_execution", default=None)
_open: set[_Execution] = set()
_noticed: set[str] = set()
"""In which ways this version of Ray Data says that an operator is held back."""
_seen_ready: OrderedDict[str, tuple[int, str]] = OrderedDict()
"""By task of an execution: when its thread saw first that something of it is ready (ns), and that thread's id."""


class _Execution:
    """One execution of a dataset."""

    def __init__(self, executor: Any) -> None:
        self.executor = weakref.ref(executor)
        self.began_ns = time.time_ns()
        self.context = context_api.get_current()
        self._key = f"{ids.random_bits():016x}"
        self._numbers: dict[int, int] = {}
        self._held: dict[int, tuple[BackPressure, BackPressure]] = {}
        self._ready: frozenset[str] = frozenset()
        self.run: ThreadRun | None = None
        """What its own thread does."""

    def mark_states(self) -> None:
        """Note in the states of its operators under which id it counts: who waits for one may see it gone by then."""
        try:
            for state in data_internals.topology_of(self.executor()).values():
                setattr(state, _RUN_ID, thread_task_id(self._key))
        except Exception as error:
            warn_once("what waits for a dataset wait for could not be recorded", error)

    def begin_run(self) -> None:
        """Note that the present thread is its own from now on, and works for the program."""
        about = {names.EXECUTION: self._key, names.DATASET: data_internals.dataset_of(self.executor())}
        self.run = ThreadRun(_FUNCTION, thread_task_id(self._key), about, self.context)
        self.run.enter()
        context_api.attach(on_behalf.marked(context_api.get_current()))

    def is_news(self, ready: frozenset[str]) -> bool:
        """Tell whether something is ready that was not at the last question: what is not taken stays ready."""
        before, self._ready = self._ready, ready
        news = ready - before
        if news and self.run is not None:
            now_ns = time.time_ns()
            for task_id in news:
                _seen_ready.setdefault(task_id, (now_ns, self.run.task_id))
            while len(_seen_ready) > _MOST_READY:
                _seen_ready.popitem(last=False)
        return bool(news)

    def id_of(self, operator: Any) -> str:
        """Return the id of one of its operators: they are numbered as they come."""
        return f"{self._key}.{self._numbers.setdefault(id(operator), len(self._numbers))}"

    def held(self, operator: Any) -> tuple[BackPressure, BackPressure]:
        """Return what holds back an operator's submissions, and the taking of its output."""
        found = self._held.get(id(operator))
        if found is None:
            found = self._held[id(operator)] = BackPressure(), BackPressure()
        return found

    def attributes(self, index: int, operator: Any, outcome: str, ended_ns: int) -> dict[str, Any]:
        """Return what is told of an operator at the end."""
        submission, output = self.held(operator)
        ways = {_SUBMISSION: submission, _OUTPUT: output}
        for each in ways.values():
            each.end(ended_ns)
        told = {way: each.told() for way, each in ways.items() if way in _noticed}
        return {
            names.OPERATOR: self.id_of(operator),
            names.OPERATOR_NAME: str(operator.name),
            names.OPERATOR_INDEX: index,
            names.DATASET: data_internals.dataset_of(self.executor()),
            names.OUTCOME: outcome,
            names.BEGAN_NS: self.began_ns,
            names.OPERATOR_METRICS: json.dumps(data_internals.metrics_of(operator), separators=(",", ":")),
            names.BACK_PRESSURE: json.dumps(told, separators=(",", ":")),
        }


def install(waits: Waits) -> None:
    """Record executions from now on; Ray Data may be loaded later."""

    def patch() -> None:
        patches.patch_executor(_executing, _running, lambda original: _ending(original, waits))
        if patches.patch_held_submissions(lambda original: _noticing(original, 0, _could_submit)):
            _noticed.add(_SUBMISSION)
        if patches.patch_held_output(lambda original: _noticing(original, 1, _could_give)):
            _noticed.add(_OUTPUT)

    when_loaded(internals.EXECUTOR_MODULE, patch)


def operator_that_submits() -> str | None:
    """Return the id of the operator whose code is submitting a task just now; None outside an execution."""
    execution = _current.get()
    if execution is None:
        return None
    frame = sys._getframe(1)
    while frame is not None:
        if (frame.f_globals.get("__name__") or "").startswith("ray.data."):
            owner = frame.f_locals.get("self")
            if data_internals.is_operator(owner):
                return execution.id_of(owner)
        frame = frame.f_back  # type: ignore[assignment] # the last frame's is None, as the loop expects
    return None


def is_executing() -> bool:
    """Tell whether the present thread is an execution's own."""
    execution = _current.get()
    return execution is not None and execution.run is not None


def is_news(ready: list[str]) -> bool:
    """Tell, in the thread of an execution, whether tasks are ready that were not when it asked last.

    It asks for all of its tasks ten times a second, and goes on with those that have something.
    """
    execution = _current.get()
    return execution is not None and execution.is_news(frozenset(ready))


def task_of(state: Any) -> list[str]:
    """Return the id that the execution counts under to whose last operator this state belongs, if it is known."""
    run_id = getattr(state, _RUN_ID, None)
    return [] if run_id is None else [run_id]


def waited_for(task_ids: list[str], since_ns: int) -> list[str]:
    """Return what a wait since then for blocks of these tasks, which is over now, was for: they, or the execution.

    Blocks that were ready long before, while the program waited for them, were held by the execution: for the order in
    which they are given out, for others that they are merged or split with.
    """
    seen = [_seen_ready.get(task_id) for task_id in task_ids]
    known = [each for each in seen if each is not None]
    if not known or len(known) < len(seen):
        return task_ids
    ready_ns, run_id = max(known)
    return [run_id] if time.time_ns() - max(ready_ns, since_ns) > _HELD_NS else task_ids


def tell_open(waits: Waits) -> None:
    """Tell of the executions that have not ended: their process does."""
    for execution in list(_open):
        _tell(execution, "open", waits)


def _executing(original: Callable[..., Any]) -> Callable[..., Any]:
    def execute(executor: Any, *arguments: Any, **keywords: Any) -> Any:
        execution = _begin(executor)
        before = _current.get()
        try:
            _current.set(execution)
            returned = original(executor, *arguments, **keywords)
            if execution is not None:
                execution.mark_states()
            return returned
        except BaseException as error:
            leave_out_this_frame(error)
            raise
        finally:
            _current.set(before)

    return execute


def _begin(executor: Any) -> _Execution | None:
    try:
        if not internals.tracing_is_on():
            return None
        execution = executor._raytrace_execution = _Execution(executor)
        _open.add(execution)
        return execution
    except Exception as error:
        warn_once("an execution of a dataset could not be recorded", error)
        return None


def _running(original: Callable[..., Any]) -> Callable[..., Any]:
    def run(executor: Any, *arguments: Any, **keywords: Any) -> Any:
        execution: _Execution | None = getattr(executor, "_raytrace_execution", None)
        _current.set(execution)  # the thread is the execution's own
        try:
            if execution is not None:
                execution.begin_run()
        except Exception as error:
            warn_once("what an execution's own thread does could not be recorded", error)
        try:
            return original(executor, *arguments, **keywords)
        except BaseException as error:
            leave_out_this_frame(error)
            raise
        finally:
            if execution is not None and execution.run is not None:
                execution.run.end()

    return run


def _ending(original: Callable[..., Any], waits: Waits) -> Callable[..., Any]:
    def shutdown(executor: Any, *arguments: Any, **keywords: Any) -> Any:
        try:
            return original(executor, *arguments, **keywords)
        except BaseException as error:
            leave_out_this_frame(error)
            raise
        finally:
            execution = getattr(executor, "_raytrace_execution", None)
            if execution is not None:
                reasons = [given for given in (*arguments, *keywords.values()) if isinstance(given, BaseException)]
                _tell(execution, "failed" if reasons else "finished", waits)

    return shutdown


def _noticing(original: Callable[..., Any], way: int, could_go_on: Callable[[Any, Any], bool]) -> Callable[..., Any]:
    def notify(operator: Any, in_backpressure: bool, *policy: Any, **keywords: Any) -> Any:
        execution = _current.get()
        if execution is not None:
            try:
                held = in_backpressure and could_go_on(operator, execution.executor())
                said = policy[0] if policy else keywords.get("policy_name")
                execution.held(operator)[way].change(held, str(said or ""))
            except Exception as error:
                warn_once("what holds an operator of Ray Data back could not be recorded", error)
        return original(operator, in_backpressure, *policy, **keywords)

    return notify


def _could_submit(operator: Any, executor: Any) -> bool:
    """Tell whether an operator has something to begin with: one without input is not held back."""
    state = data_internals.topology_of(executor).get(operator)
    return state is not None and data_internals.has_input(state)


def _could_give(operator: Any, _: Any) -> bool:
    """Tell whether an operator has tasks whose output could be taken."""
    return bool(operator.num_active_tasks())


def _tell(execution: _Execution, outcome: str, waits: Waits) -> None:
    if execution not in _open:
        return
    _open.discard(execution)
    ended_ns = time.time_ns()
    try:
        for index, operator in enumerate(data_internals.topology_of(execution.executor())):
            told = execution.attributes(index, operator, outcome, ended_ns)
            waits.mark(names.OPERATOR_SPAN, execution.context, told, ended_ns, ended_ns)
    except Exception as error:
        warn_once("what the operators of a dataset did could not be recorded", error)
