"""Programs whose blocking chain is known: each in a custom span, and the runs that decided its time told as JSON."""

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path

import ray
from opentelemetry import trace

truth = {}
"""For each case the runs that it waited for in turn, as [task id, attempt]."""


@contextlib.contextmanager
def case(name):
    with trace.get_tracer("program").start_as_current_span(f"case {name}"):
        yield truth.setdefault(name, [])


def run(ref, attempt=0):
    return [ref.task_id().hex(), attempt]


def creation(actor, attempt=0):
    return [ray._raylet.TaskID.for_actor_creation_task(actor._ray_actor_id).hex(), attempt]


@ray.remote
def work(seconds, *dependencies):
    time.sleep(seconds)
    return os.getpid()


@ray.remote
def outer(seconds):
    time.sleep(0.2)
    ref = work.remote(seconds)
    ray.get(ref)
    time.sleep(0.2)
    return run(ref)


@ray.remote
class Gathering:
    async def gather(self, seconds):
        import asyncio

        refs = [work.remote(each) for each in seconds]
        await asyncio.gather(*refs)
        await asyncio.sleep(0.2)
        return run(refs[-1])


@ray.remote
def items(count):
    for number in range(count):
        time.sleep(0.2)
        yield number


@ray.remote
class Items:
    def items(self, count):
        for number in range(count):
            time.sleep(0.2)
            yield number


@ray.remote(max_retries=1)
def killed(path):
    time.sleep(0.4)
    if not path.exists():
        path.touch()
        os.kill(os.getpid(), signal.SIGKILL)


@ray.remote(max_restarts=1, max_task_retries=1)
class Phoenix:
    def __init__(self):
        time.sleep(0.2)

    def die_once(self, path):
        time.sleep(0.4)
        if not path.exists():
            path.touch()
            os._exit(1)


@ray.remote
def endless():
    try:
        while True:  # Ray's cancelling can't interrupt a sleep
            time.sleep(0.05)
    finally:
        time.sleep(0.4)


def map_reduce():
    maps = [work.remote(seconds) for seconds in (0.1, 0.8)]
    loads = [work.remote(0.1, part) for part in maps]
    total = work.remote(0.2, *loads)
    ray.get(total)
    return [run(maps[1]), run(loads[1]), run(total)]


def back_pressure():
    pending, submitted = [], []
    for seconds in (1.2, 0.2, 0.2, 1.6):
        if len(pending) == 2:
            _, pending = ray.wait(pending, num_returns=1)
        submitted.append(work.remote(seconds))
        pending.append(submitted[-1])
    while pending:
        _, pending = ray.wait(pending, num_returns=1)
    return [run(ref) for ref in submitted[1:]]


def nested_gets():
    ref = outer.remote(0.4)
    return [run(ref), ray.get(ref), run(ref)]


def async_actor(actor):
    refs = [actor.gather.remote(seconds) for seconds in ([0.1], [0.1, 0.8])]
    awaited = ray.get(refs)[1]
    return [awaited, run(refs[1])]


def generator(iterator):
    for ref in iterator:
        ray.get(ref)
    return [[iterator._generator_ref.task_id().hex(), 0]]


def retry(directory):
    ref = killed.remote(directory / "killed")
    ray.get(ref)
    return [run(ref, 0), run(ref, 1)]


def restart(directory):
    actor = Phoenix.remote()
    ref = actor.die_once.remote(directory / "phoenix")
    ray.get(ref)
    return [creation(actor), run(ref), creation(actor, 1), run(ref, 1)]


def cancel():
    ref = endless.remote()
    time.sleep(0.5)
    ray.cancel(ref)
    with contextlib.suppress(ray.exceptions.TaskCancelledError):
        ray.get(ref)
    return [run(ref)]


def dependency_chain(seconds):
    ref = work.remote(seconds)
    last = work.remote(0.2, ref)
    ray.get(last)
    return [run(ref), run(last)]


HOOK = {"_tracing_startup_hook": "raytrace_hook:setup_tracing"}


def start(cpus):
    ray.init(num_cpus=cpus, address="local", include_dashboard=False, **HOOK)
    warm = set()
    while len(warm) < cpus:  # a worker that has not run the function yet would take longer than the work itself
        warm.update(ray.get([work.remote(0.2) for _ in range(cpus)]))


def all_cases(directory):
    start(cpus=3)
    gathering, yielding = Gathering.options(num_cpus=0).remote(), Items.options(num_cpus=0).remote()
    ray.get([gathering.gather.remote([0]), *yielding.items.remote(1)])
    for name, program in (
        ("map-reduce", map_reduce),
        ("back-pressure", back_pressure),
        ("nested gets", nested_gets),
        ("async actor", lambda: async_actor(gathering)),
        ("generator", lambda: generator(items.remote(3))),
        ("generator method", lambda: generator(yielding.items.remote(3))),
        ("retry", lambda: retry(directory)),
        ("restart", lambda: restart(directory)),
        ("cancel", cancel),
    ):
        with case(name) as runs:
            runs.extend(program())


def main(what, *arguments):
    if what == "all":
        all_cases(Path(arguments[0]))
    elif what == "twice":
        for name in ("first", "second"):
            start(cpus=1)
            with case(name) as runs:
                runs.extend(dependency_chain(0.3))
            ray.shutdown()
    elif what == "join":
        ray.init(address=arguments[0])
        ray.get(work.remote(0))
        with case("joined") as runs:
            runs.extend(dependency_chain(float(arguments[1])))
    sys.stdout.write(f"\n{json.dumps({'truth': truth})}\n")  # a line of its own: Ray prints what workers say


if __name__ == "__main__":
    main(*sys.argv[1:])
