"""Calls functions and methods of all shapes, and says which did not give what they give without tracing."""

import abc
import asyncio
import collections
import dataclasses
import functools
import sys
import threading

import ray


def wrapped(function):
    @functools.wraps(function)
    def call(*arguments, **keywords):
        return function(*arguments, **keywords)

    return call


class Meta(type):
    def __call__(cls, *arguments, **keywords):
        return super().__call__(*arguments, **keywords)


class Base(abc.ABC, metaclass=type("AbstractMeta", (Meta, abc.ABCMeta), {})):
    @abc.abstractmethod
    def own(self, x): ...

    def template(self, x):
        return self.own(x)

    def inherited_generator(self, count):
        for number in range(count):  # noqa: UP028 - Ray sends into it, which a range does not take
            yield number


class Plain(Base):
    def own(self, x):
        return x

    @wrapped
    def wrapped(self, x):
        return x

    @staticmethod
    def static(x):
        return x

    @classmethod
    def of_class(cls, x):
        return cls.__name__, x

    partial = functools.partialmethod(lambda self, a, b: a + b, 1)
    unnamed = lambda self, x: x  # noqa: E731

    def positional(self, a, /, b, *, c=3):
        return a, b, c

    @ray.method(num_returns=2)
    def two(self):
        return 1, 2

    def calls(self, function):
        return function(2)

    def generator(self, count):
        for number in range(count):  # noqa: UP028 - Ray sends into it, which a range does not take
            yield number

    def __call__(self, x):
        return x

    def __repr__(self):
        return "shown"

    def context(self, *, context=None, trace=None):
        return context, trace


class Awaiting:
    async def method(self, x):
        return x

    @staticmethod
    async def static(x):
        return x

    async def generator(self, count):
        for number in range(count):
            await asyncio.sleep(0)
            yield number

    def plain(self, x):
        return x


class Mapping(dict):
    def put(self, key, value):
        self[key] = value
        return len(self)


class Thread(threading.Thread):
    def __init__(self):
        super().__init__(daemon=True)

    def run(self):
        self.value = 1


@dataclasses.dataclass
class Record:
    a: int = 1

    def add(self, b):
        return self.a + b


class Slots:
    __slots__ = ("a",)

    def __init__(self):
        self.a = 2

    def get(self):
        return self.a


class Parent:
    def __init__(self):
        self.leaf = ray.remote(Record).remote(5)

    def add(self, b):
        return ray.get(self.leaf.add.remote(b))


@ray.remote
def anything(*arguments, **keywords):
    return arguments, keywords


@ray.remote
@wrapped
def wrapped_task(x):
    return x


@ray.remote
def keyword_only(*, a, b=2):
    return a, b


@ray.remote
def ask(actor):
    return ray.get(actor.add.remote(1))


def wrong(calls):
    """Give which calls give something else, and what."""
    for name, (call, expected) in calls.items():
        try:
            found = call()
        except Exception as error:
            found = f"{type(error).__name__}: {error}"
        if found != expected:
            yield f"{name}: {found!r}"


def main():
    # What is above was defined before Ray started.
    ray.init(num_cpus=4, include_dashboard=False, _tracing_startup_hook="raytrace_hook:setup_tracing")

    def get(reference):
        return ray.get(reference, timeout=240)

    def items(stream):
        return [get(reference) for reference in stream]

    def actor(cls, *arguments):
        return ray.remote(cls).options(num_cpus=0).remote(*arguments)

    def on(held, call):
        """Keep the actor until its call is over: older versions of Ray call no method of one that is let go of."""
        return get(call(held))

    plain, awaiting = actor(Plain), ray.remote(Awaiting).options(num_cpus=0).remote()
    named = ray.remote(Record).options(name="named", num_cpus=0).remote(7)
    calls = {
        "own": (lambda: get(plain.own.remote(1)), 1),
        "template": (lambda: get(plain.template.remote(1)), 1),
        "inherited generator": (lambda: items(plain.inherited_generator.remote(2)), [0, 1]),
        "wrapped": (lambda: get(plain.wrapped.remote(1)), 1),
        "static": (lambda: get(plain.static.remote(1)), 1),
        "of class": (lambda: get(plain.of_class.remote(1)), ("Plain", 1)),
        "partial": (lambda: get(plain.partial.remote(2)), 3),
        "unnamed": (lambda: get(plain.unnamed.remote(1)), 1),
        "positional": (lambda: get(plain.positional.remote(1, b=2)), (1, 2, 3)),
        "two": (lambda: get(plain.two.remote()), [1, 2]),
        "calls": (lambda: get(plain.calls.remote(lambda x: x + 1)), 3),
        "generator": (lambda: items(plain.generator.options(num_returns="streaming").remote(2)), [0, 1]),
        "called": (lambda: get(plain.__call__.remote(1)), 1),
        "context": (lambda: get(plain.context.remote(context=1, trace=2)), (1, 2)),
        "async method": (lambda: get(awaiting.method.remote(1)), 1),
        "async static": (lambda: get(awaiting.static.remote(1)), 1),
        "async generator": (lambda: items(awaiting.generator.options(num_returns="streaming").remote(2)), [0, 1]),
        "method of an async class": (lambda: get(awaiting.plain.remote(1)), 1),
        "dict": (lambda: on(actor(Mapping), lambda one: one.put.remote("a", 1)), 1),
        "thread": (lambda: on(actor(Thread), lambda one: one.start.remote()), None),
        "dataclass": (lambda: on(actor(Record, 4), lambda one: one.add.remote(2)), 6),
        "slots": (lambda: on(actor(Slots), lambda one: one.get.remote()), 2),
        "builtin class": (lambda: on(actor(collections.Counter), lambda one: one.update.remote("aab")), None),
        "nested": (lambda: on(actor(Parent), lambda one: one.add.remote(1)), 6),
        "given": (lambda: get(ask.remote(actor(Record))), 2),
        "by name": (lambda: on(ray.get_actor("named"), lambda one: one.add.remote(1)), 8),
        "anything": (lambda: get(anything.remote(1, b=2)), ((1,), {"b": 2})),
        "wrapped task": (lambda: get(wrapped_task.remote(1)), 1),
        "keyword only": (lambda: get(keyword_only.remote(a=1)), (1, 2)),
    }
    print(*wrong(calls), sep="\n")
    del named
    print(len(calls), "called")
    sys.stdout.flush()
    ray.shutdown()


if __name__ == "__main__":
    main()
