"""Which calls ended runs: `ray.cancel` of their task, or of a task above it, and `ray.kill` of their actor."""

import numpy as np
import polars as pl

from raytrace_analyze.names.attributes import CANCELLED, TARGET_TASK_ID, told
from raytrace_analyze.names.spans import CANCEL, KILL
from raytrace_analyze.table.lineage import Flags, RowIds
from raytrace_analyze.trace.groups import positions
from raytrace_analyze.trace.relations import Runs

WITHIN_NS = 1_000_000_000
"""How long before the end of a run that only failed, nobody knows why, the call that ended it was made at most."""
CALLS = (CANCEL, KILL)
_OWN_ERROR = "TASK_EXECUTION_EXCEPTION"
"""Ray's word for a run that failed by itself."""
_GENERATIONS = 16
"""How far a call that ends what a task submitted, too, is followed down."""


def find_ends(runs: Runs) -> RowIds | None:
    """Give by row the call that ended a run, -1 for none; None where there are no such calls at all.

    Only a run that was cancelled, that failed by no exception of its own, or that never ended, was ended by a call: by
    the last one for its task or its actor while it ran, else by the one that ended the run that submitted it.
    """
    structure, spans = runs.structure, runs.structure.spans
    calls = positions(spans.get_column("name").is_in(CALLS).to_numpy() & ~structure.is_run)
    if calls.size == 0:
        return None
    call, run = _targets(runs, calls)
    certain, likely = _was_cut(runs)
    order = np.lexsort((structure.id_ranks(call), structure.start[call]))
    call, run = call[order], run[order]
    fits = _fits(runs, call, run, certain, likely)
    ended_by = np.full(spans.height, -1, dtype=np.int64)
    ended_by[run[fits]] = call[fits]
    submitter = np.where(structure.submit >= 0, structure.run_above[structure.submit], -1)
    left = positions((certain | likely) & (submitter >= 0) & (ended_by < 0))
    for _ in range(_GENERATIONS):
        call = ended_by[submitter[left]]
        fits = (call >= 0) & _fits(runs, call, left, certain, likely)
        if not fits.any():
            break
        ended_by[left[fits]] = call[fits]
        left = left[~fits]
    return ended_by


def _fits(runs: Runs, call: RowIds, run: RowIds, certain: Flags, likely: Flags) -> Flags:
    """Tell which calls can have ended which runs; none by a call of the run's own."""
    structure = runs.structure
    lag = structure.end[run] - structure.start[call]
    fits: Flags = (lag > 0) & (structure.start[call] > structure.start[run]) & (structure.run_above[call] != run)
    return fits & (certain[run] | (likely[run] & (lag <= WITHIN_NS)))


def _was_cut(runs: Runs) -> tuple[Flags, Flags]:
    """Tell by row the runs that something else ended: for certain, and those of which nothing speaks against it."""
    structure = runs.structure
    spans = structure.spans.lazy().select(
        cancelled=(told(pl.col("attributes"), CANCELLED) == "true").fill_null(value=False),
        failed=(pl.col("status") == "ERROR").fill_null(value=False),
        error=pl.col("error_type"),
    )
    about = spans.select(
        certain=pl.col("cancelled") | (pl.col("error").is_not_null() & (pl.col("error") != _OWN_ERROR)),
        likely="failed",
        own=(pl.col("error") == _OWN_ERROR).fill_null(value=False) & ~pl.col("cancelled"),
    ).collect()
    certain, likely, own = (about.get_column(name).fill_null(value=False).to_numpy() for name in about.columns)
    return structure.is_run & certain, structure.is_run & (likely | structure.in_flight) & ~own


def _targets(runs: Runs, calls: RowIds) -> tuple[RowIds, RowIds]:
    """Pair calls with the runs of the tasks, and on the actors, that they were to end."""
    structure, spans = runs.structure, runs.structure.spans
    about = spans.select("session", "name", "actor_id", "attributes")[calls]
    lists: list[list[str] | None] = [None] * spans.height
    for row, task in zip(calls.tolist(), told(about.get_column("attributes"), TARGET_TASK_ID), strict=True):
        lists[row] = None if task is None else [task]
    call, run = structure.runs_named(pl.Series(lists, dtype=pl.List(pl.String)))
    on_actor = runs.on_actor.members
    kills = about.select("session", "actor_id", call=pl.Series(calls)).filter(about.get_column("name") == KILL)
    killed = spans.select("session", "actor_id")[on_actor].with_columns(run=pl.Series(on_actor))
    pairs = kills.join(killed, on=["session", "actor_id"])
    return (
        np.concatenate([call, pairs.get_column("call").to_numpy()]),
        np.concatenate([run, pairs.get_column("run").to_numpy()]),
    )
