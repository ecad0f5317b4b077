"""The critical path: a bar from start to end, where its time went, and the chain step by step."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

from raytrace_analyze.names.functions import short_name
from raytrace_analyze.path.result import CriticalPath
from raytrace_analyze.report.elements import axis, data_table, folded, legend, notes, percent, section, swatch
from raytrace_analyze.report.facts import ReportFacts
from raytrace_analyze.report.kinds import KINDS, Kind, kind_named, kind_of
from raytrace_analyze.report.markup import Markup, lines, tag
from raytrace_analyze.text.units import count_text, duration_text, offset_text, share_text
from raytrace_analyze.views.paths.chain import chain_lines
from raytrace_analyze.views.paths.segment_endings import with_endings
from raytrace_analyze.views.paths.segment_words import say
from raytrace_analyze.views.words import CATEGORIES

_NARROWEST = 1 / 2000
"""What is a smaller part of the job than this is drawn with its neighbours."""
_NAMED = 0.04
"""From which part of the job on a stretch of one function bears its name."""
_STEPS = 40
_FUNCTIONS = 25

Row = dict[str, Any]


def path_section(facts: ReportFacts) -> Markup:
    """Show the path."""
    path = facts.path
    lead = (
        "The chain of work and waits that decided how long the job took: each part had to end before the next could "
        "start, and only what is on it can make the job shorter."
    )
    if path.segments.is_empty():
        return section("path", "Critical path", tag("p", "The job took no time, so there is no path."), lead=lead)
    return section(
        "path", "Critical path", path_bar(path), path_functions(path), _steps(path), notes(_notes(path)), lead=lead
    )


def path_bar(path: CriticalPath) -> Markup:
    """Draw the path from start to end, each part with its evidence, and name the colours."""
    parts = list(_parts(path))
    drawn = [
        tag(
            "rect",
            tag("title", text),
            x=percent(start / path.makespan_ns),
            width=percent(length / path.makespan_ns),
            height="100%",
            class_=f"k-{kind.key}",
        )
        for start, length, kind, text in parts
    ]
    label = "The critical path by cause, from start to end; the table below has the same in words"
    return tag(
        "div",
        tag("svg", list(_strips(path)), class_="strip", aria_hidden="true"),
        tag("svg", drawn, class_="bar tall", role="img", aria_label=label),
        axis(path.makespan_ns),
        legend(_legend(path)),
        class_="chart",
    )


def _parts(path: CriticalPath) -> Iterator[tuple[int, int, Kind, Markup]]:
    """Give what is drawn: start, length, kind, words; short neighbours as one."""
    least = path.makespan_ns * _NARROWEST
    rows = path.segments.iter_rows(named=True)
    for is_short, group in groupby(rows, key=lambda row: row["duration_ns"] < least):
        members = list(group)
        if is_short and len(members) > 1:
            yield _together(path, members)
        else:
            yield from (_part(path, row) for row in members)


def _part(path: CriticalPath, row: Row) -> tuple[int, int, Kind, Markup]:
    kind = kind_of(row)
    at, took = offset_text(row["start_ns"] - path.start_ns, path.makespan_ns), duration_text(row["duration_ns"])
    share = share_text(row["duration_ns"], path.makespan_ns)
    said = say({**row, "cause": kind.label if row["cause"] else None})
    guess = " (inferred, not recorded)" if row["inferred"] else ""
    source = f" (told by {row['cause_source']})" if row["cause_source"] else ""
    span = f"span {row['span_id']}" if row["span_id"] else None
    return (
        row["start_ns"] - path.start_ns,
        row["duration_ns"],
        kind,
        lines(f"{said}{guess}", f"at {at}, took {took}, {share}{source}", span),
    )


def _together(path: CriticalPath, members: list[Row]) -> tuple[int, int, Kind, Markup]:
    times: dict[Kind, int] = {}
    for row in members:
        times[kind_of(row)] = times.get(kind_of(row), 0) + row["duration_ns"]
    kind = max(times, key=lambda each: times[each])
    start, length = members[0]["start_ns"] - path.start_ns, sum(times.values())
    took = f"took {duration_text(length)} together, most: {kind.label}"
    return start, length, kind, lines(f"{len(members)} short steps", took)


def _strips(path: CriticalPath) -> Iterator[Markup]:
    """Name the functions above the bar, a stretch each."""
    for number, (function, group) in enumerate(
        groupby(path.segments.iter_rows(named=True), key=lambda row: row["function"])
    ):
        members = list(group)
        length = sum(row["duration_ns"] for row in members) / path.makespan_ns
        start = (members[0]["start_ns"] - path.start_ns) / path.makespan_ns
        if length < _NARROWEST:
            continue
        name = tag("text", short_name(function), x="4", y="14", class_="fits") if length >= _NAMED else None
        shade = tag("rect", width="100%", height="100%", class_=f"shade{number % 2}")
        yield tag("svg", shade, name, x=percent(start), width=percent(length), height="20")


def _legend(path: CriticalPath) -> Iterator[tuple[Kind, str]]:
    times: dict[str, int] = {}
    for row in path.segments.select("category", "cause", "activity", "duration_ns").iter_rows(named=True):
        key = kind_of(row).key
        times[key] = times.get(key, 0) + row["duration_ns"]
    for kind in sorted(KINDS, key=lambda each: -times.get(each.key, 0)):
        if kind.key in times:
            yield kind, share_text(times[kind.key], path.makespan_ns)


def path_functions(path: CriticalPath) -> Markup:
    """Tell where the time on a path went, by function."""
    sums = path.by("function", internals=False)
    used = [word for word in CATEGORIES if sums.get_column(f"{word}_ns").sum() > 0]
    heads = ["function", "total", "share", *(CATEGORIES[word] for word in used)]
    rows = [
        [
            short_name(row["function"]),
            duration_text(row["total_ns"]),
            share_text(row["share"], 1),
            *(_cell(row[f"{word}_ns"]) for word in used),
        ]
        for row in sums.head(_FUNCTIONS).iter_rows(named=True)
    ]
    rest = sums.slice(_FUNCTIONS)
    if not rest.is_empty():
        total = int(rest.get_column("total_ns").sum())
        times = [_cell(int(rest.get_column(f"{word}_ns").sum())) for word in used]
        rows.append([f"{rest.height} more", duration_text(total), share_text(total, path.makespan_ns), *times])
    rows.append(
        [
            "all",
            duration_text(path.makespan_ns),
            share_text(1, 1),
            *(_cell(int(sums.get_column(f"{word}_ns").sum())) for word in used),
        ]
    )
    return data_table("Where the time on the path went", heads, rows, right=heads[1:])


def _cell(duration_ns: int) -> str:
    return duration_text(duration_ns) if duration_ns else ""


def _steps(path: CriticalPath) -> Markup:
    lines = chain_lines(with_endings(path.segments, path.spans), _STEPS)
    rows = [
        [
            offset_text(line.start_ns - path.start_ns, path.makespan_ns),
            duration_text(line.duration_ns),
            [swatch(kind_named(line.category)), f"{line.text}{' (inferred)' if line.inferred else ''}"],
        ]
        for line in lines
    ]
    title = f"The chain, step by step ({count_text(path.segments.height, 'step')})"
    shown = data_table("The chain, oldest first", ["at", "took", "what"], rows, right=("at", "took"))
    return folded(title, shown)


def _notes(path: CriticalPath) -> Iterator[str]:
    inferred = int(path.segments.filter("inferred").get_column("duration_ns").sum())
    if inferred:
        yield (
            f"{share_text(inferred, path.makespan_ns)} of the path is inferred: these files do not record what was "
            "waited for, so it is told from what ended just before. Trace with raytrace_hook to know it."
        )
