"""What tracing costs a whole Ray program: many tasks that do nothing, and tasks of 10 ms.

    python -m benchmarks.tiny_tasks                      # without tracing, with the hook, with Ray's own: minutes
    python -m benchmarks.tiny_tasks --peers              # also with the exporters that people use with Ray
    python -m benchmarks.tiny_tasks --profile driver     # where the driver's CPU goes with the hook (or: worker)

Medians of runs in turn, and their ratios to no tracing (`benchmarks.whole_programs`).
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.whole_programs import HOOK, HOOKS, costs, run, show

PROGRAM = """
tasks, sleep_s, profiled, cpus = int(sys.argv[2]), float(sys.argv[3]), sys.argv[4], int(sys.argv[5])
start(num_cpus=cpus)

@ray.remote
def tiny():
    if sleep_s:
        time.sleep(sleep_s)

@ray.remote
def profile(path):
    import cProfile, sys
    if not path:
        sys.raytrace_profile = cProfile.Profile()
        sys.raytrace_profile.enable()
    else:
        sys.raytrace_profile.disable()
        sys.raytrace_profile.dump_stats(path)

def work():
    ray.get([tiny.remote() for _ in range(tasks)])

ray.get([tiny.remote() for _ in range(200)])
path = os.environ["RAYTRACE_DIR"] + "/profile"
if profiled == "driver":
    import cProfile
    profiler = cProfile.Profile()
    measured(lambda: profiler.runcall(work))
    profiler.dump_stats(path)
elif profiled:
    ray.get(profile.remote(""))
    measured(work)
    ray.get(profile.remote(path))
else:
    measured(work)
"""

OTHER_HOOKS = """
import os
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SimpleSpanProcessor
def record(processor):
    trace.set_tracer_provider(TracerProvider())
    trace.get_tracer_provider().add_span_processor(processor)
def path():
    return os.path.join(os.environ["RAYTRACE_DIR"], f"spans-{os.getpid()}.json")
def console():
    record(SimpleSpanProcessor(ConsoleSpanExporter(out=open(path(), "w"))))
def otlp_simple():
    from opentelemetry.exporter.otlp.json.file.trace_exporter import FileSpanExporter
    record(SimpleSpanProcessor(FileSpanExporter(path=path())))
def otlp_batch():
    from opentelemetry.exporter.otlp.json.file.trace_exporter import FileSpanExporter
    record(BatchSpanProcessor(FileSpanExporter(path=path())))
"""
WITHOUT_WAITS = "raytrace_hook, RAYTRACE_WAITS=0"
PEERS = {
    WITHOUT_WAITS: "raytrace_hook:setup_tracing",
    "console exporter": "other_hooks:console",
    "OTLP JSON file exporter, simple": "other_hooks:otlp_simple",
    "OTLP JSON file exporter, batch": "other_hooks:otlp_batch",
}


def measure(hooks: dict[str, str], tasks: int, sleep_s: float, rounds: int) -> None:
    """Print a table of what the program took with each of the hooks."""
    found = costs(
        PROGRAM,
        hooks,
        rounds,
        [str(tasks), str(sleep_s), "", "2"],
        {WITHOUT_WAITS: {"RAYTRACE_WAITS": "0"}},
        {"other_hooks.py": OTHER_HOOKS},
    )
    show(f"{tasks} tasks of {1000 * sleep_s:.0f} ms, median of {rounds}", "a task", tasks, found)


def profile(where: str, tasks: int, hook: str) -> None:
    """Print which functions the CPU of the driver, or of one worker, goes to."""
    import pstats

    with tempfile.TemporaryDirectory() as scratch:
        folder = tempfile.mkdtemp(dir=scratch)
        run(PROGRAM, HOOKS[hook], folder, [str(tasks), "0", where, "1"])
        stats = pstats.Stats(str(Path(folder) / "profile"))
    for order in ("tottime", "cumtime"):
        stats.sort_stats(order).print_stats(45)


def main() -> None:
    """Measure what the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=int, default=20_000, help="how many tasks do nothing")
    parser.add_argument("--slow-tasks", type=int, default=1_000, help="how many tasks take 10 ms; 0: none")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peers", action="store_true", help="also with the exporters that people use with Ray")
    parser.add_argument("--profile", choices=("driver", "worker"))
    parser.add_argument("--hook", choices=HOOKS, default=HOOK, help="what is profiled")
    arguments = parser.parse_args()
    if arguments.profile:
        profile(arguments.profile, arguments.tasks, arguments.hook)
        return
    hooks = {**HOOKS, **PEERS} if arguments.peers else HOOKS
    if arguments.tasks:
        measure(hooks, arguments.tasks, 0.0, arguments.rounds)
    if arguments.slow_tasks:
        measure(hooks, arguments.slow_tasks, 0.01, arguments.rounds)


if __name__ == "__main__":
    main()
