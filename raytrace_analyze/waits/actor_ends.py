"""When actors were over, and gave back what they held; and whose doing that was."""

import numpy as np
import polars as pl

from raytrace_analyze.names.spans import KILL
from raytrace_analyze.schema import STATE_COLUMNS
from raytrace_analyze.table.lineage import Nanos, RowIds
from raytrace_analyze.trace.asof import NEVER, latest_until, members_at, times_at
from raytrace_analyze.trace.groups import group_by_time
from raytrace_analyze.trace.relations import Runs
from raytrace_analyze.values import frozen

WITHIN_NS = 200_000_000
"""How long before an actor was over what it ended with can have ended."""
_MOMENT_NS = 1_000_000
"""Ray tells the ends of actors in milliseconds."""


@frozen
class ActorEnds:
    """Arrays by number of the actor; times are ns since the epoch."""

    time: Nanos
    """When it was over, NEVER where that is not known."""
    row: RowIds
    """The span in whose flow that was brought about, -1 where that is not known."""
    made: Nanos
    """When that was, NEVER likewise."""


def find_actor_ends(runs: Runs) -> ActorEnds | None:
    """Find them for all actors of a table; None where no end is known.

    Of an actor that was killed (`ray.kill`, `exit_actor`) the call brought that about. Else it was the end of what used
    the actor last, if that was not long before: of a call of its own, or of a run that had a handle to it. Else, where
    Ray says that nobody had a handle any more, it was whoever created it, who went on: it let go of its handle. Where
    another run that used it still went on, that is not known.
    """
    actors = runs.on_actor.first.size - 1
    created = np.flatnonzero(runs.is_creation)
    if created.size == 0:
        return None
    last_made = np.full(actors, NEVER)
    np.maximum.at(last_made, runs.actor[created], runs.structure.end[created])
    let_go = _stamped(runs, created, "ACTOR_LET_GO", actors)
    over = np.maximum(_stamped(runs, created, "ACTOR_DEAD", actors), let_go)
    over = np.where(over >= last_made, over, NEVER)
    killed, kill = _kills(runs, last_made, over)
    time = np.where(over > NEVER, over, killed)
    if (time == NEVER).all():
        return None
    row, made = np.full(actors, -1), np.full(actors, NEVER)
    _by_call(runs, kill, row, made)
    open_ = (row < 0) & (over > NEVER)
    if open_.any():
        users = _users(runs, created[open_[runs.actor[created]]])
        _by_end_of_user(runs, users, np.flatnonzero(open_), over, row, made)
        _by_creator(runs, users, created, np.flatnonzero(open_ & (row < 0) & (let_go == over)), over, row, made)
    return ActorEnds(time, row, np.minimum(made, time))


def with_their_jobs(runs: Runs) -> Nanos:
    """Give by actor until when it was there at least, where that is known from its job alone (ns); NEVER for others.

    Ray is asked for the last time as a driver ends: what it does not know to be over by then goes on until that. That
    matters where several jobs share a cluster.
    """
    found = np.full(runs.on_actor.first.size - 1, NEVER)
    created = np.flatnonzero(runs.is_creation)
    spans = runs.structure.spans
    is_driver = (pl.col("category") == "driver") & pl.col("end").is_not_null()
    about = spans.select("session", "job_id", "category", "end", row=pl.int_range(pl.len()))
    drivers = about.filter(is_driver).select("session", "job_id", driver="row")
    several = drivers.filter(pl.col("job_id").n_unique().over("session") > 1)
    if created.size == 0 or several.is_empty():
        return found
    told = spans.get_column(STATE_COLUMNS["FINISHED"]).gather(created).is_not_null()
    pairs = about[created].filter(told).join(several, on=["session", "job_id"])
    actor, driver = (pairs.get_column(name).to_numpy() for name in ("row", "driver"))
    np.maximum.at(found, runs.actor[actor], runs.structure.end[driver])
    return found


def _stamped(runs: Runs, created: RowIds, state: str, actors: int) -> Nanos:
    """Give by actor the time of a state that Ray tells with its creation, NEVER where it does not."""
    stamps = runs.structure.spans.get_column(STATE_COLUMNS[state])
    found = np.full(actors, NEVER)
    if stamps.null_count() < len(stamps):
        times = stamps.gather(created).to_physical().fill_null(NEVER).to_numpy().astype(np.int64)
        np.maximum.at(found, runs.actor[created], times)
    return found


def _kills(runs: Runs, made: Nanos, over: Nanos) -> tuple[Nanos, RowIds]:
    """Give by actor when it was killed after it was made last, and the call: the last until it was over.

    Where that is not known it is the first call. NEVER and -1 for none.
    """
    structure, spans = runs.structure, runs.structure.spans
    at, call = np.full(made.size, NEVER), np.full(made.size, -1)
    kills = np.flatnonzero((spans.get_column("name") == KILL).to_numpy() & ~structure.is_run)
    if kills.size == 0:
        return at, call
    key = ["session", "actor_id"]
    on_actor = runs.on_actor.members
    numbered = spans.select(key)[on_actor].with_columns(actor=pl.Series(runs.actor[on_actor])).unique()
    calls = spans.select(key)[kills].with_columns(call=pl.Series(kills)).join(numbered, on=key)
    number, kills = calls.get_column("actor").to_numpy(), calls.get_column("call").to_numpy()
    start = structure.start[kills]
    is_known = over[number] > NEVER
    kept = (start > made[number]) & (~is_known | (start <= over[number] + _MOMENT_NS))
    number, kills, start, is_known = number[kept], kills[kept], start[kept], is_known[kept]
    # What is written last stays: the first of all, or the last of those until it was over.
    order = np.lexsort((structure.id_ranks(kills), np.where(is_known, start, -start)))
    at[number[order]], call[number[order]] = start[order], kills[order]
    return at, call


def _by_call(runs: Runs, call: RowIds, row: RowIds, made: Nanos) -> None:
    structure = runs.structure
    actor = np.flatnonzero(call >= 0)
    above = structure.parent[call[actor]]
    actor, above = actor[above >= 0], above[above >= 0]
    row[actor] = above
    made[actor] = np.clip(structure.start[call[actor]], structure.start[above], structure.end[above])


def _users(runs: Runs, created: RowIds) -> tuple[RowIds, RowIds]:
    """Pair the actors of some creations with the runs that created them, called them, or were calls of theirs."""
    structure, spans = runs.structure, runs.structure.spans
    key = ["session", "actor_id"]
    numbered = spans.select(key)[created].with_columns(actor=pl.Series(runs.actor[created])).unique()
    submits = np.flatnonzero(structure.is_submit & (structure.run_above >= 0))
    calls = spans.select(key)[submits].with_columns(run=pl.Series(structure.run_above[submits]))
    found = calls.join(numbered, on=key).select("actor", "run").unique()
    own = runs.on_actor.members
    own = own[np.isin(runs.actor[own], runs.actor[created])]
    return (
        np.concatenate([found.get_column("actor").to_numpy(), runs.actor[own]]),
        np.concatenate([found.get_column("run").to_numpy(), own]),
    )


def _by_end_of_user(
    runs: Runs, users: tuple[RowIds, RowIds], asked: RowIds, over: Nanos, row: RowIds, made: Nanos
) -> None:
    structure = runs.structure
    actor, run = users
    ends = group_by_time(actor, over.size, run, structure.end[run], structure.lateness[run])
    last = latest_until(ends, asked, over[asked] + _MOMENT_NS)
    near = (last >= 0) & (times_at(ends, last) >= over[asked] - WITHIN_NS)
    row[asked[near]] = members_at(ends, last)[near]
    made[asked[near]] = times_at(ends, last)[near]


def _by_creator(
    runs: Runs, users: tuple[RowIds, RowIds], created: RowIds, asked: RowIds, over: Nanos, row: RowIds, made: Nanos
) -> None:
    """Go to the driver, or the run, that created an actor, where it went on as that was over."""
    structure = runs.structure
    actor, run = users
    flow = np.full(over.size, -1)
    submit = structure.submit[created]
    submitted = np.flatnonzero(submit >= 0)
    flow[runs.actor[created[submitted]]] = _flow(runs, submit[submitted])
    still = (structure.end[run] > over[actor] + _MOMENT_NS) & (structure.start[run] < over[actor])
    others = np.bincount(actor[still & (run != flow[actor])], minlength=over.size)
    asked = asked[(flow[asked] >= 0) & (others[asked] == 0)]
    asked = asked[(structure.start[flow[asked]] < over[asked]) & (over[asked] <= structure.end[flow[asked]])]
    # Who waits lets go of nothing: it did so right before.
    began = np.minimum(over[asked], _waits_since(runs, flow[asked], over[asked]))
    near = over[asked] - began <= WITHIN_NS
    row[asked[near]], made[asked[near]] = flow[asked[near]], began[near]


def _waits_since(runs: Runs, flow: RowIds, time: Nanos) -> Nanos:
    """Give since when some flows have been in the wait that they were in at a time; that time where in none."""
    waits = np.flatnonzero(runs.is_wait & ~runs.structure.is_run)
    of = _flow(runs, waits)
    waits, of = waits[np.isin(of, flow)], of[np.isin(of, flow)]
    start, end = runs.structure.start, runs.structure.end
    begun = group_by_time(of, start.size, waits, start[waits])
    last = members_at(begun, latest_until(begun, flow, time))
    return np.where((last >= 0) & (end[last] > time), start[last], time)


def _flow(runs: Runs, spans: RowIds) -> RowIds:
    """Give the run, else the driver, in whose flow each span lies; -1 where there is neither."""
    structure = runs.structure
    found = np.where(structure.run_above[spans] >= 0, structure.run_above[spans], spans)
    while True:
        above = structure.nest_parent[found]
        if (above < 0).all():
            return np.where(found == spans, -1, found)
        found = np.where(above >= 0, above, found)
