"""An exception at any point of the hook: nothing hangs afterwards, nothing stays open, nothing is counted wrong."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind
from raytrace_hook.output.in_flight import LONG_SLOT_BYTES, OpenSpans
from raytrace_hook.output.writer import SpanFile
from raytrace_hook.record.calls.futures import waited_future
from raytrace_hook.record.generators.items import Items
from raytrace_hook.record.process import ProcessResource
from raytrace_hook.record.processor import SpanFileProcessor
from raytrace_hook.record.waiting.suspensions import watched
from raytrace_hook.record.waiting.waits import Waits
from raytrace_hook.spans.makers import Makers

from .reader import Recording

MOST_EVENTS = 20_000


class Interrupt(BaseException):
    """What a Ctrl-C or a cancelled task raises, wherever the program happens to be."""


def interrupted(action: Callable[[], Any], at: int) -> bool:
    """Run `action` and raise at the `at`-th instruction of the hook; False when it was over before that.

    In a thread of its own: one that is interrupted just as it leaves an `except` still has that exception, and with it
    all that its frames had.
    """
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(_interrupted(action, at)))
    thread.start()
    thread.join(10)
    assert found, "it hangs"
    return found[0]


def _interrupted(action: Callable[[], Any], at: int) -> bool:
    count = 0

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal count
        if "raytrace_hook" not in frame.f_code.co_filename or frame.f_code.co_name == "__del__":
            return None  # Python itself swallows what is raised in a __del__, and there is nothing left to be done then
        frame.f_trace_opcodes = True
        if event in ("opcode", "line", "call"):
            count += 1
            if count == at:
                sys.settrace(None)
                raise Interrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        action()
    except Interrupt:
        return True
    finally:
        sys.settrace(before)
    return False


@pytest.fixture(autouse=True)
def quick_collection() -> Iterator[None]:
    gc.collect()
    gc.freeze()  # what is there already need not be looked at after each interruption
    yield
    gc.unfreeze()


class Hook:
    """The parts that hold something, put together as in a worker."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.file, process = SpanFile(str(directory)), ProcessResource()
        self.provider = TracerProvider(shutdown_on_exit=False)

        def resource() -> str:
            return process.encoded(self.provider.resource)

        self.open_spans = OpenSpans(self.file, resource)
        self.processor = SpanFileProcessor(self.file, process, self.open_spans)
        self.sampler = self.processor.sample(3600, OpenSpans(self.file, resource, LONG_SLOT_BYTES), True)
        self.provider.add_span_processor(self.processor)
        self.tracer = self.provider.get_tracer("test")
        self.waits = Waits(self.open_spans, 0, Makers(self.processor))

    def check(self) -> None:
        """Look that another thread can still write, and that nothing is left of what was interrupted."""
        gc.collect()
        done = threading.Event()

        def write() -> None:
            with self.tracer.start_as_current_span("other"):
                done.set()

        thread = threading.Thread(target=write, daemon=True)
        thread.start()
        thread.join(5)
        assert done.is_set() and not thread.is_alive()
        assert not self.processor._started and not self.processor._runs.task_ids
        assert not self.sampler._watched and not self.sampler._followed
        assert not self.open_spans._owners


def run_span(hook: Hook) -> Callable[[], None]:
    def act() -> None:
        with hook.tracer.start_as_current_span("f ray.remote_worker", kind=SpanKind.CONSUMER):
            pass

    return act


def custom_span(hook: Hook) -> Callable[[], None]:
    def act() -> None:
        with hook.tracer.start_as_current_span("custom"):
            pass

    return act


def wait(hook: Hook) -> Callable[[], None]:
    def act() -> None:
        begun = hook.waits.begin("ray.get", 1)
        hook.waits.end(begun, dict)

    return act


@pytest.mark.parametrize("make", [run_span, custom_span, wait])
@pytest.mark.parametrize("fresh", [True, False], ids=["first", "later"])
def test_nothing_hangs_or_stays_open(
    tmp_path: Path, make: Callable[[Hook], Callable[[], None]], fresh: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raytrace_hook.output.writer._CREATION_S", 0.0)
    monkeypatch.setattr("raytrace_hook.ray.internals.tracing_is_on", lambda: True)
    hook = Hook(tmp_path)
    step = 11 if fresh else 1  # the first span makes the files, which takes many steps: not each of them
    make(hook)()
    for at in range(1, MOST_EVENTS, step):
        if fresh:
            hook.file.start_anew()
        if not interrupted(make(hook), at):
            break
        hook.check()
        if at % 50 == 1:
            assert len(Recording(tmp_path).open) == 0
    else:
        raise AssertionError("it never came to its end")
    assert at > 50
    hook.check()
    assert Recording(tmp_path).open == []
    slots = hook.open_spans._slots
    assert slots is not None and not slots.taken


def test_an_interrupted_end_is_written_all_the_same_or_counted(tmp_path: Path) -> None:
    hook = Hook(tmp_path)
    run_span(hook)()
    names = set()
    for at in range(1, MOST_EVENTS):
        span = hook.tracer.start_span(f"span {at}")
        names.add(f"span {at}")
        if not interrupted(span.end, at):
            break
        del span
        hook.check()
    assert len(names) > 50
    missing = names - {one.name for one in Recording(tmp_path).spans}
    assert len(missing) == hook.file.lost <= 5  # where the hook has not come to do anything yet


def test_spans_that_nobody_can_end_any_more_are_counted(tmp_path: Path) -> None:
    hook = Hook(tmp_path)
    hook.tracer.start_span("dropped")
    hook.check()
    assert Recording(tmp_path).open == []
    run_span(hook)()
    assert Recording(tmp_path).one("f ray.remote_worker").resource["raytrace.lost_spans"] == 1


class Looking:
    """Looks at every instruction of the hook at what a kill would leave."""

    def __init__(self, hook: Hook, name: str) -> None:
        self._directory, self._name = hook.directory, name
        self._before = len(Recording(hook.directory).spans)
        self.seen: set[tuple[int, bool, bool]] = set()
        """How many such spans there are in all, whether one that ended, and whether an open one."""

    def begin(self) -> None:
        sys.settrace(self._look)

    def _look(self, frame: FrameType, event: str, argument: object) -> Any:
        if "raytrace_hook" not in frame.f_code.co_filename:
            return None
        frame.f_trace_opcodes = True
        left = Recording(self._directory)
        ended = [span for span in left.spans[self._before :] if span.name == self._name]
        waits = [span for span in left.open if span.name == self._name]
        recorded = {(span.trace_id, span.span_id) for span in (*ended, *waits)}
        self.seen.add((len(recorded), bool(ended), bool(waits)))
        return self._look


ALWAYS_ONE = {(1, False, True), (1, True, True), (1, True, False)}


@pytest.mark.parametrize("parent", [True, False], ids=["in a span", "alone"])
def test_a_wait_is_recorded_once_wherever_a_kill_falls_into_its_end(
    tmp_path: Path, parent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raytrace_hook.ray.internals.tracing_is_on", lambda: True)
    hook = Hook(tmp_path)
    monkeypatch.setattr("opentelemetry.trace.get_tracer_provider", lambda: hook.provider)
    wait(hook)()  # the files are there
    looking = Looking(hook, "ray.get")

    def act() -> None:
        begun = hook.waits.begin("ray.get", 1)
        looking.begin()
        try:
            hook.waits.end(begun, lambda: {"raytrace.ready_task_ids": ["t"]})
        finally:
            sys.settrace(None)
        assert not Recording(tmp_path).open or parent

    if parent:
        with hook.tracer.start_as_current_span("f"):
            act()
    else:
        act()
    assert looking.seen == ALWAYS_ONE


def test_so_is_an_await_of_an_asynchronous_method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raytrace_hook.ray.internals.tracing_is_on", lambda: True)
    monkeypatch.setattr("raytrace_hook.record.waiting.suspensions._SHOWN_AFTER_S", 0.0)
    hook = Hook(tmp_path)
    monkeypatch.setattr("opentelemetry.trace.get_tracer_provider", lambda: hook.provider)
    wait(hook)()
    looking = Looking(hook, "await")

    async def method(event: asyncio.Event) -> None:
        await event.wait()

    async def act() -> None:
        event = asyncio.Event()

        async def call() -> None:
            await watched(method, hook.waits)(event)
            sys.settrace(None)

        called = asyncio.ensure_future(call())
        while not [span for span in Recording(tmp_path).open if span.name == "await"]:
            await asyncio.sleep(0)
        looking.begin()
        event.set()
        await called

    try:
        with hook.tracer.start_as_current_span("f"):
            asyncio.run(act())
    finally:
        sys.settrace(None)
    assert looking.seen == ALWAYS_ONE
    assert Recording(tmp_path).open == []


def test_so_is_back_pressure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raytrace_hook.ray.internals.tracing_is_on", lambda: True)
    hook = Hook(tmp_path)
    monkeypatch.setattr("opentelemetry.trace.get_tracer_provider", lambda: hook.provider)
    wait(hook)()
    looking = Looking(hook, "back-pressure")
    with hook.tracer.start_as_current_span("f"):
        items = Items(hook.waits, 1)
        items.come()
        looking.begin()
        try:
            items.go_on()
        finally:
            sys.settrace(None)
    assert looking.seen == ALWAYS_ONE
    assert Recording(tmp_path).open == []


def test_a_wait_for_a_future_that_is_broken_off_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[tuple[type[BaseException], bool]] = []

    def end(wait: Any, attributes: Any, error: BaseException | None = None, may_go_on: bool = False) -> None:
        ended.append((type(error), may_go_on))
        assert not attributes().get("raytrace.timed_out")

    future = waited_future(lambda *about: about, end, lambda *about: None)()

    def interrupted_wait(condition: threading.Condition, timeout: float | None = None) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Condition, "wait", interrupted_wait)
    with pytest.raises(KeyboardInterrupt):
        future.result()
    assert ended == [(KeyboardInterrupt, False)]
