"""Every way in which a task or a method runs: retried, killed, cancelled, concurrent, yielding, depending."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import ray
from opentelemetry import trace
from opentelemetry.context import Context

tracer = trace.get_tracer("program")


@ray.remote
def plain(*args, **kwargs):
    with tracer.start_as_current_span("custom") as span:
        span.set_attribute("answer", 42)
    return 1


@ray.remote
def context_sent(*args):
    return sys._getframe(1).f_locals["_ray_trace_ctx"]


class Traced:
    """Has a span made while it is pickled."""

    def __reduce__(self):
        with tracer.start_as_current_span("pickling"):
            return Traced, ()


@ray.remote(num_returns=2)
def pair():
    return 1, 2


@ray.remote(num_returns=0)
def nothing():
    pass


@ray.remote(num_cpus=0.5, resources={"special": 1}, memory=1000000)
def demanding():
    pass


@ray.remote(max_retries=3, retry_exceptions=True)
def flaky(path):
    path.write_text(path.read_text() + "x" if path.exists() else "x")
    if len(path.read_text()) < 3:
        raise ValueError("again")


@ray.remote(max_retries=1, retry_exceptions=True)
def submitting(path):
    ray.get(context_sent.options(num_cpus=0).remote())
    if not path.exists():
        path.touch()
        raise ValueError("again")


@ray.remote(max_retries=1)
def killed(path):
    if not path.exists():
        path.touch()
        with tracer.start_as_current_span("inside killed"):
            os.kill(os.getpid(), signal.SIGKILL)
    return "survived"


@ray.remote
def endless():
    while True:
        time.sleep(0.05)


@ray.remote
def items(n):
    for i in range(n):
        time.sleep(0.1)
        with tracer.start_as_current_span(f"item {i}"):
            yield i


@ray.remote
def failing_items():
    yield 1
    raise ValueError("in the middle")


@ray.remote
class Yielding:
    def numbers(self, n, *, start=0, **more):
        for i in range(n):
            time.sleep(0.1)
            with tracer.start_as_current_span(f"method item {i}"):
                yield start + i

    def plain(self):
        return list(self.numbers.__name__)


@ray.remote
class AsyncYielding:
    async def numbers(self, n):
        for i in range(n):
            await asyncio.sleep(0.1)
            with tracer.start_as_current_span(f"async item {i}"):
                yield i


@ray.remote
class Plain:
    def method(self, *args):
        return 1

    def context_sent(self, *args):
        return sys._getframe(1).f_locals["_ray_trace_ctx"]

    def use(self, other):
        return [ray.get(ref) for ref in other.numbers.remote(1)]


@ray.remote(num_cpus=0, max_concurrency=3)
class Threaded:
    def method(self):
        time.sleep(0.1)


@ray.remote(concurrency_groups={"io": 2})
class Grouped:
    @ray.method(concurrency_group="io")
    def read(self):
        pass


@ray.remote
class Async:
    async def method(self):
        await asyncio.sleep(0.1)

    async def forever(self):
        await asyncio.sleep(1000)


@ray.remote(max_restarts=1, max_task_retries=1)
class Phoenix:
    def __init__(self, path):
        self.path = path

    def die_once(self):
        if not self.path.exists():
            self.path.touch()
            os._exit(1)
        return "risen"


def main(directory):
    ray.init(
        num_cpus=2,
        resources={"special": 2},
        address="local",
        include_dashboard=False,
        _tracing_startup_hook="raytrace_hook:setup_tracing",
    )
    first, second = plain.remote(), plain.remote()
    with tracer.start_as_current_span("case dependencies"):
        ray.get(plain.remote(first, key=second, nested=[first], put=ray.put(1)))
        a, b = pair.remote()
        ray.get(plain.remote(a, b))
    with tracer.start_as_current_span("case context"):
        assert ray.get(context_sent.remote(Traced())) is None
        called = Plain.remote()
        assert ray.get(called.context_sent.remote()) is None
    with tracer.start_as_current_span("case another trace", context=Context()):
        assert list(ray.get(context_sent.remote())) == ["traceparent"]
    nothing.remote()
    ray.get(demanding.options(name="renamed").remote())
    ray.get(flaky.remote(directory / "flaky"))
    assert ray.get(killed.remote(directory / "killed")) == "survived"
    ref = endless.remote()
    time.sleep(0.5)
    ray.cancel(ref)
    with contextlib.suppress(ray.exceptions.TaskCancelledError):
        ray.get(ref)
    assert [ray.get(ref) for ref in items.remote(3)] == [0, 1, 2]
    with contextlib.suppress(ValueError):
        for ref in failing_items.remote():
            ray.get(ref)
    yielding = Yielding.remote()
    assert [ray.get(ref) for ref in yielding.numbers.remote(2, start=5)] == [5, 6]
    async_yielding = AsyncYielding.remote()
    assert [ray.get(ref) for ref in async_yielding.numbers.remote(2)] == [0, 1]
    plain_actor = Plain.options(name="bob").remote()
    assert ray.get(plain_actor.use.remote(yielding)) == [0]
    ray.get(plain_actor.method.remote(first))
    threaded, grouped = Threaded.remote(), Grouped.remote()
    ray.get([threaded.method.remote() for _ in range(3)])
    ray.get(grouped.read.remote())
    awaiting = Async.remote()
    ray.get(awaiting.method.remote())
    ref = awaiting.forever.remote()
    time.sleep(0.3)
    ray.cancel(ref)
    with contextlib.suppress(ray.exceptions.TaskCancelledError, ray.exceptions.RayTaskError):
        ray.get(ref)
    phoenix = Phoenix.remote(directory / "phoenix")
    assert ray.get(phoenix.die_once.remote()) == "risen"
    with contextlib.suppress(TypeError):
        plain_actor.method.remote(no_such_argument=1)
    ray.get(submitting.remote(directory / "submitting"))
    sys.stdout.write("done\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
