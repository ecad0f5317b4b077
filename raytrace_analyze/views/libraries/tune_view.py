"""A run of Ray Tune on screen."""

from collections.abc import Iterator
from typing import Any

import polars as pl
from rich.console import Console, RenderableType
from rich.table import Table

from raytrace_analyze.text.units import count_text, duration_text, share_text
from raytrace_analyze.views.screen.fitted_table import table
from raytrace_analyze.views.screen.label import label

_JOB = ("session", "job_id")
_DOING = {
    "suggest": "asking the search algorithm",
    "scheduler": "the scheduler",
    "callbacks": "callbacks",
    "waiting": "waiting for trials",
    "rest": "the rest of Tune's own work",
}
_NOTHING = "There is no trial of Ray Tune in these spans."
_UNTOLD = (
    "Parameters, and what Tune's controller did, are not known: trials are told from the actors of Tune's functions. "
    "Trace with raytrace_hook to have them."
)
_LONGEST_PARAMETERS = 60
_CHECKPOINTS = {"saved_ns": "saving", "restored_ns": "restoring"}
"""The columns of checkpoints and their heads, shown where there were any."""
_NOTABLE = 0.01
"""What part of the time that trials ran is told of in a sentence."""

Row = dict[str, Any]


def show_tune(trials: pl.DataFrame, driver: pl.DataFrame, console: Console, *, top: int) -> None:
    """Print the runs of Tune, job by job: an answer in sentences, the trials, the controller."""
    if trials.is_empty():
        console.print(_NOTHING)
        return
    for number, (job, own) in enumerate(trials.group_by(_JOB, maintain_order=True)):
        if number:
            console.print("")
        of_job = [pl.col(name).eq_missing(pl.lit(value, pl.String)) for name, value in zip(_JOB, job, strict=True)]
        for part in _parts(own, driver.filter(*of_job), top):
            console.print(part)


def _parts(trials: pl.DataFrame, driver: pl.DataFrame, top: int) -> Iterator[RenderableType]:
    yield from _answer(trials, driver)
    yield label("")
    yield label(
        f"The {top} of {trials.height} trials that ran longest." if trials.height > top else "The trials.", style="bold"
    )
    begin = int(trials.get_column("submitted_ns").min() or 0)  # type: ignore[arg-type] # of numbers it is one
    chosen = trials.with_row_index("order").sort("ran_ns", descending=True, nulls_last=True, maintain_order=True)
    yield _trials(chosen.head(top).sort("order"), begin)
    if driver.height:
        yield label("")
        yield label("Tune's controller.", style="bold")
        yield _driver(driver)


def _answer(trials: pl.DataFrame, driver: pl.DataFrame) -> Iterator[RenderableType]:
    begin, end = trials.get_column("submitted_ns").min(), trials.get_column("ended_ns").max()
    took = f" in {duration_text(end - begin)}" if isinstance(begin, int) and isinstance(end, int) else ""
    failed = int(trials.get_column("errors").sum())
    errors = f"; {count_text(failed, 'run')} failed" if failed else ""
    experiments = trials.get_column("experiment").drop_nulls().unique().sort().to_list()
    name = f" of {', '.join(experiments[:3])}" if experiments else ""
    yield label(f"{count_text(trials.height, 'trial')}{name}{took}{errors}.", style="bold")
    ran = trials.filter(pl.col("ended_ns").is_not_null())
    if ran.height:
        last = ran.sort("ended_ns", maintain_order=True).row(-1, named=True)
        yield label(f"Trial {_named(last)} ended last{_about(last)}.")
        longest = ran.sort("ran_ns", maintain_order=True).row(-1, named=True)
        median = int(ran.get_column("ran_ns").median() or 0)  # type: ignore[arg-type] # of numbers it is one
        if longest["ran_ns"] >= 1.5 * median and ran.height > 1 and longest["trial"] != last["trial"]:
            yield label(f"Trial {_named(longest)} ran longest{_about(longest)}; the median is {duration_text(median)}.")
        waited = int(ran.get_column("waited_ns").sum())
        yield label(
            f"Trials waited {duration_text(waited)} in all for their processes and slots, and ran "
            f"{duration_text(int(ran.get_column('ran_ns').sum()))}."
        )
    never = trials.filter(pl.col("ended_ns").is_null(), pl.col("errors").fill_null(0) == 0).height
    if never:
        yield label(f"{count_text(never, 'trial')} of these gave no result: Tune ended before the first was begun.")
    saved, restored = (int(trials.get_column(name).sum()) for name in _CHECKPOINTS)
    if saved + restored >= _NOTABLE * int(ran.get_column("ran_ns").sum()) > 0:
        again = f", and restored from them for {duration_text(restored)}" if restored else ""
        yield label(f"Checkpoints were saved for {duration_text(saved)} in all{again}.")
    if driver.is_empty():
        yield label(_UNTOLD, style="dim")
        return
    told = [
        f"{_DOING[row['doing']]} {duration_text(row['took_ns'])} ({share_text(row['share'], 1)})"
        for row in driver.iter_rows(named=True)
        if row["share"] >= 0.01
    ]
    yield label(f"Tune's controller: {', '.join(told)}.")


def _about(row: Row) -> str:
    parts = [] if row["ran_ns"] is None else [f"ran {duration_text(row['ran_ns'])}"]
    parts.append(count_text(row["results"] or 0, "result"))
    if row["slowest_result_ns"] is not None:
        parts.append(f"the slowest {duration_text(row['slowest_result_ns'])}")
    return f": {', '.join(parts)}"


def _named(row: Row) -> str:
    return f"{row['trial']} ({_short(row['parameters'])})" if row["parameters"] else str(row["trial"])


def _short(parameters: str | None) -> str:
    text = (parameters or "").strip("{}").replace('"', "").replace(":", "=").replace(",", ", ")
    return text if len(text) <= _LONGEST_PARAMETERS else f"{text[:_LONGEST_PARAMETERS]}..."


def _trials(trials: pl.DataFrame, begin: int) -> Table:
    kept = {name: head for name, head in _CHECKPOINTS.items() if trials.get_column(name).sum()}
    heads = ("submitted", "waited", "ran", "held", *kept.values(), "results", "slowest", "on the\npath")
    shown = table("trial", "parameters", *heads, "", right=heads)
    for row in trials.iter_rows(named=True):
        notes = [] if row["attempts"] == 1 else [count_text(row["attempts"], "attempt")]
        notes += [count_text(row["errors"], "failure")] if row["errors"] else []
        shown.add_row(
            row["trial"],
            _short(row["parameters"]),
            "-" if row["submitted_ns"] is None else f"+{duration_text(row['submitted_ns'] - begin)}",
            *(_time(row[name]) for name in ("waited_ns", "ran_ns", "held_ns", *kept)),
            str(row["results"] or 0),
            _time(row["slowest_result_ns"]),
            share_text(row["path_share"], 1) if row["path_share"] else "",
            ", ".join(notes),
        )
    return shown


def _driver(driver: pl.DataFrame) -> Table:
    heads = ("times", "took", "share", "longest")
    shown = table("doing", *heads, right=heads)
    for row in driver.iter_rows(named=True):
        times = "" if row["times"] is None else f"{row['times']:,}"
        longest = "" if row["longest_ns"] is None else duration_text(row["longest_ns"])
        shown.add_row(_DOING[row["doing"]], times, duration_text(row["took_ns"]), share_text(row["share"], 1), longest)
    return shown


def _time(duration_ns: int | None) -> str:
    return "-" if duration_ns is None else duration_text(duration_ns)
