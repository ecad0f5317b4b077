"""A program that repeats, step by step: what each step took, what decided it, and who was slow in it."""

import polars as pl

from raytrace_analyze.analyses.libraries.steps.actors import actors_in
from raytrace_analyze.analyses.libraries.steps.calls import sum_calls
from raytrace_analyze.analyses.libraries.steps.flows import calls_of
from raytrace_analyze.analyses.libraries.steps.marked import marked_steps
from raytrace_analyze.analyses.libraries.steps.rounds import Rounds, find_rounds, most_in_loops
from raytrace_analyze.analyses.libraries.steps.scope import JobRows, rows_of_job
from raytrace_analyze.choices import choose
from raytrace_analyze.errors import UsageError
from raytrace_analyze.names.functions import DRIVER
from raytrace_analyze.path.one_scope import critical_path
from raytrace_analyze.prepared import PreparedTrace, Trace, prepare
from raytrace_analyze.trace.actor_labels import actor_labels
from raytrace_analyze.trace.scopes import find_runs
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.groups import StepGroup

STEPS = pl.Schema(
    {
        **dict.fromkeys(("flow", "at"), pl.String),
        **dict.fromkeys(("step", "start_ns", "took_ns", "over_median_ns", "waited_ns", "own_ns"), pl.Int64),
        **dict.fromkeys(("decided_by", "decided_on", "decided_category"), pl.String),
        "decided_ns": pl.Int64,
        **dict.fromkeys(("argument_bytes", "put_bytes"), pl.Int64),
    }
)
"""Columns of the steps of `find_steps`."""


@frozen
class Steps:
    """The steps of a program's loop."""

    steps: pl.DataFrame
    """One row a step, in order: columns of `STEPS` (see `steps`)."""
    calls: pl.DataFrame
    """One row a step and place in the program that was called from it (see `steps`)."""
    actors: pl.DataFrame
    """One row an actor that worked between the first step's start and the last one's end (see `steps`)."""
    is_marked: bool
    """Whether the program marked the steps itself."""


def steps(
    spans: Trace,
    by: str = "step",
    *,
    job: str | None = None,
    task: str | None = None,
    at: str | None = None,
    clock_correct: bool = True,
) -> pl.DataFrame:
    """Tell a program that repeats step by step: a loop of the driver, of a task or of an actor's method.

    Takes a span table (columns of `schema.TABLE`) or what `prepare` made of one. Steps are those that the program marks
    (`with raytrace_hook.step(i):`), else the rounds of the loop that most time was spent with (see `find_rounds`): of a
    `job` (default: the one that took longest), or within one `task` (a function, task id or span id). `at` chooses the
    loop by a part of its call site, such as `train.py:40`. What is not known is null. By `step`, one row a step:

    - `flow` (the function whose loop it is) and `at` (the call that ends a step: `file:line`; null: it is not known);
    - `step` (from 0 on, or the program's number), `start_ns` (since the epoch), `took_ns`, `over_median_ns`;
    - `waited_ns` in recorded waits, `own_ns` in no recorded call;
    - what decided it, by the critical path: `decided_by` (a function), `decided_on` (its actor), `decided_category`
      (`self`: it ran, `queue`: it waited to start, ...), and for how long, `decided_ns`;
    - `argument_bytes` passed by value, `put_bytes` put into the object store.

    By `call`, one row a step and place of the program: `step`, `call`, `at`, `calls`, `took_ns` in all; of what came
    back the call that ended last: `slowest_function`, `slowest_on` (its actor), `slowest_ns`, beside `others_ns`, the
    median of the others that came back with it; `argument_bytes`, `put_bytes`. By `actor`: `actor`, `actor_id`,
    `function` (that it ran most), `runs`, `busy_ns`, `idle_share` (0 to 1) of the loop's time, `slowest_in`: in how
    many steps its call was the slowest of several, by half of what the others took or more.

    Raises NoSpansError for an empty table, UsageError for an unknown job, task or group, and where nothing repeats.
    """
    group = choose(StepGroup, by, "group")
    found = find_steps(prepare(spans, clock_correct=clock_correct), job=job, task=task, at=at)
    return {StepGroup.STEP: found.steps, StepGroup.CALL: found.calls, StepGroup.ACTOR: found.actors}[group]


def find_steps(
    trace: PreparedTrace, *, job: str | None = None, task: str | None = None, at: str | None = None
) -> Steps:
    """Find the steps of a job, or of a task in it, as `steps` tells."""
    chosen = rows_of_job(trace, job)
    wanted = None if task is None else set(find_runs(trace.spans, task).to_list())
    calls = calls_of(trace, chosen.rows)
    marked = None if at is not None else marked_steps(trace, chosen.rows, wanted)
    bounds = _rounds(calls, wanted, at) if marked is None else marked
    if bounds is None:
        raise UsageError(_nothing(task, at))
    named = actor_labels(trace.spans)
    found = sum_calls(trace, calls, bounds, named)
    decided = _decided(trace, chosen, bounds, named)
    return Steps(
        steps=_steps(trace, bounds, found, decided),
        calls=found,
        actors=actors_in(trace, chosen.rows, bounds, found, named),
        is_marked=marked is not None,
    )


def _nothing(task: str | None, at: str | None) -> str:
    where = "" if at is None else f" at {at}"
    whose = "this job" if task is None else task
    return f"{whose} has no loop{where} of three rounds or more; mark the steps: with raytrace_hook.step(i):"


def _rounds(calls: pl.DataFrame, wanted: set[int] | None, at: str | None) -> pl.DataFrame | None:
    """Give the rounds of the flow that spent most time in its loop: `flow`, `step`, `start`, `end`, `at`."""
    if wanted is not None:
        calls = calls.filter(pl.col("flow").is_in(list(wanted)))
    best: tuple[int, Rounds] | None = None
    for flow, most_ns in most_in_loops(calls).iter_rows():
        if best is not None and most_ns < best[1].covers_ns:
            break
        rounds = find_rounds(calls.filter(pl.col("flow") == flow), at)
        if rounds is None:
            continue
        if best is None or (rounds.covers_ns, -flow) > (best[1].covers_ns, -best[0]):
            best = (flow, rounds)
    if best is None:
        return None
    flow, rounds = best
    return pl.DataFrame({"start": rounds.start, "end": rounds.end}).select(
        flow=pl.lit(flow, pl.Int64),
        step=pl.int_range(pl.len(), dtype=pl.Int64),
        start="start",
        end="end",
        at=pl.lit(rounds.at.partition("\n")[2].partition("\n")[0] or None, pl.String),
    )


def _decided(trace: PreparedTrace, chosen: JobRows, bounds: pl.DataFrame, named: pl.DataFrame) -> pl.DataFrame:
    """Give what took most of the critical path of each step, by row of `bounds`."""
    flow = int(bounds.get_column("flow")[0])
    span_ids = trace.spans.get_column("span_id")
    path = critical_path(trace, job=chosen.id) if flow < 0 else critical_path(trace, task=span_ids[flow])
    windows = bounds.with_row_index("bound").select("bound", "start", "end")
    pieces = (
        path.segments.lazy()
        .select("start_ns", "end_ns", "function", "actor_id", "category")
        .join_where(windows.lazy(), pl.col("start_ns") < pl.col("end"), pl.col("end_ns") > pl.col("start"))
        .with_columns(took=pl.min_horizontal("end_ns", "end") - pl.max_horizontal("start_ns", "start"))
        .collect()
    )
    labels = named.filter(pl.col("session") == chosen.key.session).select("actor_id", decided_on="actor")
    return (
        pieces.group_by("bound", "function", "actor_id")
        .agg(decided_ns=pl.col("took").sum(), category=pl.col("category").sort_by("took").last())
        .sort("bound", "decided_ns", "function", descending=[False, True, False], nulls_last=True)
        .unique("bound", keep="first", maintain_order=True)
        .join(labels, on="actor_id", how="left")
        .select("bound", "decided_on", "decided_ns", decided_by="function", decided_category="category")
    )


def _steps(trace: PreparedTrace, bounds: pl.DataFrame, calls: pl.DataFrame, decided: pl.DataFrame) -> pl.DataFrame:
    functions = trace.spans.get_column("function")
    flow = bounds.get_column("flow").to_list()
    records = bool(trace.spans.get_column("records_waits").any())
    of_step = calls.group_by("bound").agg(
        waited=pl.col("took_ns").filter("is_wait").sum(),
        called=pl.col("took_ns").sum(),
        argument_bytes=pl.col("argument_bytes").sum(),
        put_bytes=pl.col("put_bytes").sum(),
    )
    took = pl.col("end") - pl.col("start")
    return (
        bounds.with_row_index("bound")
        .join(of_step, on="bound", how="left", maintain_order="left")
        .join(decided, on="bound", how="left", maintain_order="left")
        .with_columns(
            flow=pl.Series([DRIVER if each < 0 else functions[each] for each in flow], dtype=pl.String),
            start_ns="start",
            took_ns=took,
            over_median_ns=took - took.median().cast(pl.Int64),
            waited_ns=pl.when(records).then(pl.col("waited").fill_null(0)),
            own_ns=pl.when(records).then((took - pl.col("called").fill_null(0)).clip(lower_bound=0)),
            argument_bytes=pl.when(records).then(pl.col("argument_bytes").fill_null(0)),
            put_bytes=pl.when(records).then(pl.col("put_bytes").fill_null(0)),
        )
        .select(STEPS.names())
        .cast(STEPS)
    )
