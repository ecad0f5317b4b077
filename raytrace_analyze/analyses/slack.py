"""Slack: how much later a task could have ended without making its job any longer."""

import polars as pl

from raytrace_analyze.path.options import SLOT_WITHIN_NS, PathOptions, path_options
from raytrace_analyze.prepared import Trace, prepare
from raytrace_analyze.replay.job import Job, read_job
from raytrace_analyze.replay.passes.backward import latest_ends


def slack(
    spans: Trace,
    job: str | None = None,
    *,
    infer: bool = True,
    infer_within_ns: int = SLOT_WITHIN_NS,
    clock_correct: bool = True,
    options: PathOptions | None = None,
) -> pl.DataFrame:
    """Find for each run of a job how much later it could have ended without moving the job's end.

    Takes a span table (columns of `schema.TABLE`) or what `prepare` made of one, and a job, by default the one that
    took longest. One row a run, the least slack first. Columns: `span_id`, `trace_id`, `task_id`, `function`, `name`;
    `start_ns`, `end_ns` (since the epoch), `duration_ns`; `slack_ns`, 0 for runs that are critical, and `share`, the
    slack as a share of the makespan.

    All constraints of the job are taken as observed, who got whose slot among them. `infer`, `infer_within_ns` and
    `clock_correct` are those of `critical_path`; of its `options` the others say nothing here. Raises NoSpansError for
    an empty table, UsageError for a job that is unknown or ambiguous.
    """
    options = path_options(options, infer=infer, infer_within_ns=infer_within_ns)
    return run_slack(read_job(prepare(spans, clock_correct=clock_correct), job, options))


def run_slack(job: Job) -> pl.DataFrame:
    """Give the table of `slack` for a job that was read."""
    events, structure = job.graph.events, job.graph.events.scoped.structure
    rows = events.rows[:-1]
    rows = rows[structure.is_run[rows]]
    ended = events.time[events.end_of[rows]]
    late = latest_ends(job.graph, rows)
    return (
        structure.spans.select("span_id", "trace_id", "task_id", "function", "name")[rows]
        .with_columns(
            start_ns=pl.Series(events.scoped.start[rows]),
            end_ns=pl.Series(ended),
            duration_ns=pl.Series(ended - events.scoped.start[rows]),
            slack_ns=pl.Series(late - ended, dtype=pl.Int64),
        )
        .with_columns(share=pl.col("slack_ns") / max(job.makespan_ns, 1))
        .sort("slack_ns", "start_ns", "span_id")
    )


def near_chains(runs: pl.DataFrame, within: float) -> pl.DataFrame:
    """Find the chains that become critical next: runs (as `slack` gives them) that share one slack, not 0.

    `within` is the most slack that counts, as a share of the makespan. One row a chain, the least slack first.
    Columns: `slack_ns`, `share`; `runs`, how many; `functions`, in order of start, repeats told once; `run_ns`, how
    long they ran in all; `start_ns`, `end_ns`; `span_ids`.
    """
    functions = pl.col("function").fill_null(pl.col("name"))
    return (
        runs.filter(pl.col("slack_ns") > 0, pl.col("share") <= within)
        .sort("start_ns", "span_id")
        .group_by("slack_ns", "share")
        .agg(
            runs=pl.len().cast(pl.Int64),
            functions=functions.filter(functions.rle_id().diff().fill_null(1) != 0),
            run_ns=pl.col("duration_ns").sum(),
            start_ns=pl.col("start_ns").min(),
            end_ns=pl.col("end_ns").max(),
            span_ids=pl.col("span_id"),
        )
        .sort("slack_ns")
    )
