"""What it costs that worker processes and code are not there yet."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.advice.kinds.arguments import exports_much
from raytrace_analyze.advice.patterns import Candidate
from raytrace_analyze.queueing.causes import COLD
from raytrace_analyze.replay.graph import Graph
from raytrace_analyze.replay.rewrite import shorten_lags, shorten_waits
from raytrace_analyze.table.lineage import Nanos, RowIds, flags
from raytrace_analyze.vocabulary.advice import Pattern
from raytrace_analyze.wording.advice import runs as words

_COLD_NS = 20_000_000
_IDLE_NS = 1_000_000_000
"""The least after which a version of Ray ends idle processes (`idle_worker_killing_time_threshold_ms`)."""


def cold_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find runs that waited for a worker process to start, or for code and imports to be loaded in it.

    Where tasks get new ones although those of earlier runs are free, that is no first run's alone.
    """
    starting, loading = (facts.start_waits.ns_for(cause) for cause in COLD)
    # What carries much data is a finding of its own, and no first run's alone.
    large = [facts.runs_by_function.get(function, facts.runs[:0]) for function in exports_much(facts)]
    loading[np.concatenate([facts.runs[:0], *large])] = 0
    waited = starting + loading
    # What has to start again after a failure would not, without that.
    waited[flags(facts.spans.get_column("attempt") > 0)] = 0
    again = np.concatenate([_again(facts, waited), _created_again(facts, waited)])
    yield from _of_each_run(facts, again, waited)
    waited[again] = 0
    # Every run takes a moment to be looked up; where nothing was cold that is all.
    rows = np.flatnonzero(waited >= _COLD_NS)
    if rows.size == 0:
        return
    on_path = np.minimum(_waited_on_path(facts), waited)
    rows = rows[np.lexsort((-waited[rows], -on_path[rows]))]
    # Of what is on the path, where there is any: what others waited for nobody waited for.
    counted = on_path if on_path[rows].any() else waited
    by_function: dict[str, int] = {}
    for row in rows.tolist():
        by_function[facts.functions[row]] = by_function.get(facts.functions[row], 0) + int(counted[row])
    function = max(by_function, key=lambda name: by_function[name])
    first = next(row for row in rows.tolist() if facts.functions[row] == function)
    is_actor = bool(facts.relations.actor[first] >= 0)
    yield Candidate(
        Pattern.COLD_WORKERS,
        function,
        words.cold_workers(
            function,
            rows.size,
            starting_ns=int(starting[rows].sum()),
            loading_ns=int(loading[rows].sum()),
            is_actor=is_actor,
        ),
        _with_first_results_at_once(facts, shorten_lags(facts.graph, rows, waited[rows])),
        rows,
    )


def _with_first_results_at_once(facts: Facts, graph: Graph) -> Graph:
    """Let waits come back without what processes load with their first results, before these are stored."""
    about, waits = facts.rules.about, facts.waits
    of_wait, runs = facts.all_ready_runs(waits)
    loads = about.loads_to_store[runs]
    if not loads.any():
        return graph
    there, over = np.zeros(facts.spans.height, dtype=np.int64), np.zeros(facts.spans.height, dtype=np.int64)
    np.maximum.at(there, of_wait, facts.end[runs])
    np.maximum.at(over, of_wait[loads], facts.relations.stored_until[runs[loads]])
    waits = np.unique(of_wait[loads])
    loaded = np.minimum(over[waits], facts.end[waits]) - np.maximum(there[waits], facts.start[waits])
    lag = graph.lag[graph.activity[graph.events.end_of[waits]]]
    return shorten_waits(graph, waits, 1 - np.clip(loaded, 0, lag) / np.maximum(lag, 1))


def _waited_on_path(facts: Facts) -> Nanos:
    """Give by row what of the critical path is the wait before its run started (ns)."""
    events, (_, pieces) = facts.graph.events, facts.critical
    first = facts.graph.first[pieces]
    begins = (events.start_of[events.row[first]] == first) & (events.row[first] < facts.spans.height)
    found = np.zeros(facts.spans.height, dtype=np.int64)
    np.add.at(found, events.row[first[begins]], facts.now.lag[pieces[begins]])
    return found


def _again(facts: Facts, waited: Nanos) -> RowIds:
    """Give the runs of tasks that had a process of their own, though one was free that had run their function before.

    `waited`: by row how long each waited for its process (ns). A process is free that runs nothing any more, ever.
    """
    tasks = facts.runs[(facts.relations.actor[facts.runs] < 0) & ~facts.failed[facts.runs]]
    about = facts.spans.select("session", "node_id", "worker_id", "function")[tasks].with_columns(
        row=pl.Series(tasks), start=pl.Series(facts.start[tasks]), end=pl.Series(facts.end[tasks])
    )
    alone = about.filter(pl.len().over("session", "worker_id") == 1, pl.col("worker_id").is_not_null())
    began = pl.col("start") - pl.Series(waited).gather(alone.get_column("row"))
    free = pl.col("end").min().over("session", "node_id", "function") <= began
    return _where_usual(facts, alone.filter(free, began < pl.col("start") - _COLD_NS))


def _created_again(facts: Facts, waited: Nanos) -> RowIds:
    """Give the creations of actors that needed a new process, though an actor of their class had done its last call.

    Nobody else gets the process of an actor: each new one pays, on any cluster.
    """
    of_actors = facts.runs[facts.relations.actor[facts.runs] >= 0]
    about = facts.spans.select("session", "node_id", "function")[of_actors].with_columns(
        row=pl.Series(of_actors),
        actor=pl.Series(facts.relations.actor[of_actors]),
        start=pl.Series(facts.start[of_actors]),
        end=pl.Series(facts.end[of_actors]),
        is_creation=pl.Series(facts.relations.is_creation[of_actors]),
    )
    created = about.with_columns(last_end=pl.col("end").max().over("actor")).filter("is_creation")
    began = pl.col("start") - pl.Series(waited).gather(created.get_column("row"))
    free = pl.col("last_end").min().over("session", "node_id", "function") <= began
    return _where_usual(facts, created.filter(free, began < pl.col("start") - _COLD_NS))


def _where_usual(facts: Facts, found: pl.DataFrame) -> RowIds:
    """Give the rows of runs (`row`) of those functions of which at least half of all runs are among them."""
    rows = found.get_column("row").to_numpy()
    functions = facts.functions_of(rows)
    names, times = np.unique(functions, return_counts=True)
    often = [name for name, many in zip(names, times, strict=True) if 2 * many >= len(facts.runs_by_function[name])]
    kept: RowIds = rows[np.isin(functions, often)]
    return kept


def _were_idle(facts: Facts, again: RowIds, waited: Nanos, runs: RowIds) -> bool:
    """Tell whether all processes of earlier runs were idle for so long, as each of these asked for one, that Ray may
    have ended them for that.
    """
    ends, began = np.sort(facts.end[runs]), facts.start[again] - waited[again]
    return bool((began - ends[np.maximum(np.searchsorted(ends, began, side="right") - 1, 0)] >= _IDLE_NS).all())


def _of_each_run(facts: Facts, again: RowIds, waited: Nanos) -> Iterator[Candidate]:
    functions = facts.functions_of(again)
    for function in np.unique(functions).tolist():
        rows = again[functions == function]
        rows = rows[np.argsort(-waited[rows], kind="stable")]
        of_all, waits = facts.runs_by_function[function].size, waited[rows].tolist()
        if facts.relations.actor[rows[0]] >= 0:
            told = words.process_per_actor(function, rows.size, of_all, waited_ns=waits)
        else:
            idle = _were_idle(facts, rows, waited, facts.runs_by_function[function])
            told = words.process_per_run(function, rows.size, of_all, waited_ns=waits, idle=idle)
        yield Candidate(
            Pattern.PROCESS_PER_RUN,
            function,
            told,
            shorten_lags(facts.graph, rows, waited[rows]),
            rows,
        )
