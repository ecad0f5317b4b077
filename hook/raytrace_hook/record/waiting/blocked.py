"""Waits of threads for each other in an actor that has several: for an event, a condition, a queue.

Nothing of the program is touched for them: the sampler saw the thread stay in such a call, so their times are true to
within a look.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry import trace

from raytrace_hook import names
from raytrace_hook.spans import ids

if TYPE_CHECKING:
    from opentelemetry.trace import SpanContext

    from raytrace_hook.sampling.profile import Profile

_CALLS = frozenset(
    (
        "threading.Event.wait",
        "threading.Condition.wait",
        "threading.Condition.wait_for",
        "threading.Semaphore.acquire",
        "threading.Barrier.wait",
        "queue.Queue.get",
        "queue.Queue.put",
        "queue.Queue.join",
    )
)
"""What only another thread lets go on."""
_LOCKS = (".acquire", ".__enter__")
"""So do locks, which are native code: they are named as the program writes it (`self.lock.acquire`)."""
_PASSED_ON = ("ray.task_id", "ray.job_id", "ray.actor_id", names.CALLER_JOB_ID)


def record_blocked(run: SpanContext, attributes: Mapping[str, Any], profile: Profile, ended_ns: int) -> None:
    """Record the waits in a run that has ended, where it was on an actor with several threads."""
    if attributes.get(names.MAX_CONCURRENCY, 1) <= 1 or attributes.get(names.ON_EVENT_LOOP):
        return
    waits = profile.idle_in(_CALLS, _LOCKS, ended_ns)
    if not waits:
        return
    tracer, context = ids.get_tracer(__name__), trace.set_span_in_context(trace.NonRecordingSpan(run))
    passed_on = {key: attributes[key] for key in _PASSED_ON if key in attributes}
    passed_on |= {names.READY_TASK_IDS: [], names.SAMPLED_TIMES: True}
    for start_ns, end_ns, call, site in waits:
        about = {**passed_on, names.AWAITED: call, names.CALL_SITE: site}
        tracer.start_span(names.AWAIT_SPAN, context=context, attributes=about, start_time=start_ns).end(end_ns)
