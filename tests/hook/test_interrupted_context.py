"""An exception wherever Python may raise one: what was the present span, and what was covered by a wait, is so again.

Python looks for signals, and for what another thread raises here, where a function begins and after calls.
"""

from __future__ import annotations

import dis
import gc
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any

import pytest
import raytrace_hook
from opentelemetry import trace
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from raytrace_hook.ray import patches
from raytrace_hook.record import submits
from raytrace_hook.record.calls import iteration
from raytrace_hook.record.libraries import steps
from raytrace_hook.record.libraries.sections import Section, recording
from raytrace_hook.record.libraries.thread_runs import ThreadRun
from raytrace_hook.record.waiting.waits import covered
from raytrace_hook.spans import facts, job_trace, runs, submissions
from raytrace_hook.spans.makers import Makers

from .reader import Recording
from .test_interrupts import Hook, Interrupt

MOST = 5_000
LOOKS = frozenset(("CALL", "CALL_FUNCTION_EX", "JUMP_BACKWARD", "PRECALL", "RESUME", "CALL_KW"))


def left_over(action: Callable[[], Any], at: int) -> tuple[bool, set[str]]:
    """Raise at the `at`-th place of the hook; tells whether that came, and what is not as it was before."""
    count, came, left = 0, False, set()
    before: dict[FrameType, str] = {}

    def trace_calls(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        if "raytrace_hook" not in frame.f_code.co_filename or frame.f_code.co_name == "__del__":
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            looked = before.get(frame, "RESUME") in LOOKS
            if frame not in before and frame.f_code.co_name == "__exit__":
                looked = False  # nothing helps who uses `with` where its own call of this is interrupted
            before[frame] = dis.opname[frame.f_code.co_code[frame.f_lasti]]
            count += looked
            if looked and count == at:
                sys.settrace(None)
                raise Interrupt
        return trace_calls

    def act() -> None:
        nonlocal came
        sys.settrace(trace_calls)
        try:
            action()
        except Interrupt:
            came = True
        finally:
            sys.settrace(None)
        if trace.get_current_span().get_span_context().is_valid:
            left.add("the present span")
        if covered.get():
            left.add("covered by a wait")

    thread = threading.Thread(target=act)
    thread.start()
    thread.join(10)
    assert not thread.is_alive(), "it hangs"
    return came, left


@pytest.fixture
def hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hook:
    made = Hook(tmp_path)
    monkeypatch.setattr("raytrace_hook.ray.internals.tracing_is_on", lambda: True)
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: made.provider)
    monkeypatch.setattr(facts, "of_function", lambda name, _=None: {"ray.task_id": "ab", "ray.function": name})
    monkeypatch.setattr(job_trace, "of_run", lambda: ("ab", SpanContext(1, 2, True, TraceFlags(1))))
    return made


TRACING: Any = SimpleNamespace(
    _DictPropagator=SimpleNamespace(inject_current_context=dict),
    _function_span_producer_name=lambda name: f"{name} ray.remote",
    _function_span_consumer_name=lambda name: f"{name} ray.remote_worker",
    _actor_span_producer_name=lambda owner, name: f"{owner}.{name} ray.remote",
    _global_is_tracing_enabled=True,
)


def submission(hook: Hook) -> Callable[[], Any]:
    task, _, _ = submissions._decorators(TRACING, Makers(hook.processor))
    function = SimpleNamespace(_is_cross_language=False, _function_name="f")
    submit = task(lambda *_, **__: "reference")
    return lambda: submit(function, (), {})


def run(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    monkeypatch.setattr("raytrace_hook.ray.internals.tracing_helper", lambda: TRACING)
    return runs.traced_function(lambda: None, Makers(hook.processor))


def next_item(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    wrappers: list[Any] = []
    monkeypatch.setattr(patches, "patch_next", lambda *given: wrappers.extend(given))
    iteration.install(hook.waits)
    item, generator = SimpleNamespace(is_nil=lambda: False), SimpleNamespace(hex=lambda: "ab" * 28)
    take = wrappers[0](lambda _: item)
    return lambda: take(generator)


def section(hook: Hook) -> Callable[[], Any]:
    return recording(lambda: Section("section", {}))(lambda: None)


def thread_run(hook: Hook) -> Callable[[], Any]:
    def act() -> None:
        ThreadRun("f", "ab", {}).running(lambda: None)()

    return act


def step(hook: Hook) -> Callable[[], Any]:
    def act() -> None:
        with raytrace_hook.step(1):
            pass

    assert steps.step_of(1) is not None
    return act


@pytest.mark.parametrize("make", [submission, run, next_item, section, thread_run, step])
def test_nothing_stays_present(hook: Hook, make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    given = (monkeypatch,) if "monkeypatch" in make.__annotations__ else ()
    act = make(hook, *given)
    act()
    gc.collect()
    gc.freeze()
    places = 0
    for at in range(1, MOST):
        came, left = left_over(act, at)
        assert not left, f"interruption {at}"
        if not came:
            break
        places += 1
        gc.collect()
        hook.open_spans.sweep()
    gc.unfreeze()
    assert places > 50
    hook.check()


def test_a_submission_that_was_made_is_written(hook: Hook, tmp_path: Path) -> None:
    span: Any = None
    makers = Makers(hook.processor)
    makers.start("first", SpanKind.PRODUCER, {}).end()
    names = []
    for at in range(1, MOST):
        span = makers.start(f"submission {at}", SpanKind.PRODUCER, {})
        came, _ = left_over(span.end, at)
        names.append(span.name)
        if span.is_recording():  # it was interrupted before the hook had done anything: as `Current` does it again
            span.end()
        if not came:
            break
    assert len(names) > 20
    assert {one.name for one in Recording(tmp_path).spans} >= set(names)


def test_a_submission_gets_its_late_id_whenever_a_ctrl_c_comes(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raytrace_hook.ray.objects.submitted_task_id", lambda *_: "cd" * 24)
    monkeypatch.setattr("raytrace_hook.record.submits.caller", lambda *_: (None, None))
    makers = Makers(hook.processor)

    def act() -> None:
        spans.append(makers.start("f ray.remote", SpanKind.PRODUCER, {}))
        spans[-1].__dict__.update(_is_named_late=True, _was_asked=False)
        with trace.use_span(spans[-1]):
            complete(None, (), {})

    returned: list[int] = []
    complete = submits._completing(lambda *_, **__: returned.append(1), "task")
    spans: list[Any] = []
    without: list[int] = []
    act()
    for at in range(1, MOST):
        spans.clear()
        returned.clear()
        came, _ = left_over(act, at)
        if returned and came:  # before, nothing is submitted
            without += [at] * (spans[0].context.span_id != int("cd" * 8, 16))
        if not came:
            break
    assert at > 30
    assert len(without) <= 1  # just as Ray has come back, when nobody has its answer
