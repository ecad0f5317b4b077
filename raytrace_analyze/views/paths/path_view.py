"""The critical path on screen, for somebody who never heard of spans."""

from collections.abc import Iterator

import polars as pl
from rich.console import Console, Group, RenderableType
from rich.table import Table

from raytrace_analyze.names.functions import DRIVER, RAYS_OWN, short_name
from raytrace_analyze.path.result import CriticalPath
from raytrace_analyze.text.units import count_text, duration_text, offset_text, share_text
from raytrace_analyze.views.paths.chain import chain_lines
from raytrace_analyze.views.paths.segment_endings import with_endings
from raytrace_analyze.views.paths.segment_words import activity_text
from raytrace_analyze.views.screen.fitted_table import table
from raytrace_analyze.views.screen.label import label
from raytrace_analyze.views.summary_view import how_it_ended, where_it_failed
from raytrace_analyze.views.words import CATEGORIES, group_text
from raytrace_analyze.vocabulary.groups import PathGroup
from raytrace_analyze.vocabulary.paths import ScopeKind
from raytrace_analyze.vocabulary.spans import Outcome
from raytrace_analyze.wording.task_steps import how_long

INFERRED = "~"
_ID = 8
"""How much of an id is shown beside a name."""
_LONGEST_RUNS = 3
_LONG = 0.05
"""From what part of the time on it is said of a run what it did."""
_BAR_WIDTHS = ((100, 24), (0, 10))
"""How long the longest bar may be, from which width of the screen on."""
_HEADS = {
    "self": "running",
    "queue": "waiting\nto start",
    "submit": "sub-\nmitting",
    "fetch": "getting\nresults",
    "wait": "other\nwaits",
}
"""The same as column heads, narrow."""
_LESS = ("fetch", "submit", "wait", "queue", "self")
"""Whose times go on a narrow screen, in this order."""
_BAR_STYLES = {"self": "green", "queue": "yellow", "submit": "cyan", "fetch": "magenta", "wait": "red"}


def show_path(path: CriticalPath, console: Console, *, top: int, by: str, internals: bool = False) -> None:
    """Print a path: the answer in a sentence, where the time went, and the chain itself.

    Where the time went, what Ray's libraries run for themselves is one line, without `internals`.
    """
    console.print(Group(*_parts(path, top, by, console.width, internals)))


def _parts(path: CriticalPath, top: int, by: str, width: int, internals: bool) -> Iterator[RenderableType]:
    yield from _answer(path)
    if path.segments.is_empty():
        return
    yield label("")
    yield label("Where the time on the chain went.", style="bold")
    yield path_sums(path, top, by, internals=internals)
    yield label("")
    yield from _activity(path)
    yield label("The chain, oldest first: each line had to end before the next could start.", style="bold")
    yield _chain(path, top, next(bar for least, bar in _BAR_WIDTHS if width >= least))
    yield from _legend(path)


def _answer(path: CriticalPath) -> Iterator[RenderableType]:
    scope, took = path.scope, duration_text(path.makespan_ns)
    if scope.kind == ScopeKind.TASK:
        how = how_long(took, has_ended=path.ended.outcome is not Outcome.UNFINISHED)
        what = f"Task {short_name(scope.name)} {how}."
    else:
        name = f" ({scope.name})" if scope.name else ""
        what = how_it_ended(path.ended, took, f"{scope.kind.capitalize()} {scope.id}{name}")
    yield label(what, style="bold")
    yield from (label(line) for line in where_it_failed(path.ended))
    if path.runs and scope.kind != ScopeKind.TASK:
        yield label(
            f"It ran {count_text(path.runs, 'task')}, {duration_text(path.work_ns)} of work: "
            f"{path.parallelism:.2f} tasks at a time on average."
        )
    if not path.segments.is_empty():
        yield label(_most(path))


def _most(path: CriticalPath) -> str:
    first = path.by("function").row(0, named=True)
    parts = [
        f"{duration_text(first[f'{category}_ns'])} {kind}"
        for category, kind in CATEGORIES.items()
        if first[f"{category}_ns"] * 20 >= first["total_ns"]
    ]
    name = "the driver" if first["function"] == DRIVER else short_name(first["function"])
    return f"What decided that time most is {name}: {share_text(first['share'], 1)} of it ({', '.join(parts)})."


def path_sums(path: CriticalPath, top: int, by: str, *, internals: bool = False) -> Table:
    """Make the table of where the time on a path went, summed by a group.

    Without `internals` what Ray's libraries run for themselves is one line.
    """
    groups = path.by(by, internals=internals)
    used = [kind for kind in CATEGORIES if groups.get_column(f"{kind}_ns").sum() > 0]
    # A head in two lines leaves the first column the room that it needs.
    heads = [_HEADS[kind] for kind in used]
    shown = table(by, "total", "share", *heads, right=("total", "share", *heads), drop=[_HEADS[kind] for kind in _LESS])
    names = dict(path.actors.select("actor_id", "actor").iter_rows()) if by == "actor" else {}
    is_rays = pl.col(by).eq_missing(pl.lit(RAYS_OWN)) if by == PathGroup.FUNCTION else pl.lit(False)
    listed = groups.filter(~is_rays)
    for row in listed.head(top).iter_rows(named=True):
        head = _actor(row[by], names) if row[by] in names else group_text(by, row[by])
        times = [duration_text(row[f"{kind}_ns"]) if row[f"{kind}_ns"] else "" for kind in used]
        shown.add_row(head, duration_text(row["total_ns"]), share_text(row["share"], 1), *times)
    rest = listed.slice(top)
    if not rest.is_empty():
        times = [_total(rest, kind) for kind in used]
        total = int(rest.get_column("total_ns").sum())
        shown.add_row(
            f"{rest.height} more", duration_text(total), share_text(total, path.makespan_ns), *times, style="dim"
        )
    for row in groups.filter(is_rays).iter_rows(named=True):
        times = [duration_text(row[f"{kind}_ns"]) if row[f"{kind}_ns"] else "" for kind in used]
        shown.add_row(RAYS_OWN, duration_text(row["total_ns"]), share_text(row["share"], 1), *times, style="dim")
    totals = [_total(groups, kind) for kind in used]
    shown.add_row("all", duration_text(path.makespan_ns), share_text(1, 1), *totals, style="bold")
    shares = [share_text(int(groups.get_column(f"{kind}_ns").sum()), path.makespan_ns) for kind in used]
    shown.add_row("", "", "", *shares, style="dim")
    return shown


def _actor(actor_id: str, names: dict[str, str]) -> str:
    """An actor by what it is called, with the beginning of its id."""
    return f"{names[actor_id]} ({actor_id[:_ID]})"


def _activity(path: CriticalPath) -> Iterator[RenderableType]:
    """Say of the longest runs on the chain what they did, where somebody looked."""
    told = path.activity().filter(pl.col("self_ns") >= _LONG * path.makespan_ns)
    told = told.filter(pl.col("cpu_ns") + pl.col("idle_ns") > 0).head(_LONGEST_RUNS)
    if told.is_empty():
        return
    yield label("What ran longest on it, and how.", style="bold")
    for row in told.iter_rows(named=True):
        yield label(activity_text(row))
    yield label("")


def _total(groups: pl.DataFrame, kind: str) -> str:
    total = int(groups.get_column(f"{kind}_ns").sum())
    return duration_text(total) if total else ""


def _chain(path: CriticalPath, top: int, bar_width: int) -> Table:
    shown = table("at", "took", "", "", right=("at", "took"))
    shown.columns[2].no_wrap = True
    told = path.actors.filter(~pl.col("is_alone")).select("actor_id", on="actor")
    segments = path.segments.join(told, on="actor_id", how="left", maintain_order="left")
    for line in chain_lines(with_endings(segments, path.spans), top):
        bar = "█" * round(bar_width * line.duration_ns / path.makespan_ns)
        text = label(line.text, style="dim" if line.is_folded else "")
        if line.inferred:
            text.append(f" {INFERRED}", style="yellow")
        shown.add_row(
            offset_text(line.start_ns - path.start_ns, path.makespan_ns),
            duration_text(line.duration_ns),
            label(bar or "·", style=_BAR_STYLES[line.category]),
            text,
        )
    return shown


def _why_inferred(path: CriticalPath) -> str:
    """Say what is missing: our hook records waits, but not each of every library."""
    if path.spans.get_column("records_waits").any():
        return "what was waited for there was not recorded, so it is told from what ended just before."
    return (
        "these files do not record what was waited for, so it is told from what ended just before. "
        "Trace with raytrace_hook to know it."
    )


def _legend(path: CriticalPath) -> Iterator[RenderableType]:
    inferred = int(path.segments.filter(pl.col("inferred")).get_column("duration_ns").sum())
    if inferred:
        yield label("")
        share = share_text(inferred, path.makespan_ns)
        yield label(f"{INFERRED} inferred ({share} of the time): {_why_inferred(path)}", style="yellow")
    for note in path.notes:
        yield label(f"Note: {note}.", style="dim")
