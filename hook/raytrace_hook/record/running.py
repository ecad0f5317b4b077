"""The runs of tasks that are open in this process: what Ray knows of each, and which one other spans are in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from raytrace_hook import names
from raytrace_hook.ray import actors, internals
from raytrace_hook.record import graph_tasks, turns

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.trace import SpanContext


class RunningTasks:
    """The open runs, by the id of their spans."""

    def __init__(self) -> None:
        self.task_ids: dict[int, str] = {}
        """By span id: the task."""
        self._in_threads: dict[int, str] = {}
        self._actor: tuple[Any, dict[str, Any]] = (None, {})

    def start(self, span_id: int, attributes: dict[str, Any]) -> None:
        """Add to the attributes of a run what Ray knows of its task, and keep it until it ends."""
        core = internals.core_worker()
        if core is None:
            return
        step = graph_tasks.running()
        if step is None:
            internals.add_current_task(core, attributes)
        else:
            attributes["ray.task_id"], attributes[names.ATTEMPT] = step, 0
        if attributes.get("ray.remote") == "actor":
            known, facts = self._actor
            actor_id = attributes.get("ray.actor_id")
            if known != actor_id or actor_id is None:
                facts = actors.current_actor()
                # While __init__ runs, the actor's object and its methods are not there yet to look at.
                if attributes.get("ray.actor_method") != "__init__":
                    self._actor = (actor_id, facts)
            attributes.update(facts)
            turns.add(attributes)
        self.task_ids[span_id] = attributes["ray.task_id"]
        if attributes.get("ray.remote") == "function" and names.CONCURRENT in attributes:
            self._in_threads[span_id] = attributes["ray.task_id"]

    def end(self, span_id: int) -> None:
        """Let go of a run; of any other span there is nothing to let go of."""
        self.task_ids.pop(span_id, None)
        self._in_threads.pop(span_id, None)

    def adopt(self, parent: SpanContext | None, attributes: dict[str, Any], parent_context: Context | None) -> None:
        """Add to the attributes of a span that is no run which task it belongs to, where that can be told."""
        if parent is None:
            # A thread without context: it is the task's that runs here, if that is only one. Ray itself knows the
            # task of no thread but the one that runs it, and gives the others an id that no task has. Where a library
            # runs a function in a thread of an actor, that; the actor's own calls come and go meanwhile.
            running = self._in_threads or self.task_ids
            if len(running) == 1:
                attributes["ray.task_id"] = next(iter(running.values()))
        elif "ray.task_id" not in attributes:
            above = trace.get_current_span(parent_context)
            task_id = (getattr(above, "attributes", None) or {}).get("ray.task_id")
            if task_id is not None:
                attributes["ray.task_id"] = task_id
