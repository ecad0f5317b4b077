"""Span tables of any size, made in whole columns: fan-out programs as the hook records them."""

import numpy as np
import polars as pl

from raytrace_analyze.schema import TABLE
from raytrace_analyze.table.events.attempts import with_event_columns

FAN_OUT = 8
SPANS_A_TRACE = 2 * FAN_OUT + 3
_START = 1_700_000_000_000_000_000


def fan_out_table(spans: int, *, seed: int = 0, recorded: bool = True) -> pl.DataFrame:
    """Make a table of about `spans` spans (columns of `schema.TABLE`).

    Every trace is one request: a root span that submits `FAN_OUT` tasks, waits for all of them and computes; each
    task has a submit and a run, and one of them a span of its own. `recorded` says whether waits and task ids are
    there.
    """
    rng = np.random.default_rng(seed)
    traces = max(spans // SPANS_A_TRACE, 1)
    begin = _START + np.arange(traces) * 1_000_000 + rng.integers(0, 900_000, traces)
    submit_at = begin[:, None] + 10_000 + np.arange(FAN_OUT) * 150_000 + rng.integers(0, 40_000, (traces, FAN_OUT))
    submit_end = submit_at + rng.integers(20_000, 90_000, (traces, FAN_OUT))
    run_at = submit_end + rng.integers(100_000, 3_000_000, (traces, FAN_OUT))
    run_end = run_at + rng.integers(1_000_000, 90_000_000, (traces, FAN_OUT))
    wait_at = submit_end[:, -1] + 20_000
    wait_end = run_end.max(axis=1) + rng.integers(10_000, 200_000, traces)
    end = wait_end + rng.integers(100_000, 2_000_000, traces)
    own_at, own_end = run_at[:, 0] + 10_000, run_end[:, 0] - 10_000

    trace = pl.Series(np.arange(traces))
    each = pl.Series(np.repeat(np.arange(traces), FAN_OUT))
    number = pl.Series(np.tile(np.arange(FAN_OUT), traces))
    task = pl.format("task{}x{}", "t", "k")
    one = pl.DataFrame({"t": trace})
    many = pl.DataFrame({"t": each, "k": number})
    tasks = many.select("t", task=task).group_by("t", maintain_order=True).agg("task").get_column("task")
    parts = [
        _part(one, "root", None, "INTERNAL", "custom", begin, end, name="request"),
        _part(many, "submit", "root", "PRODUCER", "submit", submit_at.ravel(), submit_end.ravel(), task=task),
        _part(many, "run", "submit", "CONSUMER", "task", run_at.ravel(), run_end.ravel(), task=task),
        _part(one, "wait", "root", "INTERNAL", "wait", wait_at, wait_end, name="ray.get").with_columns(
            ready_task_ids=tasks if recorded else pl.lit(None)
        ),
        _part(one.with_columns(k=pl.lit(0)), "own", "run", "INTERNAL", "custom", own_at, own_end, name="fit"),
    ]
    table = pl.concat(parts, how="diagonal_relaxed").with_columns(
        session=pl.lit("session"),
        job_id=pl.lit("01000000"),
        node_id=pl.lit("node"),
        status=pl.lit("UNSET"),
        records_waits=pl.lit(recorded),
        concurrent=pl.lit(None),
        attempt=pl.lit(None),
        host=pl.lit("host"),
        attributes=pl.lit("{}"),
        events=pl.lit("[]"),
        links=pl.lit("[]"),
        resource=pl.lit("{}"),
        source=pl.lit("file"),
        actor_id=pl.lit(None),
        status_message=pl.lit(None),
        dependency_task_ids=pl.lit(None),
    )
    if not recorded:
        table = table.filter(pl.col("name") != "ray.get").with_columns(submitted_task_id=pl.lit(None))
    known = [pl.col(name).cast(dtype) for name, dtype in TABLE.items() if name in table.columns]
    return with_event_columns(table.select(known).sort("start", "trace_id", "span_id"))


def _part(
    keys: pl.DataFrame,
    what: str,
    parent: str | None,
    kind: str,
    category: str,
    start: np.ndarray,
    end: np.ndarray,
    *,
    name: str | None = None,
    task: pl.Expr | None = None,
) -> pl.DataFrame:
    def span_id(of: str) -> pl.Expr:
        return pl.format(f"{of}{{}}x{{}}", "t", "k") if of in ("submit", "run", "own") else pl.format(f"{of}{{}}", "t")

    worker = pl.format("worker{}", pl.col("k") % 64) if "k" in keys.columns and what != "submit" else pl.lit("driver")
    function = pl.format("work{}", pl.col("k") % 4) if "k" in keys.columns else pl.lit(None, pl.String)
    suffix = {"submit": " ray.remote", "run": " ray.remote_worker"}.get(what, "")
    return keys.select(
        trace_id=pl.format("trace{}", "t"),
        span_id=span_id(what),
        parent_id=span_id(parent) if parent else pl.lit(None, pl.String),
        name=pl.lit(name) if name else function + suffix,
        kind=pl.lit(kind),
        category=pl.lit(category),
        start=pl.Series(start).cast(pl.Datetime("ns", "UTC")),
        end=pl.Series(end).cast(pl.Datetime("ns", "UTC")),
        function=function,
        worker_id=worker,
        pid=(pl.col("k") % 64 if "k" in keys.columns else pl.lit(1)).cast(pl.Int64),
        task_id=task if task is not None and what == "run" else pl.lit(None, pl.String),
        submitted_task_id=task if task is not None and what == "submit" else pl.lit(None, pl.String),
    )
