"""The difference between two groups of runs, from their span tables."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from raytrace_analyze.analyses.diff.functions import compare_functions
from raytrace_analyze.analyses.diff.result import Group, RunDiff
from raytrace_analyze.analyses.diff.runs import KEY, RunGroup, collect_runs
from raytrace_analyze.analyses.diff.significance import Significance
from raytrace_analyze.errors import UsageError
from raytrace_analyze.path.options import SLOT_WITHIN_NS, PathOptions, path_options
from raytrace_analyze.prepared import PreparedTrace, Trace, prepare
from raytrace_analyze.wording.diff import comparison_notes

Tables = Trace | Sequence[Trace]
Events = pl.DataFrame | Sequence[pl.DataFrame | None] | None


def diff(
    base: Tables,
    new: Tables,
    base_events: Events = None,
    new_events: Events = None,
    *,
    job: str | tuple[str, str] | None = None,
    queues: str = "follow",
    infer: bool = True,
    infer_within_ns: int = SLOT_WITHIN_NS,
    clock_correct: bool = True,
    overlap_tolerance: float = 0.0,
    options: PathOptions | None = None,
) -> RunDiff:
    """Find what moved the makespan from one run, or group of runs, to another.

    Takes span tables (columns of `schema.TABLE`) or what `prepare` made of them, one or several a side (`base_events`,
    `new_events`: as version 0.1.0 gave them beside the spans). Every job in them is one run of its group. `job` keeps
    the jobs it fits (`ID` or `SESSION/ID`, both may be cut short), on both sides; of two, the first is for BASE and the
    second for NEW. The other options are those of `critical_path`.

    Raises NoSpansError for a side without spans, UsageError for a job that is not there.
    """
    of_base, of_new = job if isinstance(job, tuple) and len(job) == 2 else (job, job)
    options = path_options(options, queues, infer, infer_within_ns, overlap_tolerance)
    base_runs = collect_runs(_traces(base, base_events, clock_correct), side="BASE", job=of_base, options=options)
    new_runs = collect_runs(_traces(new, new_events, clock_correct), side="NEW", job=of_new, options=options)
    parts = _parts(base_runs, new_runs)
    significance = Significance(base_runs.about.height, new_runs.about.height)
    makespans = pl.concat([base_runs.about, new_runs.about]).get_column("makespan_ns").to_numpy()
    return RunDiff(
        base=Group(base_runs.about, mean_ns(base_runs)),
        new=Group(new_runs.about, mean_ns(new_runs)),
        parts=parts,
        run_parts=pl.concat(
            runs.path.select(pl.lit(side).alias("side"), pl.all())
            for side, runs in (("base", base_runs), ("new", new_runs))
        ),
        functions=compare_functions(base_runs, new_runs, parts),
        test=significance.name,
        p_value=significance.p_values(makespans.astype(np.float64)[None, :])[0],
        notes=comparison_notes(
            base_runs.about, new_runs.about, have_functions_in_common=_have_functions_in_common(base_runs, new_runs)
        ),
    )


def _traces(tables: Tables, events: Events, clock_correct: bool) -> list[PreparedTrace]:
    """Give each table its task events, or none, and prepare it."""
    listed: list[Any] = list(tables) if isinstance(tables, list | tuple) else [tables]
    of_each = [events] if events is None or isinstance(events, pl.DataFrame) else list(events)
    if events is None:
        of_each = [None] * len(listed)
    if len(of_each) != len(listed):
        raise UsageError(f"{len(listed)} span tables and {len(of_each)} tables of task events do not go together")
    return [prepare(table, told, clock_correct=clock_correct) for table, told in zip(listed, of_each, strict=True)]


def _parts(base: RunGroup, new: RunGroup) -> pl.DataFrame:
    """Set the mean path times of both sides side by side: columns of `RunDiff.parts`."""
    return (
        mean_parts(base)
        .rename({"path_ns": "base_ns"})
        .join(mean_parts(new).rename({"path_ns": "new_ns"}), on=KEY, how="full", coalesce=True, nulls_equal=True)
        .with_columns(pl.col("base_ns", "new_ns").fill_null(0))
        .with_columns(difference_ns=pl.col("new_ns") - pl.col("base_ns"))
        .sort(pl.col("difference_ns").abs(), *KEY, descending=[True, False, False, False], nulls_last=True)
    )


def _have_functions_in_common(base: RunGroup, new: RunGroup) -> bool:
    """Tell whether a function ran on both sides; where one side had none, nothing speaks against it."""
    of_base, of_new = (set(runs.tasks.get_column("function").drop_nulls().unique().to_list()) for runs in (base, new))
    return not of_base or not of_new or not of_base.isdisjoint(of_new)


def mean_ns(runs: RunGroup) -> int:
    """Give the mean makespan in whole ns; half a ns is rounded up."""
    count = runs.about.height
    return int((2 * runs.about.get_column("makespan_ns").sum() + count) // (2 * count))


def mean_parts(runs: RunGroup) -> pl.DataFrame:
    """Give the mean path time of each part in whole ns, so that the parts add up to `mean_ns` exactly.

    Each mean is rounded down; the nanoseconds that are left go to the parts that lost most by that, one each.
    """
    count = runs.about.height
    sums = runs.path.group_by(KEY).agg(pl.col("path_ns").sum())
    lost = pl.col("path_ns") % count
    ordered = sums.sort(lost, *KEY, descending=[True, False, False, False], nulls_last=True)
    means = ordered.with_columns(pl.col("path_ns") // count)
    left = mean_ns(runs) - int(means.get_column("path_ns").sum())
    return means.with_columns(pl.col("path_ns") + (pl.int_range(pl.len()) < left).cast(pl.Int64))
