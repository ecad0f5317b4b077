"""Ray-like programs as values, and random ones."""

import random
from dataclasses import dataclass, replace
from itertools import count

from hypothesis import strategies as st

MILLISECOND = 1_000_000


@dataclass(frozen=True)
class Compute:
    """Work without a span of its own."""

    duration_ns: int


@dataclass(frozen=True)
class Put:
    """`ray.put`."""

    duration_ns: int


@dataclass(frozen=True)
class Custom:
    """A span of the user's around some work."""

    body: tuple["Op", ...]


@dataclass(frozen=True)
class Threads:
    """Threads that work side by side, each in a span; the program waits for all."""

    durations_ns: tuple[int, ...]
    context_is_lost: bool
    """Their spans have no parent then."""


@dataclass(frozen=True)
class Task:
    """A remote function or method."""

    name: str
    body: tuple["Op", ...]
    failures: tuple["Failure", ...] = ()
    """The attempts before the one that succeeds."""


@dataclass(frozen=True)
class Failure:
    """An attempt that fails after some work."""

    after_ns: int
    kills_process: bool


@dataclass(frozen=True)
class Submit:
    """`task.remote(...)`. References are numbered in each body: those passed in, then those made."""

    task: Task
    depends_on: tuple[int, ...] = ()
    passes: tuple[int, ...] = ()
    """References within an argument: the task does not wait for them before it starts, but can get them."""
    actor: int | None = None
    """The actor that this is a method of, numbered in each body."""


@dataclass(frozen=True)
class Create:
    """`Actor.remote(...)`."""

    init: Task
    is_concurrent: bool


@dataclass(frozen=True)
class Wait:
    """`ray.get` where all are awaited, else `ray.wait`."""

    refs: tuple[int, ...]
    ready_count: int
    timeout_ns: int | None = None
    """Only with a ready_count of 1: a wait that timed out has seen nothing then."""


Op = Compute | Put | Custom | Threads | Submit | Create | Wait


@dataclass(frozen=True)
class Program:
    """A driver's program and the cluster that it runs on."""

    seed: int
    """Decides the latencies."""
    body: tuple[Op, ...]
    slots: tuple[int, ...]
    """How many tasks each node can run at a time."""
    spans_know_driver: bool
    """Whether the driver's spans name the driver's span as parent."""
    kills_rest: bool
    """Whether what still runs is killed when the driver ends; its spans have no end then."""


def programs(max_size: int = 8) -> st.SearchStrategy[Program]:
    """Give programs whose chains are free of coincidence: durations come from a seed, not from hypothesis."""
    return st.builds(random_program, st.integers(0, 2**32 - 1), st.integers(1, max_size))


def random_program(seed: int, size: int = 8) -> Program:
    """Give the program of a seed; the size is how many things the driver does."""
    return _Author(seed, size).program()


class _Author:
    """Writes a random program."""

    def __init__(self, seed: int, size: int) -> None:
        self.seed = seed
        self.size = size
        self.random = random.Random(seed)
        self.kills_rest = self._chance(0.5)
        self.names = count()
        self.tasks_left = 6 * size

    def program(self) -> Program:
        draw = self.random
        return Program(
            seed=self.seed,
            body=self._body(0, 0, self.size),
            slots=tuple(draw.randint(1, 3) for _ in range(draw.randint(1, 2))),
            spans_know_driver=self._chance(0.5),
            kills_rest=self.kills_rest,
        )

    def _duration(self) -> int:
        """Draw from 1 ms to 2 s, short ones as often as long ones."""
        return int(MILLISECOND * 2_000 ** self.random.random())

    def _body(self, depth: int, refs: int, size: int) -> tuple[Op, ...]:
        ops: list[Op] = [Compute(self._duration())]
        actors: list[bool] = []
        for _ in range(size):
            for op in self._burst(self._kind(depth, refs, actors), depth, refs, actors):
                refs += isinstance(op, Submit)
                ops.append(op)
                if isinstance(op, Create):
                    actors.append(op.is_concurrent)
            if self._chance(0.4):
                ops.append(Compute(self._duration()))
        if refs and self._chance(0.7):
            ops.append(self._wait(refs))
        return tuple(ops)

    def _burst(self, kind: str, depth: int, refs: int, actors: list[bool]) -> list[Op]:
        """One thing, or several tasks submitted in a row."""
        times = self.random.randint(2, 6) if kind in ("submit", "call") and self._chance(0.4) else 1
        return [self._op(kind, depth, refs, actors) for _ in range(times)]

    def _kind(self, depth: int, refs: int, actors: list[bool]) -> str:
        weights = {
            "submit": 6 if self.tasks_left > 0 and depth < 3 else 0,
            "call": 8 if self.tasks_left > 0 and actors else 0,
            "create": 2 if self.tasks_left > 0 and depth < 2 else 0,
            "wait": 3 if refs else 0,
            "put": 0.5,
            "custom": 1,
            "threads": 0.5,
        }
        return self.random.choices(list(weights), list(weights.values()))[0]

    def _op(self, kind: str, depth: int, refs: int, actors: list[bool]) -> Op:
        match kind:
            case "submit" | "call":
                return self._submit(depth, refs, actors if kind == "call" else [])
            case "create":
                return Create(self._task("Actor.__init__", (Compute(self._duration()),)), self._chance(0.3))
            case "wait":
                return self._wait(refs)
            case "put":
                return Put(self._duration())
            case "custom":
                inner: list[Op] = [Compute(self._duration())]
                if refs:
                    inner.append(self._wait(refs))
                return Custom(tuple(inner))
            case _:
                durations = tuple(self._duration() for _ in range(self.random.randint(1, 3)))
                return Threads(durations, self._chance(0.5))

    def _chance(self, probability: float) -> bool:
        return self.random.random() < probability

    def _some(self, refs: int, probability: float) -> tuple[int, ...]:
        if not refs or not self._chance(probability):
            return ()
        return tuple(self.random.sample(range(refs), self.random.randint(1, min(refs, 3))))

    def _submit(self, depth: int, refs: int, actors: list[bool]) -> Submit:
        passes = self._some(refs, 0.3)
        actor = self.random.randrange(len(actors)) if actors else None
        if actor is not None and actors[actor]:
            task = self._task("Actor.method", self._concurrent_body(depth, len(passes)))
        else:
            size = self.random.choice((0, 0, 1, 3)) if depth < 3 else 0
            name = f"task_{next(self.names)}" if actor is None else "Actor.method"
            task = self._task(name, self._body(depth + 1, len(passes), size))
            failures = self.random.choices((0, 1, 2), (12, 2, 1))[0]
            task = replace(task, failures=tuple(self._failure() for _ in range(failures)))
        return Submit(task, self._some(refs, 0.4), passes, actor)

    def _failure(self) -> Failure:
        return Failure(self._duration(), self._chance(0.5))

    def _concurrent_body(self, depth: int, refs: int) -> tuple[Op, ...]:
        """Submit nothing that is never awaited: for an async method a wait is inferred, whether there is one or not."""
        ops: list[Op] = [Compute(self._duration())]
        if self._chance(0.4) and depth < 3 and not self.kills_rest:
            ops += [self._submit(depth + 1, refs, []), Wait((refs,), 1), Compute(self._duration())]
        return tuple(ops)

    def _task(self, name: str, body: tuple[Op, ...]) -> Task:
        self.tasks_left -= 1
        return Task(name, body)

    def _wait(self, refs: int) -> Wait:
        chosen = tuple(self.random.sample(range(refs), self.random.randint(1, min(refs, 4))))
        if self._chance(0.15):
            return Wait(chosen, 1, self._duration())
        return Wait(chosen, len(chosen) if self._chance(0.6) else self.random.randint(1, len(chosen)))
