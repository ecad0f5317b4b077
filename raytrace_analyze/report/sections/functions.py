"""Functions: cumulative time of each, and how its latencies are spread, run, wait and submit apart."""

import math
from collections.abc import Iterator
from typing import Any

import polars as pl

from raytrace_analyze.analyses.latency import QUANTILES, TIMES
from raytrace_analyze.names.functions import rays_own_together, short_name
from raytrace_analyze.report.elements import bar, data_table, legend, percent, section
from raytrace_analyze.report.facts import ReportFacts
from raytrace_analyze.report.kinds import Kind, cause_kind, kind_named
from raytrace_analyze.report.markup import Child, Markup, tag
from raytrace_analyze.text.units import count_text, duration_text, share_text
from raytrace_analyze.vocabulary.paths import Category
from raytrace_analyze.vocabulary.queues import Cause

_SHOWN = 40
_RUN, _QUEUE, _SUBMIT = (kind_named(category) for category in (Category.SELF, Category.QUEUE, Category.SUBMIT))
_FETCH = cause_kind(Cause.TRANSFER)
_OF_TIME = {"run": _RUN, "queue": _QUEUE, "submit": _SUBMIT}

Row = dict[str, Any]


def functions_section(facts: ReportFacts) -> Markup:
    """Show it."""
    stats = facts.stats
    if stats.is_empty():
        return section("functions", "Functions", tag("p", "No task ran."))
    lead = (
        "All runs of each function, on the critical path or off it. Cumulative time is summed over runs, which "
        "overlap: much of it need not mean that the function decided anything."
    )
    return section("functions", "Functions", _cumulative(facts), latency_table(stats), lead=lead)


def _cumulative(facts: ReportFacts) -> list[Markup]:
    transfers = facts.queues.filter(cause=str(Cause.TRANSFER))
    sums = transfers.group_by(rays_own_together(pl.col("function"))).agg(pl.col("duration_ns").sum())
    fetched = dict(sums.iter_rows())
    stats = facts.stats.head(_SHOWN)
    most = max((_whole(row) for row in stats.iter_rows(named=True)), default=1) or 1
    rows = []
    for row in stats.iter_rows(named=True):
        fetch = int(fetched.get(row["function"], 0))
        times = _split(row, fetch)
        parts = [(kind, time / most) for kind, time in times]
        rows.append(
            [
                short_name(row["function"]),
                f"{row['count']:,}",
                *(duration_text(time) if time else "" for _, time in times),
                share_text(row["path_share"], 1),
                bar(parts, ", ".join(f"{kind.label} {duration_text(time)}" for kind, time in times)),
            ]
        )
    heads = [
        "function",
        "runs",
        *(kind.label for kind, _ in _split(dict.fromkeys(_TOTALS, 0), 0)),
        "on the path",
        "all",
    ]
    caption = "Cumulative time per function" + _of(facts.stats.height)
    return [
        data_table(caption, heads, rows, right=heads[1:-1]),
        legend((kind, "") for kind in (_RUN, _FETCH, _QUEUE, _SUBMIT)),
    ]


_TOTALS = tuple(f"{time}_total_ns" for time in TIMES)


def _whole(row: Row) -> int:
    return sum(int(row[total]) for total in _TOTALS)


def _split(row: Row, fetch: int) -> list[tuple[Kind, int]]:
    """Divide what all runs of a function took; the fetching of arguments is a part of the wait to start."""
    queue = max(int(row["queue_total_ns"]) - fetch, 0)
    return [(_RUN, int(row["run_total_ns"])), (_FETCH, fetch), (_QUEUE, queue), (_SUBMIT, int(row["submit_total_ns"]))]


STATS_NEEDED = (
    *("count", "errors"),
    *(f"{time}_{name}_ns" for time in TIMES for name, _ in QUANTILES),
)
"""The columns of `latency_stats` that `latency_table` shows."""


def latency_table(stats: pl.DataFrame) -> Markup:
    """Show latencies from p50 to the maximum, with drawings.

    What they are of stands in the first column of `stats`; the others that are looked at are `STATS_NEEDED`.
    """
    values = stats.select(f"{time}_{name}_ns" for time in TIMES for name, _ in QUANTILES).unpivot()
    known = values.get_column("value").drop_nulls()
    scale = _Scale(float(str(known.min() or 1)), float(str(known.max() or 1)))
    of = stats.columns[0]
    shown = stats.head(_SHOWN).rename({of: "of"})
    rows = [cells for row in shown.iter_rows(named=True) for cells in _times(row, scale)]
    heads = [of, "runs", "failed", "", *(name for name, _ in QUANTILES), "spread"]
    caption = f"Latency per {of}{_of(stats.height)}: bars from p50 to the maximum, logarithmic, marks between"
    return data_table(caption, heads, rows, right=("runs", "failed", *(name for name, _ in QUANTILES)))


def _times(row: Row, scale: "_Scale") -> Iterator[list[Child]]:
    for place, (time, kind) in enumerate(_OF_TIME.items()):
        quantiles = {name: row[f"{time}_{name}_ns"] for name, _ in QUANTILES}
        if place and quantiles["max"] is None:
            continue
        yield [
            short_name(row["of"]) if not place else tag("span", short_name(row["of"]), class_="unseen"),
            f"{row['count']:,}" if not place else "",
            f"{row['errors']:,}" if not place and row["errors"] else "",
            kind.label,
            *("" if value is None else duration_text(value) for value in quantiles.values()),
            "" if quantiles["max"] is None else scale.draw(quantiles, kind),
        ]


_THINNEST = 0.01
"""What part of the width a bar takes at least; the longest has room for it."""


class _Scale:
    """A logarithmic scale of durations."""

    def __init__(self, least: float, most: float) -> None:
        self.least = math.log(max(least, 1.0))
        self.length = max(math.log(max(most, 1.0)) - self.least, 1e-9)

    def _at(self, duration_ns: float) -> float:
        share = (math.log(max(duration_ns, 1.0)) - self.least) / self.length
        return (1.0 - _THINNEST) * min(max(share, 0.0), 1.0)

    def draw(self, quantiles: dict[str, int], kind: Kind) -> Markup:
        """Draw how the durations of one kind are spread."""
        first, last = self._at(quantiles["p50"]), self._at(quantiles["max"])
        told = ", ".join(f"{name} {duration_text(value)}" for name, value in quantiles.items())
        span = tag(
            "rect",
            x=percent(first),
            width=percent(max(last - first, _THINNEST)),
            y="5",
            height="8",
            class_=f"k-{kind.key}",
        )
        marks = [
            tag("line", x1=percent(self._at(value)), x2=percent(self._at(value)), y1="2", y2="16", class_="mark")
            for value in quantiles.values()
        ]
        return tag("svg", span, marks, class_="spread", role="img", aria_label=told)


def _of(count: int) -> str:
    return f" (the first {_SHOWN} of {count_text(count, 'function')}, by run time)" if count > _SHOWN else ""
