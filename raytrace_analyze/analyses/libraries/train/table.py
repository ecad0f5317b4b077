"""Ray Train in one table: step by step who came last and why, or rank by rank where the time went."""

import polars as pl

from raytrace_analyze.analyses.libraries.train.reports import find_reports, training_functions
from raytrace_analyze.choices import choose
from raytrace_analyze.path.error_origin import first_line
from raytrace_analyze.path.outcome import failures
from raytrace_analyze.prepared import PreparedTrace, Trace, prepare
from raytrace_analyze.vocabulary.groups import TrainGroup, TrainPart

_TRAINING = ("session", "job_id", "run", "attempt")
_STEP = (*_TRAINING, "step")
_GONE = ("WORKER_DIED", "ACTOR_DIED", "NODE_DIED", "OUT_OF_MEMORY")
"""Ray's words for how a process ended by itself."""
_BY_ANOTHER = (
    r"^(ray\.exceptions\.)?(RayActorError|Actor(Died|Unavailable)Error|WorkerCrashedError|TaskCancelledError)\b"
)
"""What a function fails with that asked an actor, such as the one that ranks meet at, which had ended before."""

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
        "error": pl.String,
        "failed_ns": pl.Int64,
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
    - `last_rank`, and `last`, who came last, in words (null where not all ranks came): to the report or, where the
      ranks met at barriers before, without what each waited at these; `others_waited_ns`, how long the others waited
      for it, the mean, at barriers, too;
    - what the last rank that came did since the report before: `work_ns` its own code, `idle_ns` for how long it was
      seen idle in that besides (a sleep, a read), `data_ns` waits for batches of Ray Data, `waits_ns` other waits for
      results of Ray's (a barrier, calls of actors), `checkpoint_ns` storing the checkpoint of that report, `report_ns`
      the rest of that report, in which it was held until Train had taken it; `limited_by`: which of these took most
      (`work`, `data`, ...);
    - `stored_ns`, how long this step's checkpoint took to be stored (of the rank that took longest); `has_checkpoint`.

    By `rank`, one row a rank and attempt: `rank`, `member` (in words), `actor_id`, `host`, `steps`, `last_in` (in how
    many of them it came last), and sums: `waited_ns` for other ranks, `work_ns`, `idle_ns`, `data_ns`, `waits_ns`,
    `checkpoint_ns`, `report_ns`; `error`, with what its function failed, or Ray's word for how its process ended, and
    `failed_ns` (since the epoch), when; of a rank that ended only because another one had failed, null.

    Raises UsageError for another group.
    """
    group = choose(TrainGroup, by, "group")
    trace = prepare(spans, clock_correct=clock_correct)
    reports = _apart(find_reports(trace))
    functions = training_functions(trace)
    return _steps(reports, functions) if group is TrainGroup.STEP else _ranks(trace, reports, functions)


def _apart(reports: pl.DataFrame) -> pl.DataFrame:
    """Add to each report when the last rank came to it, and what its rank's time is made of."""
    known = pl.col("is_told")
    elsewhere = pl.sum_horizontal("data_ns", "waits_ns", "idle_ns")
    last = pl.col("arrived").max().over(_STEP)
    took = pl.col("left") - pl.col("arrived")
    at_report = pl.min_horizontal(last - pl.col("arrived"), took)
    # Behind a barrier all come at once: who waits least at it is who the others wait for.
    at_barrier = pl.col("barrier_ns").fill_null(0)
    waited = at_report + at_barrier - at_barrier.min().over(_STEP)
    came = pl.col("arrived") - at_barrier
    found = reports.with_columns(last_arrived=last, waited_ns=waited, came=came).with_columns(
        is_last=pl.col("came") == pl.col("came").max().over(_STEP),
        held_ns=pl.when(known).then((took - at_report - pl.col("stored_ns")).clip(lower_bound=0)),
        work_ns=pl.when(known).then((pl.col("arrived") - pl.col("since") - elsewhere).clip(lower_bound=0)),
    )
    member = (*_TRAINING, "member")
    before = found.sort("step").with_columns(
        checkpoint_ns=pl.when(known).then(pl.col("stored_ns").shift(1).over(member).fill_null(0)),
        report_ns=pl.when(known).then(pl.col("held_ns").shift(1).over(member).fill_null(0)),
    )
    return before.sort(*_STEP, "rank", "member", nulls_last=True)


def _steps(reports: pl.DataFrame, functions: pl.DataFrame) -> pl.DataFrame:
    # Of a training that only Ray's own tracing tells of there are no functions.
    members = functions.group_by(_TRAINING).agg(members=pl.col("rank").n_unique().cast(pl.Int64))
    is_whole = pl.col("ranks") >= pl.max_horizontal(pl.col("members"), pl.col("ranks").max().over(_TRAINING))
    parts = [f"{part}_ns" for part in TrainPart]
    of_last = pl.col("rank", "member", *parts).sort_by("came").last()
    steps = (
        reports.group_by(_STEP, maintain_order=True)
        .agg(
            of_last,
            pl.col("last_arrived").first(),
            began=pl.col("since").min(),
            ranks=pl.len().cast(pl.Int64),
            waits=pl.col("waited_ns").filter(~pl.col("is_last")).sum(),
            stored_ns=pl.col("stored_ns").max(),
            has_checkpoint=pl.col("has_checkpoint").any(ignore_nulls=False),
        )
        .join(members, on=_TRAINING, how="left", nulls_equal=True, maintain_order="left")
        .with_columns(
            pl.when(is_whole).then(pl.col("rank", "member")),
            start_ns=pl.coalesce(pl.col("last_arrived").shift(1).over(_TRAINING), "began"),
        )
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


def _ranks(trace: PreparedTrace, reports: pl.DataFrame, functions: pl.DataFrame) -> pl.DataFrame:
    known = pl.col("is_told").first()
    came = pl.len().over(_STEP)
    is_last = pl.col("is_last") & (came > 1) & (came == came.max().over(_TRAINING))
    sums = {
        "work_ns": pl.col("work_ns"),
        "idle_ns": pl.col("idle_ns"),
        "data_ns": pl.col("data_ns"),
        "waits_ns": pl.col("waits_ns"),
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
    silent = functions.select(*_TRAINING, "rank", "member", "actor_id", "host")
    # A rank that never reported has a function, and nothing more is known of it.
    silent = silent.join(found, on=[*_TRAINING, "rank"], how="anti", nulls_equal=True).with_columns(
        steps=pl.lit(0, pl.Int64), last_in=pl.lit(0, pl.Int64)
    )
    every = pl.concat([found, silent], how="diagonal")
    errors = _errors(trace, functions)
    whole = every.join(errors, on=[*_TRAINING, "rank"], how="left", nulls_equal=True).select(RANKS.names()).cast(RANKS)
    return whole.sort(*_TRAINING, "rank", "member", nulls_last=True)


def _errors(trace: PreparedTrace, functions: pl.DataFrame) -> pl.DataFrame:
    """Tell of the ranks that failed with what: `error`, and `failed_ns`, beside the columns of the training and `rank`.

    That is what a rank's function failed with or, where that never ended, what Ray says of the first call of its actor
    that ended with its process. Once one rank has failed Train ends the processes of the others, and the actors that
    they meet at, which is no failure of theirs.
    """
    gone = (
        pl.concat([trace.spans, trace.attempts])
        .filter(failures(), pl.col("error_type").is_in(_GONE), pl.col("actor_id").is_not_null())
        .with_columns(gone_at=pl.coalesce("end", "start").dt.epoch("ns"))
        .sort("gone_at")
        .group_by("session", "actor_id", maintain_order=True)
        .agg(pl.col("gone_at").first(), gone=pl.col("error_type").first())
    )
    has_failed = pl.col("status") == "ERROR"
    message = pl.col("status_message").map_elements(first_line, return_dtype=pl.String)
    failed = (
        functions.join(gone, on=["session", "actor_id"], how="left", nulls_equal=True)
        .with_columns(
            error=pl.when(has_failed).then(message).when("is_open").then("gone"),
            failed_ns=pl.when(has_failed).then("ended").when("is_open").then("gone_at"),
        )
        .filter(pl.col("error").is_not_null())
    )
    is_first = pl.col("failed_ns") == pl.col("failed_ns").min().over(_TRAINING)
    is_its_own = has_failed & ~pl.col("error").str.contains(_BY_ANOTHER)
    return (
        failed.filter(is_its_own | is_first)
        .sort("failed_ns", "rank")
        .unique([*_TRAINING, "rank"], keep="first", maintain_order=True)
        .select(*_TRAINING, "rank", "error", "failed_ns")
    )
