"""Spans that are made for less are the SDK's in all that anybody can read of them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from opentelemetry import baggage, context, propagate, trace
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_ON,
    DEFAULT_ON,
    ParentBased,
    ParentBasedTraceIdRatio,
    TraceIdRatioBased,
)
from opentelemetry.trace import NonRecordingSpan, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState
from raytrace_hook.ray import tracing_patches
from raytrace_hook.spans.carried import _reading, _writing
from raytrace_hook.spans.current import Current
from raytrace_hook.spans.lean import LeanSpan
from raytrace_hook.spans.makers import Maker

ATTRIBUTES = {"ray.remote": "function", "ray.function": "m.f"}
PARENTS = {
    "no parent": None,
    "sampled": SpanContext(5, 7, False, TraceFlags(1)),
    "sampled and random": SpanContext(5, 7, False, TraceFlags(3)),
    "remote": SpanContext(5, 7, True, TraceFlags(1), TraceState([("a", "b")])),
    "not sampled": SpanContext(5, 7, False, TraceFlags(0)),
    "remote and not sampled": SpanContext(5, 7, True, TraceFlags(2)),
    "unknown flags": SpanContext(5, 7, True, TraceFlags(0x41)),
}


class Kept(SpanProcessor):
    """Keeps what ends, as text."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.ended: list[dict[str, Any]] = []

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        self.started.append(span.name)

    def on_end(self, span: ReadableSpan) -> None:
        told = json.loads(span.to_json())
        assert span.context is not None
        for key in ("start_time", "end_time"):
            assert told.pop(key)
        assert int(told["context"].pop("span_id"), 16) == span.context.span_id
        for event in told["events"]:
            del event["timestamp"]
            event["attributes"].pop("exception.stacktrace", None)
        if span.context.trace_id != 5:
            told["context"]["trace_id"] = "random"
        if span.parent is not None and span.parent.span_id != 7:
            told["parent_id"] = "random"
        scope = span.instrumentation_scope
        self.ended.append({**told, "flags": int(span.context.trace_flags), "scope": scope and scope.name})


Start = Callable[[str, SpanKind, dict[str, Any]], Any]


def both(provider: TracerProvider) -> Iterator[tuple[Start, Kept]]:
    """Give what starts spans, the SDK and what is to equal it, each with what it is written by."""
    for is_lean in (False, True):
        kept = Kept()
        one = TracerProvider(sampler=provider.sampler, resource=provider.resource, span_limits=provider._span_limits)
        one.add_span_processor(kept)
        maker = Maker(one, kept)
        yield (maker.start if is_lean else lambda n, k, a, m=maker: m.tracer.start_span(n, kind=k, attributes=a)), kept


def spans_under(start: Start, parent: SpanContext | None) -> list[Any]:
    above = context.Context() if parent is None else trace.set_span_in_context(NonRecordingSpan(parent))
    token = context.attach(above)
    try:
        made = []
        for name in ("first", "second"):
            span = start(name, SpanKind.PRODUCER, dict(ATTRIBUTES))
            made.append(span)
            current, child = Current(), Current()
            current.begin(span)
            span.set_attribute("ray.actor_id", "07")
            span.add_event("seen", {"a": 1})
            assert trace.get_current_span() is span
            child.begin(start("child", SpanKind.CONSUMER, dict(ATTRIBUTES)))
            child.end()
            try:
                raise ZeroDivisionError("division")
            except ZeroDivisionError as error:
                current.end(error)
            assert trace.get_current_span().get_span_context() == (parent or trace.INVALID_SPAN_CONTEXT)
        return made
    finally:
        context.detach(token)


@pytest.mark.parametrize("sampler", [DEFAULT_ON, ParentBasedTraceIdRatio(0.5), TraceIdRatioBased(1.0), ALWAYS_ON])
@pytest.mark.parametrize("parent", PARENTS)
def test_a_span_equals_the_sdks(parent: str, sampler: Any) -> None:
    (sdks, kept_by_sdk), (lean, kept) = both(TracerProvider(sampler=sampler, shutdown_on_exit=False))
    if parent == "no parent" and isinstance(sampler, ParentBasedTraceIdRatio):
        pytest.skip("a trace may be kept in one and not in the other")
    for span, other in zip(spans_under(sdks, PARENTS[parent]), spans_under(lean, PARENTS[parent]), strict=True):
        assert isinstance(other, type(span))
        assert span.get_span_context()[2:] == other.get_span_context()[2:]
        assert not other.is_recording()
    assert kept.ended == kept_by_sdk.ended
    assert kept.started == kept_by_sdk.started


def test_spans_are_made_for_less_where_nothing_speaks_against_it() -> None:
    _, (lean, _) = both(TracerProvider(shutdown_on_exit=False))
    assert {type(span) for span in spans_under(lean, PARENTS["sampled"])} == {LeanSpan}
    assert {type(span) for span in spans_under(lean, PARENTS["not sampled"])} == {NonRecordingSpan}


WAITED = {"raytrace.awaited_count": 2, "raytrace.ready_task_ids": ["a", "b"], "raytrace.call_site": "m.py:3"}


@pytest.mark.parametrize("parent", [name for name in PARENTS if name != "no parent"])
def test_a_span_of_a_wait_that_is_over_equals_the_sdks(parent: str) -> None:
    provider, kept = TracerProvider(shutdown_on_exit=False), Kept()
    provider.add_span_processor(kept)
    maker, above = Maker(provider, kept), trace.set_span_in_context(NonRecordingSpan(PARENTS[parent]))  # type: ignore[arg-type] # the one that is None is left out
    found = dict(WAITED)
    lean = maker.start_past("ray.get", found, above, 1_000, 9)
    sdks = maker.tracer.start_span("ray.get", above, attributes=WAITED, start_time=1_000)
    assert lean is not None
    for span in (lean, sdks):
        if span.is_recording():
            assert type(span) is (LeanSpan if span is lean else sdk._Span)
            span.set_status(Status(StatusCode.ERROR, "timed out"))
        span.end(5_000)
    assert lean.get_span_context().span_id == 9
    assert found == WAITED
    first, second = kept.ended or ({}, {})
    assert first == second
    if kept.ended:
        assert (lean.start_time, lean.end_time) == (sdks.start_time, sdks.end_time) == (1_000, 5_000)


@pytest.mark.parametrize("odd", [None, b"bytes", {"a": 1}, object()])
def test_what_the_sdk_would_not_take_as_it_is_is_left_to_it(odd: Any) -> None:
    provider, kept = TracerProvider(shutdown_on_exit=False), Kept()
    provider.add_span_processor(kept)
    above = trace.set_span_in_context(NonRecordingSpan(PARENTS["sampled"]))  # type: ignore[arg-type] # that is none
    assert Maker(provider, kept).start_past("await", {"odd": odd}, above, 1, 0) is None


def test_a_wait_under_no_span_is_left_to_the_sdk() -> None:
    provider, kept = TracerProvider(shutdown_on_exit=False), Kept()
    provider.add_span_processor(kept)
    assert Maker(provider, kept).start_past("await", {}, context.Context(), 1, 0) is None


@pytest.mark.parametrize(
    "limits", [SpanLimits(max_span_attributes=1), SpanLimits(max_span_attribute_length=3), SpanLimits(max_events=1)]
)
def test_limits_hold(limits: SpanLimits) -> None:
    (sdks, kept_by_sdk), (lean, kept) = both(TracerProvider(span_limits=limits, shutdown_on_exit=False))
    spans_under(sdks, PARENTS["sampled"])
    spans_under(lean, PARENTS["sampled"])
    assert kept.ended == kept_by_sdk.ended


def test_another_processor_gets_all_that_is_in_a_span(caplog: pytest.LogCaptureFixture) -> None:
    provider, kept, second = TracerProvider(shutdown_on_exit=False), Kept(), Kept()
    provider.add_span_processor(kept)
    maker = Maker(provider, kept)
    open_before = maker.start("before", SpanKind.CONSUMER, dict(ATTRIBUTES))
    provider.add_span_processor(second)
    assert not maker.is_for(provider)
    open_before.end()
    Maker(provider, kept).start("after", SpanKind.CONSUMER, dict(ATTRIBUTES)).end()
    assert second.ended == kept.ended
    assert [span["name"] for span in second.ended] == ["before", "after"]
    open_before.end()
    assert len(kept.ended) == 2
    assert "ended span" in caplog.text


@pytest.mark.parametrize("parent", PARENTS)
@pytest.mark.parametrize("has_baggage", [False, True])
def test_what_is_carried_is_what_the_propagators_write(parent: str, has_baggage: bool) -> None:
    def inject() -> dict[str, str]:
        written: dict[str, str] = {}
        propagate.inject(written)
        return written

    here, above = PARENTS[parent], context.Context()
    if here is not None:
        above = trace.set_span_in_context(NonRecordingSpan(here), above)
    if has_baggage:
        above = baggage.set_baggage("user", "a b", above)
    token = context.attach(above)
    try:
        written = _writing(inject)()
        assert written == inject()
    finally:
        context.detach(token)
    for sent in (written, {**written, "traceparent": "00-0-0-0"}, {**written, "traceparent": f"00-{0:032}-{0:016}-01"}):
        read, expected = _reading(propagate.extract)(sent), propagate.extract(sent)
        spans = [trace.get_current_span(one).get_span_context() for one in (read, expected)]
        assert spans[0] == spans[1]
        assert baggage.get_all(read) == baggage.get_all(expected)
        assert read.keys() == expected.keys()


def test_a_parent_based_sampler_of_the_programs_decides() -> None:
    sampler = ParentBased(ALWAYS_ON, local_parent_not_sampled=ALWAYS_ON)
    (sdks, kept_by_sdk), (lean, kept) = both(TracerProvider(sampler=sampler, shutdown_on_exit=False))
    spans_under(sdks, PARENTS["not sampled"])
    spans_under(lean, PARENTS["not sampled"])
    assert kept.ended == kept_by_sdk.ended != []


@pytest.mark.parametrize("does_more", [False, True])
def test_ray_keeps_its_own_tracing_where_it_does_more_than_is_known(
    does_more: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def traced(name: str) -> Any:
        more = "something_new()" if does_more else "trace"
        scope: dict[str, Any] = {}
        exec(f"def decorate(submit):\n def {name}():\n  return {more}, submit\n return {name}", scope)
        return scope["decorate"]

    theirs = {
        "_tracing_task_invocation": traced("_invocation_remote_span"),
        "_tracing_actor_method_invocation": traced("_start_span"),
        "_tracing_actor_creation": traced("_invocation_actor_class_remote_span"),
    }
    helper = SimpleNamespace(**theirs)
    monkeypatch.setitem(sys.modules, "ray.util.tracing.tracing_helper", helper)  # type: ignore[arg-type] # stands for it
    ours = tuple(lambda submit: submit for _ in theirs)
    assert tracing_patches.patch_tracing_of_submissions(lambda _: ours) is not does_more
    assert tuple(vars(helper).values()) == (tuple(theirs.values()) if does_more else ours)
