"""What failed: by function and error, where it was raised, and what was tried again."""

from collections.abc import Iterator
from typing import Any

import polars as pl

from raytrace_analyze.names.functions import short_name
from raytrace_analyze.path.error_origin import describe_failure
from raytrace_analyze.path.outcome import endings, failures
from raytrace_analyze.report.elements import data_table, folded, section
from raytrace_analyze.report.facts import ReportFacts
from raytrace_analyze.report.markup import Markup, lines, tag
from raytrace_analyze.report.sections.tasks import where_it_ran
from raytrace_analyze.schema import TABLE
from raytrace_analyze.text.units import offset_text
from raytrace_analyze.views.words import ENDINGS, place_name
from raytrace_analyze.vocabulary.spans import Ending
from raytrace_analyze.wording.phrases import error_text

_SHOWN = 50

Row = dict[str, Any]


def errors_section(facts: ReportFacts) -> Markup:
    """Show what failed, and what was tried again."""
    failed = _failed(facts)
    if failed.is_empty():
        return section("errors", "Errors and retries", tag("p", "No task failed, and none was tried again."))
    groups = (
        failed.with_columns(line=pl.col("status_message").str.strip_chars().str.split("\n").list.first())
        .group_by("function", "error_type", "line", maintain_order=True)
        .agg(count=pl.len(), again=pl.col("tried_again").sum(), attempt=pl.struct(*TABLE, "ending", "start_ns").first())
        .sort("count", descending=True, maintain_order=True)
    )
    rows = [_row(row, facts) for row in groups.head(_SHOWN).iter_rows(named=True)]
    heads = ["function", "ended", "error", "raised at", "attempts", "tried again", "first at", "first where"]
    caption = "Attempts that gave no result, by function and error"
    if groups.height > _SHOWN:
        caption += f" (the first {_SHOWN} of {groups.height:,})"
    table = data_table(caption, heads, rows, right=("attempts", "tried again", "first at"))
    return section("errors", "Errors and retries", table, list(_messages(groups)))


def _row(group: Row, facts: ReportFacts) -> list[str]:
    attempt = group["attempt"]
    told = describe_failure(attempt, attempt["ending"])
    return [
        short_name(told.function),
        ENDINGS[told.ending],
        "" if told.ending is Ending.CANCELLED and not attempt["status_message"] else error_text(told.message),
        place_name(told.place) if told.place else "",
        f"{group['count']:,}",
        f"{group['again']:,}" if group["again"] else "",
        offset_text(attempt["start_ns"] - facts.path.start_ns, facts.path.makespan_ns),
        where_it_ran(attempt),
    ]


def _failed(facts: ReportFacts) -> pl.DataFrame:
    """Attempts that gave no result, with a span or told by task events alone: columns of `schema.TABLE`, and more."""
    told = [frame.select(*TABLE) for frame in (facts.timed.filter("is_run"), facts.attempts)]
    every = pl.concat(told, how="vertical_relaxed")
    last = every.group_by("task_id").agg(last=pl.col("attempt").max())
    return (
        every.join(last, on="task_id", how="left", maintain_order="left", nulls_equal=True)
        .filter(failures())
        .with_columns(
            start_ns=pl.col("start").to_physical(),
            ending=endings(),
            tried_again=(pl.col("attempt") < pl.col("last")).fill_null(False),
        )
        .sort("start_ns", maintain_order=True)
    )


def _messages(groups: pl.DataFrame) -> Iterator[Markup]:
    for row in groups.head(_SHOWN).iter_rows(named=True):
        message = (row["attempt"]["status_message"] or "").strip().splitlines()
        if len(message) > 1:
            text = f"{short_name(row['function'])}: the whole message"
            yield folded(text, tag("pre", lines(*message), tabindex="0"))
