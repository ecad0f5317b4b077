"""Who waited for a slot of its node, told from Ray's task events: slow and plain, the oracle's part for slots.

A run waited for a slot where its node came to have room for it only after it was ready, and before it was sent to its
worker. What a node has room for is the most that it was seen to give.
"""

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import polars as pl

from tests.oracle import Span, latest

WITHIN_NS = 200_000_000
"""What ended longer before an actor was over did not end it."""
MOMENT_NS = 1_000_000
"""Ray tells the ends of actors in milliseconds."""

Place = tuple[str | None, str, str]
"""Session, node, resource."""


@dataclass(frozen=True)
class Told:
    """What the task events say of a run: times in ns, None where they say nothing."""

    assigned: int | None = None
    """PENDING_NODE_ASSIGNMENT: its arguments are there."""
    submitted: int | None = None
    running: int | None = None
    done: int | None = None
    resources: str | None = None
    dead: int | None = None
    """Of an actor's creation: when the actor was over."""
    let_go: int | None = None
    """Likewise, since nobody had a handle to it."""

    @property
    def is_known(self) -> bool:
        return any(time is not None for time in (self.assigned, self.submitted, self.running))


@dataclass(frozen=True)
class Change:
    """Some of a place is taken, or given back (a negative amount)."""

    time: int
    amount: int
    owner: Span
    is_grant: bool


class Slots:
    """The nodes' slots over time."""

    def __init__(self, spans: list[Span], events: pl.DataFrame) -> None:
        self.spans = spans
        self.runs = [span for span in spans if span.is_run]
        self.kills = [span for span in spans if span.name == "ray.kill" and not span.is_run]
        self.told = _told(self.runs, events)
        changes: dict[Place, list[Change]] = defaultdict(list)
        self.lets_go = set()
        """Nodes on which a run let its slot go while it waited: what was taken there at once is more than there are."""
        for run in self.runs:
            for place, amount in self._holds(run).items():
                changes[place] += _held(run, self._held_from(run), self._held_until(run), amount, is_grant=True)
        for wait in spans:
            flow = next((above for above in wait.ancestors() if above.is_run), None)
            if (
                wait.is_run
                or wait.ready_task_ids is None
                or flow is None
                or flow.actor is not None
                or wait.is_idle_wait
                or wait.name in ("await", "back-pressure")
            ):
                continue
            self.lets_go.add(flow.node_id)
            since, until = max(wait.start, self._held_from(flow)), min(wait.end, flow.end)
            for place, amount in self._holds(flow).items():
                changes[place] += _held(flow, since, until, -amount, is_grant=False)
        # Of what happens at one time, what is given back comes first.
        self.changes = {
            place: sorted(steps, key=lambda step: (step.time, step.amount)) for place, steps in changes.items()
        }

    def given(self, run: Span, begin: int) -> int:
        """When the run had its slot, as far as Ray says when it was sent to its worker; else when it began."""
        submitted = self.told[run].submitted
        return begin if submitted is None else min(submitted, begin)

    def waited(self, run: Span, since: int, until: int) -> bool:
        """Tell whether a run of a task waited for a slot at some time from `since` to `until`."""
        return self._waited_for(run, since, until) is not None

    def ended(self, run: Span, since: int, until: int) -> tuple[Span, int] | None:
        """Give the span in whose flow an actor was ended that had the slot which a run waited for, and when."""
        holder = self._waited_for(run, since, until)
        if holder is None or not holder.is_creation:
            return None
        found = self._doing(holder)
        return found if found is not None and since < found[1] <= until and found[0] is not run else None

    def taken_from(self, run: Span, since: int, until: int) -> Span | None:
        """Give the task's run whose slot a run waited for that began with a new process then."""
        holder = self._waited_for(run, since, until)
        mates = [one for one in self.runs if run.worker_process and one.worker_process == run.worker_process]
        mates.sort(key=lambda other: (other.end, -other.start, other.span_id))
        begins = min(mates, key=self._held_from, default=None) is run
        if holder is None or holder.actor is not None or not begins:
            return None
        return holder if since < holder.end <= until else None

    def _waited_for(self, run: Span, since: int, until: int) -> Span | None:
        told = self.told[run]
        if not told.is_known:
            return None
        ready = told.assigned if told.assigned is not None else self._dependencies_done(run, until)
        granted = next((time for time in (told.submitted, told.running) if time is not None), until)
        ready = since if ready is None else ready
        room = self._room_from(run, max(since, ready), granted)
        if room is None or room[0] <= max(since, ready) or min(room[0], until) <= max(min(ready, until), since):
            return None
        return room[1]

    def _room_from(self, run: Span, since: int, until: int) -> tuple[int, Span] | None:
        """Since when its process was free and its node had room for it, and who made it; None where that was always."""
        worker = run.worker_process
        mates = [other for other in self.runs if other is not run and worker and other.worker_process == worker]
        before = latest(other for other in mates if other.end <= until)
        freed = [
            max(
                (step for step in self._freed(place, amount) if step.time <= until),
                key=lambda step: step.time,
                default=None,
            )
            for place, amount in self._demand(run).items()
        ]
        last = max((step for step in freed if step is not None), key=lambda step: step.time, default=None)
        is_counted = run.node_id is not None and run.node_id not in self.lets_go
        if is_counted and (last is None or last.time <= since):
            return None
        if last is not None and (before is None or last.time > before.end):
            time, holder = last.time, last.owner
        elif before is not None:
            time, holder = before.end, before
        else:
            return None
        done = self.told[holder].done
        return time if done is None else max(time, min(done, until)), holder

    def _freed(self, place: Place, demand: int) -> list[Change]:
        """Give the changes by which a place came to have room for a demand."""
        used, uses = 0, []
        for step in self.changes.get(place, []):
            uses.append((used, used + step.amount, step))
            used += step.amount
        limit = max((after for _, after, step in uses if step.is_grant and step.amount > 0), default=0) - demand
        return [step for before, after, step in uses if before > limit >= after]

    def _held_from(self, run: Span) -> int:
        """Since it was sent to its worker, not before that had ended the run before."""
        told = self.told[run]
        sent = next((time for time in (told.submitted, told.running) if time is not None), run.start)
        worker = run.worker_process
        mates = [other for other in self.runs if worker is not None and other.worker_process == worker]
        mates.sort(key=lambda other: (other.end, -other.start, other.span_id))
        before = mates[mates.index(run) - 1] if run in mates[1:] else None
        held = min(sent, run.start)
        return held if before is None else max(held, min(before.end, run.start))

    def _held_until(self, run: Span) -> int:
        """To its end; an actor holds what it asked for to the end of the last run on it, or until it is over."""
        if not run.is_creation:
            return run.held_until
        ends = [other.end for other in self.runs if other.actor == run.actor]
        over = self._over(run)
        return max([run.held_until, *ends, *([] if over is None else [over])])

    def _over(self, creation: Span) -> int | None:
        """When an actor was over: by Ray's word, else by the first call that killed it."""
        told = self._told_over(creation)
        kills = [one.start for one in self._kills(creation)]
        return told if told is not None else min(kills, default=None)

    def _made(self, creation: Span) -> int:
        return max(other.end for other in self.runs if other.is_creation and other.actor == creation.actor)

    def _told_over(self, creation: Span) -> int | None:
        told = [self.told[one] for one in self.runs if one.is_creation and one.actor == creation.actor]
        times = [time for one in told for time in (one.dead, one.let_go) if time is not None]
        over = max(times, default=None)
        return over if over is not None and over >= self._made(creation) else None

    def _kills(self, creation: Span) -> list[Span]:
        return [one for one in self.kills if one.actor == creation.actor and one.start > self._made(creation)]

    def _doing(self, creation: Span) -> tuple[Span, int] | None:
        """Give the span in whose flow the actor was ended, and when."""
        over, last = self._over(creation), self._told_over(creation)
        if over is None:
            return None
        calls = [one for one in self._kills(creation) if last is None or one.start <= last + MOMENT_NS]
        if calls:
            earliest = last is None
            call = max(calls, key=lambda one: (-one.start if earliest else one.start, one.span_id))
            if call.parent is not None:
                above = call.parent
                return above, min(max(above.start, min(call.start, above.end)), over)
        if last is None:
            return None
        users = self._users(creation)
        ended = [one for one in users if last - WITHIN_NS <= one.end <= last + MOMENT_NS]
        if ended:
            user = latest(ended)
            assert user is not None
            return user, min(user.end, over)
        told = [self.told[one] for one in self.runs if one.is_creation and one.actor == creation.actor]
        owner = None if creation.submit is None else _flow(creation.submit)
        if not any(one.let_go == last for one in told) or owner is None:
            return None
        others = [one for one in users if one is not owner and one.start < last and one.end > last + MOMENT_NS]
        if others or not owner.start < last <= owner.end:
            return None
        waits = [one for one in self.spans if one.ready_task_ids is not None and not one.is_run and _flow(one) is owner]
        began = max((one for one in waits if one.start <= last), key=lambda one: one.start, default=None)
        time = last if began is None or began.end <= last else began.start
        return (owner, time) if last - time <= WITHIN_NS else None

    def _users(self, creation: Span) -> set[Span]:
        """The runs that created it, called it, or were calls of it."""
        own = {one for one in self.runs if one.actor == creation.actor}
        calls = {one.run_above for one in self.spans if one.is_submit and one.actor == creation.actor}
        made = {None if one.submit is None else one.submit.run_above for one in own if one.is_creation}
        return {one for one in own | calls | made if one is not None}

    def _holds(self, run: Span) -> dict[Place, int]:
        is_placed_only = run.is_creation and not self._asked(run)
        return {} if is_placed_only else self._demand(run)

    def _demand(self, run: Span) -> dict[Place, int]:
        """What it needs of its node, in ten-thousandths; an actor that asks for nothing needs a CPU to be placed."""
        if run.node_id is None or (run.actor is not None and not run.is_creation):
            return {}
        asked = self._asked(run) or ({"CPU": 10_000} if run.is_creation else {})
        return {(run.session, run.node_id, name): amount for name, amount in asked.items()}

    def _asked(self, run: Span) -> dict[str, int]:
        attributes = json.loads(run.submit.attributes) if run.submit else {}
        text = self.told[run].resources or attributes.get("raytrace.resources") or '{"CPU": 1}'
        return {name: round(amount * 10_000) for name, amount in json.loads(text).items() if amount > 0}

    def _dependencies_done(self, run: Span, until: int) -> int | None:
        needed = run.submit.dependencies if run.submit else set()
        return max((other.end for other in self.runs if other.task in needed and other.end <= until), default=None)


def _flow(span: Span) -> Span | None:
    """Give the run, else the driver, in whose flow a span lies; None where there is neither."""
    above = [one for one in span.ancestors() if one is not span]
    return next((one for one in above if one.is_run), above[-1] if above else None)


def _held(owner: Span, since: int, until: int, amount: int, *, is_grant: bool) -> list[Change]:
    if until <= since:
        return []
    return [Change(since, amount, owner, is_grant), Change(until, -amount, owner, is_grant=False)]


def _told(runs: list[Span], events: pl.DataFrame) -> dict[Span, Told]:
    """Give each run what the events say of its attempt; of several runs the one that started when they say."""
    told = dict.fromkeys(runs, Told())
    columns = {"pending_node_assignment": "assigned", "submitted_to_worker": "submitted", "running": "running"}
    times = pl.col(*columns, "finished", "failed").to_physical()
    for row in events.with_columns(times).iter_rows(named=True):
        said = Told(
            **{name: row[column] for column, name in columns.items()},
            done=row["failed"] if row["finished"] is None else row["finished"],
            resources=row["resources"],
            **{name: _stamp(row["states"], f"ACTOR_{name.upper()}") for name in ("dead", "let_go")},
        )
        if of := _run_of(runs, row, said):
            told[of] = said
    return told


def _stamp(states: str | None, name: str) -> int | None:
    found = json.loads(states or "{}").get(name)
    return int(found) if found else None


def _run_of(runs: list[Span], row: dict[str, Any], said: Told) -> Span | None:
    key = ((row["session"], row["task_id"]), row["attempt"] or 0)
    same = [run for run in runs if run.task is not None and (run.task, run.attempt or 0) == key]
    about = next((time for time in (said.running, said.submitted, said.assigned) if time is not None), None)
    return min(same, key=lambda run: 0 if about is None else abs(run.start - about), default=None)
