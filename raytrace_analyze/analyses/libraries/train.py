"""Ray Train in one table: step by step who came last and why, or rank by rank where the time went."""

import polars as pl

from raytrace_analyze.analyses.libraries.train_reports import find_reports, training_functions
from raytrace_analyze.choices import choose
from raytrace_analyze.prepared import PreparedTrace, Trace, prepare
from raytrace_analyze.vocabulary import TrainGroup, TrainPart

_TRAINING = ("session", "job_id", "run", "attempt")
_STEP = (*_TRAINING, "step")

STEPS = pl.Schema(
    {
        **dict.fromkeys(("session", "job_id", "run"), pl.String),
        **dict.fromkeys(("attempt", "step", "start_ns", "period_ns", "last_rank"), pl.Int64),
        "last": pl.String,
        "ranks": pl.Int64,
        **dict.fromkeys(("others_waited_ns", *(f"{part}_ns" for part in TrainPart)), pl.Int64),
        "limited_by": pl.String,
        "stored_ns": pl.Int64,
        "has_checkpoint": pl.Boolean,
    }
)
"""Columns of `train` by step."""

RANKS = pl.Schema(
    {
        **dict.fromkeys(("session", "job_id", "run"), pl.String),
        **dict.fromkeys(("attempt", "rank"), pl.Int64),
        **dict.fromkeys(("member", "actor_id", "host"), pl.String),
        **dict.fromkeys(("steps", "last_in", "waited_ns", *(f"{part}_ns" for part in TrainPart)), pl.Int64),
    }
)
"""Columns of `train` by rank."""


def train(spans: Trace, by: str = "step", *, clock_correct: bool = True) -> pl.DataFrame:
    """Tell for each training of Ray Train, step by step, which rank came last and why; or sum it up rank by rank.

    Takes a span table (columns of `schema.TABLE`) or what `prepare` made of one. A step ends where the ranks meet: at
    `ray.train.report`. What is not known is null, never 0: without our hook there are only the times at which the ranks
    met (`run`, the ranks' numbers and what they did are null). By `step`, one row a step:

    - `session`, `job_id`, `run` (Train's name of it), `attempt` (0, or how often its workers were started again);
    - `step`, from 0 on; `start_ns` (since the epoch), when the last rank came to the report before (or began), and
      `period_ns` from there until the last rank came to this one; `ranks`, how many;
    - `last_rank`, and `last`, who that was in words; `others_waited_ns`, how long the others waited for it, the mean;
    - what the last rank did since it came to the report before: `work_ns` its own code, `idle_ns` for how long it was
      seen idle in that besides (a sleep, a read), `data_ns` waits for batches of Ray Data, `checkpoint_ns` storing the
      checkpoint of that report, `report_ns` the rest of that report, in which it was held until Train had taken it;
      `limited_by`: which of these took most (`work`, `data`, ...);
    - `stored_ns`, how long this step's checkpoint took to be stored (of the rank that took longest); `has_checkpoint`.

    By `rank`, one row a rank and attempt: `rank`, `member` (in words), `actor_id`, `host`, `steps`, `last_in` (in how
    many of them it came last), and sums: `waited_ns` for other ranks, `work_ns`, `idle_ns`, `data_ns`,
    `checkpoint_ns`, `report_ns`.

    Raises UsageError for another group.
    """
    group = choose(TrainGroup, by, "group")
    trace = prepare(spans, clock_correct=clock_correct)
    reports = _apart(find_reports(trace))
    return _steps(reports) if group is TrainGroup.STEP else _ranks(trace, reports)


def _apart(reports: pl.DataFrame) -> pl.DataFrame:
    """Add to each report when the last rank came to it, and what its rank's time is made of."""
    known = pl.col("is_told")
    elsewhere = pl.col("data_ns") + pl.col("idle_ns")
    last = pl.col("arrived").max().over(_STEP)
    took = pl.col("left") - pl.col("arrived")
    waited = pl.min_horizontal(last - pl.col("arrived"), took)
    found = reports.with_columns(last_arrived=last, waited_ns=waited).with_columns(
        held_ns=pl.when(known).then((took - pl.col("waited_ns") - pl.col("stored_ns")).clip(lower_bound=0)),
        work_ns=pl.when(known).then((pl.col("arrived") - pl.col("since") - elsewhere).clip(lower_bound=0)),
    )
    member = (*_TRAINING, "member")
    before = found.sort("step").with_columns(
        checkpoint_ns=pl.when(known).then(pl.col("stored_ns").shift(1).over(member).fill_null(0)),
        report_ns=pl.when(known).then(pl.col("held_ns").shift(1).over(member).fill_null(0)),
    )
    return before.sort(*_STEP, "rank", "member", nulls_last=True)


def _steps(reports: pl.DataFrame) -> pl.DataFrame:
    parts = [f"{part}_ns" for part in TrainPart]
    of_last = pl.col("rank", "member", *parts).sort_by("arrived").last()
    steps = (
        reports.group_by(_STEP, maintain_order=True)
        .agg(
            of_last,
            pl.col("last_arrived").first(),
            began=pl.col("since").min(),
            ranks=pl.len().cast(pl.Int64),
            waits=pl.col("waited_ns").sum(),
            stored_ns=pl.col("stored_ns").max(),
            has_checkpoint=pl.col("has_checkpoint").any(ignore_nulls=False),
        )
        .with_columns(start_ns=pl.coalesce(pl.col("last_arrived").shift(1).over(_TRAINING), "began"))
    )
    most = pl.concat_list(parts).list.arg_max()
    return (
        steps.select(
            *_STEP,
            start_ns="start_ns",
            period_ns=pl.col("last_arrived") - pl.col("start_ns"),
            last_rank="rank",
            last="member",
            ranks="ranks",
            others_waited_ns=pl.when(pl.col("ranks") > 1).then(pl.col("waits") // (pl.col("ranks") - 1)),
            **{name: pl.col(name) for name in parts},
            limited_by=pl.when(pl.col("work_ns").is_not_null()).then(
                most.replace_strict(dict(enumerate(map(str, TrainPart))), return_dtype=pl.String)
            ),
            stored_ns="stored_ns",
            has_checkpoint="has_checkpoint",
        )
        .select(STEPS.names())
        .cast(STEPS)
    )


def _ranks(trace: PreparedTrace, reports: pl.DataFrame) -> pl.DataFrame:
    known = pl.col("is_told").first()
    is_last = (pl.col("arrived") == pl.col("last_arrived")) & (pl.len().over(_STEP) > 1)
    sums = {
        "work_ns": pl.col("work_ns"),
        "idle_ns": pl.col("idle_ns"),
        "data_ns": pl.col("data_ns"),
        "checkpoint_ns": pl.col("stored_ns"),
        "report_ns": pl.col("held_ns"),
    }
    found = (
        reports.with_columns(is_last=is_last)
        .group_by(*_TRAINING, "rank", "member", maintain_order=True)
        .agg(
            pl.col("actor_id", "host").first(),
            steps=pl.len().cast(pl.Int64),
            last_in=pl.col("is_last").sum().cast(pl.Int64),
            waited_ns=pl.col("waited_ns").sum(),
            **{name: pl.when(known).then(value.sum()) for name, value in sums.items()},
        )
    )
    silent = training_functions(trace).select(*_TRAINING, "rank", "member", "actor_id", "host")
    # A rank that never reported has a function, and nothing more is known of it.
    silent = silent.join(found, on=[*_TRAINING, "rank"], how="anti", nulls_equal=True).with_columns(
        steps=pl.lit(0, pl.Int64), last_in=pl.lit(0, pl.Int64)
    )
    whole = pl.concat([found, silent], how="diagonal").select(RANKS.names()).cast(RANKS)
    return whole.sort(*_TRAINING, "rank", "member", nulls_last=True)
