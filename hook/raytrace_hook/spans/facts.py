"""The attributes of Ray's spans: Ray tells them, those that stay true for a connection once only."""

from __future__ import annotations

import os
from typing import Any

from raytrace_hook.ray import internals

_NO_JOB = "ffffffff"
_OF_FUNCTIONS = frozenset(
    ("ray.remote", "ray.function", "ray.pid", "ray.job_id", "ray.node_id", "ray.worker_id", "ray.task_id")
)
_OF_METHODS = _OF_FUNCTIONS - {"ray.task_id"} | {"ray.actor_class", "ray.actor_method", "ray.actor_id"}


class _Known:
    """What Ray said of this process, under its present connection."""

    def __init__(self) -> None:
        self.core: Any = None
        self.function: dict[str, Any] | None = None
        self.method: dict[str, Any] | None = None
        self.in_worker = False


_known = _Known()


def of_function(name: str, task_id: str | None = None) -> dict[str, Any]:
    """Return the attributes of a span of this function's, as Ray's tracing has them.

    `task_id` is that of the task that runs here, where it is known already.
    """
    core, known = internals.core_worker(), _known
    shared = known.function
    if shared is None or known.core is not core:
        _, found = internals.run_span(name, None)
        if core is not None and _is_known(found, _OF_FUNCTIONS):
            _about(core).function = {key: value for key, value in found.items() if key != "ray.task_id"}
        return found
    found = {**shared, "ray.function": name}
    if task_id is not None:
        found["ray.task_id"] = task_id
    elif known.in_worker:
        present = core.get_current_task_id()
        if not present.is_nil():
            found["ray.task_id"] = present.hex()
    return found


def of_method(class_name: str, method_name: str) -> dict[str, Any]:
    """Return the same of a span of this method's."""
    core, known = internals.core_worker(), _known
    shared = known.method
    if shared is None or known.core is not core:
        _, found = internals.run_span(class_name, method_name)
        if core is not None and _is_known(found, _OF_METHODS):
            _about(core).method = {key: value for key, value in found.items() if key != "ray.actor_id"}
        return found
    found = {
        **shared,
        "ray.actor_class": class_name,
        "ray.actor_method": method_name,
        "ray.function": f"{class_name}.{method_name}",
    }
    if known.in_worker:
        actor_id = core.get_actor_id()
        if not actor_id.is_nil():
            found["ray.actor_id"] = actor_id.hex()
    return found


def _is_known(found: dict[str, Any], names: frozenset[str]) -> bool:
    # A worker that was started ahead has no job yet.
    return found.keys() <= names and found.get("ray.job_id", _NO_JOB) != _NO_JOB


def _about(core: Any) -> _Known:
    global _known  # noqa: PLW0603 - another connection is another process to Ray
    if _known.core is not core:
        _known = _Known()
        _known.core, _known.in_worker = core, internals.is_worker()
    return _known


def _forget() -> None:
    global _known  # noqa: PLW0603 - a fork has another number
    _known = _Known()


os.register_at_fork(after_in_child=_forget)
