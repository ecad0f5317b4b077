"""Whole Ray programs with a hook and without: wall time, and the CPU of driver, workers and Ray's own processes.

A program is Python source that begins with `PREAMBLE` and calls `measured(work)` once it is warm. The same program runs
with each hook, in turn, as often as asked for. Wall time is what the user waits; on a machine that does other things as
well the CPU time is the figure to trust.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import median

PREAMBLE = '''
import json, os, sys, threading, time
import ray

def cpu_s():
    """By process below this one, and itself, its role and CPU seconds."""
    used, parents = {}, {}
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
        used[int(pid)] = (role, (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"))
    found = {os.getpid(): ("driver", time.process_time())}
    for pid, cpu in used.items():
        above = parents[pid]
        while above not in (0, 1, os.getpid()):
            above = parents.get(above, 0)
        if above == os.getpid():
            found[pid] = cpu
    return found

def measured(work):
    """Run it and print what it took; processes that end meanwhile count with what they had used just before."""
    before = cpu_s()
    last, done = dict(before), threading.Event()
    def look():
        while not done.wait(0.5):
            last.update(cpu_s())
    looks = threading.Thread(target=look, daemon=True)
    looks.start()
    started = time.perf_counter()
    work()
    took = {"wall": time.perf_counter() - started, "driver": 0.0, "worker": 0.0, "ray": 0.0}
    done.set()
    looks.join()
    last.update(cpu_s())
    for pid, (role, seconds) in last.items():
        took[role] += seconds - before.get(pid, (role, 0.0))[1]
    print("\\n" + json.dumps(took))

def start(**settings):
    hook = {"_tracing_startup_hook": HOOK} if HOOK else {}
    ray.init(address="local", include_dashboard=False, logging_level="ERROR", log_to_driver=False, **settings, **hook)

HOOK = sys.argv[1]
'''
"""Starts a program: `start` begins Ray with the hook of the command line, `measured(work)` prints what `work` took."""

UNTRACED, HOOK = "without tracing", "raytrace_hook"
HOOKS = {
    UNTRACED: "",
    HOOK: "raytrace_hook:setup_tracing",
    "Ray's own": "ray.util.tracing.setup_local_tmp_tracing:setup_tracing",
}
ROLES = ("wall", "driver", "worker", "ray")


def run(
    program: str, hook: str, folder: str, arguments: Sequence[str] = (), settings: dict[str, str] | None = None
) -> dict[str, float]:
    """Run a program with a hook, or none (""), its files in `folder`; gives the seconds of each of the ROLES.

    Modules beside `folder` can be imported by it. Raises CalledProcessError where the program fails.
    """
    modules = os.pathsep.join(filter(None, (str(Path(folder).parent), os.environ.get("PYTHONPATH"))))
    environment = {**os.environ, "RAYTRACE_DIR": folder, "PYTHONPATH": modules, **(settings or {})}
    command = [sys.executable, "-c", PREAMBLE + program, hook, *arguments]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    (told,) = (line for line in done.stdout.splitlines() if line.startswith('{"wall"'))
    found: dict[str, float] = json.loads(told)
    return found


def costs(
    program: str,
    hooks: dict[str, str],
    rounds: int,
    arguments: Sequence[str] = (),
    settings: dict[str, dict[str, str]] | None = None,
    modules: dict[str, str] | None = None,
) -> dict[str, dict[str, float]]:
    """Run a program with each hook in turn, `rounds` times; gives by hook the median seconds of each of the ROLES.

    `settings` are environment variables by hook, `modules` sources that hooks import, by file name.
    """
    taken: dict[str, list[dict[str, float]]] = {name: [] for name in hooks}
    with tempfile.TemporaryDirectory() as scratch:
        for file, source in (modules or {}).items():
            (Path(scratch) / file).write_text(source)
        for _ in range(rounds):
            for name, hook in hooks.items():
                folder = tempfile.mkdtemp(dir=scratch)
                taken[name].append(run(program, hook, folder, arguments, (settings or {}).get(name)))
    return {name: {role: median(run[role] for run in runs) for role in ROLES} for name, runs in taken.items()}


def show(title: str, unit: str, count: int, found: dict[str, dict[str, float]]) -> None:
    """Print a table: wall, CPU in microseconds of each of `count` units, both as ratios to the first hook."""
    print(f"\n{title}; CPU in us {unit}")
    print(f"  {'':34}{'wall s':>8}{'ratio':>7}{'CPU':>9}{'ratio':>7}{'driver':>9}{'workers':>9}{'Ray':>9}")
    base, *_ = found.values()
    for name, cost in found.items():
        cpu, base_cpu = (sum(one[role] for role in ROLES[1:]) for one in (cost, base))
        shares = [cost[role] / count * 1e6 for role in ROLES[1:]]
        print(
            f"  {name:34}{cost['wall']:8.2f}{cost['wall'] / base['wall']:7.2f}{cpu / count * 1e6:9.0f}"
            f"{cpu / base_cpu:7.2f}{shares[0]:9.0f}{shares[1]:9.0f}{shares[2]:9.0f}",
            flush=True,
        )
