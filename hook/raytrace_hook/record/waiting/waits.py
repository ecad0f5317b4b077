"""Spans of what a program waits for: how any wait is recorded, whatever it waits for.

A span is made only when the call is over, with the start it had: a call that returns at once then costs next to
nothing. While it lasts, the record of open spans shows it.
"""

from __future__ import annotations

import contextvars
import time
from collections.abc import Sequence
from typing import Any, Callable

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.trace import Status, StatusCode

from raytrace_hook import names
from raytrace_hook.log import warn_once
from raytrace_hook.output.in_flight import OpenSpans
from raytrace_hook.ray import internals, objects
from raytrace_hook.ray.tracebacks import error_text
from raytrace_hook.record.attributes import add_one
from raytrace_hook.record.waiting import flows, polls
from raytrace_hook.record.waiting.flows import Flow
from raytrace_hook.record.waiting.open_wait import Wait, locate, open_record
from raytrace_hook.spans import ids
from raytrace_hook.spans.makers import Makers
from raytrace_hook.spans.present import ENDS_AT_ONCE

MOST_AWAITED = 64
"""How many tasks a wait names that it asked for and that did not come."""

covered: contextvars.ContextVar[bool] = contextvars.ContextVar("raytrace_covered", default=False)
"""True inside a call that has a span already: what Ray calls in there is part of it."""


class Waits:
    """Records waits of this process."""

    def __init__(self, open_spans: OpenSpans, min_wait_ns: int, makers: Makers | None = None) -> None:
        """Take what shows open spans, what is too short to be written, and what makes spans for less than the SDK."""
        self._open_spans = open_spans
        self._makers = makers
        self._min_wait_ns = min_wait_ns
        self._known_tracer: tuple[Any, trace.Tracer | None] = (None, None)
        self._ids = ids.ChosenIds()

    def begin(
        self,
        name: str,
        count: int,
        references: Sequence[Any] = (),
        awaited: str = "",
        start_ns: int = 0,
        site: str | None = None,
        asked: Sequence[str] = (),
    ) -> Wait | None:
        """Note that a wait for so many objects starts in this context; what it returns goes to `end`.

        Args:
            name: the span's.
            count: how many objects are asked for.
            references: the objects whose tasks the open wait names.
            awaited: what it waits for instead of an object.
            start_ns: when it began, if not now.
            site: where in the program, if the call is not to be seen where the wait ends.
            asked: the tasks that the open wait names, where there are no references to their objects.
        """
        try:
            if not internals.tracing_is_on():
                return None
            context = context_api.get_current()
            parent = trace.get_current_span(context).get_span_context()
            wait = polls.resume(name, awaited, parent.span_id) if polls.held else None
            if wait is None:
                wait = Wait(name, context, parent)
            wait.count = max(wait.count, count)
            wait.awaited = awaited
            wait.site = site or wait.site
            if start_ns:
                wait.start_ns = start_ns
            elif wait.flow is None:
                _enter_flow(wait)
            wait.asked = list(asked[:MOST_AWAITED]) or objects.task_ids_of(references[:MOST_AWAITED])
            self._show(wait)
            wait.measured_ns = time.time_ns()
            return wait
        except Exception as error:
            warn_once(f"a {name} could not be recorded", error)
            return None

    def end(
        self,
        wait: Wait | None,
        attributes: Callable[[], dict[str, Any]],
        error: BaseException | None = None,
        may_go_on: bool = False,
    ) -> None:
        """Record a wait that began with `begin` as a span, or only count it when it was short.

        With `may_go_on` the call came back without what it asked for: where the same thread asks again, it is one wait.
        """
        if wait is None:
            return
        wait.end_ns = time.time_ns()
        if wait.flow is not None:
            _leave_flow(wait, wait.flow)
        try:
            if may_go_on:
                self._hold(wait, attributes(), error)
                return
            is_short = wait.end_ns - wait.measured_ns < self._min_wait_ns
            if is_short and not wait.polls and not wait.works_between:
                self._drop(wait)
                return
            wait.found, wait.error = attributes(), error_text(error) if error is not None else ""
            self._write(wait, wait.polls + 1)
        except Exception as problem:
            warn_once(f"a {wait.name} could not be recorded", problem)
            self._open_spans.clear(wait.key)

    def is_long(self, duration_ns: int) -> bool:
        """Tell whether a wait is long enough to be written."""
        return duration_ns >= self._min_wait_ns

    def show_again(self, wait: Wait) -> None:
        """Show what became known of a wait since it began."""
        try:
            self._show(wait)
        except Exception as error:
            warn_once(f"a {wait.name} could not be recorded", error)

    def forget(self, wait: Wait | None) -> None:
        """Take back that a wait began."""
        if wait is not None:
            self._open_spans.clear(wait.key)

    def record_pause(
        self, parts: list[tuple[int, int]], told: Callable[[], tuple[str, dict[str, Any]]], shown: Wait | None = None
    ) -> None:
        """Record that the coroutine that runs here waited in these stretches for what `told` says, and more of it.

        `shown` is what stands for that among the open spans: the first stretch is the same span.
        """
        long_ones = [part for part in parts if part[1] - part[0] >= self._min_wait_ns]
        context = context_api.get_current()
        if not long_ones:
            self._count_short(context)
        elif internals.tracing_is_on():
            awaited, more = told()
            found = {names.READY_TASK_IDS: [], names.AWAITED: awaited, **more}
            for number, (start_ns, end_ns) in enumerate(long_ones):
                self.mark(names.AWAIT_SPAN, context, found, start_ns, end_ns, None if number else shown)

    def mark(
        self,
        name: str,
        context: Any,
        attributes: dict[str, Any],
        start_ns: int = 0,
        end_ns: int = 0,
        shown: Wait | None = None,
    ) -> None:
        """Record a span that is over already; of no length, now, where no times are given.

        It is the same span as what is `shown` among the open ones; that is to be forgotten afterwards: a process that
        dies in between leaves one of them, or both, and never none.
        """
        end_ns = end_ns or time.time_ns()
        key = 0 if shown is None else shown.key
        self._start(name, context, attributes, start_ns or end_ns, key).end(end_ns)

    def _start(self, name: str, context: Any, attributes: dict[str, Any], start_ns: int, key: int) -> trace.Span:
        """Start a span with this id (0: any) that ends at once: it is not shown as open."""
        under = context_api.set_value(ENDS_AT_ONCE, True, context)
        made = None if self._makers is None else self._makers.start_past(name, attributes, under, start_ns, key)
        if made is not None:
            return made
        tracer = self._tracer()
        if key:
            self._ids.choose(key)
        return tracer.start_span(name, context=under, attributes=attributes, start_time=start_ns)

    def _hold(self, wait: Wait, found: dict[str, Any], error: BaseException | None) -> None:
        wait.polls += 1
        wait.found, wait.error = found, error_text(error) if error is not None else ""
        wait.ready.update(dict.fromkeys(found.get(names.READY_TASK_IDS, ())))
        locate(wait)
        self._show(wait, wait.end_ns)
        polls.hold(wait, self._settle)

    def _settle(self, wait: Wait) -> None:
        """Write a wait that did not go on after its last poll."""
        try:
            started_ns = wait.start_ns if wait.polls > 1 else wait.measured_ns
            if wait.end_ns - started_ns < self._min_wait_ns:
                self._drop(wait)
            else:
                self._write(wait, wait.polls)
        except Exception as problem:
            warn_once(f"a {wait.name} could not be recorded", problem)

    def _drop(self, wait: Wait) -> None:
        """Only count it."""
        self._open_spans.clear(wait.key)
        self._count_short(wait.context)

    def _count_short(self, context: Any) -> None:
        span = trace.get_current_span(context)
        if span.is_recording():
            add_one(span, names.SHORT_WAITS)

    def _write(self, wait: Wait, calls: int) -> None:
        found = self._attributes(wait, calls)
        # The same span as the open one: a process that is killed in between, as the end of a wait often is the
        # process's too, leaves one of them or both, and never two waits.
        span = self._start(wait.name, wait.context, found, wait.start_ns, wait.key)
        if wait.error:
            span.set_status(Status(StatusCode.ERROR, wait.error))
        span.end(wait.end_ns)
        self._open_spans.clear(wait.key)

    def _attributes(self, wait: Wait, calls: int) -> dict[str, Any]:
        found = wait.found
        if wait.ready:
            found[names.READY_TASK_IDS] = list({**wait.ready, **dict.fromkeys(found.get(names.READY_TASK_IDS, ()))})
        if wait.count:
            found[names.AWAITED_COUNT] = wait.count
        if calls > 1:
            found[names.POLLS] = calls
        if wait.awaited:
            found[names.AWAITED] = wait.awaited
        locate(wait)
        if wait.site is not None:
            found[names.CALL_SITE] = wait.site
        if wait.library is not None:
            found[names.LIBRARY] = wait.library
        return found

    def _tracer(self) -> trace.Tracer:
        # The SDK makes a new one for every question, at the price of half a span.
        provider = trace.get_tracer_provider()
        known, tracer = self._known_tracer
        if tracer is None or known is not provider:
            tracer = ids.get_tracer_of_chosen(__name__, provider, self._ids)
            self._known_tracer = provider, tracer
        return tracer

    def _show(self, wait: Wait, end_ns: int = 0) -> None:
        parent = wait.parent
        if parent.is_valid and not parent.trace_flags.sampled:
            return
        is_shown, wait.is_shown = wait.is_shown, True
        while True:
            record = open_record(wait, end_ns)
            shown = (
                self._open_spans.renew(wait.key, record) if is_shown else self._open_spans.set(wait.key, record, wait)
            )
            if shown or not wait.asked:
                return
            wait.asked = wait.asked[: len(wait.asked) // 2]


def _enter_flow(wait: Wait) -> None:
    flow = flows.current.get()
    if flow is not None:
        flow.going_on += 1
        wait.flow = flow


def _leave_flow(wait: Wait, flow: Flow) -> None:
    wait.flow = None
    flow.going_on -= 1
    flow.ended.append((wait.start_ns, wait.end_ns))
