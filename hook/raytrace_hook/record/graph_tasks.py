"""Which step of which execution of a compiled graph an actor runs: no task of Ray's, but one to us.

All executions of a step come by one call that never returns, under the submission that bound the step. Who executes the
graph and who runs the step both know its number and count the executions: the id of the task follows from that.
"""

from __future__ import annotations

import hashlib
import threading
from typing import Any

from raytrace_hook.ray.tracing_patches import CONTEXT

_CARRIED_STEP, _CARRIED_COUNT, _CARRIED_TASK = "raytrace-graph", "raytrace-graph-count", "raytrace-graph-task"
_PARENT = "traceparent"
_HEX_DIGITS = 16
"""Of a task's id: what becomes the id of its submission's span, eight bytes."""


class _Call(threading.local):
    task_id: str | None = None
    """Of the step that is about to run here."""


_call = _Call()


def task_id_of(graph: str, step: int, execution: int) -> str:
    """Return the id that one execution of a step counts under."""
    return _task_id(_name(graph, step), execution)


def submission_of(task_id: str) -> int:
    """Return the id of the span that submits it."""
    return int(task_id[:_HEX_DIGITS], 16)


def mark(bound: dict[str, Any], graph: str, step: int) -> Any:
    """Let whoever runs a step learn which it is; return the context that it was bound under, None where there is none.

    `bound` are the keyword arguments that the step was bound with.
    """
    carrier = bound.get(CONTEXT)
    if not isinstance(carrier, dict) or _PARENT not in carrier:
        return None
    carrier[_CARRIED_STEP] = _name(graph, step)
    return carrier


def count_on(bound: dict[str, Any]) -> None:
    """The step with these keyword arguments is executed once more, here and now."""
    carrier = bound.get(CONTEXT)
    if not isinstance(carrier, dict) or _CARRIED_STEP not in carrier:
        return
    step = carrier[_CARRIED_STEP]
    execution = carrier.get(_CARRIED_COUNT, 0)
    task_id = _task_id(step, execution)
    version, trace_id, _, flags = carrier[_PARENT].split("-")
    bound[CONTEXT] = {
        **carrier,
        _CARRIED_COUNT: execution + 1,
        _CARRIED_TASK: task_id,
        _PARENT: f"{version}-{trace_id}-{task_id[:_HEX_DIGITS]}-{flags}",
    }


def receive(carrier: Any) -> None:
    """Take what the trace context tells of the call that begins here and now; None for a call without one."""
    _call.task_id = carrier.get(_CARRIED_TASK) if carrier else None


def running() -> str | None:
    """Return the id of the step that begins to run here and now; None where it is a task of Ray's."""
    return _call.task_id


def _name(graph: str, step: int) -> str:
    return f"{graph} {step}"


def _task_id(step: str, execution: int) -> str:
    return hashlib.sha256(f"{step} {execution}".encode()).hexdigest()[:48]
