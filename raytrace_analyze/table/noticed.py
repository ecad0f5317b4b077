"""What is noticed about the spans of a table while it is put together, in one go or part by part."""

from collections.abc import Iterable, Sequence

import polars as pl

from raytrace_analyze.model import Problem, ProblemKind
from raytrace_analyze.names.serve import is_handle, is_route
from raytrace_analyze.table.lineage import Flags
from raytrace_analyze.text.units import duration_text
from raytrace_analyze.values import frozen

_IDENTITY = ["trace_id", "span_id"]
_FIRST = ("start", "trace_id", "span_id", "name", "source")
_MICROSECOND = "1us"
_EXAMPLES = 3
_SHOWN_OF_NAME = 200
"""A name can be a megabyte; the id beside it is what finds the span."""


@frozen
class Noticed:
    """Spans of one kind among others."""

    count: int
    among: int
    first: pl.DataFrame
    """The first of them in order of start, trace and id: `name`, `source`; no row where there is none."""
    most_ns: int = 0


def backwards(spans: pl.DataFrame) -> Noticed:
    """Tell which spans end before they start. Takes spans in order of start, trace and id."""
    found = spans.filter(pl.col("end") < pl.col("start"))
    most = found.select((pl.col("start") - pl.col("end")).max().dt.total_nanoseconds()).item()
    return Noticed(found.height, spans.height, found.select(_FIRST).head(1), most or 0)


def orphans(spans: pl.DataFrame, lacks_parent: Flags) -> Noticed:
    """Tell which spans name a parent that is not there. Takes them in order of start, trace and id."""
    lost = spans.select(_FIRST).filter(pl.Series(lacks_parent))
    return Noticed(lost.height, spans.height, lost.head(1))


def contradictions(copies: pl.DataFrame) -> pl.DataFrame:
    """Give the spans whose copies differ; takes all copies, in order of trace and span id."""
    # A table says what the spans of a request to Ray Serve are, the files that it came from what Serve called them.
    is_derived = is_route(pl.col("name")) | is_handle(pl.col("name"))
    said = pl.struct(
        "name",
        pl.when(~is_derived).then("kind").alias("kind"),
        "parent_id",
        "status",
        pl.col("start", "end").dt.truncate(_MICROSECOND),
        pl.col("attributes").str.replace_all(r"\s", ""),
    )
    return (
        copies.filter(pl.col("end").is_not_null())
        .group_by(_IDENTITY, maintain_order=True)
        .agg(said.n_unique().alias("versions"), pl.col("source").unique().sort(), pl.col("name").first())
        .filter(pl.col("versions") > 1)
    )


def backwards_problems(found: Iterable[Noticed]) -> list[Problem]:
    """Put what `backwards` found into words."""
    whole = _together(found)
    what = f"end before they start, by up to {duration_text(whole.most_ns)}"
    then = ": a clock was set back; they are taken to end as they start"
    return _problem(ProblemKind.BACKWARDS, whole, what, then, lost=whole.count)


def orphan_problems(found: Iterable[Noticed]) -> list[Problem]:
    """Put what `orphans` found into words."""
    what = "name a parent that is in none of the files"
    return _problem(ProblemKind.MISSING_PARENT, _together(found), what, "; they are treated as roots")


def _problem(kind: ProblemKind, whole: Noticed, what: str, then: str, lost: int = 0) -> list[Problem]:
    if not whole.count:
        return []
    first = whole.first.row(0, named=True)
    name = first["name"][:_SHOWN_OF_NAME]
    said = f"{whole.count:,} of {whole.among:,} spans {what} (first: span {first['span_id']}, {name}){then}"
    return [Problem(kind, first["source"] or "", None, said, lost)]


def contradiction_problems(found: Sequence[pl.DataFrame]) -> list[Problem]:
    """Put what `contradictions` found into words."""
    differing = pl.concat(found).sort(_IDENTITY) if found else pl.DataFrame()
    problems = [
        Problem(
            ProblemKind.CONFLICT,
            row["source"][0],
            None,
            f"{row['versions']} records of span {row['span_id']} ({row['name'][:_SHOWN_OF_NAME]}) differ; "
            "kept the one that ended later",
        )
        for row in differing.head(_EXAMPLES).iter_rows(named=True)
    ]
    if (more := differing.height - len(problems)) > 0:
        problems.append(Problem(ProblemKind.CONFLICT, "", None, f"{more} more spans have records that differ"))
    return problems


def _together(found: Iterable[Noticed]) -> Noticed:
    parts = list(found)
    first = pl.concat(part.first for part in parts).sort("start", "trace_id", "span_id").head(1)
    return Noticed(
        sum(part.count for part in parts),
        sum(part.among for part in parts),
        first,
        max(part.most_ns for part in parts),
    )
