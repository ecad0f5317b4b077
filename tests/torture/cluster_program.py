"""A traced Ray program: `cluster_program.py HOW FILE`; whatever ends a span of its own then adds a byte to FILE."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

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
    elif HOW == "memory":
        try:
            ray.get(eat.remote(ACKNOWLEDGED), timeout=60)
        except ray.exceptions.RayError as error:
            print(type(error).__name__, flush=True)


main()
