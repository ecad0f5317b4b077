"""The top of the page: the answer in a sentence, and the figures that everybody asks for first."""

from collections.abc import Iterator

import polars as pl

from raytrace_analyze.path.result import DRIVER
from raytrace_analyze.report.facts import ReportFacts
from raytrace_analyze.report.markup import Child, Markup, tag
from raytrace_analyze.units import count_text, duration_text, share_text
from raytrace_analyze.views.advice_view import answer_text
from raytrace_analyze.views.chain import CATEGORY_WORDS, short_name
from raytrace_analyze.views.hang_view import blocked_text

_PARTS = 3


def head_section(facts: ReportFacts) -> Markup:
    """Give the answer and the figures."""
    return tag(
        "section",
        tag("h1", _headline(facts)),
        [tag("p", text, class_="answer") for text in _sentences(facts)],
        tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in _figures(facts)], class_="figures"),
        id="answer",
        aria_label="The answer",
    )


def _headline(facts: ReportFacts) -> str:
    scope = facts.path.scope
    name = scope.name or f"{scope.kind.capitalize()} {scope.id}"
    return f"{name} took {duration_text(facts.path.makespan_ns)}."


def _sentences(facts: ReportFacts) -> Iterator[str]:
    if facts.hang is not None and facts.hang.blockers:
        yield blocked_text(facts.hang.blockers[0])
    if not facts.path.segments.is_empty():
        yield f"{_most(facts)}."
    if facts.advice is not None:
        yield answer_text(facts.advice)


def _most(facts: ReportFacts) -> str:
    parts = []
    for row in facts.path.by("function").head(_PARTS).iter_rows(named=True):
        if row["share"] < 0.05:
            break
        name = "the driver" if row["function"] == DRIVER else short_name(row["function"])
        kinds = [
            f"{duration_text(row[f'{word}_ns'])} {text}"
            for word, text in CATEGORY_WORDS.items()
            if row[f"{word}_ns"] * 5 >= row["total_ns"]
        ]
        parts.append(f"{share_text(row['share'], 1)} of that is {name} ({', '.join(kinds)})")
    return "; ".join(parts) if parts else "No function decided a large part of that"


def _figures(facts: ReportFacts) -> Iterator[tuple[str, Child]]:
    path = facts.path
    yield "took", duration_text(path.makespan_ns)
    yield "task runs", f"{path.runs:,}"
    yield "work", duration_text(path.work_ns)
    yield "tasks at a time", f"{path.parallelism:.2f}"
    if facts.use.slots is not None:
        yield "slots used", f"{share_text(facts.use.used_share or 0.0, 1)} of {facts.use.slots:,.6g}"
    failed = facts.timed.filter(pl.col("is_run") & (pl.col("status") == "ERROR")).height
    yield "failed runs", f"{failed:,}"
    if in_flight := facts.timed.get_column("end").null_count():
        yield "never ended", count_text(in_flight, "span")
