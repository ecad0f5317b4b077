"""Calls that end something: a task, an actor (or its own exit), and what a placement group holds."""

from __future__ import annotations

from typing import Any, Callable

from opentelemetry import context as context_api

from raytrace_hook import names
from raytrace_hook.log import warn_once
from raytrace_hook.ray import actors, internals, objects, patches
from raytrace_hook.ray.patching import when_loaded
from raytrace_hook.ray.tracebacks import leave_out_this_frame
from raytrace_hook.record.origin.call_sites import call_site
from raytrace_hook.record.waiting.waits import Waits


def install(waits: Waits) -> None:
    """Record these calls from now on: before they are made, since whoever ends itself does not come back."""

    def recorded(name: str, target: Callable[..., dict[str, Any]]) -> Callable[..., Any]:
        def wrapper(original: Callable[..., Any]) -> Callable[..., Any]:
            def end(*arguments: Any, **keywords: Any) -> Any:
                _record(waits, name, lambda: target(*arguments, **keywords))
                try:
                    return original(*arguments, **keywords)
                except BaseException as error:
                    leave_out_this_frame(error)
                    raise

            return end

        return wrapper

    patches.patch_endings(
        recorded(names.CANCEL_SPAN, _cancelled), recorded(names.KILL_SPAN, _killed), recorded(names.KILL_SPAN, _exited)
    )
    removed = recorded(names.REMOVAL_SPAN, _removed)
    when_loaded(internals.PLACEMENT_MODULE, lambda: patches.patch_removals(removed))


def _record(waits: Waits, name: str, target: Callable[[], dict[str, Any]]) -> None:
    try:
        found = target() if internals.tracing_is_on() else None
        if found:
            site = call_site()
            if site is not None:
                found[names.CALL_SITE] = site
            waits.mark(name, context_api.get_current(), found)
    except Exception as error:
        warn_once(f"a {name} could not be recorded", error)


def _cancelled(ray_waitable: Any = None, object_ref: Any = None, **_: Any) -> dict[str, Any]:
    task_ids = _ids(object_ref if ray_waitable is None else ray_waitable)
    return {names.TARGET_TASK_ID: task_ids[0]} if task_ids else {}


def _ids(waitable: Any) -> list[str]:
    reference = getattr(waitable, "_generator_ref", waitable)
    return objects.task_ids_of(objects.references_among([reference]))


def _killed(actor: Any = None, **_: Any) -> dict[str, Any]:
    actor_id = getattr(actor, "_ray_actor_id", None)
    return {} if actor_id is None else {"ray.actor_id": actor_id.hex()}


def _removed(placement_group: Any = None, **_: Any) -> dict[str, Any]:
    group_id = getattr(placement_group, "id", None)
    return {} if group_id is None else {names.PLACEMENT_GROUP_ID: group_id.hex()}


def _exited() -> dict[str, Any]:
    actor_id = actors.own_actor_id()
    return {} if actor_id is None else {"ray.actor_id": actor_id}
