"""Who keeps what a task, an actor or a placement group needs that has no room in its cluster."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

import polars as pl

from raytrace_analyze.analyses.stuck.submitted import (
    Row,
    actor_of,
    asked_cpus,
    cpus,
    group_of,
    in_words,
    is_creation,
    resources,
)
from raytrace_analyze.names.attributes import (
    AWAITED,
    LABELS,
    PLACEMENT_GROUP_ID,
    PLACEMENT_GROUP_RESOURCES,
    TIMED_OUT,
    UNIT,
    amount_of,
    json_of,
)
from raytrace_analyze.names.spans import REMOVAL
from raytrace_analyze.values import frozen

Amounts = dict[str, int]
"""By resource, in ten-thousandths."""

_IN_WORDS = re.compile(r"placement group \((.+)\)")
_PART = re.compile(r"([0-9.e+-]+) (\S+)")


@frozen
class Kept:
    """A placement group that is there, in which nothing runs, and which nobody removed."""

    asks: str
    """What it keeps, in words."""
    function: str | None
    """What ran in it last; None for nothing."""


@frozen
class Holding:
    """One that keeps resources: calls that run, or an actor or a placement group in which none does."""

    amounts: Amounts
    runs: tuple[str, ...]
    """Keys of the runs that go on in it."""
    actors: str | None = None
    """The class of the actor that keeps them."""
    group: Kept | None = None
    group_id: str | None = None
    makers: tuple[str, ...] = ()
    """Of a placement group in which nothing runs: the run that has it, which could remove it, if that goes on."""


@frozen
class Holders:
    """Who keeps what one needs."""

    runs: tuple[str, ...]
    """Keys of runs, of which any could make room as it ends."""
    actors: str | None
    """The class of actors that do nothing and keep most of it."""
    group: Kept | None
    """The placement group in which nothing runs that keeps most of it."""


def group_amounts(awaited: str) -> Amounts:
    """Read what a placement group asks for, in ten-thousandths, from the hook's words for it; nothing from others."""
    found = _IN_WORDS.fullmatch(awaited)
    parts = _PART.findall(found[1]) if found else []
    return {name: amount_of(name, float(amount)) for amount, name in parts}


def asked_by(row: Row) -> Amounts:
    """Read what has to be free for a submitted task or actor to start, in ten-thousandths; a CPU where none is told."""
    asked = {name: amount for name, amount in resources(row).items() if not name.startswith(LABELS)}
    return {**asked, "CPU": asked_cpus(row, otherwise=UNIT)}


def holdings(
    spans: pl.DataFrame, submits: Collection[Row], running: Iterable[Row], *, never: Collection[str], has_cpus: set[str]
) -> list[Holding]:
    """Give who keeps resources when the record ends.

    Takes the spans, the submissions of what is not over, the runs that had not ended, the tasks that `never` started,
    and which runs of tasks keep their CPUs: those that are in no wait give them to nobody else.
    """
    of_task = {row["submitted_task_id"]: row for row in submits}
    in_actor: dict[str | None, list[str]] = {}
    in_group: dict[str | None, list[str]] = {}
    alone: list[tuple[str, Row]] = []
    creations = {actor_of(row): row for row in submits if is_creation(row) and row["submitted_task_id"] not in never}
    for run in running:
        submit = of_task.get(run["task_id"])
        holder = creations.get(run["actor_id"]) if run["actor_id"] else submit
        if holder is not None and group_of(holder) is not None:
            in_group.setdefault(group_of(holder), []).append(run["task_id"])
        elif run["actor_id"]:
            in_actor.setdefault(run["actor_id"], []).append(run["task_id"])
        elif submit is not None:
            alone.append((run["task_id"], submit))
    found = [Holding(_of_task(row, keeps=key in has_cpus), (key,)) for key, row in alone]
    for actor, row in creations.items():
        if group_of(row) is None:
            amounts = {**asked_by(row), "CPU": cpus(row, otherwise=0)}
            of_class = str(row["function"]).rpartition(".")[0]
            found.append(Holding(amounts, tuple(in_actor.get(actor, ())), actors=of_class))
    goes_on = {run["task_id"] for run in running}
    for group, (amounts, function, maker) in _groups(spans, submits, never).items():
        kept = Kept(in_words(amounts), function)
        runs = tuple(in_group.get(group, ()))
        makers = (maker,) if maker is not None and maker in goes_on and not runs else ()
        found.append(Holding(amounts, runs, group=kept, group_id=group, makers=makers))
    return found


def who_keeps(
    asked: Mapping[str, int],
    cluster: Mapping[str, int],
    holders: Iterable[Holding],
    own: str | None = None,
    asker: str | None = None,
) -> Holders | None:
    """Say who keeps what something asks for; `own` is its own placement group, which keeps nothing from it.

    What the one who asks (`asker`) has itself is not told where others have some, too.

    None where the cluster has as much left, as far as is known: then something else is in the way.
    """
    others = [each for each in holders if own is None or each.group_id != own]
    missing = {
        name
        for name, amount in asked.items()
        if name in cluster and amount > cluster[name] - sum(each.amounts.get(name, 0) for each in others)
    }
    keepers = [each for each in others if any(each.amounts.get(name, 0) for name in missing)]
    if not keepers:
        return None
    sums: dict[str, int] = {}
    for each in keepers:
        if each.actors is not None and not each.runs:
            sums[each.actors] = sums.get(each.actors, 0) + sum(each.amounts.get(name, 0) for name in missing)
    groups = [each for each in keepers if each.group is not None and not each.runs]
    groups.sort(key=lambda each: -sum(each.amounts.get(name, 0) for name in missing))
    runs = dict.fromkeys(key for each in keepers for key in (*each.runs, *each.makers) if key != asker)
    return Holders(
        runs=tuple(runs),
        actors=max(sorted(sums), key=lambda name: sums[name]) if sums else None,
        group=groups[0].group if groups else None,
    )


def _of_task(row: Row, *, keeps: bool) -> Amounts:
    asked = {**asked_by(row), "CPU": cpus(row, otherwise=UNIT)}
    return asked if keeps else {**asked, "CPU": 0}


def _groups(
    spans: pl.DataFrame, submits: Iterable[Row], never: Collection[str]
) -> dict[str, tuple[Amounts, str | None, str | None]]:
    """Give the placement groups that came to be and were not removed: what each keeps, what ran there, whose it is.

    It is the task's that waited for it, or that submits what is to run in it.
    """
    found: dict[str, tuple[Amounts, str | None, str | None]] = {}
    for group, amounts, waiter in _awaited(spans):
        found[group] = amounts, None, waiter
    ended = spans.filter(pl.col("category").cast(pl.String) == "driver", pl.col("end").is_not_null())
    gone = set(ended.select("session", "job_id").iter_rows())
    for row in submits:
        its, asked = group_of(row), resources(row, PLACEMENT_GROUP_RESOURCES)
        is_there = row["submitted_task_id"] not in never and (row["session"], row["job_id"]) not in gone
        if its is not None and asked and is_there:
            found[its] = asked, row["function"], row["task_id"]
    for removed in spans.filter(name=REMOVAL).get_column("attributes"):
        found.pop(str(json_of(removed, {}).get(PLACEMENT_GROUP_ID)), None)
    return found


def _awaited(spans: pl.DataFrame) -> Iterator[tuple[str, Amounts, str | None]]:
    """Give the placement groups that a wait came back with, what each keeps, and the task that waited."""
    about = spans.filter(
        pl.col("category").cast(pl.String) == "wait",
        pl.col("end").is_not_null(),
        pl.col("attributes").str.contains(PLACEMENT_GROUP_ID, literal=True),
    )
    for text, task in about.select("attributes", "task_id").iter_rows():
        said = json_of(text, {})
        amounts = group_amounts(str(said.get(AWAITED)))
        if amounts and TIMED_OUT not in said:
            yield str(said[PLACEMENT_GROUP_ID]), amounts, task
