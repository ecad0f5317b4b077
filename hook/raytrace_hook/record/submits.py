"""What Ray's PRODUCER spans leave out: the task that is submitted, what it depends on, what it asks for."""

from __future__ import annotations

import inspect
import json
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Callable

from opentelemetry import trace
from opentelemetry.trace import SpanKind

from raytrace_hook import names
from raytrace_hook.log import warn_once
from raytrace_hook.ray import actors, internals, objects, tracing_patches
from raytrace_hook.ray.tracebacks import leave_out_this_frame
from raytrace_hook.ray.tracing_patches import CONTEXT
from raytrace_hook.record import sizes, turns
from raytrace_hook.record.attributes import add_checked
from raytrace_hook.record.libraries import datasets
from raytrace_hook.record.origin import callers
from raytrace_hook.record.origin.call_sites import caller
from raytrace_hook.record.waiting import placement
from raytrace_hook.spans import job_trace

_PARAMETER = inspect.Parameter(CONTEXT, inspect.Parameter.KEYWORD_ONLY, default=None)
_DEMANDS = ("num_cpus", "num_gpus", "memory", "accelerator_type")
_PRODUCER = SpanKind.PRODUCER
_FRAMES_OF_OURS = 3
"""From `_complete` on upwards: what it is called by, and the span of the submission around that."""
_latest: deque[str] = deque(maxlen=1000)
_count = 0
_resources: dict[tuple[Any, ...], dict[str, str]] = {}


def install() -> bool:
    """Complete the submit spans of this process from now on."""
    sizes.install()
    is_done = tracing_patches.patch_submissions(_completing)
    if is_done:
        job_trace.settle_later()
    return is_done


def latest() -> set[str]:
    """Return the ids of the tasks that this process submitted last, up to a thousand."""
    return set(_latest)


def count() -> int:
    """Return about how many tasks this process has submitted: threads that do so at once may count as one."""
    return _count


def _completing(inner: Callable[..., Any], kind: str) -> Callable[..., Any]:
    def _remote(self: Any, args: Any = None, kwargs: Any = None, *more: Any, **options: Any) -> Any:
        if kind == "method" and kwargs and CONTEXT in kwargs and _fit_signature(self, kwargs):
            job_trace.goes_without(self, options)
        else:
            _prepare(kind, self, args, kwargs, options, given_by_position=bool(more))
        try:
            returned = inner(self, args, kwargs, *more, **options)
        except BaseException as error:
            leave_out_this_frame(error)
            raise
        try:
            _complete(kind, args, kwargs, options, returned)
        except Exception as error:
            warn_once(f"the submit span of a {kind} could not be completed", error)
        except BaseException:
            # A Ctrl-C that came just now is the program's. The task is submitted, and knows the span by its late id.
            _complete(kind, args, kwargs, options, returned)
            raise
        return returned

    _remote.__wrapped__ = inner  # type: ignore[attr-defined] # what functools.wraps would set
    return _remote


def _prepare(
    kind: str, owner: Any, args: Any, kwargs: Any, options: Mapping[str, Any], *, given_by_position: bool
) -> None:
    is_ours = False
    try:
        carrier = kwargs.get(CONTEXT) if kwargs else None
        if carrier is not None:
            callers.send_job(kind, owner, kwargs)
            turns.send_along(kind, owner, carrier, options)
            sizes.begin_arguments(args, kwargs)
            is_ours = kind == "task" or (kind == "method" and callers.is_actor_of_this_job(owner))
    except Exception as error:
        warn_once(f"the submission of a {kind} could not be looked at", error)
    job_trace.settle(owner, kwargs, options, may_leave_out=is_ours and not given_by_position)


def _complete(kind: str, args: Any, kwargs: Any, options: Mapping[str, Any], returned: Any) -> None:
    global _count  # noqa: PLW0603 - one count a process
    span = trace.get_current_span()
    if not span.is_recording() or getattr(span, "kind", None) is not _PRODUCER:
        return
    task_id = objects.submitted_task_id(kind, returned)
    if task_id is not None:
        job_trace.name_after(span, task_id)
    attributes: dict[str, Any] = {names.DEPENDENCY_TASK_IDS: ()}
    if args or kwargs:
        references = objects.references_among((*(args or ()), *(kwargs or {}).values()))
        attributes[names.DEPENDENCY_TASK_IDS] = tuple(objects.task_ids_of(references))
        put_arguments = objects.count_puts(references)
        if put_arguments:
            attributes[names.PUT_ARGUMENTS] = put_arguments
    argument_bytes = sizes.size_of_arguments()
    if argument_bytes:
        attributes[names.ARGUMENT_BYTES] = argument_bytes
    code_bytes = sizes.size_of_code()
    if code_bytes:
        attributes[names.CODE_BYTES] = code_bytes
    if task_id is not None:
        attributes[names.SUBMITTED_TASK_ID] = task_id
        _latest.append(task_id)
        _count += 1
    if options.get("name") and kind == "task":
        attributes[names.TASK_NAME] = options["name"]
    if kind != "method":
        attributes |= _demand(kind, options)
        group = getattr(options.get("scheduling_strategy"), "placement_group", None)
        if group is not None:
            attributes |= placement.told(group)
    operator = datasets.operator_that_submits()
    if operator is not None:
        attributes[names.OPERATOR] = operator
    site, library = caller(_FRAMES_OF_OURS)
    if site is not None:
        attributes[names.CALL_SITE] = site
    if library is not None:
        attributes[names.LIBRARY] = library
    add_checked(span, attributes)


def _demand(kind: str, options: Mapping[str, Any]) -> dict[str, str]:
    custom = options.get("resources")
    key = (kind, *(options.get(name) for name in _DEMANDS), tuple(sorted(custom.items())) if custom else ())
    known = _resources.get(key)
    if known is None:
        resources = internals.resources_of(kind, dict(options))
        known = {names.RESOURCES: json.dumps(resources, separators=(",", ":"))}
        if kind == "create" and "CPU" not in resources:
            known[names.PLACEMENT_RESOURCES] = '{"CPU":1}' if internals.placement_cpus(dict(options)) else "{}"
        if len(_resources) < 1000:
            _resources[key] = known
    return known


def _fit_signature(method: Any, kwargs: dict[str, Any]) -> bool:
    """Take Ray's trace context out of a call whose method does not accept it (ray#63267): tell whether that was done.

    Generator methods of this job's actors do accept it, on the worker's side (see generators/), which their
    signature is then told; another job's actor may live in a worker without the hook.
    """
    try:
        handle, name = actors.actor_of(method), method._method_name
        signatures: dict[str, Sequence[inspect.Parameter]] = handle._ray_method_signatures
        signature = signatures.get(name)
        if signature is None or any(parameter.name == CONTEXT for parameter in signature):
            return False
        if actors.is_generator_method(handle, name) and actors.is_of_this_job(handle):
            fitting = sorted([*signature, _PARAMETER], key=lambda parameter: parameter.kind)
            handle._ray_method_signatures = {**signatures, name: fitting}
            return False
        kwargs.pop(CONTEXT)
        return actors.is_of_this_job(handle)
    except Exception as error:
        warn_once("the signature of an actor's method could not be looked at", error)
        return False
