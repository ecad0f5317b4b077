"""What is missing from the data: what was lost, never ended or not recorded, and by how much clocks are off."""

from collections.abc import Iterator

import polars as pl

from raytrace_analyze.report.elements import data_table, section
from raytrace_analyze.report.facts import ReportFacts
from raytrace_analyze.report.markup import Markup, tag
from raytrace_analyze.text.units import count_text, duration_text
from raytrace_analyze.views.spans_read.merge_view import problem_lines


def missing_section(facts: ReportFacts) -> Markup:
    """Show it."""
    told = list(dict.fromkeys(_told(facts)))
    content = [tag("ul", (tag("li", line) for line in told))] if told else [tag("p", "Nothing that is known of.")]
    return section("missing", "What is missing from the data", content, list(_clocks(facts)))


def _told(facts: ReportFacts) -> Iterator[str]:
    timed = facts.timed
    in_flight = timed.get_column("end").null_count()
    if in_flight:
        yield f"{count_text(in_flight, 'span')} never ended: killed, hung or still going when the files were read."
    if not facts.attempts.is_empty():
        yield (
            f"{count_text(facts.attempts.height, 'attempt')} left no span, only Ray's task events: killed, never "
            "started, or queued still."
        )
    if not timed.get_column("records_waits").fill_null(False).any():
        yield (
            "These files do not record what was waited for, so that is inferred from times. "
            "Trace with raytrace_hook to know it."
        )
    elif not timed.get_column("records_waits").fill_null(False).all():
        yield "Some processes do not record what was waited for; on their part the path is inferred from times."
    if not timed.get_column("state_running").is_not_null().any():
        yield "There are no task events of Ray's, so why tasks waited is told from the spans alone."
    if facts.use.slots is None:
        yield "How many slots (CPUs) the cluster had is not told, and the queues do not show it."
    yield from (f"{_sentence(note)}." for note in facts.path.notes)
    if facts.ingest is not None:
        yield from problem_lines(facts.ingest.problems)
        for name in facts.ingest.unreadable:
            yield f"Not readable, and left out: {name}"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _clocks(facts: ReportFacts) -> Iterator[Markup]:
    offsets = facts.trace.offsets
    if offsets.is_empty() or not offsets.get_column("is_proven").any():
        return
    yield tag("h3", "Clocks")
    yield tag("p", "The times of these machines were shifted, since as recorded they cannot be true.")
    rows = [
        [
            row["host"] or "unknown host",
            duration_text(row["offset_ns"]),
            f"{row['violations']:,}",
            row["evidence"] or "",
        ]
        for row in offsets.filter(pl.col("is_proven")).iter_rows(named=True)
    ]
    yield data_table(
        "Clocks that were off",
        ["host", "shifted by", "impossible orders", "the worst"],
        rows,
        right=("shifted by", "impossible orders"),
    )
