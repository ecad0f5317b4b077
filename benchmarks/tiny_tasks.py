"""What tracing costs a whole Ray program: many tasks that do nothing, and tasks of 10 ms.

    python -m benchmarks.tiny_tasks                      # without tracing, with the hook, with Ray's own: minutes
    python -m benchmarks.tiny_tasks --peers              # also with the exporters that people use with Ray
    python -m benchmarks.tiny_tasks --profile driver     # where the driver's CPU goes with the hook (or: worker)

The same program runs with each, in turn, as often as `--rounds` says. Wall time is what the user waits; on a machine
that does other things as well the CPU time is the figure to trust: of the driver, of all workers, and of Ray's own
processes, while the tasks last, from the operating system. Medians, and their ratios to no tracing.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

PROGRAM = '''
import json, os, sys, time
import ray

def cpu_s():
    """By role, the CPU seconds of the processes below this one, and of itself."""
    ticks, parents = {}, {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/stat") as file:
                head, _, rest = file.read().rpartition(")")
            with open(f"/proc/{pid}/cmdline") as file:
                command = file.read()
        except OSError:
            continue
        fields = rest.split()
        parents[int(pid)] = int(fields[1])
        role = "worker" if command.startswith("ray::") or "default_worker.py" in command else "ray"
        ticks[int(pid)] = (role, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"))
    found = {"driver": time.process_time(), "worker": 0.0, "ray": 0.0}
    for pid, (role, seconds) in ticks.items():
        above = parents[pid]
        while above not in (0, 1, os.getpid()):
            above = parents.get(above, 0)
        if above == os.getpid():
            found[role] += seconds
    return found

hook, tasks, sleep_s, profiled, cpus = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4], int(sys.argv[5])
more = {"_tracing_startup_hook": hook} if hook else {}
ray.init(address="local", num_cpus=cpus, include_dashboard=False, logging_level="ERROR", log_to_driver=False, **more)

@ray.remote
def tiny():
    if sleep_s:
        time.sleep(sleep_s)

@ray.remote
def profile(path):
    import cProfile, pstats, sys
    if not path:
        sys.raytrace_profile = cProfile.Profile()
        sys.raytrace_profile.enable()
    else:
        sys.raytrace_profile.disable()
        sys.raytrace_profile.dump_stats(path)

ray.get([tiny.remote() for _ in range(200)])
if profiled == "driver":
    import cProfile
    profiler = cProfile.Profile()
elif profiled:
    ray.get(profile.remote(""))
before, started = cpu_s(), time.perf_counter()
if profiled == "driver":
    profiler.enable()
ray.get([tiny.remote() for _ in range(tasks)])
if profiled == "driver":
    profiler.disable()
wall, after = time.perf_counter() - started, cpu_s()
if profiled == "driver":
    profiler.dump_stats(os.environ["RAYTRACE_DIR"] + "/profile")
elif profiled:
    ray.get(profile.remote(os.environ["RAYTRACE_DIR"] + "/profile"))
print(json.dumps({"wall": wall, **{role: after[role] - before[role] for role in after}}))
'''
"""Prints what its tasks took, in seconds: `wall`, and CPU of `driver`, `worker` (all of them) and `ray` (the rest)."""

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

UNTRACED, HOOK = "without tracing", "raytrace_hook"
HOOKS = {
    UNTRACED: "",
    HOOK: "raytrace_hook:setup_tracing",
    "Ray's own": "ray.util.tracing.setup_local_tmp_tracing:setup_tracing",
}
PEERS = {
    "raytrace_hook, RAYTRACE_WAITS=0": "raytrace_hook:setup_tracing",
    "console exporter": "other_hooks:console",
    "OTLP JSON file exporter, simple": "other_hooks:otlp_simple",
    "OTLP JSON file exporter, batch": "other_hooks:otlp_batch",
}
ROLES = ("wall", "driver", "worker", "ray")


def run(name: str, hook: str, tasks: int, sleep_s: float, folder: str, profiled: str = "") -> dict[str, float]:
    """Run the program with a hook; gives the seconds of each of the ROLES. `profiled` writes `folder`/profile."""
    modules = os.pathsep.join(filter(None, (str(Path(folder).parent), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "RAYTRACE_DIR": folder, "PYTHONPATH": modules}
    environment["RAYTRACE_WAITS"] = "0" if name.endswith("=0") else "1"
    arguments = [hook, str(tasks), str(sleep_s), profiled, "1" if profiled else "2"]
    command = [sys.executable, "-c", PROGRAM, *arguments]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(hooks: dict[str, str], tasks: int, sleep_s: float, rounds: int) -> None:
    """Print a table of what the program took with each of the hooks."""
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in hooks}
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "other_hooks.py").write_text(OTHER_HOOKS)
        for _ in range(rounds):
            for name, hook in hooks.items():
                taken[name].append(run(name, hook, tasks, sleep_s, tempfile.mkdtemp(dir=scratch)))
    costs = {name: {role: median(run[role] for run in runs) for role in ROLES} for name, runs in taken.items()}
    base = costs[UNTRACED]
    print(f"\n{tasks} tasks of {1000 * sleep_s:.0f} ms, median of {rounds}; CPU in us a task")
    print(f"  {'':34}{'wall s':>8}{'ratio':>7}{'CPU':>8}{'ratio':>7}{'driver':>9}{'workers':>9}{'Ray':>7}")
    for name, cost in costs.items():
        cpu, base_cpu = (sum(one[role] for role in ROLES[1:]) for one in (cost, base))
        shares = [cost[role] / tasks * 1e6 for role in ROLES[1:]]
        print(
            f"  {name:34}{cost['wall']:8.2f}{cost['wall'] / base['wall']:7.2f}{cpu / tasks * 1e6:8.0f}"
            f"{cpu / base_cpu:7.2f}{shares[0]:9.0f}{shares[1]:9.0f}{shares[2]:7.0f}",
            flush=True,
        )


def profile(where: str, tasks: int, hook: str) -> None:
    """Print which functions the CPU of the driver, or of one worker, goes to."""
    import pstats

    with tempfile.TemporaryDirectory() as scratch:
        folder = tempfile.mkdtemp(dir=scratch)
        run(hook, HOOKS[hook], tasks, 0.0, folder, where)
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
