"""Predictions on screen: the answer in a sentence, a table, and which spans it rests on."""

import math
from collections.abc import Iterator
from typing import Any

import polars as pl
from rich.console import Console, Group, RenderableType
from rich.table import Table

from raytrace_analyze.analyses.what_if import WhatIf
from raytrace_analyze.names.functions import DRIVER, name_of, short_name
from raytrace_analyze.replay.change import Change
from raytrace_analyze.text.units import count_text, duration_text, offset_text, share_text
from raytrace_analyze.views.documents import records
from raytrace_analyze.views.screen.fitted_table import table
from raytrace_analyze.views.screen.label import label

_TIMES = {
    "self_ns": "running",
    "submit_ns": "submitting",
    "queue_ns": "waiting to start",
    "fetch_ns": "getting results",
}

DRIVER_NOT_KNOWN = (
    "The driver's own code is not known to work for most of that time; where it waits or imports modules, nothing is "
    "won."
)


def show_what_if(answer: WhatIf, console: Console, *, top: int) -> None:
    """Print a prediction."""
    console.print(Group(*_answer_parts(answer, top)))


def show_ranking(ranking: WhatIf, console: Console, *, top: int) -> None:
    """Print what would help most."""
    console.print(Group(*_ranking_parts(ranking, top)))


def show_near(chains: pl.DataFrame, start_ns: int, makespan_ns: int, console: Console, *, top: int) -> None:
    """Print the chains that become critical next (columns of `near_chains`)."""
    console.print()
    if chains.is_empty():
        console.print("No other chain is that near to being critical.")
        return
    console.print("Critical next: chains that would move the end of the job if they took so much longer.", style="bold")
    shown = table(
        "slack",
        "share",
        "at",
        "runs",
        "ran",
        "functions",
        right=("slack", "share", "at", "runs", "ran"),
        drop=("ran", "runs", "at"),
    )
    for row in chains.head(top).iter_rows(named=True):
        shown.add_row(
            duration_text(row["slack_ns"]),
            share_text(row["slack_ns"], makespan_ns),
            offset_text(row["start_ns"] - start_ns, makespan_ns),
            f"{row['runs']:,}",
            duration_text(row["run_ns"]),
            " → ".join(short_name(name) for name in row["functions"]),
        )
    console.print(shown)
    if chains.height > top:
        console.print(f"{count_text(chains.height - top, 'more chain')}; --top shows them", style="dim")


def what_if_document(answer: WhatIf) -> dict[str, Any]:
    """Give the document of a prediction; infinite speeds as `"inf"`."""
    change = answer.change
    return {
        **_scope(answer.scope),
        "change": {
            "speedup": {name: "inf" if math.isinf(factor) else factor for name, factor in change.speedup.items()},
            "remove_queue": change.remove_queue,
            "slots": change.slots,
            "infinite_slots": change.infinite_slots,
        },
        "observed_ns": answer.observed_ns,
        "predicted_ns": answer.predicted_ns,
        "saved_ns": answer.saved_ns,
        "saturating_speedup": answer.saturating_speedup,
        "next_critical": answer.next_critical,
        "slots_found": answer.slots,
        "notes": list(answer.notes),
        "critical": records(answer.critical),
        "changed": records(answer.changed),
    }


def ranking_document(ranking: WhatIf) -> dict[str, Any]:
    """Give the document of what would help most."""
    return {
        **_scope(ranking.scope),
        "observed_ns": ranking.observed_ns,
        "notes": list(ranking.notes),
        "driver_works": ranking.driver_works,
        "ranking": records(ranking.functions),
    }


def _scope(scope: Any) -> dict[str, Any]:
    return {"scope": {"kind": scope.kind, "id": scope.id, "name": scope.name, "session": scope.session}}


def speed_text(factor: float) -> str:
    """How fast, as an adverb: `twice as fast`, `3x as fast`."""
    if math.isinf(factor):
        return "infinitely fast"
    return "twice as fast" if factor == 2 else f"{factor:g}x as fast"


def change_text(change: Change) -> str:
    """A change as the beginning of a sentence."""
    faster = [f"make {name_of(name)} {speed_text(factor)}" for name, factor in change.speedup.items()]
    if change.remove_queue:
        faster.append("let every task start as soon as it can")
    if change.infinite_slots:
        faster.append("have a slot for every task")
    if change.slots is not None:
        faster.append(f"have {count_text(change.slots, 'slot')}")
    text = " and ".join(faster)
    return text[:1].upper() + text[1:]


def answer_text(answer: WhatIf) -> str:
    """The answer in a sentence."""
    if duration_text(answer.predicted_ns) == duration_text(answer.observed_ns):
        takes = f"the job takes {duration_text(answer.observed_ns)} as before"
    else:
        takes = f"the job takes {duration_text(answer.predicted_ns)} instead of {duration_text(answer.observed_ns)}"
    then = ""
    if answer.saturating_speedup is not None and answer.next_critical is not None:
        then = f"; beyond {answer.saturating_speedup:g}x nothing more is won, "
        then += f"then {name_of(answer.next_critical)} is critical"
    elif answer.saved_ns == 0 and not answer.critical.is_empty():
        then = f"; {name_of(answer.critical.row(0, named=True)['function'])} is critical"
    return f"{change_text(answer.change)} and {takes}{then}."


def _answer_parts(answer: WhatIf, top: int) -> Iterator[RenderableType]:
    yield label(answer_text(answer), style="bold")
    yield label("")
    yield _critical(answer, top)
    yield label("")
    yield from _evidence(answer, top)
    yield from _notes(answer.notes)


def _critical(answer: WhatIf, top: int) -> Table:
    used = [name for name in _TIMES if answer.critical.get_column(name).sum() > 0]
    heads = [_TIMES[name] for name in used]
    shown = table("critical then", "total", "share", *heads, right=("total", "share", *heads), drop=heads[::-1])
    for row in answer.critical.head(top).iter_rows(named=True):
        times = [duration_text(row[name]) if row[name] else "" for name in used]
        share = share_text(row["total_ns"], answer.predicted_ns)
        shown.add_row(short_name(row["function"]), duration_text(row["total_ns"]), share, *times)
    return shown


def _evidence(answer: WhatIf, top: int) -> Iterator[RenderableType]:
    if answer.slots is not None:
        slots = "1 slot" if answer.slots == 1 else f"{answer.slots:g} slots"
        yield label(f"Reckoned with {slots} for tasks (--had-slots N, if there were others).")
    moved = answer.changed.with_columns(
        won=(pl.col("end_ns") - pl.col("start_ns")) - (pl.col("new_end_ns") - pl.col("new_start_ns")),
        earlier=pl.col("end_ns") - pl.col("new_end_ns"),
    )
    if moved.is_empty():
        return
    yield label(f"It moves {count_text(moved.height, 'span')}; these change their length most:")
    shown = table(
        *("span", "id", "took", "then takes", "ends earlier by"),
        right=("took", "then takes", "ends earlier by"),
        drop=("ends earlier by", "took"),
    )
    for row in moved.sort(pl.col("won").abs(), descending=True).head(min(top, 5)).iter_rows(named=True):
        shown.add_row(
            short_name(row["name"]),
            row["span_id"],
            duration_text(row["end_ns"] - row["start_ns"]),
            duration_text(row["new_end_ns"] - row["new_start_ns"]),
            duration_text(row["earlier"]),
        )
    yield shown


def _ranking_parts(ranking: WhatIf, top: int) -> Iterator[RenderableType]:
    yield label(ranking_text(ranking), style="bold")
    if ranking.functions.is_empty():
        return
    yield label("")
    heads = ("own work", "on the path", "won at 2x", "won at most", "enough")
    less = ("then critical", "enough", "own work", "runs", "on the path")
    shown = table("function", "runs", *heads, "then critical", right=("runs", *heads), drop=less)
    for row in ranking.functions.head(top).iter_rows(named=True):
        shown.add_row(
            short_name(row["function"]),
            f"{row['runs']:,}",
            duration_text(row["work_ns"]),
            duration_text(row["critical_ns"]),
            duration_text(row["saved_2x_ns"]),
            duration_text(row["saved_most_ns"]),
            "" if row["saturating_speedup"] is None else f"{row['saturating_speedup']:g}x",
            short_name(row["next_critical"]) if row["next_critical"] else "",
        )
    yield shown
    if ranking.functions.get_column("is_rays").any():
        yield label("What Ray's libraries run without the program comes last: nobody can make it faster.", style="dim")
    if is_driver_unknown(ranking):
        yield label(DRIVER_NOT_KNOWN, style="dim")
    rest = ranking.functions.height - top
    if rest > 0:
        yield label(f"{count_text(rest, 'more function')}; --top {ranking.functions.height} shows them", style="dim")
    yield label(
        "Each alone; together they can win more or less than the sum. --speedup NAME=N for any of it.", style="dim"
    )
    yield from _notes(ranking.notes)


def is_driver_unknown(ranking: WhatIf) -> bool:
    """Whether the driver is ranked first, and not known to work."""
    return not ranking.driver_works and ranking.functions.get_column("function").head(1).to_list() == [DRIVER]


def ranking_text(ranking: WhatIf) -> str:
    """What would help most, in a sentence; a driver whose own code is not known to work only where it is alone."""
    took = duration_text(ranking.observed_ns)
    functions = ranking_all = ranking.functions.filter(~pl.col("is_rays"))
    others = functions.filter(pl.col("function") != DRIVER, pl.col("saved_most_ns") > 0)
    if not ranking.driver_works and others.height:
        functions = others
    if functions.is_empty() or functions.row(0, named=True)["saved_most_ns"] <= 0:
        return f"The job takes {took}; no faster function would make it shorter."
    first = functions.row(0, named=True)
    most_ns = int(functions.get_column("saved_most_ns").max())  # type: ignore[arg-type]
    if duration_text(ranking.observed_ns - most_ns) == took:
        most = duration_text(most_ns)
        other = "no faster function" if functions is ranking_all else "no faster function, the driver aside,"
        return f"The job takes {took}; {other} would make it much shorter ({most} at most)."
    then = ""
    if first["saturating_speedup"] is not None and first["next_critical"] is not None:
        then = f"; beyond {first['saturating_speedup']:g}x nothing more is won, "
        then += f"then {name_of(first['next_critical'])} is critical"
    predicted = duration_text(first["predicted_2x_ns"])
    maybe = (
        ", as far as it works and does not wait," if first["function"] == DRIVER and not ranking.driver_works else ""
    )
    return (
        f"Make {name_of(first['function'])} twice as fast{maybe} and the job takes {predicted} instead of {took}{then}."
    )


def _notes(notes: tuple[str, ...]) -> Iterator[RenderableType]:
    for note in notes:
        yield label(f"Note: {note}.", style="dim")
