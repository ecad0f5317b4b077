"""What recording a span costs, in CPU, next to what others record it with.

    python benchmarks/hook_overhead.py            # per span, one process, no Ray
    python benchmarks/hook_overhead.py --sampler  # what looking at long runs costs alone

The figure of each recorder is what it adds to an SDK without any processor, measured in many short turns of which
the lower quartile counts, so that a busy machine disturbs all alike and little; the ratio is to ConsoleSpanExporter
with SimpleSpanProcessor, which Ray's documentation recommends.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SimpleSpanProcessor,
)
from opentelemetry.trace import SpanKind
from raytrace_hook.output.encode import redact_with
from raytrace_hook.output.in_flight import LONG_SLOT_BYTES, OpenSpans
from raytrace_hook.output.redact import Redactor
from raytrace_hook.output.writer import SpanFile
from raytrace_hook.ray import internals
from raytrace_hook.record.process import ProcessResource
from raytrace_hook.record.processor import SpanFileProcessor

ATTRIBUTES = {
    "ray.remote": "function",
    "ray.function": "__main__.f",
    "ray.pid": "6202",
    "ray.job_id": "01000000",
    "ray.node_id": "bd477884bcf436550e3ea886012ea35c528800f7b0234101cc9c59ca",
    "ray.worker_id": "0263a224436abafc92cbf4b68733a2a5145d8885795112f45eab34b3",
    "ray.task_id": "16310a0f0a45af5cffffffffffffffffffffffff01000000",
}
METHOD = {
    **{name: value for name, value in ATTRIBUTES.items() if name != "ray.task_id"},
    "ray.remote": "actor",
    "ray.actor_class": "A",
    "ray.actor_method": "method",
    "ray.function": "A.method",
    "ray.actor_id": "5d4b8d0f0a45af5cf8f5b1d201000000",
}
"""Of an actor's method Ray does not tell the task: the hook has to ask for its id."""
SPANS, ROUNDS = 400, 40
"""How many spans a turn has, fewer than a batch processor's queue takes; and how many turns."""
SPIN = 90
"""How long the stand-in for a worker turns for a task's id as text; in a real worker this took 0.9 us where it took
0.9 us here, and the task's name a quarter of it."""


class WorkerStandIn:
    """Answers as a Ray worker's core does, at the price that was measured in a real one."""

    def __init__(self) -> None:
        self._task = SimpleNamespace(hex=lambda: ATTRIBUTES["ray.task_id"])
        self._work, self._name_work = range(SPIN), range(SPIN // 4)

    def get_current_task_id(self) -> Any:
        for _ in self._work:
            pass
        return self._task

    def get_current_task_attempt_number(self) -> int:
        return 0

    def get_current_task_name(self) -> str:
        for _ in self._name_work:
            pass
        return "f"

    def current_actor_is_asyncio(self) -> bool:
        return False

    def current_actor_max_concurrency(self) -> int:
        return 1


def pretend_to_be_a_worker() -> None:
    """Let the hook find a worker in this process."""
    worker = SimpleNamespace(mode=1, core_worker=WorkerStandIn(), current_job_id=bytes.fromhex("01000000"), node=None)
    sys.modules["ray._private.worker"] = SimpleNamespace(global_worker=worker, SCRIPT_MODE=0, WORKER_MODE=1)  # type: ignore[assignment] # stands for a module


def ours(directory: Path, file: list[Path]) -> SpanProcessor:
    """Return the hook's processor, complete with open records, sampler and redaction."""
    redact_with(Redactor())
    resource = ProcessResource()
    span_file = SpanFile(str(directory))
    file.append(directory / f"{span_file.stem}.jsonl")

    def header() -> str:
        return '{"attributes":{},"schema_url":""}'

    processor = SpanFileProcessor(span_file, resource, OpenSpans(span_file, header))
    processor.sample(0.05, OpenSpans(span_file, header, LONG_SLOT_BYTES), waits_recorded=True)
    processor.in_worker = True
    return processor


def recorders(directory: Path) -> dict[str, Callable[[list[Path]], SpanProcessor | None]]:
    """Return what makes each recorder; it appends the file that it writes to."""

    def to_console(name: str, formatter: Callable[[Any], str] | None = None) -> Callable[[list[Path]], SpanProcessor]:
        def make(file: list[Path]) -> SpanProcessor:
            file.append(directory / name)
            more = {} if formatter is None else {"formatter": formatter}
            return SimpleSpanProcessor(ConsoleSpanExporter(out=file[0].open("w"), **more))

        return make

    found: dict[str, Callable[[list[Path]], SpanProcessor | None]] = {
        "no processor": lambda file: None,
        "console exporter (documentation)": to_console("console.json"),
        "Ray's setup_local_tmp_tracing": to_console("local.txt", lambda span: span.to_json(indent=None) + os.linesep),
        "raytrace_hook": lambda file: ours(directory, file),
    }
    try:
        from opentelemetry.exporter.otlp.json.file.trace_exporter import FileSpanExporter
    except ImportError:
        print("the OTLP JSON file exporter is not installed: left out", file=sys.stderr)
        return found

    def otlp(kind: type[Any], name: str) -> Callable[[list[Path]], SpanProcessor]:
        def make(file: list[Path]) -> SpanProcessor:
            file.append(directory / name)
            file[0].unlink(missing_ok=True)
            return kind(FileSpanExporter(path=str(file[0])))  # type: ignore[no-any-return] # a processor

        return make

    found["OTLP JSON file exporter, simple"] = otlp(SimpleSpanProcessor, "otlp-simple.jsonl")
    found["OTLP JSON file exporter, batch"] = otlp(BatchSpanProcessor, "otlp-batch.jsonl")
    return found


def cpu_per_span(provider: TracerProvider, name: str, kind: SpanKind, attributes: dict[str, str]) -> float:
    """Return the CPU microseconds of one span, from its start until it is in the file."""
    tracer = provider.get_tracer("benchmark")
    gc.collect()
    started = time.process_time_ns()
    for _ in range(SPANS):
        with tracer.start_as_current_span(name, kind=kind, attributes=attributes):
            pass
    provider.force_flush()
    return (time.process_time_ns() - started) / SPANS / 1000


def measure_spans() -> None:
    """Print the table of costs per span."""
    cases = {
        "a submission (PRODUCER): written": ("__main__.f ray.remote", SpanKind.PRODUCER, ATTRIBUTES),
        "a custom span: written, open record": ("custom", SpanKind.INTERNAL, ATTRIBUTES),
        "a task's run (CONSUMER): written, ids, attempt, open record": (
            "__main__.f ray.remote_worker",
            SpanKind.CONSUMER,
            ATTRIBUTES,
        ),
        "a method's run (CONSUMER): written, ids, attempt, open record": (
            "A.method ray.remote_worker",
            SpanKind.CONSUMER,
            METHOD,
        ),
    }
    for title, (name, kind, attributes) in cases.items():
        with tempfile.TemporaryDirectory() as scratch:
            files: dict[str, list[Path]] = {}
            providers: dict[str, TracerProvider] = {}
            for recorder, make in recorders(Path(scratch)).items():
                providers[recorder] = TracerProvider(shutdown_on_exit=False)
                processor = make(files.setdefault(recorder, []))
                if processor is not None:
                    providers[recorder].add_span_processor(processor)
            costs: dict[str, list[float]] = {recorder: [] for recorder in providers}
            for _ in range(ROUNDS):
                for recorder, provider in providers.items():
                    costs[recorder].append(cpu_per_span(provider, name, kind, attributes))
            for provider in providers.values():
                provider.shutdown()
            sizes = {recorder: file[0].stat().st_size / SPANS / ROUNDS for recorder, file in files.items() if file}
            print_table(title, costs, sizes)


def print_table(title: str, costs: dict[str, list[float]], sizes: dict[str, float]) -> None:
    """Print the costs of one kind of span."""
    least = {recorder: statistics.quantiles(values, n=4)[0] for recorder, values in costs.items()}
    base = least.pop("no processor")
    console = least["console exporter (documentation)"] - base
    print(f"\n{title}; an SDK without processor: {base:.1f} us")
    print(f"  {'recorder':36}{'adds us':>9}{'ratio':>8}{'bytes':>8}")
    for recorder, value in least.items():
        print(f"  {recorder:36}{value - base:9.1f}{(value - base) / console:8.2f}{sizes.get(recorder, 0):8.0f}")


SAMPLED_S = 10.0


def measure_sampler() -> None:
    """Print what looking at long runs costs, in percent of a core: CPU of the process with runs that only wait."""
    print(f"\nsampler, 20 looks a second, {SAMPLED_S:.0f} s: CPU in percent of a core")
    for busy in (False, True):
        for threads in (1, 4, 64):
            with tempfile.TemporaryDirectory() as scratch:
                share = sampler_share(Path(scratch), threads, busy)
            print(f"  {threads:3} runs, {'one of them on the CPU' if busy else 'all idle':24}{100 * share:6.2f} %")


def sampler_share(directory: Path, threads: int, busy: bool) -> float:
    """Return the CPU time of the sampler's thread, as a share of the time that so many runs were open."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(ours(directory, []))
    tracer = provider.get_tracer("benchmark")
    over = threading.Event()

    def run(works: bool) -> None:
        with tracer.start_as_current_span("f ray.remote_worker", kind=SpanKind.CONSUMER, attributes=ATTRIBUTES):
            while works and not over.is_set():
                sum(range(100))
            over.wait()

    before = set(threading.enumerate())
    running = [threading.Thread(target=run, args=(busy and number == 0,)) for number in range(threads)]
    for thread in running:
        thread.start()
    time.sleep(0.5)
    (sampler,) = [one for one in set(threading.enumerate()) - before if one.name == "raytrace-sampler"]
    assert sampler.ident is not None
    clock = time.pthread_getcpuclockid(sampler.ident)
    used, began = time.clock_gettime_ns(clock), time.monotonic_ns()
    time.sleep(SAMPLED_S)
    share = (time.clock_gettime_ns(clock) - used) / (time.monotonic_ns() - began)
    over.set()
    for thread in running:
        thread.join()
    return share


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sampler", action="store_true", help="measure the sampler only")
    arguments = parser.parse_args()
    assert internals.global_worker() is None
    pretend_to_be_a_worker()
    if arguments.sampler:
        measure_sampler()
        return
    measure_spans()
    measure_sampler()


if __name__ == "__main__":
    main()
