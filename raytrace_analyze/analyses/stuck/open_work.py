"""What had not ended in a table: runs, waits and tasks that never started, and what each of them waits for."""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import polars as pl

from raytrace_analyze.analyses.stuck.given import given_to_processes
from raytrace_analyze.analyses.stuck.grouped import missing_groups
from raytrace_analyze.analyses.stuck.held_locks import waits_for_a_call
from raytrace_analyze.analyses.stuck.interrupted import reopened
from raytrace_analyze.analyses.stuck.last_calls import LastCaller, last_caller
from raytrace_analyze.analyses.stuck.lock_waits import of_locks
from raytrace_analyze.analyses.stuck.meetings import of_meetings
from raytrace_analyze.analyses.stuck.opened import PENDING, RUNS, WAITS, Edge, Open, key_of
from raytrace_analyze.analyses.stuck.pending import add_room, holds_slot, of_pending, of_resources
from raytrace_analyze.analyses.stuck.retried import Tried, tried_in_vain
from raytrace_analyze.analyses.stuck.room import group_amounts
from raytrace_analyze.analyses.stuck.submitted import Row, actor_of, cpus, is_creation, resources
from raytrace_analyze.analyses.stuck.unrouted import unrouted
from raytrace_analyze.names.attributes import (
    AWAITED,
    AWAITED_TASK_IDS,
    CALL_SITE,
    CLUSTER_RESOURCES,
    HELD_BY,
    IDLE,
    RESOURCES,
    json_of,
)
from raytrace_analyze.names.awaited import CONSUMER, GRAPH_END
from raytrace_analyze.names.spans import BACK_PRESSURE, KEEP_SLOT, KILL, NEXT
from raytrace_analyze.path.outcome import endings
from raytrace_analyze.schema import STATE_COLUMNS
from raytrace_analyze.trace.scopes import find_job, number_scopes
from raytrace_analyze.vocabulary.spans import Ending

_SOON_NS = 1_000_000_000
"""A thread that sleeps in a loop may begin a call in between."""


def read_open(
    spans: pl.DataFrame, attempts: pl.DataFrame, job: str | None = None, *, though_over: bool = False
) -> Open:
    """Read what had not ended from a span table (columns of `schema.TABLE`), or from one of its jobs.

    `attempts` are those that only task events know: of some the process or the node was gone before they could start.

    Of a job whose driver was stopped from outside while it waited that is what was open at that moment. Where all that
    began is over, what never started was not wanted, and is told only `though_over`.

    Raises UsageError for a job that is unknown or ambiguous.
    """
    if job is not None:
        scope_of, keys = number_scopes(spans, "jobs")
        spans = spans.filter(pl.Series(scope_of == find_job(keys, job)))
    spans = reopened(spans)
    found = Open(open_spans=spans.get_column("end").null_count())
    work = spans.filter(pl.col("category").cast(pl.String).is_in(["submit", "task", "driver", "wait"]))
    work = work.with_columns(start_ns=pl.col("start").to_physical(), end_ns=pl.col("end").to_physical())
    running = _rows(work.filter(pl.col("end").is_null(), pl.col("category") == "task"))
    drivers = _rows(work.filter(pl.col("end").is_null(), pl.col("category") == "driver"))
    waits = _rows(work.filter(pl.col("end").is_null(), pl.col("category") == "wait"))
    tried = list(tried_in_vain(work.filter(category="task"), attempts))
    is_over = not (running or drivers or waits or though_over)
    if is_over and not tried:  # the rest takes long where there is much
        return found
    submits = _rows(work.filter(category="submit").filter(pl.col("submitted_task_id").is_not_null()))
    # What it waits for, or submitted, may be all that a task has left.
    started = set(work.select("session", "task_id").drop_nulls("task_id").iter_rows())
    last_begun = _last_begun(spans)
    for row in (*running, *drivers):
        _know(found, row, key_of(row), RUNS, last_begun.get(_thread(row), 0))
    found.by_themselves.update({key_of(row) for row in drivers} & found.idle_in.keys() - {key_of(row) for row in waits})
    found.tried.update(_tried_in_vain(tried, submits))
    started = {(session, task) for session, task in started if task not in found.tried}
    pending = [row for row in submits if (row["session"], row["submitted_task_id"]) not in started and row["end"]]
    cancelled = set(attempts.filter(endings() == Ending.CANCELLED).select("session", "task_id").iter_rows())
    pending = [row for row in pending if (row["session"], row["submitted_task_id"]) not in cancelled]
    pending = [row for row in pending if row["status"] != "ERROR"]
    if is_over:
        return found
    for row in pending:
        _know(found, {**row, "actor_id": actor_of(row)}, row["submitted_task_id"], PENDING)
    waiting = {key_of(row) for row in waits}
    for row in submits:  # of a task of which only a wait is left, its submission says what it is
        if row["submitted_task_id"] in waiting:
            found.rows.setdefault(row["submitted_task_id"], {**row, "actor_id": actor_of(row)})
    found.edges.extend(_of_waits(found, work, waits, submits))
    of_drivers = {(row["session"], row["pid"]) for row in _rows(work.filter(category="driver"))}
    for route, request, run in unrouted(spans, running):
        is_drivers = (route["session"], route["pid"]) in of_drivers
        key = key_of(route) if route["task_id"] or is_drivers else request
        found.states[key] = WAITS
        found.rows.setdefault(key, {**route, "function": "(driver)"} if is_drivers else route)
        found.edges.append(Edge(key, key_of(run), "replica", route["start_ns"], certain=False))
    holding = {actor_of(row) for row in submits if is_creation(row) and cpus(row, otherwise=0) > 0}
    on_slot = [row for row in running if holds_slot(found, row, holding)]
    for row in _rows(work.filter(category="driver").head(20)):
        for name, amount in resources(row, CLUSTER_RESOURCES).items():
            found.cluster[name] = max(found.cluster.get(name, 0), amount)
    found.in_group.update(missing_groups(pending, submits, found.cluster))
    found.edges.extend(of_pending(found, pending, running, on_slot))
    over = _over(spans, max((row["start_ns"] for row in waits), default=None))
    left = [row for row in submits if actor_of(row) not in over]
    found.edges.extend(of_resources(found, pending, running, left))
    add_room(found, spans, pending, running, left)
    found.edges.extend(of_locks(found, running, spans))
    found.edges.extend(of_meetings(found, running, pending, submits))
    found.last_callers.update(_last_callers(found, running, work))
    given = dict(given_to_processes(spans, attempts))
    found.given.update({task: given[task] for row in pending if (task := row["submitted_task_id"]) in given})
    # It has all that it waited for.
    found.edges = [edge for edge in found.edges if edge.waiter not in found.given]
    in_graph = {name for edge in found.edges for name in (edge.waiter, edge.waited_for)}
    explained = {*found.impossible, *found.taken, *found.kept, *found.in_group, *found.tried, *found.given}
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


def _tried_in_vain(tasks: Iterable[tuple[str, int, str]], submits: Iterable[Row]) -> Iterator[tuple[str, Tried]]:
    """Tell of the tasks that were tried in vain, and wait to be tried again (what `tried_in_vain` gives)."""
    of_task = {row["submitted_task_id"]: row for row in submits}
    of_actor = {actor_of(row): row for row in of_task.values() if is_creation(row)}
    for task, count, error in tasks:
        row = of_task.get(task)
        actor = None if row is None or is_creation(row) else actor_of(row)
        asking = row if actor is None else of_actor.get(actor)
        needs = None if asking is None else json_of(asking["attributes"], {}).get(RESOURCES)
        yield task, Tried(count, error, needs if isinstance(needs, str) and needs != "{}" else None, actor is not None)


def _rows(frame: pl.DataFrame) -> list[Row]:
    return frame.to_dicts()


def _thread(row: Row) -> tuple[str, int | None, str | None]:
    return row["session"], row["pid"], row["task_id"]


def _last_begun(spans: pl.DataFrame) -> dict[tuple[str, int | None, str | None], int]:
    """Give when (ns) the last call began that is recorded of each thread: a driver's, or that of a task."""
    calls = spans.filter(pl.col("category").cast(pl.String).is_in(["submit", "wait", "put"]))
    last = calls.group_by("session", "pid", "task_id").agg(pl.col("start").to_physical().max())
    return {(session, pid, task): start for session, pid, task, start in last.iter_rows()}


def _know(found: Open, row: Row, key: str, state: str, last_begun: int = 0) -> None:
    """Take note of what had not ended; of what runs, in what its thread idled last, if it did nothing after that."""
    found.rows.setdefault(key, row)
    found.states.setdefault(key, state)
    idle = json_of(row["attributes"], {}).get(IDLE)
    stretches = json_of(idle, {}).get("stretches") if state == RUNS else None
    last = stretches[-1] if isinstance(stretches, list) and stretches else None
    if isinstance(last, dict) and last.get("in") and not _went_on(last, last_begun):
        found.idle_in[key] = _at(str(last["in"]), last.get("at"))


def _went_on(idle: dict[str, Any], last_begun: int) -> bool:
    until = idle.get("end_ns")
    return isinstance(until, int) and last_begun > until + _SOON_NS


def _at(what: str, place: object) -> str:
    return f"{what} at {place}" if place else what


def _of_waits(found: Open, work: pl.DataFrame, waits: Collection[Row], submits: Collection[Row]) -> Iterator[Edge]:
    """Say what open waits wait for: what they asked for that is not over."""
    submitted_by: dict[str, list[Row]] = {}
    for row in submits:
        submitted_by.setdefault(key_of(row), []).append(row)
    consumers = _consumers(found, work, waits, submits)
    for row in waits:
        waiter = key_of(row)
        found.states[waiter] = WAITS
        if row["name"] not in KEEP_SLOT:
            found.gave_slot.add(waiter)
        found.rows.setdefault(waiter, {**row, "function": row["function"] or "(driver)"})
        about = json_of(row["attributes"], {})
        if row["name"] == BACK_PRESSURE and (consumer := consumers.get(waiter)) is not None:
            yield Edge(waiter, consumer[0], CONSUMER, row["start_ns"], consumer[1])
            continue
        asked, awaited = about.get(AWAITED_TASK_IDS), about.get(AWAITED)
        if row["ready_task_ids"]:  # all of it came when the program was stopped, as errors
            asked = [*(asked if isinstance(asked, list) else ()), *row["ready_task_ids"]]
        certain = isinstance(asked, list)
        if not certain and isinstance(awaited, str):  # it is not for a result
            found.idle_in[waiter] = _at(awaited, about.get(CALL_SITE))
            found.held_by[waiter] = about.get(HELD_BY) or found.held_by.get(waiter, [])
            if awaited != GRAPH_END:  # as it always does while the graph is there
                found.by_themselves.add(waiter)
            if asked_for := group_amounts(awaited):
                found.for_group[waiter] = asked_for, row["start_ns"]
            continue
        if not isinstance(asked, list):
            found.unknown_waits += 1
            asked = [each["submitted_task_id"] for each in submitted_by.get(waiter, ())]
        for task in asked:
            if task in found.states and task != waiter:
                yield Edge(waiter, str(task), "result", row["start_ns"], certain)


def _consumers(
    found: Open, work: pl.DataFrame, waits: Iterable[Row], submits: Iterable[Row]
) -> dict[str, tuple[str, bool]]:
    """Give who takes the items of generators that are held back, and whether that was seen: else who submitted them.

    None of those who are over, or wait for the next item.
    """
    held = {key_of(row) for row in waits if row["name"] == BACK_PRESSURE}
    if not held:
        return {}
    takers = {row["submitted_task_id"]: (key_of(row), False) for row in submits if row["submitted_task_id"] in held}
    for row in _rows(work.filter(pl.col("name") == NEXT).sort("start_ns")):
        for task in {*(row["ready_task_ids"] or ()), *json_of(row["attributes"], {}).get(AWAITED_TASK_IDS, ())} & held:
            takers[task] = key_of(row), row["end"] is not None
    return {task: taker for task, taker in takers.items() if taker[0] in found.states and taker[0] != task}


def _last_callers(found: Open, running: Iterable[Row], work: pl.DataFrame) -> Iterator[tuple[str, LastCaller]]:
    """Say of calls that wait for what another call has to give who made the last such call, where that is over."""
    asked: dict[tuple[str | None, ...], LastCaller | None] = {}
    for row in running:
        if row["actor_id"] and waits_for_a_call(found.idle_in.get(key_of(row), "")):
            alike = row["session"], row["actor_id"], row["function"]
            if alike not in asked:
                asked[alike] = last_caller(work, row)
            caller = asked[alike]
            if caller is not None:
                yield key_of(row), caller
