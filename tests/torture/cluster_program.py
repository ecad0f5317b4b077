"""A traced Ray program: `cluster_program.py HOW FILE [SECONDS]`; what ends a span of its own adds a byte to FILE."""

import asyncio
import os
import random
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

import ray
from opentelemetry import trace

HOW, ACKNOWLEDGED = sys.argv[1:3]


def end_spans(file: str, count: int) -> None:
    tracer = trace.get_tracer("torture")
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for _ in range(count):
        with tracer.start_as_current_span("acknowledged"):
            pass
        os.write(descriptor, b".")
        time.sleep(0.001)
    os.close(descriptor)


@ray.remote(max_retries=1)
def work(file: str, flag: str, dies: bool) -> None:
    if dies and not Path(flag).exists():  # the first attempt
        Path(flag).touch()
        killer = threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGKILL))
        killer.start()
        end_spans(file, 10**6)
    end_spans(file, 50)


@ray.remote(max_retries=0)
def eat(file: str) -> int:
    end_spans(file, 100)
    eaten = []
    while True:
        eaten.append(bytearray(os.urandom(1 << 20)) * 16)
        end_spans(file, 2)


@ray.remote(max_restarts=1, max_task_retries=1)
class Worker:
    def work(self, file: str, flag: str) -> None:
        work._function(file, flag, True)


@ray.remote(max_retries=0)
def twice(file: str, number: int, times: int) -> int:
    end_spans(file, times)
    return 2 * number


@ray.remote
class Waits:
    async def twice(self, file: str, number: int, times: int) -> int:
        for _ in range(times):
            end_spans(file, 1)
            await asyncio.sleep(0.01)
        return 2 * number


def soak(seconds: float) -> None:
    """Ask for results, cancel some and be interrupted, again and again; what comes back must be right."""
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    chance, actor, until = random.Random(1), Waits.remote(), time.monotonic() + seconds
    counts = dict.fromkeys(("results", "cancelled", "interrupted"), 0)
    while time.monotonic() < until:
        try:
            signal.setitimer(signal.ITIMER_REAL, chance.uniform(0.05, 1.0))
            try:
                ask(chance, actor, counts)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
        except KeyboardInterrupt:
            counts["interrupted"] += 1
    assert all(counts.values()), counts
    print(*(f"{count} {what}" for what, count in counts.items()), flush=True)


def ask(chance: random.Random, actor: Any, counts: dict[str, int]) -> None:
    asked = {}
    for number in range(12):
        how = actor.twice if number % 3 == 0 else twice
        asked[number] = how.remote(ACKNOWLEDGED, number, chance.randrange(1, 60))
        end_spans(ACKNOWLEDGED, 2)
    for number in chance.sample(sorted(asked), 3):
        ray.cancel(asked[number])
    for number, reference in asked.items():
        try:
            assert ray.get(reference) == 2 * number
            counts["results"] += 1
        except (ray.exceptions.TaskCancelledError, ray.exceptions.RayTaskError) as error:
            if not isinstance(error, ray.exceptions.TaskCancelledError):
                assert "Cancelled" in str(error) or "KeyboardInterrupt" in str(error), error
            counts["cancelled"] += 1


def main() -> None:
    ray.init(address="local", num_cpus=2, include_dashboard=False, _tracing_startup_hook="raytrace_hook:setup_tracing")
    flag = f"{ACKNOWLEDGED}.flag"
    if HOW == "task":
        ray.get([work.remote(ACKNOWLEDGED, flag, number == 0) for number in range(4)])
    elif HOW == "actor":
        ray.get(Worker.remote().work.remote(ACKNOWLEDGED, flag))
    elif HOW == "driver":
        others = [work.remote(ACKNOWLEDGED, flag, False) for _ in range(4)]
        end_spans(ACKNOWLEDGED, 300)
        del others
        os.kill(os.getpid(), signal.SIGKILL)
    elif HOW == "raylet":
        others = [work.remote(ACKNOWLEDGED, flag, False) for _ in range(4)]
        end_spans(ACKNOWLEDGED, 300)
        raylet = ray._private.worker._global_node.all_processes["raylet"][0].process
        os.kill(raylet.pid, signal.SIGKILL)
        time.sleep(1)
        end_spans(ACKNOWLEDGED, 50)
        os._exit(0)
    elif HOW == "soak":
        soak(float(sys.argv[3]))
    elif HOW == "memory":
        try:
            ray.get(eat.remote(ACKNOWLEDGED), timeout=60)
        except ray.exceptions.RayError as error:
            print(type(error).__name__, flush=True)


main()
