"""Who held the slots of a node, and the turns of an actor: occupancy as steps over time, in whole columns."""

import json
from dataclasses import dataclass

import numpy as np
import polars as pl

from raytrace_analyze.lineage import Flags, Rows
from raytrace_analyze.path.as_of import NEVER, latest_until, members_at, times_at
from raytrace_analyze.path.grouped import Timed, group_by_time
from raytrace_analyze.path.relations import Runs
from raytrace_analyze.path.structure import Structure

_UNIT = 10_000
"""Demands are counted in ten-thousandths, as Ray does: halves and thirds of a GPU add up exactly."""
_DEFAULT_DEMAND = '{"CPU":1}'


@dataclass(frozen=True)
class Occupancy:
    """How much of each place was taken over time, and what it can have held at most.

    A place's capacity is the most that was in use when something was given a part of it: what runs on after a
    `ray.get` takes its part back without asking.
    """

    capacity: Rows
    steps: Timed
    """By place: `members` are positions in `used`."""
    used: Rows
    owner: Rows

    def freed(self, place: Rows, demand: Rows) -> Timed:
        """Give for each kind of demand (parallel arrays) the steps at which it came to fit in.

        `members` are the runs that made room.
        """
        last = self.steps.first.size - 1
        known = np.clip(place, 0, last)
        begin, end = self.steps.first[known], self.steps.first[np.minimum(known + 1, last)]
        size = np.where(place >= 0, end - begin, 0)
        kind = np.repeat(np.arange(place.size), size)
        offset = np.arange(kind.size) - np.repeat(np.cumsum(size) - size, size)
        position = begin[kind] + offset
        before = np.where(offset > 0, self.used[self.steps.members[position - 1]], 0)
        limit = (self._capacity(place) - demand)[kind]
        fits_now = (before > limit) & (self.used[self.steps.members[position]] <= limit)
        kind, position = kind[fits_now], position[fits_now]
        # The steps are in order already, and so are the kinds: nothing is left to be sorted.
        first = np.concatenate([[0], np.cumsum(np.bincount(kind, minlength=place.size))]).astype(np.int64)
        return Timed(self.owner[self.steps.members[position]], first, self.steps.times[position])

    def _capacity(self, place: Rows) -> Rows:
        return np.where(place >= 0, self.capacity[place], 0) if self.capacity.size else np.zeros(place.size, np.int64)


def occupancy(
    place: Rows, places: int, start: Rows, end: Rows, amount: Rows, owner: Rows, is_grant: Flags
) -> Occupancy:
    """Add up what is held of each of so many places (a number, -1 for none): parallel arrays, one element a holding.

    `amount` can be negative (a part given back for a while); only holdings that are a grant tell the capacity.
    """
    kept = (place >= 0) & (end > start)
    place, start, end, amount, owner = (values[kept] for values in (place, start, end, amount, owner))
    change = np.concatenate([amount, -amount])
    steps = group_by_time(
        np.concatenate([place, place]),
        places,
        np.arange(change.size),
        np.concatenate([start, end]),
        # Of what happens at one time, what is given back comes first.
        change,
    )
    at = np.repeat(np.arange(places), np.diff(steps.first))
    total = np.cumsum(change[steps.members])
    before = np.concatenate([[0], total])[steps.first[:-1]] if places else total
    used = np.zeros(change.size, dtype=np.int64)
    used[steps.members] = total - before[at]
    capacity = np.zeros(places, dtype=np.int64)
    granted = np.flatnonzero(is_grant[kept])
    np.maximum.at(capacity, place[granted], used[granted])
    return Occupancy(capacity, steps, used, np.concatenate([owner, owner]))


@dataclass(frozen=True)
class Slots:
    """The nodes' resources, and what each run demands of them."""

    nodes: Occupancy
    demands: Timed
    """By run: positions in `place` and `amount`, one for each resource that it demands."""
    place: Rows
    amount: Rows
    kind: Rows
    """The number of the pair of place and amount, -1 where the place is not known."""
    freed: Timed
    """By kind: when it came to fit in, and the runs that made room."""

    def waited(self, rows: Rows, until: Rows) -> tuple[Rows, Rows]:
        """Tell when each run's demand last came to fit in on its node, and who made room; NEVER and -1 for never."""
        counts = self.demands.first[rows + 1] - self.demands.first[rows]
        question = np.repeat(np.arange(rows.size), counts)
        offset = np.arange(question.size) - np.repeat(np.cumsum(counts) - counts, counts)
        demand = self.demands.members[self.demands.first[rows][question] + offset]
        found = latest_until(self.freed, self.kind[demand], until[question])
        freed, owner = times_at(self.freed, found), members_at(self.freed, found)
        time = np.full(rows.size, NEVER, dtype=np.int64)
        np.maximum.at(time, question, freed)
        holder = np.full(rows.size, -1, dtype=np.int64)
        latest = freed == time[question]
        holder[question[latest]] = owner[latest]
        return time, holder


def node_slots(structure: Structure, runs: Runs, demands: pl.DataFrame, held_from: Rows, flow: Rows) -> Slots:
    """Work out who held what of each node.

    `demands` as of `read_demands`. `held_from` (ns): since when a run had its slot; a task holds it to its end, but
    for its waits; an actor with a demand holds it to the end of its last run. `flow`: the run in whose control flow
    each span lies.
    """
    row, amount = demands.get_column("row").to_numpy(), demands.get_column("amount").to_numpy()
    place = demands.get_column("place").to_numpy()
    end = structure.end.copy()
    creations = np.flatnonzero(runs.is_creation)
    last = runs.on_actor.first[runs.actor[creations] + 1] - 1
    end[creations] = np.maximum(end[creations], runs.on_actor.times[last])
    waits = np.flatnonzero(runs.is_wait & (flow >= 0))
    waits = waits[runs.actor[flow[waits]] < 0]
    paused = pl.DataFrame({"row": flow[waits], "wait": waits}).join(demands, on="row")
    wait, at_rest = paused.get_column("wait").to_numpy(), paused.get_column("row").to_numpy()
    # A default actor asks for a CPU when it is placed and holds none.
    holds = demands.get_column("holds").to_numpy()
    nodes = occupancy(
        np.concatenate([np.where(holds, place, -1), paused.get_column("place").to_numpy()]),
        int(place.max(initial=-1)) + 1,
        np.concatenate([held_from[row], np.maximum(structure.start[wait], held_from[at_rest])]),
        np.concatenate([end[row], np.minimum(structure.end[wait], end[at_rest])]),
        np.concatenate([amount, -paused.get_column("amount").to_numpy()]),
        np.concatenate([row, at_rest]),
        np.concatenate([holds, np.zeros(wait.size, dtype=np.bool_)]),
    )
    order = np.arange(row.size)
    amounts, number = np.unique(amount, return_inverse=True)
    pairs, kind = np.unique(place * amounts.size + number, return_inverse=True)
    freed = nodes.freed(pairs // max(amounts.size, 1), amounts[pairs % max(amounts.size, 1)])
    by_run = group_by_time(row, structure.spans.height, order, order)
    return Slots(nodes, by_run, place, amount, np.where(place >= 0, kind, -1), freed)


def read_demands(structure: Structure, runs: Runs, resources: pl.Series) -> pl.DataFrame:
    """Find what each run of a task, and each actor, demands; `resources`: demands as JSON by run, null if not known.

    One row a run and resource: `row`, `place` (a number for the node and resource, -1 where the node is not known),
    `amount` (in ten-thousandths), `holds` (false for an actor that asks for a CPU when it is placed, and holds none).
    """
    spans = structure.spans
    asks = structure.is_run & ((runs.actor < 0) | runs.is_creation)
    rows = np.flatnonzero(asks)
    submit = pl.Series(structure.submit[rows]).replace(-1, None)
    told = spans.get_column("attributes").gather(submit).str.json_path_match("$['raytrace.resources']")
    wanted = pl.select(pl.coalesce(resources.gather(pl.Series(rows)), told, pl.lit(_DEFAULT_DEMAND))).to_series()
    parsed = [
        (text, name, amount) for text in wanted.unique().to_list() for name, amount in _parse(text).items() if amount
    ]
    known = pl.DataFrame(parsed, schema={"text": pl.String, "resource": pl.String, "amount": pl.Int64}, orient="row")
    demands = (
        pl.DataFrame({"row": rows, "text": wanted, "is_creation": runs.is_creation[rows]})
        .join(known, on="text", how="left")
        .filter(pl.col("resource").is_not_null() | pl.col("is_creation"))
        .with_columns(
            pl.col("resource").fill_null("CPU"),
            pl.col("amount").fill_null(_UNIT),
            holds=pl.col("resource").is_not_null(),
        )
    )
    at = spans.select("session", "node_id")[demands.get_column("row")]
    place = at.with_columns(demands.get_column("resource")).select(
        pl.when(pl.col("node_id").is_not_null())
        .then(pl.struct("session", "node_id", "resource").rank("dense").cast(pl.Int64) - 1)
        .otherwise(-1)
    )
    return demands.select("row", place.to_series().alias("place"), "amount", "holds")


def _parse(text: str) -> dict[str, int]:
    """Read a demand: ten-thousandths of each resource; nothing of what is not a demand."""
    try:
        values = json.loads(text)
    except ValueError:
        return {}
    if not isinstance(values, dict):
        return {}
    return {
        str(name): round(amount * _UNIT)
        for name, amount in values.items()
        if isinstance(amount, int | float) and 0 < amount < 2**31
    }
