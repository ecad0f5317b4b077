"""What to change: advice with what each finding would save, and the ranking of what-if."""

from collections.abc import Iterator
from typing import Any

import polars as pl

from raytrace_analyze.advice import Advice
from raytrace_analyze.analyses.what_if import WhatIf
from raytrace_analyze.names.functions import short_name
from raytrace_analyze.report.elements import data_table, folded, notes, section
from raytrace_analyze.report.facts import ReportFacts
from raytrace_analyze.report.markup import Markup, prose, tag
from raytrace_analyze.text.units import count_text, duration_text, offset_text, share_text
from raytrace_analyze.verdict.result import Remedy
from raytrace_analyze.views.advice_view import answer_text, title_text
from raytrace_analyze.views.what_if_view import DRIVER_NOT_KNOWN, is_driver_unknown
from raytrace_analyze.vocabulary.advice import RemedyKind
from raytrace_analyze.wording.phrases import at_line

_EVIDENCE = 20

Row = dict[str, Any]


def advice_section(facts: ReportFacts) -> Markup:
    """Show what to change."""
    advice = facts.advice
    if advice is None:
        return section("advice", "What to change", tag("p", _too_large(facts)))
    return section(
        "advice",
        "What to change",
        [_finding(advice, row) for row in advice.findings.iter_rows(named=True)],
        _together(advice),
        notes(advice.notes),
        lead=prose(answer_text(advice, _faster(facts))),
    )


def _faster(facts: ReportFacts) -> Remedy | None:
    """Give the function to make faster, where that is the first thing to do."""
    first = next(iter(facts.summary.remedies), None) if facts.summary is not None else None
    return first if first is not None and first.kind is RemedyKind.SPEEDUP else None


def _together(advice: Advice) -> Markup | None:
    if advice.findings.height < 2:
        return None
    return tag("p", "Each saving is that of one change alone; together they can save more or less than the sum.")


def _finding(advice: Advice, row: Row) -> Markup:
    saves = ""
    if row["saved_ns"]:
        saves = (
            f"saves {duration_text(row['saved_ns'])} ({share_text(row['saved_ns'], advice.observed_ns)}): "
            f"{duration_text(row['predicted_ns'])} instead of {duration_text(advice.observed_ns)}"
        )
    where = at_line(row["file"], row["line"]) if row["file"] else None
    return tag(
        "article",
        tag(
            "h3",
            tag("span", prose(f"{row['finding']}. {title_text(row)}")),
            tag("span", saves, class_="saving") if saves else None,
        ),
        tag("p", prose(f"{row['what']}.")),
        tag("p", tag("strong", prose(f"{row['remedy']}."))),
        tag("p", tag("code", where)) if where else None,
        tag("p", "See ", tag("a", row["reference"], href=row["url"], rel="noreferrer noopener"), class_="small"),
        _evidence(advice, row),
        class_="finding",
    )


def _evidence(advice: Advice, row: Row) -> Markup | None:
    mine = advice.evidence.filter(pl.col("finding") == row["finding"])
    if mine.is_empty():
        return None
    rows = [
        [
            short_name(span["name"]),
            offset_text(span["start_ns"] - advice.start_ns, advice.observed_ns),
            duration_text(span["end_ns"] - span["start_ns"]),
            tag("code", span["span_id"]),
        ]
        for span in mine.head(_EVIDENCE).iter_rows(named=True)
    ]
    caption = f"Evidence for finding {row['finding']}"
    if mine.height > _EVIDENCE:
        caption += f" (the first {_EVIDENCE} of {count_text(mine.height, 'span')})"
    table = data_table(caption, ["span", "at", "took", "span id"], rows, right=("at", "took"))
    return folded(f"The evidence: {count_text(mine.height, 'span')}", table)


def what_if_section(facts: ReportFacts) -> Markup:
    """Show what would be won if functions were faster."""
    ranking = facts.ranking
    lead = "How long the job would take if one function were faster, replayed over all that its tasks waited for."
    if ranking is None:
        return section("what-if", "What if", tag("p", _too_large(facts)))
    if ranking.functions.is_empty():
        return section("what-if", "What if", tag("p", "No function's own work is on the critical path."), lead=lead)
    return section("what-if", "What if", ranking_table(ranking), notes(_ranking_notes(ranking)), lead=lead)


def _ranking_notes(ranking: WhatIf) -> Iterator[str]:
    if is_driver_unknown(ranking):
        yield DRIVER_NOT_KNOWN
    yield from ranking.notes


def ranking_table(ranking: WhatIf) -> Markup:
    """Show the ranking of what-if."""
    heads = [
        "function",
        "runs",
        "on the path",
        "twice as fast",
        "saves",
        "infinitely fast",
        "saves ",
        "enough",
        "then decides",
    ]
    return data_table("What would help most", heads, list(_ranked(ranking)), right=heads[1:-1])


def _ranked(ranking: WhatIf) -> Iterator[list[str]]:
    for row in ranking.functions.iter_rows(named=True):
        enough = row["saturating_speedup"]
        yield [
            short_name(row["function"]),
            f"{row['runs']:,}",
            duration_text(row["critical_ns"]),
            duration_text(row["predicted_2x_ns"]),
            duration_text(row["saved_2x_ns"]),
            duration_text(row["predicted_least_ns"]),
            duration_text(row["saved_most_ns"]),
            "" if enough is None else f"{enough:g}x",
            "" if row["next_critical"] is None else short_name(row["next_critical"]),
        ]


def _too_large(facts: ReportFacts) -> str:
    spans = count_text(facts.timed.height, "span")
    return f"With {spans} this is too large to be worked out for a page; raytrace-analyze advise and what-if tell."
