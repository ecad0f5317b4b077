"""The difference between runs: the answer in a sentence, what it is made of, what changed without mattering."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import polars as pl
from rich.console import Console, Group, RenderableType
from rich.table import Table

from raytrace_analyze.analyses.diff import Group as Runs
from raytrace_analyze.analyses.diff import RunDiff
from raytrace_analyze.names.functions import DRIVER, short_name
from raytrace_analyze.text.units import count_text, duration_text, share_text
from raytrace_analyze.views.documents import records
from raytrace_analyze.views.screen.fitted_table import table
from raytrace_analyze.views.screen.label import label
from raytrace_analyze.views.words import CATEGORIES, CAUSES, group_text

_MOST_NAMED = 3
_ENOUGH = 0.8
"""Functions are named until they explain so much of the difference."""
_SMALL_PART, _SMALL_WHOLE = 20, 1_000
"""What is less than such a fraction of a function's difference, or of the makespan, gets no line of its own."""


def show_diff(diff: RunDiff, names: tuple[str, str], console: Console, *, top: int, by: str) -> None:
    """Print a difference; `names` are what the user called BASE and NEW."""
    console.print(Group(*_parts(diff, names, top, by)))


def diff_document(diff: RunDiff, names: tuple[str, str], by: str) -> dict[str, Any]:
    """Give the document of a difference; `by` names a breakdown to add to that by function."""
    return {
        "answer": answer(diff),
        "verdict": diff.verdict,
        "base": _group_document(diff.base, names[0]),
        "new": _group_document(diff.new, names[1]),
        "difference_ns": diff.difference_ns,
        "growth": diff.growth,
        "test": diff.test,
        "p_value": diff.p_value,
        "is_noise": diff.is_noise,
        "notes": list(diff.notes),
        **{f"by_{group}": records(diff.by(group)) for group in dict.fromkeys(("function", by))},
        "parts": records(diff.parts),
        "functions": records(diff.functions),
    }


def answer(diff: RunDiff) -> str:
    """Say in a sentence by how much the time moved, and why."""
    takes = f"NEW takes {duration_text(diff.new.makespan_ns)}"
    if diff.verdict == "same":
        return f"{takes}, exactly as long as BASE."
    direction = "longer" if diff.difference_ns > 0 else "shorter"
    share = f" ({share_text(abs(diff.difference_ns), diff.base.makespan_ns)})" if diff.base.makespan_ns else ""
    moved = f"{takes}, {duration_text(abs(diff.difference_ns))}{share} {direction} than BASE"
    if diff.verdict == "noise":
        return f"{moved}: no difference beyond the run-to-run spread ({test_text(diff)})."
    return f"{moved}: {_explanation(diff)}."


def test_text(diff: RunDiff) -> str:
    """Name the test and what it gave."""
    if diff.p_value is None:
        return "one run each: no run-to-run spread known"
    return f"{diff.test}, {_p_text(diff.p_value)}"


def gate_text(diff: RunDiff, limit: Fraction) -> str:
    """Say whether a gate held that lets NEW take so much longer (0.1: ten percent), and why."""
    allowed = f"the {float(limit * 100):g} % allowed"
    if diff.exceeds(limit):
        share = share_text(diff.difference_ns, diff.base.makespan_ns)
        longer = f"{duration_text(diff.difference_ns)}{'' if share == '-' else f' ({share})'}"
        return f"gate failed: NEW takes {longer} longer than BASE, more than {allowed} ({test_text(diff)})"
    if diff.difference_ns > limit * diff.base.makespan_ns:
        return f"gate passed: NEW is longer by more than {allowed}, but that is noise ({test_text(diff)})"
    return f"gate passed: NEW is not longer by more than {allowed}"


def _p_text(p_value: float) -> str:
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.{2 if p_value >= 0.1 else 3}f}"


def _explanation(diff: RunDiff) -> str:
    """Name the functions that moved the makespan the way it went, as few as explain most of it."""
    sign = 1 if diff.difference_ns > 0 else -1
    rows = [row for row in diff.by("function").iter_rows(named=True) if sign * row["difference_ns"] > 0]
    # What is within its own spread may be large by chance: it explains only what the rest does not.
    beyond = [row for row in rows if not row["is_noise"]]
    # The path may go now through one function, now through another: then it is their runs that tell which one it was.
    changed = diff.functions.filter(~pl.col("is_noise"), sign * pl.col("p50_difference_ns") > 0)["function"].to_list()
    for chosen in (beyond, [row for row in rows if row["function"] in changed]):
        if 2 * sum(abs(row["difference_ns"]) for row in chosen) >= abs(diff.difference_ns):
            rows = chosen
            break
    named: list[tuple[str, int]] = []
    for row in rows[:_MOST_NAMED]:
        named.append((_said(row["function"]), abs(row["difference_ns"])))
        if sum(time for _, time in named) >= _ENOUGH * abs(diff.difference_ns):
            break
    (first, time), *others = named
    rest = "".join(f", {name} {duration_text(time)}" for name, time in others)
    explained, whole = sum(time for _, time in named), abs(diff.difference_ns)
    if explained <= whole:
        return f"{first} explains {duration_text(time)} of it{rest}"
    if not others and _ENOUGH * explained <= whole:
        return f"{first} explains all of it ({_signed(sign * time)})"
    more, less = ("more", "less") if sign > 0 else ("less", "more")
    return f"{first} takes {duration_text(time)} {more} of the critical path{rest}, the others {less}"


def _parts(diff: RunDiff, names: tuple[str, str], top: int, by: str) -> Iterator[RenderableType]:
    yield label(answer(diff), style="bold")
    yield from (_group_line(side, runs, name) for side, runs, name in _sides(diff, names))
    if diff.verdict in ("longer", "shorter") and diff.p_value is not None:
        yield label(f"That is more than noise ({test_text(diff)}).")
    if not diff.parts.is_empty():
        yield label("")
        yield _breakdown(diff, top, by)
    if not diff.functions.is_empty():
        yield label("")
        yield label("All runs of each function, on the chain or off it: what changed, and whether it mattered.", "bold")
        yield _functions(diff, top)
    if diff.is_noise is None and diff.verdict != "same":
        yield label("?: whether that is more than noise is not known.", style="dim")
    yield from (label(f"Note: {note}.", style="dim") for note in diff.notes)


def _sides(diff: RunDiff, names: tuple[str, str]) -> tuple[tuple[str, Runs, str], ...]:
    return ("BASE", diff.base, names[0]), ("NEW", diff.new, names[1])


def _group_line(side: str, runs: Runs, name: str) -> RenderableType:
    line = f"{side}: {name}, {count_text(runs.count, 'run')}, {duration_text(runs.makespan_ns)}"
    if runs.count > 1:
        makespans = runs.runs.get_column("makespan_ns").sort().to_list()
        low, high = makespans[0], makespans[-1]
        line += f" on average (median {duration_text(runs.median_ns)}, {duration_text(low)} to {duration_text(high)})"
    return label(line + ".")


def _breakdown(diff: RunDiff, top: int, by: str) -> Table:
    """The chain's time on both sides; below a function what of it was running, waiting and so on."""
    parts = diff.by(by)
    numbers = ("BASE", "NEW", "difference", "of BASE's time", "spread")
    shown = table(f"on the chain, by {by}", *numbers, "", right=numbers, drop=("spread", "of BASE's time"))
    for row in parts.head(top).iter_rows(named=True):
        spread = "" if row["spread_ns"] is None else f"±{duration_text(row['spread_ns'])}"
        head = group_text(by, row[by])
        shown.add_row(head, *_times(row), _signed_share(diff, row), spread, judgement(row))
        for below in _below(diff, by, row):
            shown.add_row(f"  {_kind(below)}", *_times(below), _signed_share(diff, below), "", "", style="dim")
    rest = parts.slice(top)
    if not rest.is_empty():
        sums = rest.select(pl.col("base_ns", "new_ns", "difference_ns").sum()).row(0, named=True)
        shown.add_row(f"{rest.height} more", *_times(sums), _signed_share(diff, sums), "", "", style="dim")
    whole = {
        "base_ns": diff.base.makespan_ns,
        "new_ns": diff.new.makespan_ns,
        "difference_ns": diff.difference_ns,
        "presence": "both",
        "is_noise": diff.is_noise,
    }
    shown.add_row("all", *_times(whole), _signed_share(diff, whole), "", judgement(whole), style="bold")
    return shown


def _below(diff: RunDiff, by: str, row: dict[str, Any]) -> list[dict[str, Any]]:
    """Give what a function's difference is made of, where it is of more than one kind: what is of any size."""
    if by != "function" or not row["difference_ns"]:
        return []
    least = max(abs(row["difference_ns"]) / _SMALL_PART, diff.base.makespan_ns / _SMALL_WHOLE)
    kinds = diff.parts.filter(
        (pl.col("function") == row["function"]) & (pl.col("difference_ns").abs() >= max(least, 1))
    )
    is_one = kinds.height == 1 and kinds.get_column("category")[0] == "self"
    return [] if is_one else list(kinds.iter_rows(named=True))


def _functions(diff: RunDiff, top: int) -> Table:
    numbers = ("runs", "p50 BASE", "p50 NEW", "p50 change", "p95 BASE", "p95 NEW", "p95 change", "on the chain")
    less = ("on the chain", "p95 BASE", "p95 NEW", "p50 BASE", "p50 NEW", "p95 change", "runs")
    shown = table("function", *numbers, "", right=numbers, drop=less)
    for row in diff.functions.head(top).iter_rows(named=True):
        base, new = _count(row["base_count"]), _count(row["new_count"])
        times = [
            _optional(row[f"{column}_ns"], signed=column.endswith("difference"))
            for name in ("p50", "p95")
            for column in (f"base_{name}", f"new_{name}", f"{name}_difference")
        ]
        shown.add_row(
            group_text("function", row["function"]),
            base if base == new else f"{base} → {new}",
            *times,
            _signed(row["path_difference_ns"]),
            "noise" if row["is_noise"] else "changed" if row["is_noise"] is False else "",
        )
    if diff.functions.height > top:
        shown.add_row(f"{diff.functions.height - top} more", style="dim")
    return shown


def judgement(row: dict[str, Any]) -> str:
    """Say of a part in a word what it is."""
    if row["presence"] != "both":
        return f"{row['presence']} (noise)" if row["is_noise"] else str(row["presence"])
    if not row["difference_ns"]:
        return "same"
    if row["is_noise"]:
        return "noise"
    word = "longer" if row["difference_ns"] > 0 else "shorter"
    return f"{word}?" if row["is_noise"] is None else word


def _group_document(runs: Runs, name: str) -> dict[str, Any]:
    return {
        "name": name,
        "makespan_ns": runs.makespan_ns,
        "median_ns": runs.median_ns,
        "runs": records(runs.runs),
    }


def _kind(part: dict[str, Any]) -> str:
    kind = CATEGORIES.get(part["category"], part["category"])
    return f"{kind}: {CAUSES.get(part['cause'], part['cause'])}" if part["cause"] else kind


def _times(row: dict[str, Any]) -> tuple[str, str, str]:
    return duration_text(row["base_ns"]), duration_text(row["new_ns"]), _signed(row["difference_ns"])


def _signed_share(diff: RunDiff, row: dict[str, Any]) -> str:
    text = share_text(abs(row["difference_ns"]), diff.base.makespan_ns)
    return text if text[0] in "-<" else _sign(row["difference_ns"]) + text


def _signed(time_ns: int) -> str:
    return _sign(time_ns) + duration_text(abs(time_ns))


def _sign(number: int) -> str:
    return "+" if number > 0 else "-" if number < 0 else ""


def _optional(time_ns: int | None, *, signed: bool) -> str:
    if time_ns is None:
        return "-"
    return _signed(time_ns) if signed else duration_text(time_ns)


def _count(count: float) -> str:
    return f"{count:,.0f}" if count == round(count) else f"{count:,.1f}"


def _said(function: str | None) -> str:
    return "the driver" if function == DRIVER else short_name(function)
