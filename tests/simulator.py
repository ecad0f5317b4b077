"""A discrete-event simulator of Ray-like programs that knows what each moment was really waiting for.

`simulate` runs a program and gives the spans that the hook would have recorded of it, and the true blocking
chain. The chain comes from the simulator's own notes of what released what, never from a span.

What it keeps simple: a task that blocks gives its slot back and keeps its process, so its node starts
another process for the slot; a process that is one too many when its task ends goes away. A serial actor
runs its methods in the order of their submission. All times are drawn at random and wide apart, so two things
end in the same nanosecond only where one made the other end.

With a `Rerun` a program can be run again with a change: what is left to chance belongs to what happens, and not to
when it does, and every process that a task needs is there already.
"""

import heapq
import random
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Literal

import polars as pl

from tests.random_programs import (
    Compute,
    Create,
    Custom,
    Failure,
    Op,
    Program,
    Put,
    Submit,
    Task,
    Threads,
    Wait,
    programs,
    random_program,
)
from tests.random_spans import span_table

__all__ = ["Rerun", "Simulation", "programs", "random_program", "simulate"]

Queues = Literal["follow", "show"]
Link = tuple[int, int, str | None, str]
"""A stretch of the true chain: start, end, span id, category."""

EPOCH_NS = 1_790_000_000_000_000_000
MICROSECOND, MILLISECOND = 1_000, 1_000_000
JOB_ID = "01000000"
LATENCIES = {
    "submit": (200 * MICROSECOND, 2 * MILLISECOND),
    "dispatch": (300 * MICROSECOND, 20 * MILLISECOND),
    "start a worker": (200 * MILLISECOND, 3_000 * MILLISECOND),
    "fetch": (50 * MICROSECOND, 2 * MILLISECOND),
    "retry": (100 * MILLISECOND, 800 * MILLISECOND),
    "start a thread": (10 * MICROSECOND, 50 * MICROSECOND),
}
"""The shortest and the longest time that each of these takes."""


_DIVISIBLE_BY = 12
"""Durations of a program that is run again are multiples of this many ns: half and a third of them are whole."""


@dataclass(frozen=True)
class Rerun:
    """How a program is run again; the default changes nothing, and is what others are to be compared with."""

    faster: Mapping[str, int] = field(default_factory=dict)
    """By function, `(driver)` for the driver: how many times as fast its own work is."""
    slots: int | None = None
    """How many each node has."""
    no_queues: bool = False
    """Slots for all, and a scheduler and processes that take no time."""


# What is noted down


@dataclass(eq=False)
class Frame:
    """The driver or one run, with what it did from start to end."""

    row: dict[str, Any]
    released: dict[Queues, "Moment"]
    """What let it start; empty for the driver."""
    worker: "Worker"
    refs: list["Future"]
    actors: list["Actor"] = field(default_factory=list)
    steps: list["Stretch"] = field(default_factory=list)
    end: int = 0
    name: str = "driver"
    """What it is, however the program runs."""
    events: "count[int]" = field(default_factory=count)

    def event(self) -> str:
        """Name the next thing that happens in it."""
        return f"{self.name}.{next(self.events)}"


Moment = tuple[Frame, int]
"""A frame and a time in it."""


@dataclass(frozen=True)
class Stretch:
    """What a frame did for a while."""

    start: int
    end: int
    span_id: str
    category: str
    released_by: Moment | None = None
    """What it was waiting for until it could fetch the result."""


@dataclass(frozen=True)
class Simulation:
    """The spans of a program, and what happened in truth."""

    spans: pl.DataFrame
    stock_spans: pl.DataFrame
    """The same as Ray's own hook records it."""
    true_chain: dict[Queues, list[Link]]
    """The blocking chain from the driver's start to its end, oldest first."""
    makespan_ns: int
    session: str
    job_id: str


# The cluster


@dataclass(eq=False)
class Worker:
    """A worker process."""

    node: int
    pid: int
    last_run: Frame | None = None

    def ended_by(self, time: int) -> bool:
        return self.last_run is None or self.last_run.end <= time


@dataclass(eq=False)
class Node:
    """A machine with slots."""

    number: int
    slots: int
    active: int = 0
    idle: list[Worker] = field(default_factory=list)


@dataclass(eq=False)
class Actor:
    """An actor, its process and the calls that stand in its queue."""

    actor_id: str
    is_concurrent: bool
    creation: "Future"
    created: Moment | None = None
    """The end of its creation; None while there is no process."""
    worker: Worker | None = None
    last_run: Frame | None = None
    is_busy: bool = False
    queue: list["Future"] = field(default_factory=list)


@dataclass(eq=False)
class Future:
    """A submitted task and, later, its result."""

    task: Task
    task_id: str
    submit_row: dict[str, Any]
    refs: list["Future"]
    actor: Actor | None
    actor_id: str | None
    name: str
    missing: int = 0
    """How many dependencies are still awaited."""
    attempt: int = 0
    ready: Moment | None = None
    """What made it ready to run, and when; None while it is not."""
    done: Moment | None = None
    when_done: list[Callable[[], None]] = field(default_factory=list)

    def event(self) -> str:
        """Name its present attempt."""
        return f"{self.name}#{self.attempt}"


Body = Generator[int | Callable[[Callable[[], None]], None], None, None]
"""A running body: yields a time to sleep, or what is to be called with the function that wakes it."""


def simulate(
    program: Program | int, *, session: str = "session-1", job_id: str = JOB_ID, rerun: Rerun | None = None
) -> Simulation:
    """Run a program, or the random program of a seed."""
    if isinstance(program, int):
        program = random_program(program)
    cluster = _Cluster(program, session, job_id, rerun)
    cluster.run()
    rows = _cut_at(cluster.rows, cluster.driver.end) if program.kills_rest else cluster.rows
    modes: tuple[Queues, ...] = ("follow", "show")
    return Simulation(
        spans=_table(rows),
        stock_spans=_table(_stock(rows)),
        true_chain={mode: _chain(cluster.driver, mode) for mode in modes},
        makespan_ns=cluster.driver.end - EPOCH_NS,
        session=session,
        job_id=job_id,
    )


class _Cluster:
    """One simulation under way."""

    def __init__(self, program: Program, session: str, job_id: str, rerun: Rerun | None) -> None:
        self.program = program
        self.rerun = rerun
        self.session = session
        self.job_id = job_id
        self.random = random.Random(f"{program.seed} {session}")
        self.now = EPOCH_NS
        self.events: list[tuple[int, int, Callable[[], None]]] = []
        self.numbers = count()
        self.pids = count(1000)
        self.tasks = count(1)
        self.rows: list[dict[str, Any]] = []
        slots = program.slots
        if rerun is not None and (rerun.slots is not None or rerun.no_queues):
            slots = tuple(10**6 if rerun.slots is None else rerun.slots for _ in slots)
        self.nodes = [Node(number, count) for number, count in enumerate(slots)]
        self.queue: deque[Future] = deque()
        worker = Worker(0, next(self.pids))
        row = self._open("ray.driver", "driver", None, worker)
        self.driver = Frame(row, {}, worker, [])

    def run(self) -> None:
        body = self._body(self.driver, self.program.body, self.driver.row)
        self._advance(body, lambda: self._close(self.driver))
        while self.events:
            self.now, _, event = heapq.heappop(self.events)
            event()
        assert self.driver.end, "the program came to a standstill"

    # Time

    def _latency(self, name: str, event: str) -> int:
        if self.rerun is None:
            return self.random.randint(*LATENCIES[name])
        if self.rerun.no_queues and name in ("dispatch", "start a worker", "retry"):
            return 0
        latency = random.Random(f"{self.program.seed} {name} {event}").randint(*LATENCIES[name])
        return latency - latency % _DIVISIBLE_BY

    def _work(self, frame: Frame, duration: int) -> int:
        """How long some work takes."""
        if self.rerun is None:
            return duration
        factor = self.rerun.faster.get(frame.row.get("function") or "(driver)", 1)
        return (duration - duration % _DIVISIBLE_BY) // factor

    def _after(self, delay: int, event: Callable[[], None]) -> None:
        heapq.heappush(self.events, (self.now + delay, next(self.numbers), event))

    def _advance(self, body: Body, when_over: Callable[[], None]) -> None:
        request = next(body, None)
        if request is None:
            when_over()
        elif isinstance(request, int):
            self._after(request, lambda: self._advance(body, when_over))
        else:
            request(lambda: self._advance(body, when_over))

    # Spans

    def _open(
        self, name: str, category: str, parent: dict[str, Any] | None, worker: Worker, **columns: Any
    ) -> dict[str, Any]:
        span_id = f"{self.random.getrandbits(64):016x}"
        kind = {"submit": "PRODUCER", "task": "CONSUMER"}.get(category, "INTERNAL")
        row = {
            "span_id": span_id,
            "parent_id": None if parent is None else parent["span_id"],
            "name": name,
            "kind": kind,
            "category": category,
            "start": self.now,
            "status": "UNSET",
            "session": self.session,
            "job_id": self.job_id,
            "node_id": f"{worker.node:056x}",
            "worker_id": f"{worker.pid:056x}",
            "host": f"host-{worker.node}",
            "pid": worker.pid,
            "records_waits": True,
        }
        self.rows.append(row | columns)
        return self.rows[-1]

    def _open_in(
        self, frame: Frame, name: str, category: str, parent: dict[str, Any] | None, **columns: Any
    ) -> dict[str, Any]:
        if parent is self.driver.row and not self.program.spans_know_driver:
            parent = None
        own = {"task_id": frame.row.get("task_id")}
        if category != "submit":
            own |= {name: frame.row.get(name) for name in ("function", "actor_id")}
        return self._open(name, category, parent, frame.worker, **own | columns)

    def _close(self, frame: Frame) -> None:
        frame.row["end"] = frame.end = self.now

    def _step(self, frame: Frame, row: dict[str, Any], start: int, category: str = "self") -> None:
        frame.steps.append(Stretch(start, self.now, row["span_id"], category))

    # Bodies

    def _body(self, frame: Frame, ops: Sequence[Op], owner: dict[str, Any]) -> Body:
        for op in ops:
            match op:
                case Compute():
                    yield from self._busy(frame, owner, op.duration_ns)
                case Put():
                    row = self._open_in(frame, "ray.put", "put", owner)
                    yield from self._busy(frame, row, op.duration_ns)
                    row["end"] = self.now
                case Custom():
                    row = self._open_in(frame, "step", "custom", owner)
                    yield from self._body(frame, op.body, row)
                    row["end"] = self.now
                case Threads():
                    yield from self._threads(frame, op, owner)
                case Submit():
                    yield from self._submit(frame, op, owner)
                case Create():
                    yield from self._create(frame, op, owner)
                case Wait():
                    yield from self._wait(frame, op, owner)

    def _busy(self, frame: Frame, row: dict[str, Any], duration: int, category: str = "self") -> Body:
        start = self.now
        yield self._work(frame, duration) if category == "self" else duration
        self._step(frame, row, start, category)

    def _threads(self, frame: Frame, op: Threads, owner: dict[str, Any]) -> Body:
        parent = None if op.context_is_lost and owner is frame.row else owner
        rows = []
        for duration in op.durations_ns:
            yield from self._busy(frame, owner, self._latency("start a thread", frame.event()))
            row = self._open_in(frame, "thread", "custom", parent)
            row["end"] = self.now + self._work(frame, duration)
            rows.append(row)
        last = max(rows, key=lambda row: row["end"])
        yield last["end"] - self.now
        self._step(frame, last, last["start"])

    def _submit(self, frame: Frame, op: Submit, owner: dict[str, Any]) -> Body:
        actor = None if op.actor is None else frame.actors[op.actor]
        future = self._future(frame, op.task, owner, actor, None if actor is None else actor.actor_id)
        dependencies = [frame.refs[ref] for ref in dict.fromkeys(op.depends_on)]
        future.refs = [frame.refs[ref] for ref in op.passes]
        future.submit_row["dependency_task_ids"] = [dependency.task_id for dependency in dependencies]
        if actor is not None:
            actor.queue.append(future)
        frame.refs.append(future)
        yield from self._submitting(frame, future)
        self._await_dependencies(frame, future, dependencies)

    def _create(self, frame: Frame, op: Create, owner: dict[str, Any]) -> Body:
        actor_id = f"{next(self.tasks):032x}"
        future = self._future(frame, op.init, owner, None, actor_id)
        actor = Actor(actor_id, op.is_concurrent, future)
        frame.actors.append(actor)
        yield from self._submitting(frame, future)
        future.ready = (frame, self.now)
        self._start_actor(actor)

    def _future(
        self, frame: Frame, task: Task, owner: dict[str, Any], actor: Actor | None, actor_id: str | None
    ) -> Future:
        task_id = f"{next(self.tasks):048x}"
        row = self._open_in(
            frame, f"{task.name} ray.remote", "submit", owner,
            function=task.name, actor_id=actor_id, submitted_task_id=task_id, dependency_task_ids=[],
        )  # fmt: skip
        return Future(task, task_id, row, [], actor, actor_id, frame.event())

    def _submitting(self, frame: Frame, future: Future) -> Body:
        yield from self._busy(frame, future.submit_row, self._latency("submit", future.name), "submit")
        future.submit_row["end"] = self.now

    def _await_dependencies(self, frame: Frame, future: Future, dependencies: list[Future]) -> None:
        awaited = [dependency for dependency in dependencies if dependency.done is None]
        future.missing = len(awaited)
        for dependency in awaited:
            dependency.when_done.append(lambda by=dependency: self._dependency_done(future, by))  # type: ignore[misc]
        if not awaited:
            self._ready(future, (frame, self.now))

    def _dependency_done(self, future: Future, dependency: Future) -> None:
        future.missing -= 1
        if not future.missing:
            assert dependency.done is not None
            self._ready(future, dependency.done)

    def _wait(self, frame: Frame, op: Wait, owner: dict[str, Any]) -> Body:
        futures = [frame.refs[ref] for ref in dict.fromkeys(op.refs)]
        name = "ray.get" if op.ready_count == len(futures) and op.timeout_ns is None else "ray.wait"
        row = self._open_in(frame, name, "wait", owner)
        start = self.now
        is_blocked = len(_done(futures)) < op.ready_count
        if is_blocked:
            self._give_slot_back(frame)
            yield lambda wake: self._wake_when_done(futures, op, wake)
            self._take_slot(frame)
        ready = sorted(_done(futures), key=lambda future: _moment(future)[1])[: op.ready_count]
        yield self._latency("fetch", frame.event())
        row["end"] = self.now
        row["ready_task_ids"] = [future.task_id for future in ready]
        if is_blocked and ready:
            stretch = Stretch(start, self.now, row["span_id"], "fetch", _moment(ready[-1]))
            frame.steps.append(stretch)
        else:
            self._step(frame, row, start, "wait")

    def _wake_when_done(self, futures: list[Future], op: Wait, wake: Callable[[], None]) -> None:
        is_over = False

        def check(*, timed_out: bool = False) -> None:
            nonlocal is_over
            if not is_over and (timed_out or len(_done(futures)) >= op.ready_count):
                is_over = True
                wake()

        for future in futures:
            future.when_done.append(check)
        if op.timeout_ns is not None:
            self._after(op.timeout_ns, lambda: check(timed_out=True))

    # Slots and processes

    def _holds_slot(self, frame: Frame) -> bool:
        return frame is not self.driver and frame.row.get("actor_id") is None

    def _give_slot_back(self, frame: Frame) -> None:
        if self._holds_slot(frame):
            self.nodes[frame.worker.node].active -= 1
            self._dispatch()

    def _take_slot(self, frame: Frame) -> None:
        if self._holds_slot(frame):
            self.nodes[frame.worker.node].active += 1

    def _ready(self, future: Future, by: Moment) -> None:
        future.ready = by
        if future.actor is not None:
            self._dispatch_actor(future.actor)
        else:
            self.queue.append(future)
            self._dispatch()

    def _dispatch(self, freed: Worker | None = None) -> None:
        while self.queue:
            free = [node for node in self.nodes if node.active < node.slots]
            if not free:
                return
            node = self.random.choice(free)
            future = self.queue.popleft()
            node.active += 1
            self._dispatch_to(future, node, freed)

    def _dispatch_to(self, future: Future, node: Node, freed: Worker | None) -> None:
        """Start a task on the process that was just freed for it, on one long idle, or on a new one."""
        assert future.ready is not None
        released: dict[Queues, Moment] = {"show": future.ready, "follow": future.ready}
        ready_at = future.ready[1]
        fitting = [worker for worker in node.idle if worker is freed or worker.ended_by(ready_at)]
        delay = self._latency("dispatch", future.event())
        if fitting:
            worker = fitting[0]
            node.idle.remove(worker)
        else:
            del node.idle[:1]
            worker = Worker(node.number, next(self.pids))
            delay += 0 if self.rerun else self._latency("start a worker", "")
        if not worker.ended_by(ready_at):
            assert worker.last_run is not None
            released["follow"] = (worker.last_run, worker.last_run.end)
        self._after(delay, lambda: self._start(future, worker, released))

    def _free(self, worker: Worker, *, process_died: bool) -> None:
        node = self.nodes[worker.node]
        node.active -= 1
        if process_died or node.active >= node.slots:
            self._dispatch()
        else:
            node.idle.insert(0, worker)
            self._dispatch(worker)

    # Runs

    def _start(self, future: Future, worker: Worker, released: dict[Queues, Moment]) -> None:
        """Start an attempt of a task or method."""
        row = self._open_run(future, worker)
        frame = Frame(row, released, worker, list(future.refs), name=future.event())
        if future.actor is not None:
            row["concurrent"] = future.actor.is_concurrent
        failure = dict(enumerate(future.task.failures)).get(future.attempt)
        ops = future.task.body if failure is None else (Compute(failure.after_ns),)
        self._advance(self._body(frame, ops, row), lambda: self._end(future, frame, failure))

    def _open_run(self, future: Future, worker: Worker) -> dict[str, Any]:
        return self._open(
            f"{future.task.name} ray.remote_worker", "task", future.submit_row, worker,
            function=future.task.name, actor_id=future.actor_id, task_id=future.task_id,
            attempt=future.attempt, concurrent=False,
        )  # fmt: skip

    def _end(self, future: Future, frame: Frame, failure: Failure | None) -> None:
        self._close(frame)
        frame.worker.last_run = frame
        frame.row["status"] = "UNSET" if failure is None else "ERROR"
        process_died = failure is not None and failure.kills_process
        if failure is None:
            future.done = (frame, self.now)
        else:
            future.attempt += 1
            future.ready = None
            self._after(self._latency("retry", future.event()), lambda: self._ready(future, (frame, frame.end)))
        if future.actor is None:
            self._free(frame.worker, process_died=process_died)
        else:
            self._end_call(future.actor, future, frame, process_died=process_died)
        if failure is None:
            for call in future.when_done:
                call()

    # Actors

    def _start_actor(self, actor: Actor) -> None:
        ready = actor.creation.ready
        assert ready is not None
        worker = Worker(self.random.choice(self.nodes).number, next(self.pids))
        delay = self._latency("start a worker", actor.creation.event())
        self._after(delay, lambda: self._run_creation(actor, worker, ready))

    def _run_creation(self, actor: Actor, worker: Worker, ready: Moment) -> None:
        row = self._open_run(actor.creation, worker)
        frame = Frame(row, {"show": ready, "follow": ready}, worker, [], name=actor.creation.event())

        def created() -> None:
            self._close(frame)
            actor.created = (frame, self.now)
            actor.worker, actor.last_run, actor.is_busy = worker, frame, False
            self._dispatch_actor(actor)

        self._advance(self._body(frame, actor.creation.task.body, row), created)

    def _dispatch_actor(self, actor: Actor) -> None:
        if actor.created is None or actor.worker is None or actor.last_run is None:
            return
        for future in list(actor.queue):
            if not actor.is_concurrent and (actor.is_busy or future is not actor.queue[0]):
                return
            if future.ready is None:
                continue
            actor.queue.remove(future)
            actor.is_busy = True
            show = max(future.ready, actor.created, key=lambda moment: moment[1])
            follow = show
            if not actor.is_concurrent and actor.last_run.end > show[1]:
                follow = (actor.last_run, actor.last_run.end)
            released: dict[Queues, Moment] = {"show": show, "follow": follow}
            self._after(self._latency("dispatch", future.event()), _starting(self, future, actor.worker, released))

    def _end_call(self, actor: Actor, future: Future, frame: Frame, *, process_died: bool) -> None:
        actor.last_run = frame
        actor.is_busy = False
        if future.done is None:
            actor.queue.insert(0, future)
        if process_died:
            actor.created = None
            actor.creation.attempt += 1
            actor.creation.ready = (frame, frame.end)
            self._start_actor(actor)
        self._dispatch_actor(actor)


def _starting(cluster: _Cluster, future: Future, worker: Worker, released: dict[Queues, Moment]) -> Callable[[], None]:
    return lambda: cluster._start(future, worker, released)


def _done(futures: list[Future]) -> list[Future]:
    return [future for future in futures if future.done is not None]


def _moment(future: Future) -> Moment:
    assert future.done is not None
    return future.done


# The truth


def _chain(driver: Frame, queues: Queues) -> list[Link]:
    """Follow what released what from the driver's end back to its start."""
    links: list[Link] = []
    moment: Moment | None = (driver, driver.end)
    while moment is not None:
        moment = _back_through(*moment, links, queues)
    return _merged(links[::-1])


def _back_through(frame: Frame, time: int, links: list[Link], queues: Queues) -> Moment | None:
    """Add what a frame did before a time, back to where something else released it."""
    for step in reversed(frame.steps):
        if step.start >= time:
            continue
        end = min(step.end, time)
        if step.released_by is not None:
            links.append((step.released_by[1], end, step.span_id, step.category))
            return step.released_by
        links.append((step.start, end, step.span_id, step.category))
        time = step.start
    cause = frame.released.get(queues)
    if cause is not None:
        links.append((cause[1], time, frame.row["span_id"], "queue"))
    return cause


def _merged(links: list[Link]) -> list[Link]:
    merged: list[Link] = []
    for start, end, span_id, category in links:
        if merged and merged[-1][2:] == (span_id, category):
            merged[-1] = (merged[-1][0], end, span_id, category)
        else:
            merged.append((start, end, span_id, category))
    return merged


# The tables


def _cut_at(rows: list[dict[str, Any]], time: int) -> list[dict[str, Any]]:
    """Leave out what had not begun by a time, and the ends of what had not ended."""
    begun = [row for row in rows if row["start"] < time or row["category"] == "driver"]
    unended = {"end": None, "status": "UNSET", "ready_task_ids": None}
    return [row | unended if row["end"] > time else row for row in begun]


def _stock(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Give what Ray's own hook records: ended spans, without waits, edges and attempts."""
    unseen = {row["span_id"] for row in rows if row["category"] in ("driver", "wait", "put")}
    unknown = ("submitted_task_id", "dependency_task_ids", "attempt", "records_waits", "concurrent")
    seen = []
    for row in rows:
        if row["span_id"] in unseen or row.get("end") is None:
            continue
        parent_id = None if row["parent_id"] in unseen else row["parent_id"]
        without_task = ("task_id",) if row.get("actor_id") is not None else ()
        seen.append(row | dict.fromkeys((*unknown, *without_task)) | {"parent_id": parent_id})
    return seen


def _table(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Make the span table; each span without a parent begins a trace."""
    parents = {row["span_id"]: row["parent_id"] for row in rows}

    def trace_id(span_id: str) -> str:
        while parents[span_id] in parents:
            span_id = parents[span_id]
        return span_id * 2

    return span_table(row | {"trace_id": trace_id(row["span_id"])} for row in rows)
