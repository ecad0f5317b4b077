"""The reports of Ray Train's ranks: when each came to it and went on, and what it did since the one before."""

import numpy as np
import polars as pl

from raytrace_analyze.names.attributes import EXPERIMENT, HAS_CHECKPOINT, RANK, REPORT, told
from raytrace_analyze.names.spans import BATCH, CHECKPOINT_SPAN, REPORT_SPAN
from raytrace_analyze.prepared import PreparedTrace
from raytrace_analyze.sampled.samples import read_samples
from raytrace_analyze.table.lineage import Flags, RowIds

"""Spans that our hook makes: a report of a rank, the storing of a checkpoint."""
_COLLECTIVE = r"SynchronizationActor\.broadcast_from_rank_zero$"
"""Ray's own method in which the ranks meet: all that there is without our hook."""
_SHARDS = r"(?:^|\.)(?:DatasetManager|SplitCoordinator)\.\w+$"
"""Ray's own methods that give a rank its part of a dataset."""

REPORTS = pl.Schema(
    {
        **dict.fromkeys(("session", "job_id", "run"), pl.String),
        **dict.fromkeys(("attempt", "rank"), pl.Int64),
        **dict.fromkeys(("member", "actor_id", "host"), pl.String),
        **dict.fromkeys(("step", "arrived", "left", "since", "stored_ns"), pl.Int64),
        **dict.fromkeys(("data_ns", "waits_ns", "barrier_ns", "idle_ns"), pl.Int64),
        **dict.fromkeys(("has_checkpoint", "is_told"), pl.Boolean),
    }
)
"""Columns of `find_reports`: one row a report of a rank; times are ns since the epoch.

- `run` is Train's name of the training; `attempt` counts the starts of its workers, from 0 on; `member` says who it is,
  as `rank 1`, or `process 4711` where the rank is not known;
- `arrived` and `left` are when the rank called `report` and went on, `since` when it went on before, or began;
- `stored_ns`: how long it stored the report's checkpoint, 0 for none; `data_ns`: waits for data since the one before;
- `waits_ns`: its other waits since then, for results of Ray's (a barrier, calls of other actors);
- `barrier_ns`: what of these it waited at barriers for other ranks;
- `idle_ns`: how long since then it was seen idle besides, in its own code;
- `is_told`: whether the hook told of the report. Where not, what only it knows is null.
"""

_OF_THE_HOOK = ("run", "rank", "stored_ns", "data_ns", "waits_ns", "barrier_ns", "idle_ns", "has_checkpoint")
"""What nobody else tells."""


def find_reports(trace: PreparedTrace) -> pl.DataFrame:
    """Find all reports in a trace, in order of training, attempt, step and rank: columns of `REPORTS`."""
    told_of = _told(trace)
    known = told_of.select("session", "job_id").unique()
    rest = _untold(trace).join(known, on=["session", "job_id"], how="anti", nulls_equal=True)
    found = pl.concat([told_of.select(REPORTS.names()).cast(REPORTS), rest.select(REPORTS.names()).cast(REPORTS)])
    return found.sort("session", "job_id", "run", "attempt", "step", "rank", "member", nulls_last=True)


def training_functions(trace: PreparedTrace) -> pl.DataFrame:
    """Find the training functions of all ranks: `function_row`, `session`, `job_id`, `run`, `attempt`, `rank`, ..."""
    structure, attributes = trace.structure, pl.col("attributes")
    rank = told(trace.spans.get_column("attributes"), RANK).cast(pl.Int64, strict=False)
    rows = np.flatnonzero(structure.is_run & rank.is_not_null().to_numpy())
    who = ("session", "job_id", "run", "rank")
    return (
        trace.spans.select(
            "session", "job_id", "actor_id", "host", "attributes", "status", "status_message", "function"
        )[rows]
        .with_columns(
            function_row=pl.Series(rows),
            run=told(attributes, EXPERIMENT),
            rank=told(attributes, RANK).cast(pl.Int64, strict=False),
            began=pl.Series(structure.start[rows]),
            ended=pl.Series(structure.end[rows]),
            is_open=pl.Series(structure.in_flight[rows]),
        )
        .sort("began", "function_row")
        .with_columns(attempt=pl.int_range(pl.len(), dtype=pl.Int64).over(who), member=pl.format("rank {}", "rank"))
        .drop("attributes")
    )


def _told(trace: PreparedTrace) -> pl.DataFrame:
    functions = training_functions(trace).drop("status", "status_message", "function", "ended", "is_open")
    reports = _of_functions(trace, REPORT_SPAN).rename({"start": "arrived", "end": "left"})
    batches = _of_functions(trace, BATCH)
    order = ("function_row", "arrived", "row")
    reports = (
        reports.join(functions, on="function_row")
        .sort(order)
        .with_columns(
            since=pl.coalesce(pl.col("left").shift(1).over("function_row"), "began"),
            step=told(pl.col("attributes"), REPORT).cast(pl.Int64, strict=False),
            has_checkpoint=told(pl.col("attributes"), HAS_CHECKPOINT) == "true",
            is_told=pl.lit(True),
        )
    )
    stored = _stored(trace, reports)
    rows = functions.get_column("function_row").to_numpy()
    all_waits = _waits(trace, rows)
    times = ("function_row", "start", "end")
    barriers = _together(reports, all_waits.filter("at_barrier").select(times))
    for_data = pl.concat([batches.select(times), all_waits.filter("for_data").select(times)])
    # Several threads may wait at once, for a batch and for the next one, say.
    data = _together(reports, for_data)
    taken = _together(reports, pl.concat([for_data, all_waits.select(times)]))
    idle = _idle(trace, rows)
    return (
        reports.join(stored, on="row", how="left")
        .join(_before(reports, data).rename({"took": "data_ns"}), on="row", how="left")
        .join(_before(reports, taken).rename({"took": "taken_ns"}), on="row", how="left")
        .join(_before(reports, barriers).rename({"took": "barrier_ns"}), on="row", how="left")
        .join(_idle_before(reports, idle, taken), on="row", how="left")
        .with_columns(pl.col("stored_ns", "data_ns", "taken_ns", "barrier_ns", "idle_ns").fill_null(0))
        .with_columns(waits_ns=pl.col("taken_ns") - pl.col("data_ns"))
    )


def _before(reports: pl.DataFrame, parts: pl.DataFrame) -> pl.DataFrame:
    """Sum parts of training functions by the report that came next: `row` and `took`."""
    began = reports.select("function_row", "row", before="since").sort("before")
    of_functions = parts.select("function_row", "start", "end").sort("start")
    found = of_functions.join_asof(began, left_on="start", right_on="before", by="function_row", check_sortedness=False)
    return found.group_by("row").agg(took=(pl.col("end") - pl.col("start")).sum())


def _waits(trace: PreparedTrace, functions: RowIds) -> pl.DataFrame:
    """Give the waits of training functions beside those for data, and of their reports.

    Columns: `function_row`, `start`, `end`, `at_barrier` (for the other ranks), `for_data` (for its part of a dataset).
    """
    structure = trace.structure
    within = np.isin(structure.run_above, functions) & trace.runs.is_wait & ~structure.is_run
    rows = np.flatnonzero(within)
    names = trace.spans.get_column("name")
    told_apart = (REPORT_SPAN, CHECKPOINT_SPAN, BATCH)
    is_part = names.gather(rows).is_in(told_apart) | names.gather(structure.parent[rows]).is_in(told_apart)
    rows = rows[~is_part.to_numpy()]
    return pl.DataFrame(
        {
            "function_row": structure.run_above[rows],
            "start": structure.start[rows],
            "end": structure.end[rows],
            "at_barrier": _came_with(trace, _COLLECTIVE)[rows],
            "for_data": _came_with(trace, _SHARDS)[rows],
        }
    )


def _came_with(trace: PreparedTrace, methods: str) -> Flags:
    """Tell by row the waits that came back with a call of one of these methods (a regular expression)."""
    wait, run = trace.structure.ready_runs
    names = trace.spans.get_column("function").gather(run).fill_null("")
    found = np.zeros(trace.spans.height, dtype=np.bool_)
    found[wait[names.str.contains(methods).to_numpy()]] = True
    return found


def _together(reports: pl.DataFrame, waits: pl.DataFrame) -> pl.DataFrame:
    """Cut waits to the time before reports, one stretch where several threads waited at once."""
    before = reports.select("function_row", other_start="since", other_end="arrived")
    cut = _overlaps(waits, before).sort("function_row", "start")
    latest = pl.col("end").cum_max().shift(1).over("function_row")
    begun = (pl.col("start") > latest).fill_null(value=True).cum_sum()
    together = cut.group_by("function_row", stretch=begun, maintain_order=True)
    return together.agg(pl.col("start").min(), pl.col("end").max()).drop("stretch")


def _idle(trace: PreparedTrace, functions: RowIds) -> pl.DataFrame:
    """Give the stretches in which training functions were seen idle: `function_row`, `start`, `end`."""
    seen = read_samples(trace.structure, trace.clock_shift, functions)
    stretches = [(row, one.start, one.end) for row, sampled in seen.items() for one in sampled.idle]
    return pl.DataFrame(stretches, schema=dict.fromkeys(("function_row", "start", "end"), pl.Int64), orient="row")


def _idle_before(reports: pl.DataFrame, idle: pl.DataFrame, waits: pl.DataFrame) -> pl.DataFrame:
    """Sum by report (`row`) for how long its rank was idle before it, `idle_ns`, but for waits."""
    waiting = _overlaps(idle, waits.select("function_row", other_start="start", other_end="end"))
    before = reports.select("function_row", "row", other_start="since", other_end="arrived")
    took = _overlaps(idle, before).group_by("row").agg(idle_ns=(pl.col("end") - pl.col("start")).sum())
    apart = _before(reports, waiting)
    return took.join(apart, on="row", how="left").select("row", pl.col("idle_ns") - pl.col("took").fill_null(0))


def _overlaps(stretches: pl.DataFrame, others: pl.DataFrame) -> pl.DataFrame:
    """Give what stretches and others of the same function (`other_start`, `other_end`) have in common."""
    start, end = pl.max_horizontal("start", "other_start"), pl.min_horizontal("end", "other_end")
    pairs = stretches.join(others, on="function_row")
    return pairs.with_columns(start=start, end=end).filter(pl.col("end") > pl.col("start"))


def _of_functions(trace: PreparedTrace, name: str) -> pl.DataFrame:
    """Give the spans of this name within training functions: `row`, `function_row`, `start`, `end`, `attributes`."""
    structure = trace.structure
    rows = np.flatnonzero((trace.spans.get_column("name") == name).to_numpy())
    return pl.DataFrame(
        {
            "row": rows,
            "function_row": structure.run_above[rows],
            "start": structure.start[rows],
            "end": structure.end[rows],
            "attributes": trace.spans.get_column("attributes").gather(rows),
        }
    )


def _stored(trace: PreparedTrace, reports: pl.DataFrame) -> pl.DataFrame:
    """Give by report (`row`) how long its checkpoint was stored: within it, or beside the training."""
    structure = trace.structure
    name = trace.spans.get_column("name")
    within = np.flatnonzero((name == CHECKPOINT_SPAN).to_numpy())
    inside = pl.DataFrame({"row": structure.parent[within], "took": structure.end[within] - structure.start[within]})
    beside = np.flatnonzero(
        structure.is_run & (trace.spans.get_column("function").fill_null("") == CHECKPOINT_SPAN).to_numpy()
    )
    submit = structure.submit[beside]
    of_report = pl.DataFrame(
        {
            "function_row": np.where(submit >= 0, structure.run_above[submit], -1),
            "step": told(trace.spans.get_column("attributes").gather(beside), REPORT).cast(pl.Int64, strict=False),
            "took": structure.end[beside] - structure.start[beside],
        }
    )
    outside = of_report.join(reports.select("row", "function_row", "step"), on=["function_row", "step"])
    both = pl.concat([inside.select("row", "took"), outside.select("row", "took")])
    return both.group_by("row").agg(stored_ns=pl.col("took").sum())


def _untold(trace: PreparedTrace) -> pl.DataFrame:
    """Tell reports from the calls in which the ranks meet, which Ray's own tracing records."""
    structure = trace.structure
    function = trace.spans.get_column("function").fill_null("")
    rows = np.flatnonzero(structure.is_run & function.str.contains(_COLLECTIVE).to_numpy())
    rows = rows[structure.submit[rows] >= 0]
    submit = structure.submit[rows]
    member = ("session", "job_id", "group", "pid")
    return (
        trace.spans.select("session", "job_id", group="actor_id")[rows]
        .with_columns(
            trace.spans.select("pid", "host")[submit],
            arrived=pl.Series(structure.start[submit]),
            left=pl.Series(structure.end[rows]),
        )
        .sort("arrived")
        .with_columns(
            step=pl.int_range(pl.len(), dtype=pl.Int64).over(member),
            attempt=pl.col("group").rank("dense").over("session", "job_id").cast(pl.Int64) - 1,
            since=pl.col("left").shift(1).over(member),
            member=pl.format("process {}", "pid"),
            is_told=pl.lit(False),
            **{name: pl.lit(None, REPORTS[name]) for name in _OF_THE_HOOK},
            actor_id=pl.lit(None, pl.String),
        )
    )
