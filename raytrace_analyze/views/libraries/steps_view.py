"""The steps of a program's loop on screen."""

from collections.abc import Iterator
from typing import Any

import polars as pl
from rich.console import Console, RenderableType
from rich.table import Table

from raytrace_analyze.analyses.libraries.steps.table import Steps
from raytrace_analyze.names.functions import DRIVER, short_name
from raytrace_analyze.names.spans import SUBMIT_SUFFIX
from raytrace_analyze.text.units import bytes_text, count_text, duration_text, share_text
from raytrace_analyze.views.screen.fitted_table import table
from raytrace_analyze.views.screen.label import label

SLOW = 1.5
"""From how many times the median on a step is called slow."""
_CATEGORIES = {
    "self": "",
    "queue": " waiting to start",
    "submit": " being submitted",
    "fetch": " getting a result back",
    "wait": " waiting",
}
_MUCH = 10**5
"""From how many bytes on what is passed by value in a step counts."""
_SAID = 3
"""How many of a kind are said in a sentence."""

Row = dict[str, Any]


def show_steps(found: Steps, console: Console, *, top: int) -> None:
    """Print the steps: the answer in sentences, the steps, the calls in them, the actors."""
    for part in _parts(found, top):
        console.print(part)


def _parts(found: Steps, top: int) -> Iterator[RenderableType]:
    yield from _answer(found)
    yield label("")
    slowest = found.steps.height > top
    head = f"The {top} slowest of {found.steps.height} steps." if slowest else "The steps."
    yield label(head, style="bold")
    yield _steps(found, top)
    calls = _by_call(found)
    if calls.height:
        yield label("")
        yield label("What is called in a step, in order.", style="bold")
        yield _calls(calls, top)
    if found.actors.height:
        yield label("")
        yield label("The actors, the busiest first.", style="bold")
        yield _actors(found.actors, top)


def _answer(found: Steps) -> Iterator[RenderableType]:
    steps = found.steps
    took = steps.get_column("took_ns")
    flows = steps.get_column("flow").unique().to_list()
    who = "the driver" if flows == [DRIVER] else ", ".join(sorted(short_name(flow) for flow in flows)[:_SAID])
    at = steps.get_column("at")[0]
    where = f" at {at}" if at else ""
    how = "marked by the program" if found.is_marked else "found by the call that ends each"
    yield label(
        f"{count_text(steps.height, 'step')} of {who}{where} ({how}): {duration_text(int(took.sum()))} in all, "
        f"the median {duration_text(_median(took))}, the slowest {duration_text(_most(took))}.",
        style="bold",
    )
    slow = steps.filter(pl.col("took_ns") >= SLOW * _median(took))
    if slow.height:
        over = int(slow.get_column("over_median_ns").sum())
        yield label(
            f"{count_text(slow.height, 'step is', 'steps are')} slow (half as long again as the median, or more), "
            f"{duration_text(over)} over it in all. What decided them: {_deciders(slow)}."
        )
    stragglers = found.actors.filter(pl.col("slowest_in") > 0).sort("slowest_in", descending=True, maintain_order=True)
    if stragglers.height:
        told = [f"{row['actor']} in {row['slowest_in']}" for row in stragglers.head(_SAID).iter_rows(named=True)]
        yield label(f"Of calls side by side, the slowest by half or more: {', '.join(told)} of {steps.height} steps.")
    sent = steps.get_column("argument_bytes")
    if sent.null_count() == 0 and int(sent.sum()) >= 10**6:
        many = int((sent >= _MUCH).sum()) or int((sent > 0).sum())
        yield label(
            f"{bytes_text(int(sent.sum()))} were passed by value in {count_text(many, 'step')}: "
            "what goes to several actors can be put once (ray.put) and passed by reference."
        )


def _deciders(slow: pl.DataFrame) -> str:
    counted = (
        slow.group_by("decided_by", "decided_on", "decided_category").len().sort("len", "decided_by", descending=True)
    )
    return ", ".join(f"{_decider(row)} ({row['len']})" for row in counted.head(_SAID).iter_rows(named=True))


def _decider(row: Row) -> str:
    if row["decided_by"] is None and row["decided_category"] is None:
        return "-"
    name = short_name(row["decided_by"])
    on = f" on {row['decided_on']}" if row["decided_on"] else ""
    return f"{name}{_CATEGORIES.get(row['decided_category'], '')}{on}"


def _steps(found: Steps, top: int) -> Table:
    many = found.steps.get_column("flow").n_unique() > 1
    heads = ("step", "took", "over the\nmedian", "decided by", "for", "waits", "own", "sent")
    shown = table(*heads[:4], *(("of",) if many else ()), *heads[4:], right=("step", "took", *heads[2:3], *heads[4:]))
    chosen = found.steps.with_row_index("order")
    if chosen.height > top:
        chosen = chosen.sort("took_ns", descending=True, maintain_order=True).head(top).sort("order")
    for row in chosen.iter_rows(named=True):
        over = row["over_median_ns"]
        sent = None if row["put_bytes"] is None else row["argument_bytes"] + row["put_bytes"]
        shown.add_row(
            str(row["step"]),
            duration_text(row["took_ns"]),
            f"+{duration_text(over)}" if over > 0 else "",
            _decider(row),
            *((short_name(row["flow"]),) if many else ()),
            _time(row["decided_ns"]),
            _time(row["waited_ns"]),
            _time(row["own_ns"]),
            "" if not sent else bytes_text(sent),
            style="bold" if row["took_ns"] >= SLOW * _median(found.steps.get_column("took_ns")) else "",
        )
    return shown


def _by_call(found: Steps) -> pl.DataFrame:
    total = max(int(found.steps.get_column("took_ns").sum()), 1)
    return (
        found.calls.sort("took_ns")
        .group_by("call", "at")
        .agg(
            first=pl.col("order").min(),
            steps=pl.col("step").n_unique(),
            calls=pl.col("calls").sum(),
            took_ns=pl.col("took_ns").sum(),
            longest_ns=pl.col("took_ns").last(),
            step=pl.col("step").last(),
            function=pl.col("slowest_function").last(),
            on=pl.col("slowest_on").last(),
            sent=pl.col("argument_bytes").sum() + pl.col("put_bytes").sum(),
        )
        .with_columns(share=pl.col("took_ns") / total)
        .sort("first", "call")
    )


def _calls(calls: pl.DataFrame, top: int) -> Table:
    heads = ("calls", "took", "share", "longest", "in step", "sent")
    shown = table("call", "at", *heads[:5], "its slowest", heads[5], right=heads)
    chosen = calls.sort("took_ns", descending=True, maintain_order=True).head(top).sort("first", "call")
    for row in chosen.iter_rows(named=True):
        slowest = "" if row["function"] is None else short_name(row["function"])
        on = f" on {row['on']}" if row["on"] else ""
        shown.add_row(
            short_name(row["call"]).removesuffix(SUBMIT_SUFFIX),
            (row["at"] or "").rpartition("/")[2],
            f"{row['calls']:,}",
            duration_text(row["took_ns"]),
            share_text(row["share"], 1),
            duration_text(row["longest_ns"]),
            str(row["step"]),
            slowest + on,
            bytes_text(row["sent"]) if row["sent"] else "",
        )
    return shown


def _actors(actors: pl.DataFrame, top: int) -> Table:
    heads = ("runs", "busy", "idle", "slowest in")
    shown = table("actor", "runs most", *heads, right=heads)
    for row in actors.head(top).iter_rows(named=True):
        shown.add_row(
            row["actor"],
            short_name(row["function"]),
            f"{row['runs']:,}",
            duration_text(row["busy_ns"]),
            share_text(row["idle_share"], 1),
            count_text(row["slowest_in"], "step") if row["slowest_in"] else "",
        )
    return shown


def _median(times: pl.Series) -> int:
    return int(times.median() or 0)  # type: ignore[arg-type] # of numbers it is one


def _most(times: pl.Series) -> int:
    return int(times.max() or 0)  # type: ignore[arg-type] # of numbers it is one


def _time(duration_ns: int | None) -> str:
    return "-" if duration_ns is None else duration_text(duration_ns)
