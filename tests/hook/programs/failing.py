"""Fails in many ways and writes what a user sees of it into a file; traced or not, as its arguments say.

Not on stdout, where threads of Ray put lines of their own in between.
"""

import asyncio
import sys
import threading
import traceback
from pathlib import Path

import ray


@ray.remote
def failing():
    raise ValueError("of a function")


@ray.remote
def failing_inside():
    return ray.get(failing.remote())


@ray.remote
def unpicklable():
    return threading.Lock()


@ray.remote
def storing():
    try:
        ray.put(threading.Lock())
    except TypeError:
        return traceback.format_exc()


@ray.remote
def failing_items():
    yield 1
    raise ValueError("of a generator")


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no text")


@ray.remote(max_retries=0)
def unprintable():
    raise Unprintable("q")


@ray.remote(max_retries=0)
def leaving():
    sys.exit(3)


@ray.remote
class Leaving:
    def method(self):
        ray.actor.exit_actor()


@ray.remote
class Actor:
    def unprintable(self):
        raise Unprintable("q")

    def method(self, one):
        raise KeyError(one)

    async def awaiting(self):
        await asyncio.sleep(0)
        raise ValueError("of a coroutine")

    def items(self):
        yield 1
        raise ValueError("of a generator method")

    async def async_items(self):
        yield 1
        raise ValueError("of an asynchronous generator method")


def several():
    refs = [failing.remote(), failing_inside.remote()]
    return asyncio.run(gathered(refs))


async def gathered(refs):
    return await asyncio.gather(*refs)


def cases(actor, report):
    yield lambda: ray.get(failing.remote())
    yield lambda: ray.get(failing_inside.remote())
    yield lambda: ray.get(unpicklable.remote())
    yield lambda: print(ray.get(storing.remote()), file=report)
    yield lambda: [ray.get(one) for one in failing_items.remote()]
    yield lambda: ray.get(actor.method.remote(1))
    yield lambda: ray.get(actor.awaiting.remote())
    yield lambda: [ray.get(one) for one in actor.items.remote()]
    yield lambda: [ray.get(one) for one in actor.async_items.remote()]
    yield several
    yield lambda: ray.put(threading.Lock())
    yield lambda: failing.remote(1, 2)
    yield lambda: failing.remote(threading.Lock())
    yield actor.method.remote
    yield lambda: Actor.remote(1)
    yield lambda: ray.get(failing.options(num_cpus=100).remote(), timeout=0.1)
    yield lambda: failing.options(num_cpus=100).remote().future().result(timeout=0.1)
    yield lambda: ray.get(unprintable.remote())
    yield lambda: ray.get(actor.unprintable.remote())
    yield lambda: ray.get(leaving.remote())
    yield lambda: ray.get(Leaving.remote().method.remote())


def main(hook, path):
    ray.init(
        num_cpus=2,
        address="local",
        include_dashboard=False,
        log_to_driver=False,
        _tracing_startup_hook=hook or None,
    )
    with Path(path).open("w") as report:
        for number, case in enumerate(cases(Actor.remote(), report)):
            try:
                case()
            except Exception as error:
                report.write(f"{number}: {type(error).__mro__}\n")
                traceback.print_exc(file=report)


if __name__ == "__main__":
    main(*sys.argv[1:])
