"""What a segment of a path was, or several of them, in words; and what a span did in its own time."""

from collections.abc import Iterable
from typing import Any

import polars as pl

from raytrace_analyze.names.functions import DRIVER, name_of, short_name
from raytrace_analyze.names.serve import ROUTE_SPAN
from raytrace_analyze.names.spans import DRIVER_SPAN, RUN_SUFFIX
from raytrace_analyze.text.units import count_text, duration_text
from raytrace_analyze.views.words import CAUSES, ENDINGS, awaited_text, let_go_text, place_name
from raytrace_analyze.vocabulary.paths import Activity, Category
from raytrace_analyze.vocabulary.spans import Ending

IS_RUNNING = (pl.col("category") == Category.SELF) & pl.col("name").str.ends_with(RUN_SUFFIX)
"""Of segments: a task's run in its own time."""
_SHARE_OF_QUEUES = 20
"""A series says how long its queues were if they were more than one part in so many."""
_CAUSES_SHOWN = 2
_SHARE_SHOWN = 10
"""A cause of less than this part of a wait is not named."""

Segment = dict[str, Any]


def because(causes: Iterable[tuple[str | None, int]]) -> str | None:
    """Name the causes that took most of some waits (causes, times in ns); where there are several, with their times."""
    times: dict[str, int] = {}
    for cause, duration in causes:
        if cause is not None:
            times[cause] = times.get(cause, 0) + duration
    if not times:
        return None
    ranked = sorted(times.items(), key=lambda item: -item[1])[:_CAUSES_SHOWN]
    named = [(CAUSES.get(cause, cause), time) for cause, time in ranked if time * _SHARE_SHOWN >= ranked[0][1]]
    if len(named) < 2:
        return named[0][0] if named else None
    return ", ".join(f"{text} {duration_text(time)}" for text, time in named)


def say(segment: Segment) -> str:
    """Tell a segment in words; its `cause` is in words already; its `on`, `ended` and `missing` may be left out."""
    function = short_name(segment["function"])
    name = segment["name"]
    where = _where(segment)
    because = f" ({segment['cause']})" if segment["cause"] else ""
    who = _who(segment["function"])
    ending = ", never ended" if segment["in_flight"] else ""
    ending = f", and {ENDINGS[segment['ended']]}" if segment.get("ended") else ending
    if segment.get("ended") == Ending.KILLED:
        ending = ", until Ray noticed that it was killed"  # nobody tells when that was
    match segment["category"]:
        case "queue" if str(segment["name"]).startswith(ROUTE_SPAN):
            return f"a request of {function} waits for a replica that takes it (router's queue){where}"
        case "submit":
            return f"{function} is submitted{because}{where}"
        case "queue":
            return f"{function} waits to start{because}{where if segment.get('on') else ''}"
        case "fetch":
            if segment["cause"] and segment["idle_in"] is None:
                return f"{who} waits for a first result: its process loads what it stores results with{where}"
            return f"{who} {let_go_text(segment['idle_in'], name)}{where}"
        case "wait":
            missing = segment.get("missing")
            never = "never ended" if segment.get("is_open") else "never started"
            never = "failed and did not run again" if segment.get("has_failed") else never
            what = f" for {short_name(missing)}, which {never}" if missing else ""
            return f"{who} waits {awaited_text(segment['idle_in'], name)}{what}{because}{ending}{where}"
    if name is None:
        return "the driver runs, or waits for something not traced"
    is_whole = is_run(segment) or name == DRIVER_SPAN
    does = _does(segment)
    if does is None:
        return f"{who} {'runs' if is_whole else f'is in {name}'}{ending}{where}"
    return f"{who} {does}{'' if is_whole else f' (in {name})'}{ending}{where}"


def _where(segment: Segment) -> str:
    process = f" [process {segment['pid']}]" if segment["pid"] is not None else ""
    return f" [{segment['on']}]" if segment.get("on") else process


def _who(function: str) -> str:
    return "the driver" if function == DRIVER else short_name(function)


def series_text(segments: pl.DataFrame) -> str:
    """Tell the segments of several runs of one function that follow each other."""
    runs = segments.filter(IS_RUNNING).get_column("span_id")
    count = runs.n_unique()
    visits = segments.get_column("span_id").filter(segments.get_column("span_id").is_in(runs.unique().implode()))
    order = "one after another" if int(visits.rle_id()[-1]) < count else "in turn"
    text = f"{short_name(segments.item(0, 'function'))} runs {count_text(count, 'time')}, {order}"
    text += f", the longest {duration_text(_longest_run(segments))}"
    if "on" in segments.columns and segments.get_column("on").n_unique() == 1 and segments.item(0, "on") is not None:
        text += f" [{segments.item(0, 'on')}]"
    took = int(segments.get_column("duration_ns").sum())
    # What it gets for which no task stands it waited for, too: Ray itself took that time.
    gets = (pl.col("category") == Category.FETCH) & pl.col("idle_in").is_not_null()
    waits = segments.filter((pl.col("category") == Category.WAIT) | gets)
    waited = int(waits.get_column("duration_ns").sum())
    if waited * _SHARE_OF_QUEUES > took:
        longest = waits.sort("duration_ns", descending=True, maintain_order=True).row(0, named=True)
        text += f"; {duration_text(waited)} of it waiting {awaited_text(longest['idle_in'], longest['name'])}"
    lost = segments.get_column("ended").count() if "ended" in segments.columns else 0
    if lost:
        text += f"; {lost:,} of them gave no result"
    queues = segments.filter(category=Category.QUEUE)
    between = int(queues.get_column("duration_ns").sum())
    if between * _SHARE_OF_QUEUES > took:
        causes = because(queues.group_by("cause", maintain_order=True).agg(pl.sum("duration_ns")).iter_rows())
        text += f"; {duration_text(between)} of it waiting to start{f' ({causes})' if causes else ''}"
    return text


def _longest_run(segments: pl.DataFrame) -> int:
    """The longest stretch of one run between two queues, with all that is nested in it."""
    is_queue = pl.col("category") == Category.QUEUE
    run = pl.when(IS_RUNNING).then("span_id").forward_fill().backward_fill().over("stretch")
    stretches = segments.with_columns(stretch=is_queue.cum_sum()).filter(~is_queue).with_columns(run=run)
    longest = stretches.group_by("stretch", "run").agg(pl.sum("duration_ns")).select(pl.max("duration_ns")).item()
    return longest or 0


def loop_text(segments: pl.DataFrame) -> str:
    """Tell the segments of one span that submits and goes on, several times."""
    own, submits = (segments.filter(category=one) for one in (Category.SELF, Category.SUBMIT))
    functions = submits.get_column("function").value_counts().sort("count", "function", descending=[True, False])
    often = functions.item(0, "count")
    others = submits.height - often
    who = "somebody" if own.is_empty() else _who(own.item(0, "function"))
    what = f"{short_name(functions.item(0, 'function'))} {count_text(often, 'time')}"
    rest = f" and {count_text(others, 'other task')}" if others else ""
    spent = duration_text(int(submits.get_column("duration_ns").sum()))
    where = _where(segments.row(-1, named=True))
    idle = _idle_text(own, int(segments.get_column("duration_ns").sum()))
    return f"{who} submits {what}{rest}, one after another, {spent} of it submitting{idle}{where}"


def _idle_text(own: pl.DataFrame, took_ns: int) -> str:
    """Say how long some segments of a loop were idle, and where longest; nothing where that is little."""
    idle = own.filter(activity=Activity.IDLE)
    idle_ns = int(idle.get_column("duration_ns").sum())
    if idle_ns * _SHARE_SHOWN <= took_ns:
        return ""
    places = idle.group_by("idle_in", "idle_at").agg(pl.sum("duration_ns"))
    longest = places.sort("duration_ns", "idle_in", "idle_at", descending=[True, False, False]).row(0, named=True)
    at = f" at {place_name(longest['idle_at'])}" if longest["idle_at"] else ""
    return f", {duration_text(idle_ns)} idle in {longest['idle_in'] or 'something'}{at}"


def _does(segment: Segment) -> str | None:
    """Say what a span's own time was, None where nobody looked."""
    if segment["activity"] == Activity.CPU:
        return "works"
    if segment["activity"] == Activity.IDLE:
        at = f" at {place_name(segment['idle_at'])}" if segment["idle_at"] else ""
        return f"is idle in {segment['idle_in'] or 'something'}{at}"
    return None


def activity_text(row: dict[str, Any]) -> str:
    """Say how much of its own time a span was on the CPU, idle and in what, unknown (a row of `RUN_ACTIVITY`)."""
    parts = []
    if row["cpu_ns"]:
        parts.append(f"{duration_text(row['cpu_ns'])} on the CPU")
    if row["idle_ns"]:
        at = f" at {place_name(row['idle_at'])}" if row["idle_at"] else ""
        elsewhere = row["idle_ns"] - row["idle_there_ns"]
        rest = f" ({duration_text(elsewhere)} of it elsewhere)" if elsewhere * _SHARE_SHOWN > row["idle_ns"] else ""
        parts.append(f"{duration_text(row['idle_ns'])} idle in {row['idle_in'] or 'something'}{at}{rest}")
    if row["unknown_ns"] * _SHARE_SHOWN > row["self_ns"]:
        parts.append(f"{duration_text(row['unknown_ns'])} unknown")
    inside = "" if is_run(row) or row["name"] == DRIVER_SPAN else f" (in {row['name']})"
    return f"{name_of(row['function'])}{inside} ran {duration_text(row['self_ns'])}: {', '.join(parts)}."


def is_run(segment: Segment) -> bool:
    """Tell whether a segment, or a row of `RUN_ACTIVITY`, is of a task's run as a whole."""
    return str(segment["name"]).endswith(RUN_SUFFIX)
