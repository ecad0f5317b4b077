"""What had not ended in a table: runs, waits and tasks that never started, and what each of them waits for."""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field

import polars as pl

from raytrace_analyze.analyses.stuck.grouped import Group, missing_groups
from raytrace_analyze.analyses.stuck.held_locks import Held, held_by, is_taking
from raytrace_analyze.analyses.stuck.interrupted import reopened
from raytrace_analyze.analyses.stuck.retried import Tried, tried_in_vain
from raytrace_analyze.analyses.stuck.submitted import Row, actor_of, asked_cpus, cpus, is_creation, is_more, resources
from raytrace_analyze.analyses.stuck.unrouted import unrouted
from raytrace_analyze.attributes import (
    AWAITED,
    AWAITED_TASK_IDS,
    CALL_SITE,
    CLUSTER_RESOURCES,
    IDLE,
    LABELS,
    RESOURCES,
    UNIT,
    json_of,
)
from raytrace_analyze.schema import STATE_COLUMNS
from raytrace_analyze.span_names import KILL
from raytrace_analyze.trace.scopes import find_job, number_scopes
from raytrace_analyze.values import frozen

WAITER = "waiter"
RUNS, WAITS, PENDING = "runs", "waits", "pending"


@frozen
class Edge:
    """One who waits, and what for."""

    waiter: str
    waited_for: str
    reason: str
    since_ns: int
    certain: bool = True


@dataclass
class Open:
    """What had not ended; things are named by their task id, drivers by `driver JOB`."""

    edges: list[Edge] = field(default_factory=list)
    rows: dict[str, Row] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    idle_in: dict[str, str] = field(default_factory=dict)
    by_themselves: set[str] = field(default_factory=set)
    """Those who wait for something that is no task, and drivers in no recorded wait: `idle_in` says in what. So do
    pending tasks that nobody waits for, of which it is known why they cannot start."""
    locks: dict[str, Held] = field(default_factory=dict)
    """Of calls that ask an actor for a lock: who holds it, where that has ended."""
    taken: dict[str, str] = field(default_factory=dict)
    """Of pending tasks: the class of actors that hold what they ask for, and do nothing."""
    impossible: dict[str, str] = field(default_factory=dict)
    """Of pending tasks that no node can take: what they ask for."""
    tried: dict[str, Tried] = field(default_factory=dict)
    """Of tasks whose attempts failed, and of which another one never started."""
    in_group: dict[str, Group] = field(default_factory=dict)
    """Pending tasks in a placement group of which no task has started, and that."""
    open_spans: int = 0
    unknown_waits: int = 0

    def about(self, key: str, prefix: str) -> dict[str, str | None]:
        """Give the columns that tell of one thing."""
        row = self.rows.get(key, {})
        return {
            prefix: key,
            f"{prefix}_function": row.get("function"),
            f"{prefix}_actor_id": row.get("actor_id"),
            f"{prefix}_state": self.states.get(key),
        }


def read_open(spans: pl.DataFrame, attempts: pl.DataFrame, job: str | None = None) -> Open:
    """Read what had not ended from a span table (columns of `schema.TABLE`), or from one of its jobs.

    `attempts` are those that only task events know: of some the process or the node was gone before they could start.

    Of a job whose driver was stopped from outside while it waited that is what was open at that moment.

    Raises UsageError for a job that is unknown or ambiguous.
    """
    if job is not None:
        scope_of, keys = number_scopes(spans, "jobs")
        spans = spans.filter(pl.Series(scope_of == find_job(keys, job)))
    spans = reopened(spans)
    found = Open(open_spans=spans.get_column("end").null_count())
    work = spans.filter(pl.col("category").cast(pl.String).is_in(["submit", "task", "driver", "wait"]))
    work = work.with_columns(start_ns=pl.col("start").to_physical(), end_ns=pl.col("end").to_physical())
    submits = _rows(work.filter(category="submit").filter(pl.col("submitted_task_id").is_not_null()))
    running = _rows(work.filter(pl.col("end").is_null(), pl.col("category") == "task"))
    drivers = _rows(work.filter(pl.col("end").is_null(), pl.col("category") == "driver"))
    waits = _rows(work.filter(pl.col("end").is_null(), pl.col("category") == "wait"))
    started = {
        (row["session"], row["task_id"]) for row in _rows(work.filter(category="task").select("session", "task_id"))
    }
    for row in (*running, *drivers):
        _know(found, row, _key(row), RUNS)
    found.by_themselves.update({_key(row) for row in drivers} & found.idle_in.keys() - {_key(row) for row in waits})
    found.tried.update(_tried_in_vain(work.filter(category="task"), attempts, submits))
    started = {(session, task) for session, task in started if task not in found.tried}
    pending = [row for row in submits if (row["session"], row["submitted_task_id"]) not in started and row["end"]]
    pending = [row for row in pending if row["status"] != "ERROR"]
    if not (running or drivers or waits):
        return found  # all ended: what never started was not wanted
    for row in pending:
        _know(found, {**row, "actor_id": actor_of(row)}, row["submitted_task_id"], PENDING)
    found.edges.extend(_of_waits(found, waits, submits))
    of_drivers = {(row["session"], row["pid"]) for row in _rows(work.filter(category="driver"))}
    for route, request, run in unrouted(spans, running):
        is_drivers = (route["session"], route["pid"]) in of_drivers
        key = _key(route) if route["task_id"] or is_drivers else request
        found.states[key] = WAITS
        found.rows.setdefault(key, {**route, "function": "(driver)"} if is_drivers else route)
        found.edges.append(Edge(key, _key(run), "replica", route["start_ns"], certain=False))
    holding = {actor_of(row) for row in submits if is_creation(row) and cpus(row, otherwise=0) > 0}
    on_slot = [row for row in running if _holds_slot(found, row, holding)]
    cluster: dict[str, int] = {}
    for row in _rows(work.filter(category="driver").head(20)):
        for name, amount in resources(row, CLUSTER_RESOURCES).items():
            cluster[name] = max(cluster.get(name, 0), amount)
    found.in_group.update(missing_groups(pending, submits, cluster))
    found.edges.extend(_of_pending(found, pending, running, on_slot, cluster))
    over = _over(spans, max((row["start_ns"] for row in waits), default=None))
    left = [row for row in submits if actor_of(row) not in over]
    found.edges.extend(_of_resources(found, pending, running, left))
    _take_cpus(found, pending, left, cluster)
    found.edges.extend(_of_locks(found, running, work))
    in_graph = {name for edge in found.edges for name in (edge.waiter, edge.waited_for)}
    explained = {*found.impossible, *found.taken, *found.in_group, *found.tried}
    found.by_themselves.update({row["submitted_task_id"] for row in pending} & explained - in_graph)
    found.edges = list({(edge.waiter, edge.waited_for): edge for edge in reversed(found.edges)}.values())
    return found


def _over(spans: pl.DataFrame, until: int | None) -> set[str | None]:
    """Give the actors that were killed, or that Ray says were over before a time (ns; None: whenever that was).

    What a program that is stopped ends with it had what it asked for until then.
    """
    ended = pl.max_horizontal(STATE_COLUMNS[state] for state in ("ACTOR_DEAD", "ACTOR_LET_GO")).to_physical()
    is_over = ended.is_not_null() if until is None else (ended <= until).fill_null(value=False)
    return set(spans.filter((pl.col("name") == KILL) | is_over).get_column("actor_id"))


def _tried_in_vain(runs: pl.DataFrame, attempts: pl.DataFrame, submits: Iterable[Row]) -> Iterator[tuple[str, Tried]]:
    """Tell of the tasks that were tried in vain, and wait to be tried again."""
    of_task = {row["submitted_task_id"]: row for row in submits}
    of_actor = {actor_of(row): row for row in of_task.values() if is_creation(row)}
    for task, count, error in tried_in_vain(runs, attempts):
        row = of_task.get(task)
        actor = None if row is None or is_creation(row) else actor_of(row)
        asking = row if actor is None else of_actor.get(actor)
        needs = None if asking is None else json_of(asking["attributes"], {}).get(RESOURCES)
        yield task, Tried(count, error, needs if isinstance(needs, str) and needs != "{}" else None, actor is not None)


def _rows(frame: pl.DataFrame) -> list[Row]:
    return frame.to_dicts()


def _key(row: Row) -> str:
    """Name the flow that a span lies in."""
    return str(row["task_id"] or f"driver {row['job_id'] or row['session']}")


def _know(found: Open, row: Row, key: str, state: str) -> None:
    found.rows.setdefault(key, row)
    found.states.setdefault(key, state)
    idle = json_of(row["attributes"], {}).get(IDLE)
    stretches = json_of(idle, {}).get("stretches") if state == RUNS else None
    last = stretches[-1] if isinstance(stretches, list) and stretches else None
    if isinstance(last, dict) and last.get("in"):
        found.idle_in[key] = _at(str(last["in"]), last.get("at"))


def _at(what: str, place: object) -> str:
    return f"{what} at {place}" if place else what


def _of_waits(found: Open, waits: Iterable[Row], submits: Iterable[Row]) -> Iterator[Edge]:
    """Say what open waits wait for: what they asked for that is not over."""
    submitted_by: dict[str, list[Row]] = {}
    for row in submits:
        submitted_by.setdefault(_key(row), []).append(row)
    for row in waits:
        waiter = _key(row)
        found.states[waiter] = WAITS
        found.rows.setdefault(waiter, {**row, "function": row["function"] or "(driver)"})
        about = json_of(row["attributes"], {})
        asked, awaited = about.get(AWAITED_TASK_IDS), about.get(AWAITED)
        if row["ready_task_ids"]:  # all of it came when the program was stopped, as errors
            asked = [*(asked if isinstance(asked, list) else ()), *row["ready_task_ids"]]
        certain = isinstance(asked, list)
        if not certain and isinstance(awaited, str):  # it is not for a result
            found.idle_in[waiter] = _at(awaited, about.get(CALL_SITE))
            found.by_themselves.add(waiter)
            continue
        if not isinstance(asked, list):
            found.unknown_waits += 1
            asked = [each["submitted_task_id"] for each in submitted_by.get(waiter, ())]
        for task in asked:
            if task in found.states and task != waiter:
                yield Edge(waiter, str(task), "result", row["start_ns"], certain)


def _of_pending(
    found: Open, pending: Iterable[Row], running: Iterable[Row], on_slot: Iterable[Row], cluster: dict[str, int]
) -> Iterator[Edge]:
    """Say what tasks wait for that never started: their arguments, their actor, a slot."""
    holders_of_slots = [_key(row) for row in on_slot]
    on_actor: dict[str, list[str]] = {}
    for row in running:
        if row["actor_id"]:
            on_actor.setdefault(row["actor_id"], []).append(_key(row))
    creations = {actor_of(row): row["submitted_task_id"] for row in pending if is_creation(row)}
    for row in pending:
        key, since = row["submitted_task_id"], row["end_ns"]
        unready = [task for task in row["dependency_task_ids"] or () if task in found.states]
        for task in unready:
            yield Edge(key, task, "dependency", since)
        actor = actor_of(row)
        if unready:
            continue
        if actor is not None and not is_creation(row):
            holders = on_actor.get(actor) or [task for task in (creations.get(actor),) if task]
            for task in holders:
                yield Edge(key, task, "actor", since)
            continue
        if key in found.in_group:
            continue
        if is_more(resources(row), cluster):
            found.impossible[key] = str(json_of(row["attributes"], {}).get(RESOURCES))
        elif asked_cpus(row, otherwise=UNIT) > 0:
            yield from (Edge(key, holder, "slot", since, certain=False) for holder in holders_of_slots)


def _of_resources(
    found: Open, pending: Iterable[Row], running: Iterable[Row], submits: Iterable[Row]
) -> Iterator[Edge]:
    """Say who holds what tasks ask for that never started, CPUs apart: it is given back at the end only."""
    demands = {
        row["submitted_task_id"]: {name for name in resources(row) if name != "CPU" and not name.startswith(LABELS)}
        for row in submits
    }
    of_actor = {actor_of(row): row for row in submits if is_creation(row) and demands[row["submitted_task_id"]]}

    def held(run: Row) -> Collection[str]:
        creation = of_actor.get(run["actor_id"])
        return demands.get(run["task_id"] if creation is None else creation["submitted_task_id"], ())

    for row in pending:
        key = row["submitted_task_id"]
        asked: Collection[str] = demands.get(key, frozenset())
        if not asked or key in found.impossible:
            continue
        holders = [one for one in running if not set(held(one)).isdisjoint(asked)]
        for holder in holders:
            yield Edge(key, _key(holder), "resource", row["end_ns"], certain=False)
        held_by = [one for one in of_actor.values() if not demands[one["submitted_task_id"]].isdisjoint(asked)]
        idle = [one for one in held_by if one is not row]
        if idle and not holders:
            found.taken[key] = str(idle[0]["function"]).rpartition(".")[0]


def _take_cpus(found: Open, pending: Iterable[Row], submits: Iterable[Row], cluster: dict[str, int]) -> None:
    """Say of what asks for CPUs and waits for nobody that actors hold them: those that started, and were not ended."""
    waiting, waits_for_somebody = list(pending), {edge.waiter for edge in found.edges}
    never_started = {row["submitted_task_id"] for row in waiting}
    holders = [row for row in submits if is_creation(row) and row["submitted_task_id"] not in never_started]
    held = {str(row["function"]).rpartition(".")[0]: 0 for row in holders}
    for row in holders:
        held[str(row["function"]).rpartition(".")[0]] += cpus(row, otherwise=0)
    free = cluster.get("CPU", 0) - sum(held.values())
    for row in waiting:
        key, is_method = row["submitted_task_id"], actor_of(row) is not None and not is_creation(row)
        known = is_method or key in waits_for_somebody or key in found.impossible or key in found.taken
        known = known or key in found.in_group
        if not known and "CPU" in cluster and asked_cpus(row, otherwise=0) > max(free, 0) and any(held.values()):
            found.taken[key] = max(sorted(held), key=lambda name: held[name])


def _of_locks(found: Open, running: Iterable[Row], work: pl.DataFrame) -> Iterator[Edge]:
    """Say who holds what calls wait for that ask an actor for a lock."""
    asking = [row for row in running if row["actor_id"] and is_taking(found.idle_in.get(_key(row), ""))]
    for row in asking:
        held = held_by(work, row)
        if held is not None and held.flow in found.states:
            yield Edge(_key(row), held.flow, "held", row["start_ns"], certain=False)
        elif held is not None:
            found.locks[_key(row)] = held


def _holds_slot(found: Open, row: Row, holding: Collection[str | None]) -> bool:
    """Tell whether a run holds a slot: a task gives its own away while it waits in ray.get, an actor does not."""
    return row["actor_id"] in holding if row["actor_id"] else found.states.get(_key(row)) == RUNS
