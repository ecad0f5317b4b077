"""The critical path as its definition reads: slow, plain, and written without a look at the engine.

It serves as the second opinion in tests: the engine and this must agree on every input. So nothing here
is clever; every rule of the definition is one function that can be held against its sentence.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, fields
from itertools import combinations, pairwise
from typing import Any, Literal, Protocol

import polars as pl

from raytrace_analyze.schema import TABLE

Scope = Literal["job", "trace", "task"]
Queues = Literal["follow", "show"]
Category = Literal["self", "submit", "queue", "wait", "fetch"]
Via = Literal[
    "join",
    "wait",
    "waker",
    "consumer",
    "dependency",
    "attempt",
    "creation",
    "submit",
    "actor",
    "slot",
    "cancel",
    "inferred",
]

SLOT_WITHIN_NS = 100_000_000
"""A run that ended longer ago than this on the same worker process did not hold the slot."""
SAMPLED_FROM_NS = 100_000_000
SHORT_NS = 300_000_000
"""So long a thread may sleep without a stretch that tells it."""
LOOKS_NS = 100_000_000
"""How much longer than was seen a thread may have been idle."""
LOOP_NS = 1_000_000_000
"""How long a loop that looks again and again may sleep in between."""
AFTER_NS = 20_000_000
"""What begins so soon after a delivery is what its callback does."""
INSTEAD_NS = 50_000_000
"""What came so long before a wait was given up came instead."""
ROOM_WITHIN_NS = 1_000_000_000
"""Who gave resources back longer ago than this made no room for a placement group."""
CALL_WITHIN_NS = 1_000_000_000
"""A call longer ago than this did not end a run that failed for reasons that nobody knows."""
WAKER_WITHIN_NS = 5_000_000
"""A run that stopped executing longer ago than this did not let a suspended one go on."""
WAKER_OF_GRAPH_WITHIN_NS = 1_000_000_000
"""The same where an actor stops executing a compiled graph."""


@dataclass(frozen=True)
class Segment:
    """A stretch of the path."""

    start_ns: int
    end_ns: int
    category: Category
    span_id: str | None
    """None for the virtual root."""
    via: Via | None
    """How the walk came to the span; None where it began."""
    inferred: bool


@dataclass(frozen=True)
class OraclePath:
    """The critical path of a scope, oldest segment first."""

    start_ns: int
    end_ns: int
    segments: list[Segment]


@dataclass(eq=False)
class Span:
    """A row of the table, linked to its parent. Compared by identity."""

    span_id: str | None
    start: int
    """As recorded at first, then the effective one."""
    end: int
    trace_id: str | None = None
    parent_id: str | None = None
    name: str = ""
    status: str = "UNSET"
    status_message: str | None = None
    error_type: str | None = None
    profile_store_outputs_end: int | None = None
    state_pending_node_assignment: int | None = None
    kind: str = "INTERNAL"
    category: str = "custom"
    session: str | None = None
    job_id: str | None = None
    function: str | None = None
    task_id: str | None = None
    actor_id: str | None = None
    node_id: str | None = None
    worker_id: str | None = None
    pid: int | None = None
    submitted_task_id: str | None = None
    dependency_task_ids: list[str] | None = None
    ready_task_ids: list[str] | None = None
    records_waits: bool | None = None
    concurrent: bool | None = None
    attempt: int | None = None
    attributes: str = "{}"
    ended: bool = True
    began: int = 0
    """The start as recorded."""
    over: int = 0
    """The end as recorded."""
    parent: "Span | None" = None
    is_run: bool = False
    detached: bool = False
    adopted: bool = False
    is_idle_wait: bool = False
    """Whether its times are those for which a thread was idle."""
    waited_besides: "Span | None" = None
    """The run that it waited for, though no result says so: it changed what an actor answers."""
    instead: "Span | None" = None
    """What had just come back to the same flow when the program gave this wait up."""

    @property
    def is_submit(self) -> bool:
        return self.kind == "PRODUCER"

    @property
    def handles_request(self) -> bool:
        """Whether Ray Serve handles a request in it, in another thread than that of the run around it."""
        return self.kind == "CONSUMER" and self.name.startswith("replica_handle_request")

    @property
    def submit(self) -> "Span | None":
        return self.parent if self.is_run else None

    @property
    def job(self) -> tuple[str | None, str | None]:
        return self.session, self.job_id

    @property
    def task(self) -> tuple[str | None, str] | None:
        """The task that this is a run of: by its own word, else by its submit's."""
        task_id = self.task_id
        if task_id is None and self.submit is not None:
            task_id = self.submit.submitted_task_id
        return None if task_id is None else (self.session, task_id)

    @property
    def actor(self) -> tuple[str | None, str] | None:
        return None if self.actor_id is None else (self.session, self.actor_id)

    @property
    def is_creation(self) -> bool:
        return self.actor_id is not None and (self.function or "").endswith(".__init__")

    @property
    def process(self) -> tuple[Any, ...] | None:
        return None if self.pid is None else (self.session, self.node_id, self.pid)

    @property
    def worker_process(self) -> tuple[Any, ...] | None:
        return self.process if self.worker_id is None else (self.session, self.worker_id)

    @property
    def dependencies(self) -> set[tuple[str | None, str]]:
        """The tasks whose results a submit passes on."""
        return {(self.session, task_id) for task_id in self.dependency_task_ids or [] if self.is_submit}

    @property
    def ready(self) -> set[tuple[str | None, str]]:
        """The tasks that a wait came back with."""
        return {(self.session, task_id) for task_id in self.ready_task_ids or []}

    @property
    def run_above(self) -> "Span | None":
        """The run in whose control flow it lies."""
        return next((above for above in self.ancestors() if above.is_run), None)

    @property
    def group(self) -> str:
        """Its concurrency group on its actor."""
        return str(self.told.get("raytrace.concurrency_group", ""))

    @property
    def held_until(self) -> int:
        """Until when a run held its slot."""
        stored = None if self.actor is not None else self.profile_store_outputs_end
        return max(self.end, stored or 0)

    @property
    def asks_for_something(self) -> bool:
        """Whether a run's submit asks for resources: for one CPU where nothing is told."""
        asked = None if self.submit is None else self.submit.told.get("raytrace.resources")
        return asked is None or any(amount > 0 for amount in json.loads(asked).values())

    @property
    def is_suspension(self) -> bool:
        """Whether a method on an actor gave way here."""
        run = self.run_above
        is_await = self.name == "await" and self.ready_task_ids is not None and not self.is_run
        return is_await and run is not None and run.actor is not None

    @property
    def told(self) -> dict[str, Any]:
        """Its attributes."""
        found: dict[str, Any] = json.loads(self.attributes)
        return found

    @property
    def recorded(self) -> bool:
        return bool((self.submit or self).records_waits)

    def ancestors(self) -> Iterator["Span"]:
        """Its parent, the parent's parent and so on, from runs to their submits."""
        above = self.parent
        while above is not None:
            yield above
            above = above.parent


@dataclass(frozen=True)
class State:
    """Where the walk is."""

    span: Span
    time: int
    via: Via | None
    inferred: bool


@dataclass
class Step:
    """One step: stretches of the present span, newest first, each down to a time, and the next state."""

    stretches: list[tuple[int, Category]]
    then: State | None
    queue_is_inferred: bool = False
    """Whether where the queue segment begins was told by inference."""


class SlotWaits(Protocol):
    """What task events tell of slots: see `oracle_slots`."""

    def waited(self, run: Span, since: int, until: int) -> bool:
        """Tell whether a run of a task waited for a slot at some time from `since` to `until`."""

    def taken_from(self, run: Span, since: int, until: int) -> Span | None:
        """Give the task's run whose slot a run waited for that began with a new process then."""

    def ended(self, run: Span, since: int, until: int) -> tuple[Span, int] | None:
        """Give the span in whose flow an actor was ended that had the slot which a run waited for, and when."""


def critical_path(
    spans: pl.DataFrame,
    *,
    slots: Callable[[list[Span]], SlotWaits] | None = None,
    scope: Scope = "job",
    session: str | None = None,
    scope_id: str,
    queues: Queues = "follow",
    infer: bool = True,
    infer_within_ns: int = 100_000_000,
    overlap_tolerance: float = 0.0,
) -> OraclePath:
    """Give the critical path of a scope of a span table (columns of `schema.TABLE`).

    `scope_id` is a job's id, a trace's id, or the span id of a run. Without a session any session counts. `slots` makes
    of all spans what Ray's task events tell of slots.
    Raises ValueError where the table has no such scope.
    """
    everything = prepare(spans)
    candidates = [span for span in everything if session is None or span.session == session]
    if scope == "task":
        run = next((span for span in candidates if span.is_run and span.span_id == scope_id), None)
        members = [span for span in everything if run is not None and span.job == run.job]
    else:
        run = None
        column = "job_id" if scope == "job" else "trace_id"
        members = [span for span in candidates if getattr(span, column) == scope_id]
    if not members:
        raise ValueError(f"no {scope} {scope_id} here")
    slot_waits = None if slots is None else slots(everything)
    walk = Walk(everything, members, queues, infer, infer_within_ns, overlap_tolerance, slot_waits)
    if run is None:
        return walk.path(State(walk.root, walk.root.end, None, False), walk.root.start)
    submit = walk.submit_in_scope(run)
    return walk.path(State(run, run.end, None, False), (submit or run).start)


# Before the walk


def prepare(table: pl.DataFrame) -> list[Span]:
    """Give the table's spans with ends and parents, the same for every scope."""
    columns = [column.name for column in fields(Span) if column.name in TABLE]
    rows = table.select(columns).with_columns(
        pl.col("start", "end", "profile_store_outputs_end", "state_pending_node_assignment").to_physical()
    )
    spans = [_span(row) for row in rows.iter_rows(named=True)]
    _fill_ends(spans)
    for span in spans:
        span.began = span.start
        span.end = max(span.end, span.start)  # a clock that was set back: it took no time
        span.over = span.end
    _link_parents(spans)
    cut_circles(spans)
    for span in spans:
        span.is_run = span.kind == "CONSUMER" and (span.parent is None or span.parent.is_submit)
    _adopt(spans)
    cut_circles(spans)
    _find_instead(spans)
    _IdleWaits(spans).lengthen()
    _find_instead(spans)
    return spans


def _span(row: dict[str, Any]) -> Span:
    ended = row["end"] is not None
    return Span(**row | {"end": row["end"] if ended else row["start"]}, ended=ended)


def _fill_ends(spans: list[Span]) -> None:
    """Rule 1. A span that never ended gets the last time known of its process, else of its session."""
    known = [(span, time) for span in spans for time in (span.start, span.end)]
    for span in spans:
        if span.ended:
            continue
        of_process = [time for other, time in known if _same_process(other, span)]
        of_session = [time for other, time in known if other.session == span.session]
        last = max(of_process, default=span.start)
        span.end = last if last > span.start else max(of_session)


def _same_process(one: Span, other: Span) -> bool:
    return one.process is not None and one.process == other.process


def _link_parents(spans: list[Span]) -> None:
    by_id = {(span.trace_id, span.span_id): span for span in spans}
    for span in spans:
        span.parent = None if span.parent_id is None else by_id.get((span.trace_id, span.parent_id))


def cut_circles(spans: list[Span]) -> None:
    """Take from each circle of parents the parent of the span that started first, then of the smaller id."""
    for span in spans:
        if circle := _circle(span):
            min(circle, key=lambda member: (member.start, member.span_id)).parent = None


def _circle(span: Span) -> list[Span]:
    """Give the circle of parents that the span is part of, empty where it is in none."""
    climbed = [span]
    for above in span.ancestors():
        if above is span:
            return climbed
        if above in climbed:
            return []
        climbed.append(above)
    return []


def _adopt(spans: list[Span]) -> None:
    """Rule 2. A span without a parent goes to its task's run in its process, else to its process's driver."""
    runs = [span for span in spans if span.is_run]
    drivers = [span for span in spans if span.category == "driver"]
    adopted = {}
    for span in spans:
        if span.parent is None and not span.is_run and span.category != "driver":
            own_task = None if span.task_id is None else (span.session, span.task_id)
            of_task = [run for run in runs if own_task is not None and run.task == own_task]
            adopted[span] = _innermost_around(span, of_task) or _innermost_around(span, drivers)
    for span, parent in adopted.items():
        span.parent, span.adopted = parent, parent is not None


def _innermost_around(span: Span, others: list[Span]) -> Span | None:
    around = [other for other in others if _same_process(other, span) and other.start <= span.start <= other.end]
    return max(around, key=lambda other: (other.start, other.span_id), default=None)


class _IdleWaits:
    """Deliveries begin where a thread became idle for them; polls end where it was idle until the result was there."""

    def __init__(self, spans: list[Span]) -> None:
        self.spans = spans
        self.runs = [span for span in spans if span.is_run]
        self.waits = [span for span in spans if span.ready_task_ids is not None and not span.is_run]
        self.stretches = {
            span: json.loads(span.told.get("raytrace.idle", '{"stretches": []}'))["stretches"]
            for span in spans
            if (span.is_run or span.category == "driver" or span.handles_request)
            and span.end - span.start >= SAMPLED_FROM_NS
            if "raytrace.cpu_ns" in span.told
        }

    def lengthen(self) -> None:
        self.changes = dict(self._ends_of_questions())
        begins = {wait: begin for wait in self.waits if (begin := self._idle_since(wait)) is not None}
        ends = {wait: end for wait in self.waits if (end := self._idle_until(wait)) is not None}
        moved = {
            wait: self._innermost(self._flow(wait), ends.get(wait, wait.end))
            for wait in self.waits
            if wait in begins | ends
        }
        for wait, parent in moved.items():
            wait.start, wait.end = begins.get(wait, wait.start), ends.get(wait, wait.end)
            wait.parent, wait.is_idle_wait = parent, True
            wait.waited_besides = self.changes[wait][1] if wait in self.changes else None

    def _ends_of_questions(self) -> Iterator[tuple[Span, tuple[Span, Span]]]:
        """The last question in vain of each loop that asks an actor; the next, and the run that changed the answer."""
        asked: dict[Any, list[tuple[Span, Span]]] = {}
        for wait in self.waits:
            runs = [run for run in self.runs if run.task in wait.ready]
            flow = self._flow(wait)
            if wait.ended and flow is not None and len(runs) == 1 and runs[0].actor is not None and runs[0].submit:
                asked.setdefault((flow.span_id, runs[0].actor, runs[0].function), []).append((wait, runs[0]))
        for questions in asked.values():
            flow = self._flow(questions[0][0])
            questions.sort(key=lambda pair: (_submitted(pair[1]).start, pair[0].span_id))
            again = dict(self._ends_again_and_again(questions))
            in_vain = 1
            for (before, first), (wait, run), after in zip(
                questions, questions[1:], [*questions[2:], None], strict=False
            ):
                change = self._change(before, first, run)
                if _submitted(run).start < before.end:
                    in_vain = 1
                elif change is None:
                    in_vain += 1
                else:
                    is_over = not self._asks_on(flow, wait, after) or (first.status == "ERROR" != run.status)
                    if (in_vain >= 3 and not self._is_by(change, flow) and is_over) or wait in again:
                        yield before, (wait, change)
                    in_vain = 1

    def _change(self, before: Span, first: Span, run: Span) -> Span | None:
        """The last call of another method since an answer until the next."""
        others = [one for one in self.runs if one.actor == run.actor and one.function != run.function]
        change = latest([one for one in others if one.end <= run.end])
        is_between = change is not None and change.end > first.start and _submitted(run).start >= before.end
        return change if is_between else None

    def _is_by(self, run: Span, flow: Span | None) -> bool:
        return run.submit is not None and self._flow(run.submit) is flow

    def _ends_again_and_again(self, questions: list[tuple[Span, Span]]) -> Iterator[tuple[Span, int]]:
        """The questions with which a loop of one line got on, again and again; and how many before it were in vain."""
        site = {wait: _submitted(run).told.get("raytrace.call_site") for wait, run in questions}
        fails = {site[wait] for wait, run in questions if run.status == "ERROR"}
        flow = self._flow(questions[0][0])

        def is_over(place: int) -> bool:
            wait, run = questions[place]
            after = questions[place + 1] if place + 1 < len(questions) else None
            return run.status != "ERROR" if site[wait] in fails else not self._asks_on(flow, wait, after)

        ends: list[tuple[Any, Any, Span, int]] = []
        against: list[tuple[Any, Any]] = []
        in_vain = 0
        for place, ((before, first), (wait, run)) in enumerate(pairwise(questions), 1):
            is_same = site[wait] is not None and site[wait] == site[before] and _submitted(run).start >= before.end
            earlier = questions[place - 2] if place > 1 else None
            if earlier and (_submitted(first).start < earlier[0].end or self._change(*earlier, first)):
                in_vain = 0
            in_vain = 0 if is_over(place - 1) else in_vain + 1
            change = self._change(before, first, run)
            by = None if change is None or self._is_by(change, flow) else change.function
            if is_same and is_over(place) and in_vain and by is not None:
                ends.append((site[wait], by, wait, in_vain))
            elif is_same and ((is_over(place) and in_vain) or (not is_over(place) and by is not None)):
                against.append((site[wait], by))
        for place, by, wait, in_vain in ends:
            alike = [one[3] for one in ends if one[:2] == (place, by)]
            if sum(alike) >= 3 and sum(one in ((place, by), (place, None)) for one in against) <= len(alike) / 4:
                yield wait, in_vain

    def _asks_on(self, flow: Span | None, wait: Span, after: tuple[Span, Span] | None) -> bool:
        """Tell whether the next the flow does is to ask the same again."""
        if after is None or _submitted(after[1]).start < wait.end:
            return False
        submits = [one for one in self.spans if one.is_submit and wait.end < one.start < _submitted(after[1]).start]
        return not any(self._flow(one) is flow for one in submits)

    def _flow(self, span: Span, *, of_any_thread: bool = False) -> Span | None:
        """The run or driver whose thread it was in, if that was looked at."""
        above: Span | None = span
        while above is not None and above not in self.stretches:
            is_other_thread = above.adopted and not (of_any_thread or span.name == "ray.delivery")
            above = None if above.is_run or is_other_thread else above.parent
        return above

    def _stretch(self, flow: Span | None, time: int) -> dict[str, Any] | None:
        if flow is None:
            return None
        before = [one for one in self.stretches[flow] if one["start_ns"] < time]
        last = max(before, key=lambda one: one["start_ns"], default=None)
        return last if last is not None and last["end_ns"] + LOOKS_NS >= time else None

    def _idle_since(self, wait: Span) -> int | None:
        flow = self._flow(wait)
        stretch = self._stretch(flow, wait.end)
        if wait.name != "ray.delivery" or stretch is None:
            return None
        slept_on = stretch["end_ns"] - wait.end
        goes_on = slept_on <= (LOOP_NS if stretch.get("loops") else LOOKS_NS)
        submits = [span for span in self.spans if span.is_submit and wait.end <= span.start <= wait.end + AFTER_NS]
        if not goes_on and not any(self._flow(span, of_any_thread=True) is flow for span in submits):
            return None
        ended = [run.end for run in self.runs if run.task in wait.ready and run.start < wait.end]
        since: int = stretch["start_ns"]
        return since if max(ended, default=since) > since else None

    def _idle_until(self, wait: Span) -> int | None:
        flow = self._flow(wait)
        if not wait.ended or flow is None:
            return None
        missing = _missing(wait, self.runs) - wait.ready
        change = self.changes[wait][1] if wait in self.changes else None
        runs = [run for run in self.runs if (run.task in missing or run is change) and run.end > wait.end]
        ends = [run.end for run in runs if self._asks_again(wait, run) and self._is_idle(flow, wait, run)]
        return max(ends, default=None)

    def _is_idle(self, flow: Span, wait: Span, run: Span) -> bool:
        """Tell whether a thread was idle when a run ended, or did little in all and asked for it soon again."""
        again = self._next_asked(wait, run)
        is_soon = again is not None and again - wait.end <= SHORT_NS
        return self._stretch(flow, run.end) is not None or (is_soon and self._does_little(flow))

    def _does_little(self, flow: Span) -> bool:
        inside = [span for span in self.spans if span in self.waits or span.is_submit]
        known = [(span.start, span.end) for span in inside if self._flow(span) is flow]
        known += [(one["start_ns"], one["end_ns"]) for one in self.stretches[flow]]
        covered, until = 0, None
        for start, end in sorted((max(start, flow.start), min(end, flow.end)) for start, end in known):
            begin = start if until is None else max(start, until)
            covered += max(end - begin, 0)
            until = end if until is None else max(until, end)
        rest = max(flow.end - flow.start - covered, 1)
        short = json.loads(flow.told.get("raytrace.idle", "{}")).get("short_ns", 0)
        return bool(flow.told["raytrace.cpu_ns"] < 0.5 * rest or short >= 0.5 * rest)

    def _asks_again(self, wait: Span, run: Span) -> bool:
        """Tell whether the next wait of the same thread for a run began when that had ended."""
        again = self._next_asked(wait, run)
        return again is not None and again >= run.end

    def _next_asked(self, wait: Span, run: Span) -> int | None:
        """When the next wait of the same thread for a run began."""
        flow = self._flow(wait)
        others = [
            (other.start, other.span_id)
            for other in self.waits
            if run.task in other.ready
            or (other.ended and run.task in _missing(other, self.runs))
            or self._asks_for(other, run)
            if self._flow(other) is flow
        ]
        return min((start for start, span_id in others if (start, span_id) > (wait.start, wait.span_id)), default=None)

    def _asks_for(self, wait: Span, change: Span) -> bool:
        """Tell whether a wait is for the answer before or after a change."""
        return any(change is by and wait in (before, answer) for before, (answer, by) in self.changes.items())

    def _innermost(self, flow: Span | None, time: int) -> Span | None:
        """The innermost span that a thread was in at a time."""
        steps = [span for span in self.spans if not (span in self.waits or span.is_submit or span.is_run)]
        begun = [span for span in steps if self._flow(span) is flow and span.start < time]
        above: Span | None = begun[-1] if begun else flow
        latest_start = max((span.start for span in begun), default=0)
        for span in begun:
            above = span if span.start == latest_start else above
        while above is not None and above.end < time:
            above = None if above.is_run else above.parent
        return above if above is not None and self._flow(above) is flow else flow


def _clip(members: list[Span]) -> None:
    """Rules 3 and 4. A nested span lies within its parent; one that does not touch it is detached.

    Where the parent is not in the scope the virtual root takes its place, which clips nothing.
    """
    in_scope = set(members)
    for span in sorted(members, key=lambda span: len(list(span.ancestors()))):
        parent = span.parent
        if span.is_run or parent is None or parent not in in_scope:
            continue
        span.detached = parent.detached or span.start >= parent.end or span.end < parent.start
        span.start = max(span.start, parent.start)
        span.end = min(span.end, parent.end)


# The walk


def latest(spans: Iterable[Span]) -> Span | None:
    """Give the one that ended last; among equals the one that started earlier, then the greater id."""
    return max(spans, key=lambda span: (span.end, -span.start, span.span_id), default=None)


@dataclass
class Walk:
    """The walk through one scope."""

    everything: list[Span]
    members: list[Span]
    queues: Queues
    infer: bool
    infer_within_ns: int
    overlap_tolerance: float
    slots: SlotWaits | None
    root: Span = field(init=False)
    joins: dict[Span, list[tuple[int, Span, bool]]] = field(init=False)
    """What each span can have waited for: time, span, whether it is inferred."""

    def __post_init__(self) -> None:
        self.runs = [span for span in self.everything if span.is_run]
        self.in_scope = set(self.members)
        _clip(self.members)
        self.led_to_by_wait: set[tuple[Span, int]] = set()
        self.root = self._virtual_root()
        self.joins = {span: [] for span in (self.root, *self.members)}
        self._join_children()
        if self.infer:
            self._join_unclaimed_runs()

    def _virtual_root(self) -> Span:
        """Rule 5."""
        start = min(span.start for span in self.members)
        attached = [span for span in self.members if span.is_run or not span.detached]
        drivers = [span for span in self.members if span.category == "driver"]
        horizon = max((span.end for span in drivers or attached), default=start)
        return Span(None, start, max(start, horizon))

    def _parent(self, span: Span) -> Span:
        """Give its parent in the scope: the virtual root where it has none there."""
        return span.parent if span.parent in self.in_scope else self.root

    def submit_in_scope(self, run: Span) -> Span | None:
        return run.submit if run.submit in self.in_scope else None

    def _join_children(self) -> None:
        """Rule 6: every nested child that is not detached, at its effective end."""
        for span in self.members:
            if not span.is_run and not span.detached:
                self.joins[self._parent(span)].append((span.end, span, False))

    def _join_unclaimed_runs(self) -> None:
        """Rule 6, inference: a run that nobody claims joins an ancestor that had not ended yet."""
        claimed = self._claimed_tasks()
        for run in self.members:
            if not run.is_run or run.task in claimed:
                continue
            if not run.recorded or _submitted_by_concurrent_method(run):
                self.joins[self._claimant(run)].append((run.end, run, True))

    def _claimed_tasks(self) -> set[Any]:
        return {task for span in self.everything for task in span.ready | span.dependencies}

    def _claimant(self, run: Span) -> Span:
        above = self._parent(run)
        while above is not self.root and (above.is_submit or above.end < run.end):
            above = self._parent(above)
        return above

    def path(self, begin: State, stop: int) -> OraclePath:
        """Walk from a state back to a time."""
        segments = []
        state: State | None = begin
        while state is not None and state.time > stop:
            step = self._step(state)
            time = state.time
            for down_to, category in step.stretches:
                start = max(down_to, stop)
                if start < time:
                    span_id = state.span.span_id
                    inferred = state.inferred or (category == "queue" and step.queue_is_inferred)
                    segments.append(Segment(start, time, category, span_id, state.via, inferred))
                time = min(time, down_to)
            state = step.then
        return OraclePath(min(stop, begin.time), begin.time, segments[::-1])

    def _step(self, at: State) -> Step:
        return (
            self._through_wait(at)
            or self._to_waker(at)
            or self._to_consumer(at)
            or self._to_call(at)
            or self._into_child(at)
            or self._back(at)
        )

    def _not_come(self, wait: Span) -> list[Span]:
        """The runs that a wait asked for in vain, of a call on an actor that was still being created, the creation."""
        found = []
        for run in self.runs:
            if run.task not in _missing(wait, self.runs):
                continue
            made = [one for one in self.runs if one.is_creation and one.actor == run.actor and one.end <= run.start]
            last = max(made, key=lambda one: one.end, default=None)
            is_call = bool(run.actor) and not run.is_creation and run.task in self._claimed_tasks()
            is_call = is_call and run.start >= wait.end
            found.append(last if is_call and last is not None and last.end > wait.end else run)
        return found

    def _through_wait(self, at: State) -> Step | None:
        """Walk rule 1: what the wait came back with."""
        wait, time = at.span, at.time
        asked = wait.ready | (wait.instead.ready if wait.instead else set())
        maker, made = self._room_maker(wait) or (None, 0)
        missing = self._not_come(wait)
        ready = [run for run in self.runs if run.task in asked or run in (wait.waited_besides, maker, *missing)]
        queued = [run for run in ready if run.start >= time and self._submitted_before(run, wait.start)]
        ready = [run for run in ready if run.start < time]
        there = {run: min(time, made if run is maker else _there(wait, run)) for run in ready}
        ready = [run for run in ready if there[run] > wait.start]
        if not ready:
            # It came back in vain while what it waited for waited to start.
            ready, there = queued, dict.fromkeys(queued, time)
        if not ready or time <= wait.start:
            return None
        run = max(ready, key=lambda run: (there[run], -run.start, run.span_id))
        then = (self._innermost_open(run, there[run]), there[run])
        if run not in self.in_scope or then in self.led_to_by_wait:
            return None
        self.led_to_by_wait.add(then)
        asks = "raytrace.awaited_task_ids" in wait.told
        got_nothing = asks and not wait.ready_task_ids
        in_vain = not run.ended and (got_nothing or wait.status == "ERROR")
        came = [one for one in self.runs if one.task in wait.ready]
        broken_off = asks and wait.status == "ERROR" and all(one.status != "ERROR" for one in came)
        is_over = (got_nothing and run.status == "ERROR") or in_vain or broken_off
        return Step([(then[1], "wait" if is_over else "fetch")], State(*then, "wait", False))

    def _submitted_before(self, run: Span, time: int) -> bool:
        submit = self.submit_in_scope(run)
        return submit is not None and submit.end <= time and (run.is_creation or run.task in self._claimed_tasks())

    def _innermost_open(self, span: Span, time: int) -> Span:
        """What it was in at a time: the nested span that was open, where that is one alone."""
        nested = [child for _, child, inferred in self.joins.get(span, []) if not (inferred or child.is_submit)]
        around = [child for child in nested if child.start < time < child.end]
        return self._innermost_open(around[0], time) if len(around) == 1 else span

    def _room_maker(self, wait: Span) -> tuple[Span, int] | None:
        """Who gave resources back last before a placement group was there: a task, or who removed a group; and when."""
        is_group = str(wait.told.get("raytrace.awaited", "")).startswith("placement group")
        if not (is_group and wait.ended and not wait.told.get("raytrace.timed_out")):
            return None
        since = max(wait.start, wait.end - ROOM_WITHIN_NS)
        tasks = [run for run in self.everything if run.is_run and run.actor is None and run.session == wait.session]
        freed = [(run.held_until, run, run.end) for run in tasks if run.asks_for_something]
        removals = [
            one for one in self.everything if one.name == "placement_group.remove" and one.run_above is not None
        ]
        for one in removals:
            if one.session == wait.session:
                removed = min(max(one.start, one.run_above.start), one.run_above.end)
                freed.append((removed, one.run_above, removed))
        freed = [one for one in freed if since < one[0] <= wait.end]
        if not freed:
            return None
        _, run, there = max(freed, key=lambda one: (one[0], one[1].end, -one[1].start, one[1].span_id))
        return run, there

    def _to_waker(self, at: State) -> Step | None:
        """Walk rule 1, suspensions: the run that was executing last on the event loop when this one went on."""
        wait, run = at.span, at.span.run_above
        if not wait.is_suspension or run is None or wait.ready_task_ids != [] or at.time != wait.end or not wait.ended:
            return None
        if wait.told.get("raytrace.awaited") in (None, "asyncio.sleep"):
            return None
        is_of_threads = wait.told.get("raytrace.sampled_times") is True
        of_loop = WAKER_OF_GRAPH_WITHIN_NS if _awaits_a_graph(wait) else WAKER_WITHIN_NS
        within = LOOKS_NS if is_of_threads else of_loop
        stops = [
            (time, -other.start, other.span_id, other)
            for other in self.runs
            if other.actor == run.actor and other.start < at.time
            for time in (self._let_go(other) if is_of_threads else self._stops(other))
            if max(wait.start, at.time - within - 1) < time <= at.time + (within if is_of_threads else 0)
        ]
        if not stops:
            return None
        stopped, _, _, waker = max(stops, key=lambda stop: stop[:3])
        stopped = min(stopped, at.time)
        then = (self._innermost_open(waker, stopped), stopped)
        if waker is run or waker not in self.in_scope or then in self.led_to_by_wait:
            return None
        self.led_to_by_wait.add(then)
        return Step([(stopped, "fetch")], State(*then, "waker", False))

    def _let_go(self, run: Span) -> list[int]:
        """When a run let other threads of its actor go on: at its end, unless it had just waited for them itself."""
        waits = [
            one.end
            for one in self.everything
            if one.is_suspension and one.run_above is run and one.told.get("raytrace.sampled_times") is True
        ]
        return [] if run.end - LOOKS_NS <= max(waits, default=-LOOKS_NS * 2**40) else [run.end]

    def _to_consumer(self, at: State) -> Step | None:
        """A generator that was held back: its consumer, as it took the item before, or was doing something else."""
        held, run = at.span, at.span.run_above
        if held.name != "back-pressure" or held.ready_task_ids is None or run is None or at.time != held.end:
            return None
        takes = [
            wait
            for wait in sorted(self.everything, key=lambda span: (span.began, span.span_id or ""))
            if wait.name == "ray.next" and not wait.is_run and run.task is not None and run.task in wait.ready
        ]
        before = [take for take in takes if take.began < held.over]
        take = before[-1] if before else takes[0] if takes else None
        if take is None or take not in self.in_scope or take.detached:
            return None
        time = at.time - 1
        if before and take.began >= held.began:
            time = min(max(take.began, held.start), time)
        above: Span | None = self._parent(take)
        while above is not None and above.end < time:
            above = None if above.is_run or above is self.root else self._parent(above)
        if above is None or above.start >= time:
            return None
        return Step([(time, "wait")], State(above, time, "consumer", False))

    def _to_call(self, at: State) -> Step | None:
        """From the end of a run that was cut short to the call that ended it."""
        run = at.span
        if not run.is_run or at.time != run.end:
            return None
        call = self._ended_by(run, set())
        if call is None or call not in self.in_scope or call.detached:
            return None
        time = min(call.start, run.end - 1)
        return Step([(time, "self")], State(self._parent(call), time, "cancel", at.inferred))

    def _ended_by(self, run: Span, asked: set[Span]) -> Span | None:
        """The last call for a run while it ran, else the one that ended the run that submitted it."""
        calls = [call for call in self.everything if not call.is_run and _is_call_to_end(call, run)]
        fitting = [(call.began, call.span_id, call) for call in calls if _can_have_ended(call, run)]
        if fitting:
            return max(fitting, key=lambda one: one[:2])[2]
        submitter = None if run.submit is None else run.submit.run_above
        if submitter is None or submitter in asked or not _was_cut(run):
            return None
        above = self._ended_by(submitter, asked | {run})
        return above if above is not None and _can_have_ended(above, run) else None

    def _stops(self, run: Span) -> list[int]:
        """Give when a run stopped executing: its end, and where it was suspended."""
        suspensions = [span for span in self.everything if span.is_suspension and span.run_above is run]
        return [run.end, *(min(max(span.began, run.start), run.end) for span in suspensions)]

    def _into_child(self, at: State) -> Step | None:
        """Walk rule 2: the child that ended last before now."""
        owner, time = at.span, at.time
        ended = [
            (end, child.is_submit, -child.start, child.span_id, inferred, child)
            for end, child, inferred in self.joins[owner]
            if owner.start < end <= time and child.start < time
        ]
        overlapping = self._overlapping(owner, time)
        if overlapping:
            ended = overlapping + [join for join in ended if join[0] == time]
        if not ended:
            return None
        end, _, _, _, inferred, child = max(ended, key=lambda join: join[:4])
        via: Via = "inferred" if inferred else "join"
        # What a wait for something else than results has left, it waits on.
        is_other = owner.ready_task_ids == [] and "raytrace.awaited_task_ids" not in owner.told and not owner.is_run
        return Step([(end, "wait" if is_other else "self")], State(child, end, via, at.inferred or inferred))

    def _overlapping(self, owner: Span, time: int) -> list[tuple[int, bool, int, str | None, bool, Span]]:
        """Overlap tolerance: children that join at `time` though they ended a little later.

        At most that part of the owner's length later, with no start or end of another child in between.
        """
        if not owner.start < time < owner.end:
            return []
        later = [end for end, _, _ in self.joins[owner] if end > time]
        begun = [child.start for _, child, _ in self.joins[owner] if child.start > time]
        next_end = min(later, default=None)
        if next_end is None or next_end - time > self.overlap_tolerance * (owner.end - owner.start):
            return []
        if any(start < next_end for start in begun):
            return []
        return [
            (time, child.is_submit, -child.start, child.span_id, inferred, child)
            for end, child, inferred in self.joins[owner]
            if end == next_end and child.start < time
        ]

    def _back(self, at: State) -> Step:
        """Walk rule 3: it was busy itself, and before that there is what it came from."""
        span = at.span
        category: Category = "submit" if span.is_submit else "self" if span.ready_task_ids is None else "wait"
        begin = min(span.start, at.time)
        if span is self.root:
            return Step([(begin, category)], None)
        if not span.is_run:
            return Step([(begin, category)], State(self._parent(span), begin, "join", at.inferred))
        submit = self.submit_in_scope(span)
        if submit is None:
            return Step([(begin, category)], State(self.root, begin, "join", False))
        origin = self._origin(span, submit, begin)
        return Step([(begin, category), (origin.time, "queue")], origin, queue_is_inferred=origin.inferred)

    # Where a run came from

    def _origin(self, run: Span, submit: Span, begin: int) -> State:
        submitted = min(submit.end, begin)
        by_submit = State(submit, submitted, "submit", False)
        found = self._origin_since(run, submit, submitted, begin)
        if submit.detached and submit.began >= submit.end < submit.over:
            # Made after the end of what it lies in: nobody knows by whom, so the driver goes on.
            submitted = min(submit.began, begin - 1)
            by_submit = State(self._driver_at(submitted), submitted, "submit", False)
            again = self._origin_since(run, submit, submitted, begin)
            if again is not None or found is None or found.via not in ("dependency", "attempt", "creation"):
                found = again
        return by_submit if found is None or found.span not in self.in_scope else found

    def _origin_since(self, run: Span, submit: Span, submitted: int, begin: int) -> State | None:
        if self.infer and self.queues == "follow" and not run.recorded:
            return self._predecessor(run, submitted, begin)
        candidates = self._candidates(run, submit, submitted, begin)
        found = latest(candidates)
        if self.queues == "follow" and run.recorded:
            holder = self._holder(run, submitted if found is None else found.end, begin)
            if holder is not None:
                return holder
        return None if found is None else State(found, found.end, candidates[found], False)

    def _driver_at(self, time: int) -> Span:
        """What the driver was in at a time; where there is none then, the virtual root."""
        drivers = [span for span in self.members if span.category == "driver"]
        last = max(drivers, key=lambda span: (span.end, span.span_id), default=self.root)
        return self._innermost_open(last if last.start < time <= last.end else self.root, time)

    def _runs_between(self, after: int, begin: int) -> list[Span]:
        return [run for run in self.runs if run.start < begin and after < run.end <= begin]

    def _candidates(self, run: Span, submit: Span, submitted: int, begin: int) -> dict[Span, Via]:
        """The runs that a recorded run can have waited for, and why."""
        reasons: list[tuple[Via, Callable[[Span], bool]]] = [
            ("dependency", lambda other: other.task in submit.dependencies),
            ("attempt", lambda other: _is_same_task(other, run)),
            ("creation", lambda other: self._made_actor(other, run)),
        ]
        found: dict[Span, Via] = {}
        for other in self._runs_between(submitted, begin):
            for via, holds in reasons:
                if holds(other):
                    found.setdefault(other, via)
        return found

    def _made_actor(self, other: Span, run: Span) -> bool:
        """Tell whether the other is the creation of the run's actor, or what ran on it before its restart."""
        if run.actor is None or other.actor != run.actor:
            return False
        if not run.is_creation:
            return other.is_creation
        return any(first.is_creation and first.actor == run.actor and first.start < run.start for first in self.runs)

    def _holder(self, run: Span, after: int, begin: int) -> State | None:
        """--queues follow: what held the actor or the worker process."""
        if run.actor is not None:
            ended = self._actor_ended(run, after, begin) if run.is_creation else None
            return ended or self._turn(run, after, begin)
        worker = run.worker_process
        given = begin if self.slots is None else self.slots.given(run, begin)
        held = self._released(lambda other: worker is not None and other.worker_process == worker, after, begin, given)
        if held is None and (ended := self._actor_ended(run, after, begin)):
            return ended
        if held is None and self.slots is not None:
            held = self.slots.taken_from(run, after, begin)
        if held is None and self.slots is not None and self.slots.waited(run, after, begin):
            held = self._released(lambda other: _holds_slot_on(other, run.session, run.node_id), after, begin, given)
        return self._into_run(held, "slot", inferred=False)

    def _actor_ended(self, run: Span, after: int, begin: int) -> State | None:
        """Where an actor was ended that had the slot: to who did that."""
        found = None if self.slots is None else self.slots.ended(run, after, begin)
        return None if found is None or found[0] not in self.in_scope else State(*found, "slot", False)

    def _released(self, fits: Callable[[Span], bool], after: int, begin: int, given: int) -> Span | None:
        """The last to give its slot back shortly before it was given on; what had ended too early did not hold it."""
        since = max(after, given - SLOT_WITHIN_NS - 1)
        held = [run for run in self.runs if fits(run) and run.start < begin and since < run.held_until <= begin]
        last = max(held, key=lambda run: (run.held_until, -run.start, run.span_id), default=None)
        return last if last is not None and last.end > after else None

    def _turn(self, run: Span, after: int, begin: int) -> State | None:
        """The last to let go of a turn on the run's actor, in its group, when none was free."""
        lane = [other for other in self.runs if (other.actor, other.group) == (run.actor, run.group)]
        limit = max(other.told.get("raytrace.max_concurrency", 0) for other in lane)
        if not limit and run.actor is not None and self._never_overlaps(run.actor):
            limit = 1
        if not limit:
            return None
        shares_loop = any(other.told.get("raytrace.on_event_loop") for other in lane)
        stops = [
            (time, -other.start, other.span_id, other)
            for other in lane
            if other.start < begin
            for time in (self._stops(other) if shares_loop else [other.end])
            if after < time <= begin
            if shares_loop or sum(one.start < time <= one.end for one in lane) >= limit
        ]
        if not stops:
            return None
        time, _, _, holder = max(stops, key=lambda stop: stop[:3])
        return State(holder, time, "actor", False) if holder in self.in_scope else None

    def _never_overlaps(self, actor: tuple[str | None, str]) -> bool:
        runs = [run for run in self.runs if run.actor == actor]
        pairs = combinations(runs, 2)
        overlap = any(one.start < other.end and other.start < one.end for one, other in pairs)
        return not overlap and not any(run.concurrent for run in runs)

    def _predecessor(self, run: Span, submitted: int, begin: int) -> State | None:
        """Inference: whatever ended last before the run began."""
        between = self._runs_between(submitted, begin)
        if run.actor is not None:
            before = [other for other in between if other.actor == run.actor]
        else:
            before = [other for other in between if other.job == run.job]
            near = [other for other in before if begin - other.end <= self.infer_within_ns]
            there = None if run.state_pending_node_assignment is None else min(run.state_pending_node_assignment, begin)
            if not near and there is not None:
                given = [other for other in before if other.end <= there and other.start < there]
                near = [other for other in given if there - other.end <= self.infer_within_ns]
            before = near
        return self._into_run(latest(before), "inferred", inferred=True)

    def _into_run(self, run: Span | None, via: Via, *, inferred: bool) -> State | None:
        return State(run, run.end, via, inferred) if run is not None and run in self.in_scope else None


def _is_call_to_end(call: Span, run: Span) -> bool:
    if call.name == "ray.kill" and run.actor is not None and call.actor == run.actor:
        return True
    target = call.told.get("raytrace.target_task_id") if call.name in ("ray.cancel", "ray.kill") else None
    return target is not None and run.task == (call.session, target)


def _was_cut(run: Span) -> str | None:
    """Whether something else than itself ended a run: `certain`, `likely`, None."""
    if run.told.get("raytrace.cancelled") is True:
        return "certain"
    if run.error_type is not None:
        return None if run.error_type == "TASK_EXECUTION_EXCEPTION" else "certain"
    return "likely" if run.status == "ERROR" or not run.ended else None


def _can_have_ended(call: Span, run: Span) -> bool:
    cut = _was_cut(run)
    in_time = run.start < call.began < run.end and (cut == "certain" or call.began >= run.end - CALL_WITHIN_NS)
    return cut is not None and in_time and call.run_above is not run


def _submitted(run: Span) -> Span:
    assert run.submit is not None
    return run.submit


def _was_interrupted(wait: Span) -> bool:
    return wait.status == "ERROR" and wait.ready_task_ids == [] and not wait.is_run


def _was_given_up(wait: Span) -> bool:
    return _was_interrupted(wait) and (wait.status_message or "").startswith("CancelledError")


def _find_instead(spans: list[Span]) -> None:
    """Note of what a program gave up what had come to the same parent up to 50 ms before."""
    for wait in filter(_was_given_up, spans):
        wait.instead = None
        came = [
            (other.end, number)
            for number, other in enumerate(spans)
            if other.ready_task_ids and not other.is_run and other.ended
            if other.parent is wait.parent and wait.parent is not None and other.end <= wait.end
        ]
        if came and max(came)[0] >= wait.end - INSTEAD_NS:
            wait.instead = spans[max(came)[1]]


def _was_broken_off(wait: Span, runs: list[Span]) -> bool:
    """Whether an exception ended it after some results had come, all of which are there and did not fail."""
    if wait.status != "ERROR" or not wait.ready_task_ids or wait.is_run:
        return False
    return sum(run.task in wait.ready and run.status != "ERROR" for run in runs) >= len(wait.ready_task_ids)


def _awaits_a_graph(wait: Span) -> bool:
    return str(wait.told.get("raytrace.awaited", "")).startswith("compiled graph")


def _missing(wait: Span, runs: list[Span]) -> set[tuple[str | None, str]]:
    """The tasks that a wait which timed out, was interrupted, or is open, asked for and did not get."""
    is_late = wait.told.get("raytrace.timed_out") or (_was_interrupted(wait) and wait.instead is None)
    is_late = is_late or _was_broken_off(wait, runs)
    if wait.ready_task_ids is None or not (is_late or not wait.ended):
        return set()
    return {(wait.session, task_id) for task_id in wait.told.get("raytrace.awaited_task_ids", [])}


def _there(wait: Span, run: Span) -> int:
    """When what the wait waited for was there: the end of the run, or its item. A scope that ends before has no say."""
    item, items = wait.told.get("raytrace.item"), run.told.get("raytrace.items")
    if items is None or run.task not in wait.ready or (item is None and run.over <= wait.over):
        return run.end
    times = json.loads(run.told["raytrace.item_ready"])
    every = next(2**power for power in range(64) if len(range(0, items, 2**power)) <= len(times))
    if item is None:
        times = [time for time in times if time <= wait.over]
        return min(max(times[-1], run.start), run.end) if times else run.end
    later = [time for number, time in zip(range(0, items, every), times, strict=True) if number >= item]
    return min(max(later[0], run.start), run.end) if later else run.end


def _submitted_by_concurrent_method(run: Span) -> bool:
    if run.submit is None:
        return False
    submitter = next((above for above in run.submit.ancestors() if above.is_run), None)
    return submitter is not None and bool(submitter.concurrent)


def _holds_slot_on(run: Span, session: str | None, node_id: str | None) -> bool:
    return run.actor is None and node_id is not None and (run.session, run.node_id) == (session, node_id)


def _is_same_task(other: Span, run: Span) -> bool:
    return other.submit is run.submit or (other.task is not None and other.task == run.task)
