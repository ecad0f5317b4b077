"""A training of Ray Train on screen."""

from collections.abc import Iterator
from typing import Any

import polars as pl
from rich.console import Console, RenderableType
from rich.table import Table

from raytrace_analyze.text.units import count_text, duration_text, share_text
from raytrace_analyze.views.screen.fitted_table import table
from raytrace_analyze.views.screen.label import label
from raytrace_analyze.vocabulary.groups import TrainPart
from raytrace_analyze.wording.phrases import error_text

_TRAINING = ("session", "job_id", "run", "attempt")
_PARTS = {
    TrainPart.WORK: "its own work",
    TrainPart.IDLE: "idle in its own code",
    TrainPart.DATA: "waiting for data",
    TrainPart.WAITS: "waiting for other results of Ray's (a barrier, calls of actors)",
    TrainPart.CHECKPOINT: "storing a checkpoint",
    TrainPart.REPORT: "held in report until Train took it",
}
_NOTHING = (
    "There is no training of Ray Train in these spans: no rank called ray.train.report (of Train before its second "
    "version only our hook tells)."
)
_UNTOLD = (
    "The ranks' numbers, their work, data, checkpoints and reports are not known: these spans only tell when the ranks "
    "met. Trace with raytrace_hook to have them."
)

_NOTABLE = 10
"""From what part of the time on, one tenth, waits between reports are told."""

Row = dict[str, Any]


def show_train(steps: pl.DataFrame, ranks: pl.DataFrame, console: Console, *, top: int) -> None:
    """Print the trainings, each with an answer in sentences, its steps and its ranks."""
    if steps.is_empty() and ranks.is_empty():
        console.print(_NOTHING)
        return
    for number, (training, members) in enumerate(ranks.group_by(_TRAINING, maintain_order=True)):
        own = [
            pl.col(name).eq_missing(pl.lit(value, ranks.schema[name]))
            for name, value in zip(_TRAINING, training, strict=True)
        ]
        if number:
            console.print("")
        for part in _parts(steps.filter(*own), members, top):
            console.print(part)


def _parts(steps: pl.DataFrame, ranks: pl.DataFrame, top: int) -> Iterator[RenderableType]:
    yield from _answer(steps, ranks)
    if steps.height:
        yield label("")
        slowest = steps.height > top
        yield label(f"The {top} longest of {steps.height} steps." if slowest else "The steps.", style="bold")
        chosen = steps.sort("period_ns", descending=True, maintain_order=True).head(top).sort("step")
        yield _steps(chosen)
    yield label("")
    yield label("The ranks.", style="bold")
    yield _ranks(ranks, top)


def _answer(steps: pl.DataFrame, ranks: pl.DataFrame) -> Iterator[RenderableType]:
    first = ranks.row(0, named=True)
    name = f"Training {first['run']}" if first["run"] else f"A training of job {first['job_id'] or '-'}"
    again = f", after {count_text(first['attempt'], 'restart')} of its workers" if first["attempt"] else ""
    total = int(steps.get_column("period_ns").sum())
    yield label(
        f"{name}{again}: {count_text(ranks.height, 'rank')}, "
        f"{count_text(steps.height, 'step')} in {duration_text(total)}.",
        style="bold",
    )
    failed = ranks.filter(pl.col("error").is_not_null()).sort("failed_ns", "rank", maintain_order=True)
    since = failed.get_column("failed_ns").min()
    for row in failed.iter_rows(named=True):
        later = row["failed_ns"] - since if row["failed_ns"] is not None else 0
        when = f", {duration_text(later)} after that," if later else ""
        reports = count_text(row["steps"], "report")
        yield label(f"{_named(row['member'])} failed{when} after {reports}: {error_text(row['error'])}.")
    if steps.is_empty():
        return
    if ranks.height > 1:
        late = ranks.sort("last_in", descending=True, maintain_order=True).row(0, named=True)
        waited = int(steps.get_column("others_waited_ns").sum())
        yield label(
            f"{_named(late['member'])} came last in {late['last_in']} of {count_text(steps.height, 'step')}; "
            f"the others waited {duration_text(waited)} in all ({share_text(waited, total)} of the time), on average."
        )
        yield from _waited_elsewhere(ranks, total)
    if steps.get_column("limited_by").null_count() == steps.height:
        yield label(_UNTOLD, style="dim")
        return
    sums = {part: int(steps.get_column(f"{part}_ns").sum()) for part in TrainPart}
    most = sorted(sums, key=lambda part: -sums[part])
    told = [f"{_PARTS[part]} {duration_text(sums[part])}" for part in most if sums[part] * 20 >= total]
    yield label(f"What the rank that came last did: {', '.join(told)}.")
    if most[0] is TrainPart.REPORT:
        yield label(
            "Train takes one report of a rank at a time, each time its controller asks (every 2 s unless "
            "RAY_TRAIN_HEALTH_CHECK_INTERVAL_S says otherwise): report less often."
        )


def _waited_elsewhere(ranks: pl.DataFrame, total: int) -> Iterator[RenderableType]:
    """Say who waited in its own code, where that was long: who waits least at a barrier is who the others wait for."""
    known = ranks.filter(pl.col("waits_ns").is_not_null()).sort("waits_ns", "rank", descending=[True, False])
    if known.height < 2 or int(known.item(0, "waits_ns")) * _NOTABLE < total:
        return
    most, least = known.row(0, named=True), known.row(-1, named=True)
    yield label(
        f"{_named(most['member'])} waited {duration_text(most['waits_ns'])} between reports for results of Ray's (a "
        f"barrier, calls of actors), {least['member']} least of all: {duration_text(least['waits_ns'])}."
    )


def _named(member: str) -> str:
    return member[:1].upper() + member[1:]


def _steps(steps: pl.DataFrame) -> Table:
    heads = ("period", "others\nwaited", "work", "idle", "data", "waits", "check-\npoint", "report", "stored")
    shown = table("step", "last", *heads[:-1], "limited by", heads[-1], right=("step", *heads))
    for row in steps.iter_rows(named=True):
        shown.add_row(
            str(row["step"]),
            row["last"] or "-",
            duration_text(row["period_ns"]),
            *(_time(row[name]) for name in ("others_waited_ns", *(f"{part}_ns" for part in TrainPart))),
            row["limited_by"] or "-",
            duration_text(row["stored_ns"]) if row["has_checkpoint"] and row["stored_ns"] else "",
        )
    return shown


def _ranks(ranks: pl.DataFrame, top: int) -> Table:
    heads = ("steps", "last in", "waited", "work", "idle", "data", "waits", "check-\npoint", "report")
    shown = table("rank", "host", *heads, right=heads)
    for row in ranks.head(top).iter_rows(named=True):
        names = ("waited_ns", *(f"{part}_ns" for part in TrainPart))
        shown.add_row(
            row["member"],
            row["host"] or "-",
            str(row["steps"]),
            str(row["last_in"]),
            *(_time(row[name]) for name in names),
        )
    if ranks.height > top:
        shown.add_row(f"{ranks.height - top} more", style="dim")
    return shown


def _time(duration_ns: int | None) -> str:
    return "-" if duration_ns is None else duration_text(duration_ns)
