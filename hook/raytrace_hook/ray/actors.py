"""Actors: this process's own, and those that handles stand for."""

from __future__ import annotations

import contextlib
from typing import Any

from raytrace_hook import names
from raytrace_hook.ray.internals import NIL, core_worker, global_worker


def current_actor() -> dict[str, Any]:
    """Return the attributes of the actor that this process is; they stay the same for its life."""
    core = core_worker()
    found: dict[str, Any] = {}
    with contextlib.suppress(Exception):
        on_event_loop, at_once = bool(core.current_actor_is_asyncio()), int(core.current_actor_max_concurrency())
        found[names.CONCURRENT] = on_event_loop or at_once > 1 or _has_concurrency_groups()
        found[names.MAX_CONCURRENCY] = at_once
        found[names.ON_EVENT_LOOP] = on_event_loop
    name = getattr(core, "get_actor_name", None)
    with contextlib.suppress(Exception):
        text = name() if name is not None else getattr(global_worker(), "actor_name", "")
        text = text.decode() if isinstance(text, bytes) else text
        if text:
            found[names.ACTOR_NAME] = text
    return found


def _has_concurrency_groups() -> bool:
    # Each group has threads of its own, so methods overlap although the actor's own concurrency is 1.
    actors = getattr(global_worker(), "actors", {})
    return any(
        hasattr(method, "__ray_concurrency_group__")
        for actor in actors.values()
        for method in vars(type(actor)).values()
    )


def concurrency_groups_of(actor_class: Any) -> dict[str, int]:
    """Return how many methods of each group may run at once in the actors of this class; Ray's own groups left out."""
    groups = getattr(actor_class.__ray_metadata__, "concurrency_groups", None) or {}
    return {name: size for name, size in groups.items() if not name.startswith("_ray_system")}


def concurrency_group_of(method: str) -> str | None:
    """Return the group that the class of this process's actor puts a method into, if any."""
    for actor in getattr(global_worker(), "actors", {}).values():
        group: str | None = getattr(getattr(type(actor), method, None), "__ray_concurrency_group__", None)
        if group is not None:
            return group
    return None


def own_actor_id() -> str | None:
    """Return the id of the actor that this process is, if it is one."""
    actor_id = getattr(global_worker(), "actor_id", None)
    text: str | None = None if actor_id is None else actor_id.hex()
    return text if text and text.strip(NIL) else None


def actor_of(method: Any) -> Any:
    """Return the handle that an actor's method is called on."""
    return method._actor if hasattr(method, "_actor") else method._actor_hard_ref or method._actor_ref()


def is_generator_method(handle: Any, name: str) -> bool:
    """Tell whether an actor's method yields its results."""
    return bool(getattr(handle, "_ray_method_is_generator", {}).get(name))


def is_of_this_job(handle: Any) -> bool:
    """Tell whether the job that runs here created this actor: its id ends with that job's."""
    return bool(handle._ray_actor_id.hex()[-8:] == core_worker().get_current_job_id().hex())


def module_of_actor(handle: Any) -> str:
    """Return the module of an actor's class, as far as its handle tells."""
    descriptor = getattr(handle, "_ray_actor_creation_function_descriptor", None)
    return str(getattr(descriptor, "module_name", ""))
