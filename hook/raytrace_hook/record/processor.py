"""The span processor: completes each span as it starts, and writes it into the process's file as it ends."""

from __future__ import annotations

import asyncio
import sys
import time
from operator import is_
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode, TraceFlags

from raytrace_hook import names
from raytrace_hook.forking import call_in_child
from raytrace_hook.log import warn_once
from raytrace_hook.output.encode import encode_alike, encode_ended, encode_head, encode_open, encode_plain, timestamp
from raytrace_hook.ray.tracebacks import error_text
from raytrace_hook.record.attributes import add_checked
from raytrace_hook.record.libraries import datasets
from raytrace_hook.record.origin import callers
from raytrace_hook.record.running import RunningTasks
from raytrace_hook.record.waiting import polls
from raytrace_hook.record.waiting.blocked import record_blocked
from raytrace_hook.sampling.sampler import Sampler
from raytrace_hook.spans.lean import events_and_links
from raytrace_hook.spans.present import ENDS_AT_ONCE

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

    from raytrace_hook.output.in_flight import OpenSpans
    from raytrace_hook.output.writer import SpanFile
    from raytrace_hook.record.process import ProcessResource
    from raytrace_hook.sampling.profile import Profile

_ESSENTIAL = (
    "ray.task_id",
    names.ATTEMPT,
    "ray.job_id",
    "ray.pid",
    "ray.actor_id",
    "ray.actor_method",
    names.TASK_NAME,
    names.CONCURRENT,
    names.CALLER_JOB_ID,
)
"""What an open span still says when all of it is too long for its slot."""
_DIFFERING = ("ray.task_id", names.TASK_NAME)
"""What differs between runs of one function, and of its other spans; the rest of their attributes hardly ever does."""
_DIFFERING_SUBMISSIONS = ("ray.actor_id", names.SUBMITTED_TASK_ID, names.DEPENDENCY_TASK_IDS, "ray.task_id")
_LONGEST_SHOWN = 2500
"""How much of a span's stacks, and of its idle stretches, is told while it is open."""
_PRODUCER, _CONSUMER = SpanKind.PRODUCER, SpanKind.CONSUMER
_SAMPLED = TraceFlags.SAMPLED
_RUN_SUFFIX = names.RUN_SUFFIX
_CANCELLATIONS = (KeyboardInterrupt, asyncio.CancelledError)


class SpanFileProcessor(SpanProcessor):
    """Writes each span the moment it ends: a process that is killed has lost nothing that had ended."""

    def __init__(self, file: SpanFile, resource: ProcessResource, open_spans: OpenSpans) -> None:
        self._file = file
        self._resource = resource
        self._open_spans = open_spans
        self.in_worker = False
        """Whether the process is a Ray worker, where every span belongs to a task."""
        self._sampler: Sampler | None = None
        self._long_spans: OpenSpans | None = None
        open_spans.when_gone(self._forget)
        file.on_loss = self._note_lost
        self._reset()
        call_in_child(self._reset)

    def _reset(self) -> None:
        self._runs = RunningTasks()
        self._started: dict[int, tuple[str, str, dict[str, Any], str]] = {}

    def sample(self, period_s: float, long_spans: OpenSpans, waits_recorded: bool) -> Sampler:
        """Look every so often at what runs and the driver do (0: never); show that in `long_spans` while they last."""
        self._long_spans = long_spans
        self._sampler = Sampler(period_s, self._show_profile, waits_recorded, self._file.check)
        return self._sampler

    def watch_main_thread(self, span_id: int) -> None:
        """Let a span that is open, the driver's, be told by what the main thread does."""
        if self._sampler is not None and span_id in self._started:
            self._sampler.start_driver(span_id, time.time_ns())

    def watch_here(self, span_id: int) -> None:
        """Let a span that is open be told by what this thread, or the coroutine in it, does from now on."""
        if self._sampler is not None and span_id in self._started:
            self._sampler.start(span_id, time.time_ns())
            if span_id not in self._started:  # it has ended meanwhile
                self._sampler.end(span_id)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Add what is known of the task that the span belongs to, and show the span as open."""
        try:
            if polls.held and not (polls.goes_on_asking() and datasets.operator_that_submits() is None):
                polls.settle()
            private: Any = span
            try:  # past the SDK's properties, and the lock around its attributes: what is added here needs no check
                attributes = private._attributes._dict
                name, context, kind = private._name, private._context, private._kind
                parent, start_ns = private._parent, private._start_time
            except AttributeError:
                attributes = dict(span.attributes or {})
                name, context, kind = span.name, span.context, span.kind
                parent, start_ns = span.parent, span.start_time
            _, span_id, _, flags, _, _ = context
            is_run = kind is _CONSUMER and name.endswith(_RUN_SUFFIX)
            is_shown = kind is not _PRODUCER and flags & _SAMPLED and ENDS_AT_ONCE not in (parent_context or ())
            if is_run or is_shown:
                self._open_spans.own(span_id, span)  # first of all: whatever is interrupted below is then put right
            if is_run:
                self._runs.start(span_id, attributes)
                if self._sampler is not None and is_shown:
                    self._sampler.start(span_id, start_ns)
            elif self.in_worker:
                self._runs.adopt(parent, attributes, parent_context)
            if self.in_worker:
                callers.add_job(attributes)
            if is_shown:
                # Kept until the end, when most of it is still true and need not be encoded again.
                head = encode_head(name, context, kind, parent, start_ns)
                seen = attributes.copy()
                encoded = encode_alike(name, seen, _DIFFERING)
                self._started[span_id] = name, head, seen, encoded
                if not self._open_spans.set(span_id, encode_open(head, encoded)):
                    self._open_spans.set(span_id, encode_open(head, encode_plain(_essential(seen))))
        except Exception as error:
            warn_once("a span could not be completed", error)

    def show_alive(self, span_id: int) -> None:
        """Say in the record of an open span that its process still lives. The caller keeps it from ending meanwhile."""
        started = self._started.get(span_id)
        if started is None:
            return
        _, head, seen, _ = started
        alive = {names.ALIVE: timestamp(time.time_ns())}
        profile = None if self._sampler is None else self._sampler.profile(span_id)
        if profile is not None and self._show_long(span_id, head, {**seen, **alive}, profile):
            return
        if not self._open_spans.renew(span_id, encode_open(head, encode_plain({**seen, **alive}))):
            self._open_spans.renew(span_id, encode_open(head, encode_plain({**_essential(seen), **alive})))

    def tell_more(self, span: Any, attributes: dict[str, Any]) -> None:
        """Add to an open span, and to what is shown of it from the next renewal on. The caller keeps it from ending."""
        for key, value in attributes.items():
            span.set_attribute(key, value)
        span_id = span.get_span_context().span_id
        started = self._started.get(span_id)
        if started is not None:
            name, head, seen, _ = started
            seen = {**seen, **attributes}
            self._started[span_id] = name, head, seen, encode_plain(seen)

    def hold(self, span: Any) -> None:
        """Let a span stay open that did all it did: the sampler says what by now, and it was alive until now."""
        span_id = span.get_span_context().span_id
        profile = self._stop_watching(span_id)
        if profile is not None:
            add_checked(span, profile.attributes())
        started = self._started.get(span_id)
        if started is not None and not self._open_spans.shows(span_id):  # the sampler had it shown elsewhere
            _, head, seen, _ = started
            self._open_spans.set(span_id, encode_open(head, encode_plain(_essential(seen))))
        if profile is not None:
            self._shows_no_more(span_id)
        self.show_alive(span_id)

    def _show_profile(self, span_id: int, profile: Profile) -> None:
        started = self._started.get(span_id)
        if started is None or started[0] == names.DRIVER_SPAN:  # that is renewed by its own pulse, with the profile
            return
        _, head, seen, _ = started
        self._show_long(span_id, head, seen, profile)
        if span_id not in self._started and self._long_spans is not None:  # it has ended meanwhile
            self._long_spans.clear(span_id)

    def _show_long(self, span_id: int, head: str, seen: dict[str, Any], profile: Profile) -> bool:
        """Show a span with its profile, in a long slot; False where there is none. One thread alone does so."""
        spans = self._long_spans
        if spans is None:
            return False
        more = profile.attributes(_LONGEST_SHOWN)
        for attributes in (seen, _essential(seen)):
            record = encode_open(head, encode_plain({**attributes, **more}))
            if spans.renew(span_id, record) if spans.shows(span_id) else spans.set(span_id, record):
                break
        if not spans.shows(span_id):
            return False
        self._open_spans.hide(span_id)
        return True

    def _forget(self, span_id: int) -> None:
        """Let go of a span that nobody can end any more."""
        if self._started.pop(span_id, None) is not None:
            self._file.count_lost(1, "interrupted, or never ended")
        self._runs.end(span_id)
        if self._stop_watching(span_id) is not None:
            self._shows_no_more(span_id)

    def _stop_watching(self, span_id: int) -> Profile | None:
        return None if self._sampler is None else self._sampler.end(span_id)

    def _shows_no_more(self, span_id: int) -> None:
        """Take a span that has been sampled out of those that are open."""
        if self._long_spans is not None:
            self._long_spans.clear(span_id)

    def _note_lost(self) -> None:
        self._resource.note_lost(self._file.lost, self._file.lost_because)
        self._open_spans.note_lost()

    def on_end(self, span: ReadableSpan) -> None:
        """Append the span to the file, then take it out of those that are open."""
        try:
            self._end(span)
        except Exception as error:
            warn_once("a span could not be written", error)
        except BaseException:
            # A Ctrl-C that came just now is the program's. The span is written all the same, at worst twice.
            self._end(span)
            raise

    def _end(self, span: ReadableSpan) -> None:
        private: Any = span
        try:
            attributes = private._attributes._dict
            events, links = events_and_links(private)
            name, context, resource = private._name, private._context, private._resource
            status, end_ns = private._status, private._end_time
        except AttributeError:
            attributes, events, links = dict(span.attributes or {}), span.events, span.links
            name, context, resource = span.name, span.context, span.resource
            status, end_ns = span.status, span.end_time
        if context is None:
            return
        _, span_id, _, flags, _, _ = context
        if polls.held:
            polls.settle(span_id)
        started = self._started.get(span_id)
        run = self._runs.task_ids.get(span_id)
        if not flags & _SAMPLED:
            if run is not None:
                self._runs.end(span_id)
                self._open_spans.clear(span_id)
            return
        error = sys.exc_info()[1] if run is not None else None
        if isinstance(error, _CANCELLATIONS):
            attributes[names.CANCELLED] = True
        elif isinstance(error, SystemExit) and not _ends_a_trial(error, attributes):  # none of OpenTelemetry's errors
            status = Status(StatusCode.ERROR, error_text(error))
        profile = self._stop_watching(span_id) if started is not None else None
        if profile is not None:
            if run is not None:
                record_blocked(context, attributes, profile, end_ns or time.time_ns())
            attributes.update(profile.attributes())
        if started is not None and started[0] == name:
            _, head, seen, encoded = started
            # Equal is not enough where there may be others than ours: 1, 1.0 and True are.
            if attributes != seen or (run is None and not all(map(is_, attributes.values(), seen.values()))):
                encoded = encode_plain(attributes.copy())
        else:
            head = encode_head(name, context, span.kind, span.parent, span.start_time)
            encoded = encode_alike(name, attributes.copy(), _DIFFERING_SUBMISSIONS)
        self._file.write(encode_ended(head, end_ns, status, encoded, events, links, self._resource.encoded(resource)))
        if started is not None:
            self._started.pop(span_id, None)
            self._runs.end(span_id)
            self._open_spans.clear(span_id)
            # Also where an interruption came between: the sampler is asked only once.
            self._shows_no_more(span_id)

    def shutdown(self) -> None:
        """Nothing is held back; only what went into a file that somebody has removed is saved."""
        self._file.check()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Return True: every span is in the file already."""
        return True


def _ends_a_trial(error: SystemExit, attributes: dict[str, Any]) -> bool:
    """Tell whether Ray Tune ends a trial's function as it always does."""
    return names.TRIAL in attributes and error.code in (0, None)


def _essential(attributes: dict[str, Any]) -> dict[str, Any]:
    return {key: attributes[key] for key in _ESSENTIAL if key in attributes}
