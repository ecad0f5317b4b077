"""What the cluster did meanwhile: tasks running and waiting over time against the slots, and idle slots by cause."""

from collections.abc import Iterator

import polars as pl

from raytrace_analyze.analyses.cluster_use import ClusterUse
from raytrace_analyze.names.functions import rays_own_together, short_name
from raytrace_analyze.report.elements import axis, bar, data_table, legend, percent, section, swatch
from raytrace_analyze.report.facts import ReportFacts
from raytrace_analyze.report.kinds import Kind, cause_kind
from raytrace_analyze.report.markup import Markup, join, tag
from raytrace_analyze.text.units import duration_text, share_text

_USED = Kind("run", "used by tasks")
_TALL = 1000
"""How high a plot is in its own units, whatever it is drawn in."""
_CAUSES_SHOWN = 30


def cluster_section(facts: ReportFacts) -> Markup:
    """Show it."""
    use = facts.use
    lead = "Tasks running and waiting over time" + (
        f", against the slots (CPUs) that there were for tasks: {_number(use.slots)}."
        if use.slots is not None
        else ". How many slots there were, neither the spans nor their queues tell."
    )
    content = [use_charts(use), *_queues(facts)]
    return section("cluster", "The cluster meanwhile", content, lead=lead)


def use_charts(use: ClusterUse) -> Markup:
    """Draw what the cluster did over time, and what its slot time went to."""
    running = use.over_time.get_column("running")
    ceiling = max(_max(running), use.slots or 0.0, 1.0)
    waiting = use.over_time.get_column("waiting")
    used = use.over_time.get_column("used_slots")
    plots = [
        _plot("Running tasks", [("running", running), ("used", used)], ceiling, use.slots),
        _plot("Waiting tasks", [("waiting", waiting)], max(_max(waiting), 1.0), None),
    ]
    return join([tag("div", plots, axis(use.end_ns - use.start_ns), class_="chart"), *_idle(use)])


def _plot(name: str, levels: list[tuple[str, pl.Series]], ceiling: float, slots: float | None) -> Markup:
    """Draw levels over time, one in front of the other, up to a ceiling."""
    count = levels[0][1].len()
    areas = [tag("polygon", points=_outline(level, ceiling), class_=f"area-{key}") for key, level in levels]
    shape = tag("svg", areas, viewBox=f"0 0 {count} {_TALL}", preserveAspectRatio="none", width="100%", height="100%")
    marks = []
    if slots is not None:
        at = percent(1 - slots / ceiling)
        marks = [tag("line", x1="0", x2="100%", y1=at, y2=at, class_="capacity")]
    level = levels[0][1]
    most = f"at most {_number(_max(level))}, on average {_number(float(str(level.mean() or 0)))}"
    if len(levels) > 1:
        most += "; strong: holding a slot, faint: without one (waiting inside for others, or an actor's method)"
    if slots is not None:
        most += f"; dashed: how many slots there were ({_number(slots)})"
    return tag(
        "figure",
        tag("figcaption", tag("b", name), f" {most}"),
        tag("svg", shape, marks, class_="plot", role="img", aria_label=f"{name} over time: {most}"),
    )


def _outline(level: pl.Series, ceiling: float) -> str:
    heights = [_TALL - round(_TALL * value / ceiling) for value in level.to_list()]
    points = " ".join(f"{place},{height} {place + 1},{height}" for place, height in enumerate(heights))
    return f"0,{_TALL} {points} {len(heights)},{_TALL}"


def _idle(use: ClusterUse) -> Iterator[Markup]:
    share = use.used_share
    if share is None or use.slots is None:
        return
    whole = use.slots * (use.end_ns - use.start_ns)
    parts = [(_USED, share), *((cause_kind(row["cause"]), row["share"]) for row in use.idle.iter_rows(named=True))]
    yield tag("h3", "Slot time: used, and idle by cause")
    yield tag(
        "p",
        f"Tasks used {share_text(share, 1)} of the {duration_text(whole)} of slot time. An idle slot is put down to "
        "what the tasks waited for that had been submitted and did not run yet; beyond those there was nothing to run.",
    )
    yield bar(parts, "Slot time by use")
    yield legend((kind, f"{share_text(part, 1)}") for kind, part in parts)


def _queues(facts: ReportFacts) -> Iterator[Markup]:
    queues = facts.queues
    if queues.is_empty():
        return
    yield tag("h3", "What tasks waited for before they started")
    sums = (
        queues.with_columns(rays_own_together(pl.col("function")))
        .sort("duration_ns", descending=True, maintain_order=True)
        .group_by("cause", "function", maintain_order=True)
        .agg(
            total=pl.col("duration_ns").sum(),
            runs=pl.col("span_id").n_unique(),
            longest=pl.col("duration_ns").max(),
            sentence=pl.col("sentence").first(),
        )
        .sort("total", descending=True, maintain_order=True)
    )
    whole = int(sums.get_column("total").sum())
    rows = [
        [
            [swatch(cause_kind(row["cause"])), cause_kind(row["cause"]).label],
            short_name(row["function"]),
            f"{row['runs']:,}",
            duration_text(row["total"]),
            share_text(row["total"], whole),
            row["sentence"],
        ]
        for row in sums.head(_CAUSES_SHOWN).iter_rows(named=True)
    ]
    heads = ["cause", "function", "tasks", "total", "share", "the longest"]
    caption = "Time in queues by cause and function"
    if sums.height > _CAUSES_SHOWN:
        caption += f" (the first {_CAUSES_SHOWN} of {sums.height:,}, by time)"
    yield data_table(caption, heads, rows, right=("tasks", "total", "share"))


def _max(values: pl.Series) -> float:
    return float(str(values.max() or 0.0))


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,.1f}"
