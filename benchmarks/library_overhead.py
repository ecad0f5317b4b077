"""What each patch of Ray's libraries costs, in CPU a call: of Data, Serve, Train and Tune, without Ray.

    python -m benchmarks.library_overhead

Each patch is put around a function that does nothing, in a process that records into a real file. The figure is what a
call takes more than the function itself: the lower quartile of many short turns. Beside it stand how many calls there
are, and what they belong to: no patch writes more than one span a batch, poll, request, report or trial.
"""

from __future__ import annotations

import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from contextvars import ContextVar
from pathlib import Path
from statistics import quantiles
from types import SimpleNamespace
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from raytrace_hook import names
from raytrace_hook.output.encode import redact_with
from raytrace_hook.output.in_flight import LONG_SLOT_BYTES, OpenSpans
from raytrace_hook.output.redact import Redactor
from raytrace_hook.output.writer import SpanFile
from raytrace_hook.record.libraries import batches, datasets, sections, serve, serve_handlers, train, tune
from raytrace_hook.record.libraries.serve_loops import Driven
from raytrace_hook.record.process import ProcessResource
from raytrace_hook.record.processor import SpanFileProcessor
from raytrace_hook.record.waiting.waits import Waits
from raytrace_hook.spans.makers import Makers

CALLS, TURNS = 200, 40
Call = Callable[[], Any]


def recording(directory: Path) -> Waits:
    """Let this process record into a file there, and return what records its waits."""
    sys.modules["ray._private.worker"] = SimpleNamespace(  # type: ignore[assignment] # stands for a module
        global_worker=SimpleNamespace(mode=0, core_worker=None, node=None), SCRIPT_MODE=0, WORKER_MODE=1
    )
    sys.modules["ray.util.tracing.tracing_helper"] = SimpleNamespace(  # type: ignore[assignment] # the same
        _global_is_tracing_enabled=True
    )
    redact_with(Redactor())
    file, resource = SpanFile(str(directory)), ProcessResource()
    open_spans = OpenSpans(file, lambda: '{"attributes":{},"schema_url":""}')
    processor = SpanFileProcessor(file, resource, open_spans)
    processor.sample(0.0, OpenSpans(file, lambda: "{}", LONG_SLOT_BYTES), waits_recorded=True)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(processor)
    trace.set_tracer_provider(provider)
    return Waits(open_spans, 0, Makers(processor))


def nothing(*_: Any, **__: Any) -> None:
    """Stand for what is wrapped."""


def patches(waits: Waits) -> dict[str, tuple[str, Call, Call]]:
    """Give by patch what there is one call for, the call with the patch, and without."""
    program = trace.get_tracer("program")
    span = program.start_span("request")
    ids = [f"{number:048x}" for number in range(8)]

    batch = batches._batching(lambda *_: nullcontext(), waits)
    iterator = SimpleNamespace()

    def next_batch() -> None:
        with batch(iterator):
            pass

    def plain_batch() -> None:
        with nullcontext():
            pass

    execution = datasets._Execution(threading.Event())  # stands for its executor

    execution.run = SimpleNamespace(task_id="e")  # type: ignore[assignment] # its thread's run: only its id is asked for
    operator = SimpleNamespace(num_active_tasks=lambda: 1)
    notify = datasets._noticing(nothing, 1, datasets._could_give)
    report = sections.recording(train._report)(nothing)
    context = SimpleNamespace(report_call_index=3)
    measured = tune._measuring(lambda *_: nullcontext(), waits)
    trial = SimpleNamespace(trial_id="8fc2e_00003", evaluated_params={"lr": 0.1, "layers": 3}, experiment_dir_name="e")
    schedule = tune._scheduling(nothing, waits)
    given = trace.set_span_in_context(span)
    open_ones: ContextVar[list[Any]] = ContextVar("open_ones")
    append, pop = serve._appending(nothing, open_ones), serve._popping(nothing, open_ones)

    ended = SimpleNamespace(is_recording=lambda: False)

    def open_and_end() -> None:
        append(ended)
        pop()

    here, sent = serve._without_ended(lambda: given), serve._in_its_run(lambda _: given)

    class Handling:
        """Serve's span of a request, as far as it is asked."""

        def get_span_context(self) -> Any:
            return trace.INVALID_SPAN_CONTEXT

        def set_attribute(self, key: str, value: Any) -> None:
            pass

    async def handler() -> None:
        pass

    def handle() -> None:
        handled = serve_handlers._Handled(Handling(), lambda _: None)
        for _ in Driven(handler(), (handled.time,)).__await__():
            pass
        handled.tell()

    def plain_handle() -> None:
        for _ in handler().__await__():
            pass

    def measure() -> None:
        with measured("scheduler.on_trial_result"):
            pass

    def plain_measure() -> None:
        with nullcontext():
            pass

    def of_execution(call: Call) -> Call:
        def run() -> Any:
            token = datasets._current.set(execution)
            try:
                return call()
            finally:
                datasets._current.reset(token)

        return run

    return {
        "Data: what a poll for tasks came back with": (
            "a poll, ten a second",
            of_execution(lambda: datasets.is_news(ids)),
            of_execution(nothing),
        ),
        "Data: an operator held back, or not": (
            "an operator and turn of its thread",
            of_execution(lambda: notify(operator, True, "budget")),
            of_execution(lambda: nothing(operator, True, "budget")),
        ),
        "Data: a wait for a batch": ("a batch, one span", next_batch, plain_batch),
        "Train: a report": (
            "a report of a rank, one span",
            lambda: report(context, {"loss": 1}),
            lambda: nothing(context, {"loss": 1}),
        ),
        "Tune: a trial asks for its process": (
            "a trial, one span",
            lambda: schedule(None, trial),
            lambda: nothing(None, trial),
        ),
        "Tune: a section of its controller": ("a section; a span of 1 ms and more", measure, plain_measure),
        "Serve: where a request's spans stand": ("a span of Serve's", here, lambda: given),
        "Serve: which span is the present one": ("a span of Serve's", open_and_end, nothing),
        "Serve: what a handler does": ("a request in a replica", handle, plain_handle),
        "Serve: where a request comes from": ("a hop of a request", lambda: sent({}), lambda: given),
    }


def cost_us(call: Call) -> float:
    """Return the CPU microseconds of one call."""
    took = []
    for _ in range(TURNS):
        started = time.thread_time_ns()
        for _ in range(CALLS):
            call()
        took.append((time.thread_time_ns() - started) / CALLS / 1000)
    return quantiles(took, n=4)[0]


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as scratch:
        waits = recording(Path(scratch))
        span = cost_us(lambda: trace.get_tracer("program").start_span(names.STEP_SPAN).end())
        print(f"a span of the program's own, for comparison: {span:.1f} us")
        print(f"{'patch':46}{'us a call':>10}   one call is")
        for name, (calls, patched, plain) in patches(waits).items():
            print(f"{name:46}{cost_us(patched) - cost_us(plain):10.1f}   {calls}")


if __name__ == "__main__":
    thread = threading.Thread(target=main, name="program")
    thread.start()
    thread.join()
