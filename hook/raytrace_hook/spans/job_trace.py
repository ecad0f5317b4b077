"""The context that need not be sent with a call: who runs it knows it without.

Ray's tracing sends each task, and each call of an actor, the context of its submission as one more argument, which is
flattened, serialized, sent and read like any other. Within one job all of it follows from what Ray sends anyway: the
trace of a job has an id made of the session's name and the job's id, and the span of a submission gets the first eight
bytes of its task's id for its own, once that is known.

Whatever is not as usual is sent as ever: another trace than the job's, one that is not recorded, a trace state,
baggage, more that is told with the context, a task without results (whose id its submission never learns), the creation
of an actor (whose task's id says nothing but which actor), an actor of another job.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from typing import Any, Callable

from opentelemetry import baggage, trace
from opentelemetry import context as context_api
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.trace import Span, SpanContext, SpanKind, TraceFlags

from raytrace_hook import names
from raytrace_hook.log import warn_once
from raytrace_hook.ray import internals
from raytrace_hook.ray.tracing_patches import CONTEXT
from raytrace_hook.spans import carried
from raytrace_hook.spans.ids import OwnIds
from raytrace_hook.spans.lean import LeanSpan, holding

_HEX_DIGITS = 16
"""Of a task's id: what becomes the id of its submission's span, eight bytes."""
_SAMPLED = int(TraceFlags.SAMPLED)
_RANDOM = int(getattr(TraceFlags, "RANDOM_TRACE_ID", 0))
_FLAGS = TraceFlags(_SAMPLED | (_RANDOM if getattr(RandomIdGenerator(), "is_trace_id_random", bool)() else 0))
_present: tuple[Any, int] = (None, 0)
"""The connection to Ray, and the id of its job's trace."""
_leaves_out = _is_settled = False


def install() -> None:
    """Leave contexts out from now on; all workers of a cluster have the same hook, and know it."""
    global _leaves_out  # noqa: PLW0603 - switched on once
    _leaves_out = True


def trace_id() -> int | None:
    """Return the id of the trace of this process's job; None where Ray does not say which that is."""
    global _present  # noqa: PLW0603 - the same for all tasks of a connection
    core = internals.core_worker()
    if _present[0] is core and core is not None:
        return _present[1]
    ids = internals.process_ids() if core is not None else {}
    session, job = ids.get(names.SESSION), ids.get("ray.job_id")
    if not session or not job:  # a worker that was started ahead has no job yet
        return None
    found = int.from_bytes(hashlib.blake2b(f"{session} {job}".encode(), digest_size=16).digest(), "big")
    _present = core, found
    return found


class _Ids(IdGenerator):
    """Gives a root the id of the job's trace."""

    def __init__(self, ids: IdGenerator, trace_id: int) -> None:
        self._ids, self._trace_id = ids, trace_id

    def generate_span_id(self) -> int:
        return self._ids.generate_span_id()

    def generate_trace_id(self) -> int:
        return self._trace_id

    def is_trace_id_random(self) -> bool:
        return bool(getattr(self._ids, "is_trace_id_random", bool)())


def start_root(tracer: Any, name: str, attributes: dict[str, Any]) -> Span:
    """Start the span that everything in the job is under: in the job's trace, unless it is under another span."""
    found = trace_id()
    if found is not None and type(tracer) is sdk.Tracer and type(tracer.id_generator) in (RandomIdGenerator, OwnIds):
        own: Any = object.__new__(sdk.Tracer)
        own.__dict__.update(vars(tracer), id_generator=_Ids(tracer.id_generator, found))
        tracer = own
    span: Span = tracer.start_span(name, attributes=attributes)
    return span


class _Undecided(dict[str, Any]):
    """Stands for the context of a submission until it is known whether that has to be sent; holds what else has."""


def context_of_submission(inject: Callable[[], Any]) -> Any:
    """Return what goes along with a submission by the present span: its context, or what `settle` decides on."""
    return _Undecided() if _leaves_out and _is_settled else inject()


def settle_later() -> None:
    """From now on every submission is settled, before it is made."""
    global _is_settled  # noqa: PLW0603 - switched on once
    _is_settled = True


def settle(submitted: Any, kwargs: dict[str, Any] | None, options: Mapping[str, Any], *, may_leave_out: bool) -> None:
    """Put the present context among the arguments of a submission, or nothing where its worker knows it.

    The present span then is to get its id by `name_after`.
    """
    more = kwargs.get(CONTEXT) if kwargs else None
    if kwargs is None or more.__class__ is not _Undecided:
        return
    try:
        if may_leave_out and not more and _is_known_to_worker(submitted, options):
            del kwargs[CONTEXT]
            return
    except Exception as error:
        warn_once("the context of a call is sent, which need not be", error)
    kwargs[CONTEXT] = {**internals.tracing_helper()._DictPropagator.inject_current_context(), **more}


def goes_without(submitted: Any, options: Mapping[str, Any]) -> None:
    """Note that a call of an actor of this job is sent without the present context, which its worker then works out."""
    try:
        _is_known_to_worker(submitted, options)
    except Exception as error:
        warn_once("the span of a call gets another id than its worker takes it for", error)


def _is_known_to_worker(submitted: Any, options: Mapping[str, Any]) -> bool:
    here = context_api.get_current()
    span: Any = trace.get_current_span(here)
    if span.__class__ is not LeanSpan:
        return False
    own = span.__dict__
    own_trace, _, _, flags, state, _ = own["_context"]
    is_known = (
        own_trace == trace_id()
        and flags | _RANDOM == _SAMPLED | _RANDOM
        and not state
        and _has_results(submitted, options)
        and (len(here) == 1 or not baggage.get_all(here))
        and carried.uses_usual_propagators()
    )
    if is_known:
        own["_is_named_late"], own["_was_asked"] = True, False
    return is_known


def _has_results(submitted: Any, options: Mapping[str, Any]) -> bool:
    results = options.get("num_returns")
    if results is None:
        results = submitted._num_returns
    is_counted = not submitted._is_generator if results is None else type(results) is int and results > 0
    return is_counted and submitted._decorator is None


def name_after(span: Any, task_id: str) -> None:
    """Give the span of a submission whose context was left out the id that follows from its task's."""
    own = span.__dict__ if span.__class__ is LeanSpan else {}
    if "_is_named_late" not in own:
        return
    before: SpanContext = own["_context"]
    own["_context"] = SpanContext(before.trace_id, int(task_id[:_HEX_DIGITS], 16), False, *before[3:5])
    was_asked = own.pop("_was_asked", False)
    del own["_is_named_late"]  # last but for what follows: what is interrupted before is done again
    if was_asked and before.span_id != own["_context"].span_id:
        _stand_in(span, before)


def _stand_in(span: Any, context: SpanContext) -> None:
    """Record what spans that were begun during the submission (as its arguments were pickled) have for a parent."""
    one: Any = object.__new__(LeanSpan)
    held = vars(span._attributes)
    one.__dict__.update(span.__dict__, _context=context, _parent=span._context, _kind=SpanKind.INTERNAL)
    one.__dict__.update(_name=f"{span.name} arguments", _lock=threading.Lock())
    one.__dict__.update(_attributes=holding(held["_dict"].copy(), held))
    one.end()


def of_run() -> tuple[str, SpanContext] | None:
    """Return the id of the task that runs here now, and the ids of the span that submitted it without its context.

    None where its job is not known.
    """
    found = trace_id()
    if found is None:
        return None
    task_id = internals.current_task_id(internals.core_worker())
    return task_id, SpanContext(found, int(task_id[:_HEX_DIGITS], 16), True, _FLAGS)
