"""What tasks wait for that never started: their arguments, their actor, a slot, and room in the cluster."""

from collections.abc import Collection, Iterable, Iterator

import polars as pl

from raytrace_analyze.analyses.stuck.opened import Edge, Open, key_of
from raytrace_analyze.analyses.stuck.room import Holders, asked_by, holdings, who_keeps
from raytrace_analyze.analyses.stuck.submitted import (
    Row,
    actor_of,
    asked_cpus,
    group_of,
    is_creation,
    is_more,
    resources,
)
from raytrace_analyze.names.attributes import LABELS, PLACEMENT_GROUP_RESOURCES, RESOURCES, UNIT, json_of


def of_pending(found: Open, pending: Iterable[Row], running: Iterable[Row], on_slot: Iterable[Row]) -> Iterator[Edge]:
    """Say what tasks wait for that never started: their arguments, their actor, a slot."""
    holders_of_slots = [key_of(row) for row in on_slot]
    on_actor: dict[str, list[str]] = {}
    for row in running:
        if row["actor_id"]:
            on_actor.setdefault(row["actor_id"], []).append(key_of(row))
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
        if is_more(resources(row), found.cluster):
            found.impossible[key] = str(json_of(row["attributes"], {}).get(RESOURCES))
        elif asked_cpus(row, otherwise=UNIT) > 0:
            yield from (Edge(key, holder, "slot", since, certain=False) for holder in holders_of_slots)


def of_resources(found: Open, pending: Iterable[Row], running: Iterable[Row], submits: Iterable[Row]) -> Iterator[Edge]:
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
        if not asked or key in found.impossible or key in found.in_group:
            continue
        holders = [one for one in running if not set(held(one)).isdisjoint(asked)]
        for holder in holders:
            yield Edge(key, key_of(holder), "resource", row["end_ns"], certain=False)
        held_by = [one for one in of_actor.values() if not demands[one["submitted_task_id"]].isdisjoint(asked)]
        idle = [one for one in held_by if one is not row]
        if idle and not holders:
            found.taken[key] = str(idle[0]["function"]).rpartition(".")[0]


def add_room(
    found: Open, spans: pl.DataFrame, pending: Collection[Row], running: Iterable[Row], left: Collection[Row]
) -> None:
    """Say who keeps what tasks, actors and placement groups have no room for, where nothing else is known.

    `left` are the submissions of what is not over. Who runs there is waited for; who does nothing is named.
    """
    never = {row["submitted_task_id"] for row in pending}
    has_cpus = {key_of(row) for row in running} - found.gave_slot
    holders = holdings(spans, left, running, never=never, has_cpus=has_cpus)
    waits_for_somebody = {edge.waiter for edge in found.edges}
    for key, (asked, since) in found.for_group.items():
        _add_holders(found, key, since, who_keeps(asked, found.cluster, holders, asker=key), "placement")
    for row in pending:
        key, is_method = row["submitted_task_id"], actor_of(row) is not None and not is_creation(row)
        if is_method or key in waits_for_somebody or key in found.impossible or key in found.taken:
            continue
        if key not in found.in_group:
            _add_holders(found, key, row["end_ns"], who_keeps(asked_by(row), found.cluster, holders))
        elif not found.in_group[key].too_large:
            asked = resources(row, PLACEMENT_GROUP_RESOURCES)
            _add_holders(found, key, row["end_ns"], who_keeps(asked, found.cluster, holders, own=group_of(row)))


def _add_holders(found: Open, key: str, since_ns: int, holders: Holders | None, reason: str = "resource") -> None:
    if holders is None:
        return
    for run in holders.runs:
        found.edges.append(Edge(key, run, reason, since_ns, certain=False))
    if not holders.runs and holders.actors is not None:
        found.taken[key] = holders.actors
    if not holders.runs and holders.group is not None:
        found.kept[key] = holders.group


def holds_slot(found: Open, row: Row, holding: Collection[str | None]) -> bool:
    """Tell whether a run holds a slot: a task gives its own away while it waits in ray.get, an actor does not."""
    return row["actor_id"] in holding if row["actor_id"] else key_of(row) not in found.gave_slot
