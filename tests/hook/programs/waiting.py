"""Every way to wait for a result, each inside a custom span that names it."""

import asyncio
import concurrent.futures
import contextlib
import sys
import threading
import time

import ray
from opentelemetry import trace
from ray import get, put, wait  # imported before ray.init, as programs do
from ray.util import ActorPool


def case(name):
    return trace.get_tracer("program").start_as_current_span(f"case {name}")


@ray.remote
def sleeper(seconds, value=None):
    time.sleep(seconds)
    return value


@ray.remote
def instant():
    pass


@ray.remote
def failing():
    raise ValueError("on purpose")


@ray.remote
def nested(refs):
    with case("in task"):
        ray.get(refs[0])
    found = []

    def in_thread():
        found.append(ray.get(sleeper.remote(0.05, 7)))

    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    return found


@ray.remote
def numbers(n):
    for i in range(n):
        time.sleep(0.05)
        with trace.get_tracer("program").start_as_current_span(f"body {i}"):
            yield i


@ray.remote
class Async:
    async def gather(self, seconds):
        with case("gather"):
            await asyncio.gather(*[sleeper.remote(s) for s in seconds])

    async def one(self):
        with case("await one"):
            return await sleeper.remote(0.05, 1)

    async def iterate(self):
        with case("async for"):
            return [await ref async for ref in numbers.remote(2)]


@ray.remote
class Sync:
    def method(self, x):
        return ray.get(sleeper.remote(0.05, x))

    def quick(self, x):
        return x


def main():
    ray.init(num_cpus=2, address="local", include_dashboard=False, _tracing_startup_hook="raytrace_hook:setup_tracing")
    ray.get([sleeper.remote(0) for _ in range(2)])
    with case("get one"):
        assert get(sleeper.remote(0.05, 1)) == 1
    with case("get list"):
        ray.get([sleeper.remote(0.02), sleeper.remote(0.02), ray.put(3)])
    with case("get many"):
        ray.get([instant.remote() for _ in range(500)])
    with case("get timeout"):
        slow, fast = sleeper.remote(1.5), sleeper.remote(0)
        wait([fast])
        with contextlib.suppress(ray.exceptions.GetTimeoutError):
            ray.get([slow, fast], timeout=0.2)
    ray.get(slow)
    with case("get failing"), contextlib.suppress(ValueError):
        ray.get(failing.remote())
    with case("wait loop"):
        left = [sleeper.remote(0.05) for _ in range(4)]
        while left:
            _, left = wait(left, num_returns=1)
    with case("wait timeout"):
        slow = sleeper.remote(0.5)
        ray.wait([slow], timeout=0.05)
    ray.get(slow)
    with case("put"):
        ref = put(b"x" * 100_000)
        ray.get(ref)
    with case("nested"):
        assert ray.get(nested.remote([sleeper.remote(0.1)])) == [7]

    def in_thread():
        with case("driver thread"):
            ray.get(sleeper.remote(0.05))

    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    with case("future"):
        future = sleeper.remote(0.1, 5).future()
        assert future.result() == 5
        assert future.result() == 5
    with case("future unwaited"):
        future = sleeper.remote(0.05).future()
        while not future.done():
            time.sleep(0.05)
        future.result()
    with case("as_completed"):
        futures = [sleeper.remote(s, s).future() for s in (0.3, 0.1)]
        assert [f.result() for f in concurrent.futures.as_completed(futures)] == [0.1, 0.3]
    with case("futures wait"):
        futures = [sleeper.remote(0.05).future() for s in range(2)]
        concurrent.futures.wait(futures)
    a = Async.remote()
    ray.get(a.gather.remote([0.05, 0.1]))
    ray.get(a.one.remote())
    assert ray.get(a.iterate.remote()) == [0, 1]
    with case("generator"):
        assert [ray.get(r) for r in numbers.remote(3)] == [0, 1, 2]
    with case("next timeout"):
        generator = numbers.remote(1)
        assert generator._next_sync(timeout_s=0.001).is_nil()
    ray.get(next(generator))
    with case("pool"):
        pool = ActorPool([Sync.remote(), Sync.remote()])
        assert sorted(pool.map_unordered(lambda actor, x: actor.method.remote(x), range(3))) == [0, 1, 2]

    from ray.util.multiprocessing import Pool  # loaded late

    with case("process pool"):
        pool = Pool(1)
        with case("process pool map"):
            assert pool.map(abs, [-1, -2]) == [1, 2]
        with case("process pool imap"):
            assert list(pool.imap(abs, [-3, -4], chunksize=1)) == [3, 4]

    async def driver_async():
        with case("driver await"):
            return await sleeper.remote(0.05, 9)

    assert asyncio.run(driver_async()) == 9
    sys.stdout.write("done\n")


if __name__ == "__main__":
    main()
