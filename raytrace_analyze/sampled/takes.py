"""Which waits come back with an item of something, that whoever takes it does something with."""

import numpy as np
import polars as pl

from raytrace_analyze.names.attributes import AWAITED, told
from raytrace_analyze.names.functions import TAKES_FROM_QUEUE
from raytrace_analyze.names.spans import SUSPENSION
from raytrace_analyze.table.lineage import Flags, RowIds, flags
from raytrace_analyze.trace.asof import latest_until, members_at, times_at
from raytrace_analyze.trace.groups import group_by_time
from raytrace_analyze.trace.numbering import number_pairs
from raytrace_analyze.trace.span_arrays import Structure

_OF_QUEUE = r"^(?:asyncio|queue|multiprocessing)\.(?:\w+\.)?\w*Queue\.(get|put)$"
"""What a method waits in that gives items of a queue of its actor's, or takes them."""
_WITHIN_NS = 5_000_000
"""What was put goes on so soon after the call that made room for it."""
_MOST_OF_THEM = 0.5


def of_queues(structure: Structure, waits: RowIds) -> Flags:
    """Tell the waits for an item of a queue that came.

    That is one of Ray's (`ray.util.queue`), or one that an actor of the program keeps: a call of the same method there
    has waited in it, or has made room for what waited to be put there.
    """
    wait, run = structure.ready_runs
    about = structure.spans.select("function", "status")[run]
    gives = flags(about.get_column("function").str.contains(TAKES_FROM_QUEUE)) | _gives_items(structure)[run]
    has_come = flags(about.select(pl.col("status").ne_missing("ERROR")).to_series())
    return np.isin(waits, wait[gives & has_come])


def _gives_items(structure: Structure) -> Flags:
    """Tell the runs of actors' methods that give items of a queue."""
    spans, nobody = structure.spans, np.zeros(structure.start.size, dtype=np.bool_)
    suspended = np.flatnonzero((spans.get_column("name") == SUSPENSION).to_numpy() & ~structure.is_run)
    waits_in = told(spans.get_column("attributes").gather(suspended), AWAITED).str.extract(_OF_QUEUE)
    inside = flags(waits_in.is_not_null()) & (structure.run_above[suspended] >= 0)
    suspended, gets = suspended[inside], flags(waits_in == "get")[inside]
    if suspended.size == 0:
        return nobody
    actor, actors = number_pairs(structure, spans.get_column("actor_id"), structure.is_run)
    named = pl.concat_str("actor_id", pl.lit(" "), "function")
    method, _ = number_pairs(structure, spans.select(named).to_series(), structure.is_run)
    run, puts = structure.run_above[suspended], suspended[~gets]
    found = np.concatenate([method[run[gets]], _make_room(structure, actor, actors, method, puts)])
    return (method >= 0) & np.isin(method, found)


def _make_room(structure: Structure, actor: RowIds, actors: int, method: RowIds, puts: RowIds) -> RowIds:
    """Give the methods (numbers) of which a call ended right before most of what waited to be put went on."""
    runs = np.flatnonzero(actor >= 0)
    ended = group_by_time(actor[runs], actors, runs, structure.end[runs])
    putting = structure.run_above[puts]
    last = latest_until(ended, actor[putting], structure.end[puts])
    is_near = times_at(ended, last) >= structure.end[puts] - _WITHIN_NS
    before = members_at(ended, last)[is_near]
    by, one, count = np.unique(method[before], return_index=True, return_counts=True)
    of_actor = np.bincount(actor[putting], minlength=actors)[actor[before[one]]]
    kept = (count > 1) & (count >= _MOST_OF_THEM * of_actor) & ~np.isin(by, method[putting])
    made_room: RowIds = by[kept]
    return made_room
