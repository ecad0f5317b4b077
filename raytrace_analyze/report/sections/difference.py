"""Two runs: what moved the time from BASE to NEW, function by function and cause by cause."""

from typing import Any

from raytrace_analyze.analyses.diff import RunDiff
from raytrace_analyze.names.functions import short_name
from raytrace_analyze.report.elements import data_table, notes, percent, section
from raytrace_analyze.report.kinds import cause_kind
from raytrace_analyze.report.markup import Child, Markup, tag
from raytrace_analyze.text.units import duration_text, share_text
from raytrace_analyze.views.diff_view import answer, test_text
from raytrace_analyze.views.words import CATEGORIES
from raytrace_analyze.vocabulary.groups import DiffGroup

_SHOWN = 40

Row = dict[str, Any]


def difference_section(found: RunDiff, names: tuple[str, str]) -> Markup:
    """Show the difference; `names` are what the user called BASE and NEW."""
    base, new = (
        [
            name,
            side,
            f"{group.count:,}",
            duration_text(group.makespan_ns),
        ]
        for name, side, group in (("BASE", names[0], found.base), ("NEW", names[1], found.new))
    )
    sides = data_table(
        "The two sides", ["", "input", "runs", "took on average"], [base, new], right=("runs", "took on average")
    )
    return section(
        "difference",
        "What changed",
        sides,
        difference_tables(found),
        _functions(found),
        tag("p", f"Noise: {test_text(found)}.", class_="small"),
        notes(f"{note}." for note in found.notes),
        lead=answer(found),
    )


def difference_tables(found: RunDiff) -> list[Markup]:
    """Break a difference down by function, by category and by cause."""
    return [_table(found, group) for group in (DiffGroup.FUNCTION, DiffGroup.CATEGORY, DiffGroup.CAUSE)]


def _table(found: RunDiff, group: DiffGroup) -> Markup:
    parts = found.by(group)
    most = max((abs(row["difference_ns"]) for row in parts.iter_rows(named=True)), default=0) or 1
    rows = [
        [
            _name(row[group], group),
            duration_text(row["base_ns"]),
            duration_text(row["new_ns"]),
            _signed(row["difference_ns"]),
            share_text(abs(row["difference_ns"]), found.base.makespan_ns),
            _both_ways(row["difference_ns"] / most),
            _judgement(row),
        ]
        for row in parts.head(_SHOWN).iter_rows(named=True)
    ]
    heads = [str(group), "BASE", "NEW", "difference", "of BASE's time", "", "noise"]
    caption = f"The critical path by {group}: the differences add up to that of the whole time"
    if parts.height > _SHOWN:
        caption += f" (the first {_SHOWN} of {parts.height:,})"
    return data_table(caption, heads, rows, right=heads[1:5])


def _name(value: str | None, group: DiffGroup) -> str:
    if group is DiffGroup.FUNCTION:
        return short_name(value)
    if group is DiffGroup.CATEGORY:
        return CATEGORIES[str(value)]
    return "no wait in a queue" if value is None else cause_kind(value).label


def _judgement(row: Row) -> str:
    if row["presence"] != "both":
        return "only in NEW" if row["presence"] == "new" else "only in BASE"
    return "" if row["is_noise"] is None else "noise" if row["is_noise"] else "beyond noise"


def _signed(difference_ns: int) -> str:
    return f"{'+' if difference_ns > 0 else ''}{duration_text(difference_ns)}"


def _both_ways(share: float) -> Markup:
    """Draw a difference from the middle: shorter to the left, longer to the right."""
    width, left = abs(share) / 2, 0.5 - max(-share, 0.0) / 2
    shape = tag(
        "rect", x=percent(left), width=percent(width), height="100%", class_="longer" if share > 0 else "shorter"
    )
    middle = tag("line", x1="50%", x2="50%", y1="0", y2="100%", class_="mark")
    return tag("svg", shape, middle, class_="bar", role="img", aria_label="longer" if share > 0 else "shorter")


def _functions(found: RunDiff) -> Markup | None:
    if found.functions.is_empty():
        return None
    rows: list[list[Child]] = [
        [
            short_name(row["function"]),
            _count(row["base_count"]),
            _count(row["new_count"]),
            *(_time(row[name]) for name in ("base_p50_ns", "new_p50_ns", "base_p95_ns", "new_p95_ns")),
            _signed(row["path_difference_ns"]),
        ]
        for row in found.functions.head(_SHOWN).iter_rows(named=True)
    ]
    heads = ["function", "runs BASE", "runs NEW", "p50 BASE", "p50 NEW", "p95 BASE", "p95 NEW", "on the path"]
    return data_table("Each function's task runs, on the path or off it", heads, rows, right=heads[1:])


def _time(value: int | None) -> str:
    return "" if value is None else duration_text(value)


def _count(value: float | None) -> str:
    return "" if value is None else f"{value:,.6g}"
