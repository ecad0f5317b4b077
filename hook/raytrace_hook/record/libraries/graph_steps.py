"""Steps of compiled graphs, told as submissions of whoever executes the graph; the runs are their actors' own."""

from __future__ import annotations

import time
from typing import Any, Callable

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.trace import SpanKind

from raytrace_hook import names
from raytrace_hook.log import warn_once
from raytrace_hook.ray import graph_internals, internals, library_patches
from raytrace_hook.ray.patching import when_loaded
from raytrace_hook.ray.tracebacks import leave_out_this_frame
from raytrace_hook.record import graph_tasks
from raytrace_hook.record.origin.call_sites import caller
from raytrace_hook.record.waiting.waits import Waits
from raytrace_hook.spans import facts, ids

AWAITED_END = "compiled graph to end"
_PLAN = "_raytrace_plan"
_NOT_RECORDED = "the steps of a compiled graph could not be recorded"


class _Step:
    """What the submissions of a step have in common."""

    def __init__(self, graph: Any, node: Any, trace_id: int) -> None:
        owner, actor_id, method = graph_internals.owner_of(node)
        self.name = internals.tracing_helper()._actor_span_producer_name(owner, method)
        self.attributes = {**facts.of_method(owner, method), "ray.actor_id": actor_id}
        self.trace_id = trace_id
        self.after: list[int] = []


class _Plan:
    """The steps of a graph, by number, and those that give its results."""

    def __init__(self, graph: Any) -> None:
        self.graph_id: str = graph.get_id()
        self.steps: dict[int, _Step] = {}
        nodes: dict[int, Any] = {}
        for number, node, bound in graph_internals.steps_of(graph):
            carrier = graph_tasks.mark(bound, self.graph_id, number)
            if carrier is not None:
                parent = trace.get_current_span(internals.tracing_helper()._DictPropagator.extract(carrier))
                self.steps[number] = _Step(graph, node, parent.get_span_context().trace_id)
                nodes[number] = node
        for number, node in nodes.items():
            self.steps[number].after = graph_internals.above(graph, node, self.steps)
        self._results: list[int] | None = None

    def results(self, graph: Any) -> list[int]:
        """Give the steps that make the graph's results."""
        if self._results is None:
            output = graph_internals.output_of(graph)
            self._results = [] if output is None else graph_internals.above(graph, output, self.steps)
        return self._results


def results_of(reference: Any) -> list[str]:
    """Return the ids that the steps count under that make the result that is asked for."""
    try:
        graph, execution = graph_internals.execution_of(reference)
        plan: _Plan | None = getattr(graph, _PLAN, None)
        if plan is None:
            return []
        return [graph_tasks.task_id_of(plan.graph_id, number, execution) for number in plan.results(graph)]
    except Exception as error:
        warn_once(_NOT_RECORDED, error)
        return []


def install(waits: Waits) -> None:
    """Record them from now on, where this version of Ray has compiled graphs."""

    def looping(original: Callable[..., Any]) -> Callable[..., Any]:
        """Wrap what runs an actor's steps until the graph is torn down: a call of the actor, which only waits."""

        def run_steps(*arguments: Any, **keywords: Any) -> Any:
            wait = waits.begin(names.AWAIT_SPAN, 0, awaited=AWAITED_END)
            problem: BaseException | None = None
            try:
                return original(*arguments, **keywords)
            except BaseException as error:
                leave_out_this_frame(error)
                problem = error
                raise
            finally:
                waits.end(wait, lambda: {names.READY_TASK_IDS: []}, problem)

        return run_steps

    when_loaded(
        library_patches.GRAPHS,
        lambda: library_patches.patch_graphs(_compiling, _executing, _executing_async, _computing, looping),
    )


def _compiling(original: Callable[..., Any]) -> Callable[..., Any]:
    def _get_or_compile(graph: Any) -> Any:
        if _PLAN not in graph.__dict__:
            graph.__dict__[_PLAN] = _planned(graph)
        try:
            return original(graph)
        except BaseException as error:
            leave_out_this_frame(error)
            raise

    return _get_or_compile


def _planned(graph: Any) -> _Plan | None:
    try:
        return _Plan(graph) if internals.tracing_is_on() else None
    except Exception as error:
        warn_once(_NOT_RECORDED, error)
        return None


def _executing(original: Callable[..., Any]) -> Callable[..., Any]:
    def execute(graph: Any, *arguments: Any, **keywords: Any) -> Any:
        start_ns = time.time_ns()
        try:
            reference = original(graph, *arguments, **keywords)
        except BaseException as error:
            leave_out_this_frame(error)
            raise
        _submit(reference, start_ns)
        return reference

    return execute


def _executing_async(original: Callable[..., Any]) -> Callable[..., Any]:
    async def execute_async(graph: Any, *arguments: Any, **keywords: Any) -> Any:
        start_ns = time.time_ns()
        try:
            reference = await original(graph, *arguments, **keywords)
        except BaseException as error:
            leave_out_this_frame(error)
            raise
        _submit(reference, start_ns)
        return reference

    return execute_async


def _computing(original: Callable[..., Any]) -> Callable[..., Any]:
    def _compute(task: Any, *arguments: Any, **keywords: Any) -> Any:
        try:
            graph_tasks.count_on(task.resolved_kwargs)
        except Exception as error:
            warn_once(_NOT_RECORDED, error)
        try:
            return original(task, *arguments, **keywords)
        except BaseException as error:
            leave_out_this_frame(error)
            raise

    return _compute


def _submit(reference: Any, start_ns: int) -> None:
    """Record an execution: each step as submitted by it, those that take nothing but its input for as long as it took.

    What this process hands over with a step's submission says which runs it waits for.
    """
    try:
        graph, execution = graph_internals.execution_of(reference)
        plan: _Plan | None = getattr(graph, _PLAN, None)
        if plan is None or not plan.steps:
            return
        end_ns, context = time.time_ns(), context_api.get_current()
        tasks = {number: graph_tasks.task_id_of(plan.graph_id, number, execution) for number in plan.steps}
        site, library = caller()
        called_from = {key: value for key, value in ((names.CALL_SITE, site), (names.LIBRARY, library)) if value}
        for number, step in plan.steps.items():
            told = {
                **step.attributes,
                **called_from,
                names.SUBMITTED_TASK_ID: tasks[number],
                names.DEPENDENCY_TASK_IDS: [tasks[before] for before in step.after],
            }
            began_ns = end_ns if step.after else start_ns
            _record(step, told, graph_tasks.submission_of(tasks[number]), context, (began_ns, end_ns))
    except Exception as error:
        warn_once(_NOT_RECORDED, error)


_ids = ids.ChosenIds()


def _record(step: _Step, told: dict[str, Any], span_id: int, context: Any, times: tuple[int, int]) -> None:
    if trace.get_current_span(context).get_span_context().trace_id != step.trace_id:
        return  # what runs the step knows no other trace than that in which it was bound
    tracer = ids.get_tracer_of_chosen(__name__, trace.get_tracer_provider(), _ids)
    _ids.choose(span_id)
    span = tracer.start_span(step.name, context=context, kind=SpanKind.PRODUCER, attributes=told, start_time=times[0])
    span.end(times[1])
