"""Ray Tune in one table: trial by trial what took how long, or what its controller in the driver did."""

import numpy as np
import polars as pl

from raytrace_analyze.analyses.libraries.tune.checkpoints import checkpoints_of
from raytrace_analyze.analyses.libraries.tune.trials import ATTEMPTS, KEY, find_attempts, is_told, on_actors
from raytrace_analyze.choices import choose
from raytrace_analyze.names.spans import CALLBACKS_SPAN, SCHEDULER_SPAN, SUGGEST_SPAN, TRIAL_SPAN
from raytrace_analyze.path.all_scopes import paths_of
from raytrace_analyze.path.options import PathOptions
from raytrace_analyze.prepared import PreparedTrace, Trace, prepare
from raytrace_analyze.vocabulary.groups import TuneGroup

TRIALS = pl.Schema(
    {
        **dict.fromkeys(("session", "job_id", "experiment", "trial", "parameters"), pl.String),
        **dict.fromkeys(("submitted_ns", "waited_ns", "began_ns", "ended_ns", "ran_ns", "held_ns"), pl.Int64),
        **dict.fromkeys(("saved_ns", "restored_ns"), pl.Int64),
        **dict.fromkeys(("results", "slowest_result_ns", "attempts", "errors", "path_ns"), pl.Int64),
        "path_share": pl.Float64,
        "actor_id": pl.String,
    }
)
"""Columns of `tune` by trial."""

DRIVER = pl.Schema(
    {
        **dict.fromkeys(("session", "job_id", "doing"), pl.String),
        **dict.fromkeys(("times", "took_ns", "longest_ns"), pl.Int64),
        "share": pl.Float64,
    }
)
"""Columns of `tune` by driver."""
DOING = {SUGGEST_SPAN: "suggest", SCHEDULER_SPAN: "scheduler", CALLBACKS_SPAN: "callbacks"}
"""What the controller does, by the names of the spans that our hook makes of it."""
_SHARES = {"path_ns": pl.Int64, "path_share": pl.Float64}
_WAITING, _REST = "waiting", "rest"


def tune(spans: Trace, by: str = "trial", *, clock_correct: bool = True) -> pl.DataFrame:
    """Tell for each trial of Ray Tune what took how long, or what Tune's controller spent its time with.

    Takes a span table (columns of `schema.TABLE`) or what `prepare` made of one. What is not known is null, never 0. By
    `trial`, one row a trial, in order of when they were submitted:

    - `session`, `job_id`, `experiment`, `trial` (Tune's id), `parameters` (JSON), `actor_id` (of its last attempt);
    - `submitted_ns`, when it asked for its process; `waited_ns`, from there until it began with its first result: for
      resources, its process, its set-up; `began_ns`, `ended_ns` (since the epoch);
    - `ran_ns`, from the first result's begin to the last one's end, all attempts together, and `held_ns`, how much of
      that its function was held between two results, until Tune let it go on (null for classes);
    - `saved_ns`, `restored_ns`: how long its checkpoints were saved, and restored (null without our hook);
    - `results`, `slowest_result_ns`; `attempts`, how often it was started; `errors`, how often it failed;
    - `path_ns`, `path_share` (0 to 1): how much of its job's critical path was on it.

    Without our hook trials have no parameters, and are told from the actors of Tune's functions. By `driver`, one row
    for each thing that the controller does: `session`, `job_id`, `doing` (`suggest`: the search algorithm, `scheduler`,
    `callbacks`, `waiting` for trials, `rest`), `times`, `took_ns`, `longest_ns`, `share` (0 to 1) of the time from the
    first suggestion to the last trial's end. What took less than a millisecond counts as rest.

    Raises UsageError for another group.
    """
    group = choose(TuneGroup, by, "group")
    trace = prepare(spans, clock_correct=clock_correct)
    attempts = find_attempts(trace)
    return _trials(trace, attempts) if group is TuneGroup.TRIAL else _driver(trace, attempts)


def _trials(trace: PreparedTrace, attempts: pl.DataFrame) -> pl.DataFrame:
    ran = pl.col("ended") - pl.col("began")
    trials = attempts.group_by(KEY, maintain_order=True).agg(
        pl.col("experiment", "parameters").first(),
        submitted_ns=pl.col("submitted").first(),
        waited_ns=_sum_known((pl.col("began") - pl.col("submitted")).clip(lower_bound=0)),
        began_ns=pl.col("began").min(),
        ended_ns=pl.col("ended").max(),
        ran_ns=_sum_known(ran),
        held_ns=_sum_known(pl.col("held_ns")),
        results=pl.col("results").sum(),
        slowest_result_ns=pl.col("slowest_ns").max(),
        attempts=pl.len().cast(pl.Int64),
        errors=pl.col("errors").sum(),
        actor_id=pl.col("actor_id").drop_nulls().last(),
    )
    found = (
        trials.join(_on_path(trace, attempts), on=list(KEY), how="left", nulls_equal=True)
        .join(checkpoints_of(trace, attempts), on=list(KEY), how="left", nulls_equal=True)
        .with_columns(pl.col("errors") + pl.col("failed").fill_null(0))
        .with_columns(pl.col("path_ns").fill_null(0), pl.col("path_share").fill_null(0.0))
        .with_columns(pl.when(is_told(trace)).then(pl.col("saved_ns", "restored_ns").fill_null(0)))
    )
    return found.select(TRIALS.names()).cast(TRIALS)


def _sum_known(value: pl.Expr) -> pl.Expr:
    """Sum what is known; null where nothing is."""
    return pl.when(value.is_not_null().any()).then(value.sum())


def _on_path(trace: PreparedTrace, attempts: pl.DataFrame) -> pl.DataFrame:
    """Give by trial (`KEY`) how much of its job's critical path is on its actor, while that works for it."""
    working = on_actors(trace, attempts)
    if trace.spans.is_empty() or working.is_empty():
        return pl.DataFrame(schema={**{name: ATTEMPTS[name] for name in KEY}, **_SHARES})
    whole = pl.col("duration_ns").sum().over("session", "scope")
    parts = (
        paths_of(trace, "jobs", PathOptions())
        .with_columns(part=pl.col("duration_ns") / whole)
        .filter(pl.col("actor_id").is_not_null())
        .select("session", "actor_id", "duration_ns", "part", at=pl.col("start_ns"))
        .sort("at")
    )
    actor = ["session", "actor_id"]
    first = working.unique(actor, keep="first").select(*actor, *(pl.col(name).alias(f"first_{name}") for name in KEY))
    return (
        parts.join_asof(working, left_on="at", right_on="since", by=actor, check_sortedness=False)
        .join(first, on=actor, nulls_equal=True)
        # What comes before is the actor's creation for its first trial.
        .with_columns(pl.coalesce(name, f"first_{name}").alias(name) for name in KEY)
        .group_by(KEY)
        .agg(path_ns=pl.col("duration_ns").sum(), path_share=pl.col("part").sum())
    )


def _driver(trace: PreparedTrace, attempts: pl.DataFrame) -> pl.DataFrame:
    structure = trace.structure
    name = trace.spans.get_column("name")
    rows = np.flatnonzero(name.is_in([*DOING, TRIAL_SPAN]).to_numpy() | (trace.runs.is_wait & ~structure.is_run))
    flow = structure.nest_parent[rows]
    controllers = np.unique(flow[(name.gather(rows) == TRIAL_SPAN).to_numpy()])
    rows = rows[np.isin(flow, controllers)]
    ends = attempts.group_by("session", "job_id").agg(last=pl.col("ended").max(), first=pl.col("submitted").min())
    told = (
        trace.spans.select("session", "job_id", "name")[rows]
        .with_columns(
            start=pl.Series(structure.start[rows]),
            end=pl.Series(structure.end[rows]),
            doing=pl.col("name").replace_strict(DOING, default=_WAITING),
        )
        .filter(pl.col("name") != TRIAL_SPAN)
        .join(ends, on=["session", "job_id"], nulls_equal=True)
    )
    of_job = ("session", "job_id")
    asked = pl.col("start").filter(pl.col("doing") == "suggest").min().over(of_job)
    told = told.with_columns(
        first=pl.min_horizontal("first", asked), last=pl.coalesce("last", pl.col("end").max().over(of_job))
    ).with_columns(start=pl.max_horizontal("start", "first"), end=pl.min_horizontal("end", "last"))
    took = (pl.col("end") - pl.col("start")).clip(lower_bound=0)
    listed = (
        told.filter(pl.col("end") > pl.col("start"))
        .group_by(*of_job, "doing")
        .agg(
            times=pl.len().cast(pl.Int64),
            took_ns=took.sum(),
            longest_ns=took.max(),
            whole=(pl.col("last") - pl.col("first")).first(),
        )
    )
    rest = (
        listed.group_by(of_job)
        .agg(pl.col("whole").first(), pl.col("took_ns").sum())
        .with_columns(doing=pl.lit(_REST), took_ns=(pl.col("whole") - pl.col("took_ns")).clip(lower_bound=0))
    )
    every = pl.concat([listed, rest], how="diagonal").with_columns(share=pl.col("took_ns") / pl.col("whole"))
    order = ("session", "job_id", "took_ns", "doing")
    return every.sort(order, descending=[False, False, True, False]).select(DRIVER.names()).cast(DRIVER)
