"""How a scope ended: whether it failed, and where the error came from."""

from dataclasses import replace

import polars as pl

from raytrace_analyze.names.attributes import CANCELLED, told
from raytrace_analyze.path.error_origin import Failure, describe_failure, error_of, first_line, follow
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.spans import Ending, Outcome

_CANCELLED_TYPES = ("TASK_CANCELLED",)
_EXCEPTION_TYPES = ("TASK_EXECUTION_EXCEPTION",)
INTERRUPT = "KeyboardInterrupt"
"""How what failed begins that somebody stopped with Ctrl-C."""
STOPPED = (INTERRUPT, "SystemExit", "SIGTERM")
"""How a driver, or a wait of it, fails that is stopped from outside: by SIGINT, and by SIGTERM as Ray takes it."""
_EXIT_CODE = "exit code "
"""How it is told that a driver itself ended its program with another code than 0."""
_AT_ONCE_NS = 5_000_000_000
"""A driver that is stopped has ended so soon after its last wait."""
_EXIT = "__ray_terminate__"
"""Ray's own method by which a program lets an actor end: how that ends is no failure."""

_OF_QUEUE = r"(^|\.)_QueueActor\.(get|put)"
_QUEUE_SAYS = r"^(RayTaskError\()?_?(queue\.)?(Empty|Full)\b"
"""How the actor behind `ray.util.queue.Queue` says that it has nothing, or no room: an answer, no failure."""


@frozen
class Ended:
    """How a scope ended."""

    outcome: Outcome
    """`unknown` where nothing recorded tells: the spans of other hooks have no driver."""
    message: str | None = None
    """What the driver, or the task, ended with."""
    origin: Failure | None = None
    """The attempt in which that error came up first, as far as it can be followed."""
    failed_attempts: int = 0
    """How many attempts at tasks gave no result, whether or not the scope failed."""
    cancelled_attempts: int = 0
    """How many of them were cancelled."""
    killed_attempts: int = 0
    """How many of them ended with their process or their actor."""

    @property
    def was_interrupted(self) -> bool:
        """Whether somebody stopped it, with Ctrl-C or a signal: what failed then failed because of that."""
        return (self.message or "").startswith(STOPPED)


NOT_KNOWN = Ended(Outcome.UNKNOWN)


def failures() -> pl.Expr:
    """Tell the attempts (rows of runs, or known from task events only) that gave no result."""
    wrong = (pl.col("status") == "ERROR") | pl.col("error_type").is_not_null() | _is_cancelled()
    return _is_task() & wrong.fill_null(False) & ~_is_meant()


def errors() -> pl.Expr:
    """Tell the rows of the table that are in error, of runs those that gave no result."""
    return ((pl.col("status") == "ERROR") & ~(_is_task() & _is_meant())).fill_null(False) | failures()


def _is_task() -> pl.Expr:
    return pl.col("category") == "task"


def _is_meant() -> pl.Expr:
    """Tell what ends in an error by its nature: how a program lets an actor end, what a queue says."""
    is_exit = pl.col("function").str.ends_with(f".{_EXIT}")
    is_answer = pl.col("function").str.contains(_OF_QUEUE) & pl.col("status_message").str.contains(_QUEUE_SAYS)
    return (is_exit | is_answer).fill_null(False)


def error_name() -> pl.Expr:
    """Read the class of the error from the message of a span that failed; null where there is none."""
    return pl.col("status_message").str.extract(r"^(\w+)")


def endings() -> pl.Expr:
    """Name how each failed attempt ended (`Ending`), null for others."""
    type_ = pl.col("error_type")
    by_ray = type_.is_not_null() & ~type_.is_in([*_CANCELLED_TYPES, *_EXCEPTION_TYPES])
    return (
        pl.when(failures() & (_is_cancelled() | type_.is_in(_CANCELLED_TYPES)))
        .then(pl.lit(str(Ending.CANCELLED)))
        .when(failures() & by_ray)
        .then(pl.lit(str(Ending.KILLED)))
        .when(failures())
        .then(pl.lit(str(Ending.EXCEPTION)))
    )


def how_it_ended(spans: pl.DataFrame, attempts: pl.DataFrame, *, driver_ends: bool = True) -> Ended:
    """Tell how a scope ended, from its spans and the attempts of it that have none (columns of `schema.TABLE`).

    With `driver_ends` it is the driver whose end counts, else the spans without a parent.
    """
    failed = pl.concat([spans.filter(failures()), attempts.filter(failures())]).with_columns(ending=endings())
    heads = spans.filter(pl.col("category") == "driver") if driver_ends else spans.filter(pl.col("parent_id").is_null())
    if driver_ends and (over := heads.get_column("end").max()) is not None and not heads.get_column("end").has_nulls():
        # What still ran then was ended with the program: it failed nobody.
        failed = failed.filter(pl.col("end").is_null() | (pl.col("end") <= pl.lit(over)))
    ended = _counted(failed)
    if heads.is_empty():
        return ended
    wrong = heads.filter(pl.col("status") == "ERROR")
    if wrong.is_empty():
        if driver_ends and (stopped := _stopped(spans, heads)) is not None:
            return replace(ended, outcome=Outcome.FAILED, message=stopped)
        never = heads.get_column("end").null_count() > 0
        return replace(ended, outcome=Outcome.UNFINISHED if never else Outcome.COMPLETED)
    head = wrong.sort("end").row(-1, named=True)
    message = first_line(head["status_message"]) or "no message"
    ended = replace(ended, outcome=Outcome.FAILED, message=message)
    if ended.was_interrupted or message.startswith(_EXIT_CODE):  # why a program exits it does not say
        return ended
    passed = follow(head, spans, failed)
    origin = describe_failure(passed[-1], passed[-1]["ending"]) if passed else None
    return replace(ended, message=error_of(head, passed), origin=origin)


def _stopped(spans: pl.DataFrame, drivers: pl.DataFrame) -> str | None:
    """Give what a driver ended with that a signal stopped in a wait: its span says nothing of that, the wait does.

    One that asked for something after that, and got it, went on: it was not stopped.
    """
    last = drivers.get_column("end").max()
    if last is None:
        return None
    waits = spans.filter(pl.col("task_id").is_null(), pl.col("category") == "wait")
    stopped = waits.filter(
        pl.col("status") == "ERROR",
        error_name().is_in(STOPPED),
        (pl.lit(last) - pl.col("end")).dt.total_nanoseconds() < _AT_ONCE_NS,
    ).sort("end")
    if stopped.is_empty():
        return None
    went_on = (pl.col("start") >= pl.lit(stopped.get_column("end")[-1])) & (pl.col("ready_task_ids").list.len() > 0)
    if waits.filter(went_on, pl.col("status") != "ERROR").height:
        return None
    return first_line(stopped.get_column("status_message")[-1])


def _counted(failed: pl.DataFrame) -> Ended:
    """Count the attempts that gave no result, by how they ended; the outcome is not known yet."""
    ending = failed.get_column("ending")
    return Ended(
        Outcome.UNKNOWN,
        failed_attempts=failed.height,
        cancelled_attempts=int((ending == Ending.CANCELLED).sum()),
        killed_attempts=int((ending == Ending.KILLED).sum()),
    )


def how_a_run_ended(run: pl.DataFrame, never: bool) -> Ended:
    """Tell how one run (a row of `schema.TABLE`) ended; `never`: whether it did not."""
    row = run.with_columns(has_failed=failures(), ending=endings()).row(0, named=True)
    if not row["has_failed"]:
        return Ended(Outcome.UNFINISHED if never else Outcome.COMPLETED)
    failure = describe_failure(row, row["ending"])
    return Ended(Outcome.FAILED, failure.message, failure, 1)


def _is_cancelled() -> pl.Expr:
    return told_expr(CANCELLED) == "true"


def told_expr(name: str) -> pl.Expr:
    """Read an attribute of the attributes' column; null where it is not there."""
    return told(pl.col("attributes"), name)
