"""Whom a run is for: the job, where that is not its process's own (several jobs share its actor), or the program.

Ray says of every span which job its process belongs to. A detached actor belongs to the job that made it, whoever calls
it. The caller therefore sends its job along with Ray's trace context, and what the call leads to sends it on.
"""

from __future__ import annotations

from typing import Any, Callable

from opentelemetry import context as context_api

from raytrace_hook import names
from raytrace_hook.log import warn_once
from raytrace_hook.ray import actors, internals, tracing_patches
from raytrace_hook.record.origin import on_behalf
from raytrace_hook.record.origin.call_sites import is_for_the_program

_CARRIED = "raytrace-job"
_KEY = context_api.create_key("raytrace-job")
_MOST_ACTORS = 10_000
_is_shared = False
"""Whether a call of another job has come to this process yet; until then nobody need look for one."""
_known: dict[Any, tuple[bool, bool]] = {}
"""By actor: whether it is of this job, and of a library that stands in for the program."""
_core: Any = None


def install() -> None:
    """Take the job from calls that come to this worker."""
    tracing_patches.patch_extract(_extracting)


def send_job(kind: str, target: Any, kwargs: dict[str, Any]) -> None:
    """Send along with a submission that the program waits for it, and its job, unless it is that of who will run it."""
    try:
        job = job_in_context()
        if kind == "task" and on_behalf.is_operator(target):
            kwargs[tracing_patches.CONTEXT][on_behalf.CARRIED] = True
        if kind == "method":
            is_ours, is_library = _about(actors.actor_of(target))
            if job is None and not is_ours:
                job = internals.core_worker().get_current_job_id().hex()
            if is_library and is_for_the_program():
                kwargs[tracing_patches.CONTEXT][on_behalf.CARRIED] = True
        if job is not None:
            kwargs[tracing_patches.CONTEXT][_CARRIED] = job
    except Exception as error:
        warn_once("the job could not be sent along with a call", error)


def is_actor_of_this_job(method: Any) -> bool:
    """Tell whether a method is one of an actor that the job that runs here created."""
    return _about(actors.actor_of(method))[0]


def job_in_context() -> str | None:
    """Return the job that the present code runs for; None where that is its process's own."""
    if not _is_shared:
        return None
    job = context_api.get_value(_KEY)
    return job if isinstance(job, str) else None


def add_job(attributes: dict[str, Any]) -> None:
    """Add the job that a span belongs to, where its process's is another one."""
    job = job_in_context()
    if job is not None and job != attributes.get("ray.job_id"):
        attributes[names.CALLER_JOB_ID] = job


def _about(handle: Any) -> tuple[bool, bool]:
    global _core  # noqa: PLW0603 - another connection may be another job
    core = internals.core_worker()
    if core is not _core or len(_known) > _MOST_ACTORS:
        _known.clear()
        _core = core
    actor = handle._ray_actor_id
    found = _known.get(actor)
    if found is None:
        is_library = on_behalf.is_library(actors.module_of_actor(handle))
        found = _known[actor] = actors.is_of_this_job(handle), is_library
    return found


def _extracting(original: Callable[..., Any]) -> Callable[..., Any]:
    def extract(carrier: Any) -> Any:
        global _is_shared  # noqa: PLW0603 - from the first such call on
        context = original(carrier)
        if not isinstance(carrier, dict):
            return context
        if on_behalf.CARRIED in carrier:
            context = on_behalf.marked(context)
        job = carrier.get(_CARRIED)
        if isinstance(job, str):
            _is_shared = True
            context = context_api.set_value(_KEY, job, context)
        return context

    return extract
