"""Advice on screen: what to do first in a sentence, then each finding with its remedy and evidence."""

from collections.abc import Iterator
from typing import Any

import polars as pl
from rich.console import Console, Group, RenderableType
from rich.table import Table

from raytrace_analyze.advice import Advice
from raytrace_analyze.names.functions import name_of, short_name
from raytrace_analyze.text.units import count_text, duration_text, offset_text, share_text
from raytrace_analyze.verdict.result import Remedy
from raytrace_analyze.views.documents import records
from raytrace_analyze.views.screen.fitted_table import table
from raytrace_analyze.views.screen.label import label
from raytrace_analyze.views.words import PATTERNS, pattern_text
from raytrace_analyze.vocabulary.advice import Pattern
from raytrace_analyze.wording.phrases import at_line

_EVIDENCE = 3
_NOT_KNOWN = "not known"


def show_advice(advice: Advice, faster: Remedy | None, console: Console, *, top: int) -> None:
    """Print advice, headed by the function to make `faster` where that comes first."""
    console.print(Group(*_parts(advice, faster, top)))


def advice_document(advice: Advice, faster: Remedy | None) -> dict[str, Any]:
    """Give the document of advice: each finding with its evidence."""
    scope = advice.scope
    findings = records(advice.findings)
    for finding in findings:
        mine = advice.evidence.filter(pl.col("finding") == finding["finding"]).drop("finding")
        finding["evidence"] = records(mine)
    return {
        "scope": {"kind": scope.kind, "id": scope.id, "name": scope.name, "session": scope.session},
        "answer": answer_text(advice, faster),
        "start_ns": advice.start_ns,
        "observed_ns": advice.observed_ns,
        "notes": list(advice.notes),
        "findings": findings,
    }


def answer_text(advice: Advice, faster: Remedy | None) -> str:
    """The answer in a sentence: what a summary says first."""
    took = f"The job takes {duration_text(advice.observed_ns)}"
    if faster is not None:
        instead = f"{duration_text(faster.predicted_ns)} instead of {duration_text(advice.observed_ns)}"
        patterns = advice.findings.filter(~pl.col("first_run_only"), pl.col("saved_ns") > 0)
        beside = "none of the patterns that are looked for is known to save time in every run"
        if not patterns.is_empty():
            most = patterns.row(0, named=True)
            beside = (
                f"of the patterns that are looked for, {title_text(most)} saves most: {duration_text(most['saved_ns'])}"
            )
        return f"Make {name_of(faster.function)} twice as fast first and the job takes {instead}; {beside}."
    if advice.findings.is_empty():
        return f"{took}, and none of the patterns that are looked for costs it much."
    first = advice.findings.row(0, named=True)
    if first["saved_ns"] <= 0:
        if _instead_of_time(first["pattern"]) == _NOT_KNOWN:
            return f"{took}. What was found: {title_text(first)}; what mending that would save is not known."
        return f"{took}; nothing that was found would make it shorter."
    if first["first_run_only"]:
        return (
            f"{took}, {duration_text(first['saved_ns'])} of it for what only a first run pays: {title_text(first)}. "
            "Nothing else that is looked for costs it much."
        )
    instead = f"{duration_text(first['predicted_ns'])} instead of {duration_text(advice.observed_ns)}"
    return f"Mend this first and the job takes {instead}: {title_text(first)}."


def _parts(advice: Advice, faster: Remedy | None, top: int) -> Iterator[RenderableType]:
    yield label(answer_text(advice, faster), style="bold")
    if not advice.findings.is_empty():
        yield label("")
        yield _summary(advice, top)
    for finding in advice.findings.head(top).iter_rows(named=True):
        yield label("")
        yield from _finding(advice, finding)
    rest = advice.findings.height - top
    if rest > 0:
        yield label("")
        yield label(f"{count_text(rest, 'more finding')}; --top {advice.findings.height} shows them", style="dim")
    if advice.findings.height > 1:
        yield label("")
        yield label("Each saving is that of one change alone; together they can save more or less than the sum.", "dim")
    if advice.findings.filter(~pl.col("first_run_only"), pl.col("saved_ns") > 0).is_empty():
        yield label("")
        yield label("What a faster function would save, `raytrace-analyze what-if` says.", style="dim")
    yield from (label(f"Note: {note}.", style="dim") for note in advice.notes)


def _summary(advice: Advice, top: int) -> Table:
    numbers = ("saves", "of the time", "on the path")
    shown = table(
        "", "pattern", "function", *numbers, "where", right=("", *numbers), drop=("on the path", "of the time")
    )
    for row in advice.findings.head(top).iter_rows(named=True):
        where = at_line(row["file"].rsplit("/", 1)[-1], row["line"]) if row["file"] else ""
        shown.add_row(
            str(row["finding"]),
            PATTERNS[row["pattern"]] + (" (first run only)" if row["first_run_only"] else ""),
            short_name(row["function"]),
            duration_text(row["saved_ns"]) if row["saved_ns"] else _instead_of_time(row["pattern"]),
            share_text(row["saved_ns"], advice.observed_ns) if row["saved_ns"] else "",
            duration_text(row["cost_ns"]),
            where,
        )
    return shown


def _finding(advice: Advice, finding: dict[str, Any]) -> Iterator[RenderableType]:
    yield label(f"{finding['finding']}. {title_text(finding)}", style="bold")
    yield label(f"{finding['what']}.", indent=3)
    yield label(f"{finding['remedy']}.", indent=3)
    if finding["saved_ns"]:
        saves = f"{duration_text(finding['saved_ns'])} ({share_text(finding['saved_ns'], advice.observed_ns)})"
        then = duration_text(finding["predicted_ns"])
        yield label(f"That would save {saves}: the job would take {then}.", indent=3)
    yield label(f"See {finding['reference']}: {finding['url']}", style="dim", indent=3)
    mine = advice.evidence.filter(pl.col("finding") == finding["finding"])
    for row in mine.head(_EVIDENCE).iter_rows(named=True):
        at = offset_text(row["start_ns"] - advice.start_ns, advice.observed_ns)
        took = duration_text(row["end_ns"] - row["start_ns"])
        line = f"span {row['span_id']}: {short_name(row['name'])}, at {at}, took {took}"
        yield label(line, style="dim", indent=3)
    if mine.height > _EVIDENCE:
        more = count_text(mine.height - _EVIDENCE, "more span")
        yield label(f"and {more} (--format json has them all)", style="dim", indent=3)


def _instead_of_time(pattern: str) -> str:
    """Say what mending a pattern brings where no time is predicted."""
    return "memory" if pattern == Pattern.TOO_MANY_IN_FLIGHT else _NOT_KNOWN


def title_text(finding: dict[str, Any]) -> str:
    """What a finding is, in a few words."""
    return pattern_text(finding["pattern"], finding["function"])
