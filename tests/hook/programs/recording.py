"""What else a program waits for than results of Ray's, how it ends tasks and actors, whose turn it is."""

import asyncio
import contextlib
import functools
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import ray
from opentelemetry import trace


def case(name):
    return trace.get_tracer("program").start_as_current_span(f"case {name}")


CARRIED = np.zeros(200_000, dtype=np.uint8)


@ray.remote
def carrying():
    return len(CARRIED)


@ray.remote(num_cpus=0)
def sleeper(seconds, value=None):
    time.sleep(seconds)
    return value


@ray.remote(num_cpus=0)
def endless():
    while True:
        time.sleep(0.05)


@ray.remote(num_cpus=0)
def blocked(path):
    ref = sleeper.remote(60)  # which cannot be interrupted
    Path(path).touch()
    ray.get(ref)


@ray.remote(num_cpus=0)
class Async:
    def __init__(self):
        self.event = asyncio.Event()
        self.queue = asyncio.Queue()

    async def wait(self):
        await self.event.wait()

    async def release(self):
        await asyncio.sleep(0.3)
        self.event.set()

    async def wait_for(self):
        return await asyncio.wait_for(self.queue.get(), 60)

    async def put(self):
        self.queue.put_nowait(1)

    async def only_ray(self):
        await sleeper.remote(0.2)
        await asyncio.gather(sleeper.remote(0.2), sleeper.remote(0.3))

    async def both(self):
        await asyncio.gather(asyncio.sleep(0.6), asyncio.wait_for(sleeper.remote(0.1), 60))

    async def many(self, n):
        for _ in range(n):
            await asyncio.sleep(0)

    async def failing(self):
        await asyncio.sleep(0.05)
        raise ValueError("on purpose")

    async def value(self, x):
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 0.05)
        return x

    async def items(self, n):
        for i in range(n):
            await asyncio.sleep(0.1)
            yield i

    def sync(self):
        return threading.current_thread().name


@ray.remote(num_cpus=0)
class Locked:
    def __init__(self):
        self.lock = asyncio.Lock()

    async def twice(self):
        async with self.lock, self.lock:
            pass


@ray.remote(num_cpus=0, _generator_backpressure_num_objects=2)
def held_back(n):
    for i in range(n):  # noqa: UP028 - Ray sends values into generators, which `range` does not take
        yield i


@ray.remote(num_cpus=0)
def free(n):
    for i in range(n):
        time.sleep(0.1)
        yield i


@ray.remote(num_cpus=0)
def very_many(n):
    for i in range(n):  # noqa: UP028
        yield i


@ray.remote(num_cpus=0, concurrency_groups={"io": 2, "compute": 1})
class Grouped:
    @ray.method(concurrency_group="io")
    def read(self):
        return 1

    @ray.method(concurrency_group="compute")
    def work(self):
        return 1

    def plain(self):
        return 1


@ray.remote(num_cpus=0)
class Plain:
    def method(self, *args, **kwargs):
        return 1

    def leave(self):
        ray.actor.exit_actor()


@ray.remote(num_cpus=0, max_concurrency=3)
class Threaded:
    def __init__(self):
        self.event = threading.Event()

    def method(self):
        return 1

    def wait(self):
        return self.event.wait()

    def release(self):
        time.sleep(0.6)
        self.event.set()


@ray.remote(num_cpus=0)
class AsyncPlain:
    async def leave(self):
        ray.actor.exit_actor()


class BadStr(Exception):
    def __str__(self):
        raise RuntimeError("no text for you")


@ray.remote(max_retries=0, num_cpus=0)
def bad_str():
    raise BadStr("q")


@ray.remote(max_retries=0, num_cpus=0)
def leaving():
    sys.exit(3)


def fails(ref):
    try:
        ray.get(ref, timeout=60)
    except Exception as error:
        return type(error)
    return None


def deliveries():
    from ray.util.multiprocessing import Pool

    done = threading.Event()
    with case("callback"):
        future = sleeper.remote(0.2).future()
        future.add_done_callback(lambda _: done.set())
        done.wait()
    with case("callback that came late"):
        sleeper.remote(0.5).future().add_done_callback(lambda _: done.set())
        done.clear()
    done.wait()
    pool = Pool(1)
    pool.map(abs, [1])
    with case("pool callback"):
        done.clear()
        pool.apply_async(functools.partial(time.sleep, 0.2), callback=lambda _: done.set())
        done.wait()
    with case("pool wait"):
        pool.map(functools.partial(time.sleep), [0.1])


def main(how):
    ray.init(num_cpus=2, address="local", include_dashboard=False, _tracing_startup_hook="raytrace_hook:setup_tracing")
    ray.get([sleeper.remote(0) for _ in range(3)])
    deliveries()
    actor = Async.remote()
    assert "MainThread" not in ray.get(actor.sync.remote())
    ray.get([actor.wait.remote(), actor.release.remote()])
    waiting = actor.wait_for.remote()
    time.sleep(0.3)
    ray.get([waiting, actor.put.remote()])
    ray.get([actor.only_ray.remote(), actor.value.remote(1), actor.many.remote(50)])
    ray.get(actor.both.remote())
    assert issubclass(fails(actor.failing.remote()), ValueError)
    assert [ray.get(ref) for ref in actor.items.remote(3)] == [0, 1, 2]
    for ref in held_back.remote(5):
        ray.get(ref)
        time.sleep(0.2)
    assert [ray.get(ref) for ref in free.remote(3)] == [0, 1, 2]
    for _ in very_many.remote(1000):
        pass
    grouped, plain, threaded = Grouped.remote(), Plain.remote(), Threaded.remote()
    ray.get([grouped.read.remote(), grouped.work.remote(), grouped.plain.remote(), threaded.method.remote()])
    ray.get([threaded.wait.remote(), threaded.release.remote()])
    ray.get(grouped.plain.options(concurrency_group="io").remote())
    with case("arguments"):
        array = np.zeros(1_000_000, dtype=np.uint8)
        ray.get(plain.method.remote(array, named=array))
        ray.get(plain.method.remote())
        ray.get(plain.method.remote(ray.put(1)))
    with case("code"):
        ray.get([carrying.remote(), carrying.remote()])
    del grouped
    with case("ends"):
        ref = endless.remote()
        time.sleep(1)
        ray.cancel(ref)
        assert fails(ref) is not None
        with tempfile.TemporaryDirectory() as folder:
            blocking = blocked.remote(f"{folder}/blocked")
            while not Path(folder, "blocked").exists():
                time.sleep(0.05)
            time.sleep(0.3)
            ray.cancel(blocking)
            assert fails(blocking) is not None
        ray.kill(threaded)
        assert fails(plain.leave.remote()) is not None
        quitting = AsyncPlain.remote()  # older versions of Ray lose what nobody keeps
        assert fails(quitting.leave.remote()) is not None
    assert fails(bad_str.remote()) is not None
    assert fails(leaving.remote()) is ray.exceptions.WorkerCrashedError
    if how == "hang":
        hung = Async.remote()
        ray.get(hung.sync.remote())  # its process may take long to come up
        locked = Locked.remote()
        ray.wait([hung.wait.remote(), locked.twice.remote()], timeout=6)
    sys.stdout.write("done\n")


if __name__ == "__main__":
    main(sys.argv[1])
