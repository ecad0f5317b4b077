"""The segments of a path as lines of text, folded where there are many."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import polars as pl

from raytrace_analyze.attributes import AWAITED_TASK_IDS, json_of
from raytrace_analyze.function_names import DRIVER, name_of, short_name
from raytrace_analyze.path.outcome import endings, failures
from raytrace_analyze.serve_names import ROUTE_SPAN
from raytrace_analyze.units import count_text, duration_text
from raytrace_analyze.views.words import CAUSES, ENDINGS, awaited_text, let_go_text, place_name
from raytrace_analyze.vocabulary import Activity, Category, Ending

_SHARE_OF_QUEUES = 20
"""A series says how long its queues were if they were more than one part in so many."""
_SERIES = 2
"""From how many runs of one function, one after another, they are one line."""

Segment = dict[str, Any]

_CAUSES_SHOWN = 2
_SHARE_SHOWN = 10
"""A cause of less than this part of a wait is not named."""


@dataclass(frozen=True)
class ChainLine:
    """One line of the chain: a segment, or several of them folded."""

    start_ns: int
    duration_ns: int
    category: str
    """Of a folded line, the category that took most of it."""
    text: str
    inferred: bool
    is_folded: bool = False


def with_endings(segments: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """Say in a column `ended`, of the last own segment of each run that gave no result, how it ended (`Ending`).

    `spans` is the span table (columns of `schema.TABLE`).
    """
    failed = spans.filter(failures()).select("trace_id", "span_id", ended=endings()).unique(["trace_id", "span_id"])
    is_last = pl.struct("trace_id", "span_id").is_last_distinct() & (pl.col("category") == Category.SELF)
    found = segments.join(failed, on=["trace_id", "span_id"], how="left", maintain_order="left")
    return _with_missing(found.with_columns(ended=pl.when(is_last).then("ended")), spans)


def _with_missing(segments: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """Say in a column `missing`, of waits that did not get what they asked for, a function of which nothing ran."""
    may_lack = pl.col("attributes").str.contains(AWAITED_TASK_IDS, literal=True)
    waits = spans.filter(may_lack).join(segments.filter(category=Category.WAIT), on=["trace_id", "span_id"], how="semi")
    asked = [json_of(text, {}).get(AWAITED_TASK_IDS) for text in waits.get_column("attributes")]
    first = [ids[0] if isinstance(ids, list) and ids and isinstance(ids[0], str) else None for ids in asked]
    ran = spans.filter(pl.col("category") == "task").select("session", submitted_task_id="task_id")
    known = pl.DataFrame({"submitted_task_id": first}, schema={"submitted_task_id": pl.String}).drop_nulls()
    named = spans.filter(pl.col("submitted_task_id").is_not_null()).join(known, on="submitted_task_id", how="semi")
    named = named.join(ran, on=["session", "submitted_task_id"], how="anti")
    names = named.select("session", asked="submitted_task_id", missing="function").unique(["session", "asked"])
    told = waits.select("trace_id", "span_id", "session", asked=pl.Series(first, dtype=pl.String))
    told = told.join(names, on=["session", "asked"]).select("trace_id", "span_id", "missing")
    return segments.join(told, on=["trace_id", "span_id"], how="left", maintain_order="left")


def chain_lines(segments: pl.DataFrame, top: int) -> list[ChainLine]:
    """Tell a path in about `top` lines, oldest first; how runs ended, where `with_endings` has told it.

    A short path is told segment by segment. Of a long one, runs of one function that follow each other are
    one line, and then the `top` longest lines stay and what lies between them is folded. Nothing is left out:
    the lines' durations add up to the makespan.
    """
    rows = list(_joined(_whole_queues(segments)))
    if len(rows) <= top:
        return [_line(row) for row in rows]
    lines = [line for _, group in groupby(rows, key=_in_series) for line in _series(list(group))]
    if len(lines) <= top:
        return lines
    longest = set(sorted(range(len(lines)), key=lambda index: -lines[index].duration_ns)[:top])
    folded: list[ChainLine] = []
    for is_long, group in groupby(range(len(lines)), key=lambda index: index in longest):
        members = [lines[index] for index in group]
        folded += members if is_long or len(members) == 1 else [_fold(members)]
    return folded


def _whole_queues(segments: pl.DataFrame) -> Iterator[Segment]:
    """Give the segments, those of one wait in a queue as one, whose `cause` says in words what it was for."""
    rows = segments.iter_rows(named=True)
    for (_, _, is_queue), group in groupby(
        rows, key=lambda row: (row["span_id"], row["via"], row["category"] == "queue")
    ):
        if not is_queue:
            yield from group
            continue
        pieces = list(group)
        duration = sum(piece["duration_ns"] for piece in pieces)
        told = {"cause": _because(pieces), "pieces": pieces}
        yield {**pieces[0], "end_ns": pieces[-1]["end_ns"], "duration_ns": duration, **told}


def _joined(rows: Iterable[Segment]) -> Iterator[Segment]:
    """Give the segments, what a span does on both sides of something that took no time as one."""
    for (_, is_own, _), group in groupby(rows, key=lambda row: (row["span_id"], row["category"] == "self", say(row))):
        first, *others = group
        if not is_own or not others:
            yield from (first, *others)
            continue
        took = sum(row["duration_ns"] for row in (first, *others))
        inferred = any(row["inferred"] for row in (first, *others))
        yield {**first, "end_ns": others[-1]["end_ns"], "duration_ns": took, "inferred": inferred}


def _because(pieces: Sequence[Segment]) -> str | None:
    """Name the causes that took most of some waits; where there are several, with their times."""
    times: dict[str, int] = {}
    for piece in pieces:
        if piece["cause"] is not None:
            times[piece["cause"]] = times.get(piece["cause"], 0) + piece["duration_ns"]
    if not times:
        return None
    ranked = sorted(times.items(), key=lambda item: -item[1])[:_CAUSES_SHOWN]
    named = [(CAUSES.get(cause, cause), time) for cause, time in ranked if time * _SHARE_SHOWN >= ranked[0][1]]
    if len(named) < 2:
        return named[0][0] if named else None
    return ", ".join(f"{text} {duration_text(time)}" for text, time in named)


def say(segment: Segment) -> str:
    """Tell a segment in words."""
    function = short_name(segment["function"])
    name = segment["name"]
    where = f" [process {segment['pid']}]" if segment["pid"] is not None else ""
    where = f" [{segment['on']}]" if segment.get("on") else where
    because = f" ({segment['cause']})" if segment["cause"] else ""
    who = "the driver" if function == DRIVER else function
    ending = ", never ended" if segment["in_flight"] else ""
    ending = f", and {ENDINGS[segment['ended']]}" if segment.get("ended") else ending
    if segment.get("ended") == Ending.KILLED:
        ending = ", until Ray noticed that it was killed"  # nobody tells when that was
    match segment["category"]:
        case "submit" if str(segment["name"]).startswith(ROUTE_SPAN):
            return f"a request of {function} waits for a replica that takes it (router's queue){where}"
        case "submit":
            return f"{function} is submitted{because}{where}"
        case "queue":
            return f"{function} waits to start{because}{where if segment.get('on') else ''}"
        case "fetch":
            return f"{who} {let_go_text(segment['idle_in'], name)}{where}"
        case "wait":
            missing = segment.get("missing")
            what = f" for {short_name(missing)}, which never started" if missing else ""
            return f"{who} waits {awaited_text(segment['idle_in'], name)}{what}{because}{ending}{where}"
    if name is None:
        return "the driver runs, or waits for something not traced"
    is_whole = _is_run(segment) or name == "ray.driver"
    does = _does(segment)
    if does is None:
        return f"{who} {'runs' if is_whole else f'is in {name}'}{ending}{where}"
    return f"{who} {does}{'' if is_whole else f' (in {name})'}{ending}{where}"


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
    inside = "" if _is_run(row) or row["name"] == "ray.driver" else f" (in {row['name']})"
    return f"{name_of(row['function'])}{inside} ran {duration_text(row['self_ns'])}: {', '.join(parts)}."


def _is_run(segment: Segment) -> bool:
    return str(segment["name"]).endswith("ray.remote_worker")


def _in_series(segment: Segment) -> str | None:
    """What a segment can be in a series with: others of its function, but for the driver and submits."""
    is_own = segment["function"] != DRIVER and segment["category"] != "submit"
    return segment["function"] if is_own else None


def _series(segments: Sequence[Segment]) -> Iterator[ChainLine]:
    """Tell segments of one function that follow each other, as one line where they are several runs."""
    runs = {segment["span_id"] for segment in segments if _is_run(segment) and segment["category"] == "self"}
    if len(runs) < _SERIES or _in_series(segments[0]) is None:
        yield from map(_line, segments)
        return
    rest = segments
    if segments[0]["category"] == "queue":
        yield _line(segments[0])
        rest = segments[1:]
    places = {segment.get("on") for segment in segments}
    on = f" [{places.pop()}]" if len(places) == 1 and None not in places else ""
    text = (
        f"{short_name(segments[0]['function'])} runs {count_text(len(runs), 'time')}, "
        f"{_in_what_order(rest, runs)}, the longest {duration_text(_longest_run(rest))}{on}"
    )
    took = sum(segment["duration_ns"] for segment in rest)
    waits = [segment for segment in rest if segment["category"] == "wait"]
    waited = sum(segment["duration_ns"] for segment in waits)
    if waited * _SHARE_OF_QUEUES > took:
        longest = max(waits, key=lambda segment: segment["duration_ns"])
        text += f"; {duration_text(waited)} of it waiting {awaited_text(longest['idle_in'], longest['name'])}"
    between = sum(segment["duration_ns"] for segment in rest if segment["category"] == "queue")
    lost = sum(1 for segment in rest if segment.get("ended"))
    if lost:
        text += f"; {lost:,} of them gave no result"
    if between * _SHARE_OF_QUEUES > took:
        because = _because([piece for segment in rest for piece in segment.get("pieces", ())])
        text += f"; {duration_text(between)} of it waiting to start{f' ({because})' if because else ''}"
    yield _sum([_line(segment) for segment in rest], text)


def _in_what_order(segments: Sequence[Segment], runs: set[str | None]) -> str:
    """Say whether runs followed each other, or the path went to and fro between them."""
    visits = groupby(segment["span_id"] for segment in segments if segment["span_id"] in runs)
    return "one after another" if sum(1 for _ in visits) <= len(runs) else "in turn"


def _longest_run(segments: Sequence[Segment]) -> int:
    """The longest stretch between two queues: a run with all that is nested in it."""
    lengths: list[int] = [0]
    for segment in segments:
        if segment["category"] == "queue":
            lengths.append(0)
        else:
            lengths[-1] += segment["duration_ns"]
    return max(lengths)


def _fold(lines: Sequence[ChainLine]) -> ChainLine:
    longest = max(lines, key=lambda line: line.duration_ns)
    return _sum(lines, f"... {len(lines)} short steps, the longest: {longest.text}", is_folded=True)


def _sum(lines: Sequence[ChainLine], text: str, *, is_folded: bool = False) -> ChainLine:
    by_category: dict[str, int] = {}
    for line in lines:
        by_category[line.category] = by_category.get(line.category, 0) + line.duration_ns
    return ChainLine(
        start_ns=lines[0].start_ns,
        duration_ns=sum(by_category.values()),
        category=max(by_category, key=lambda category: by_category[category]),
        text=text,
        inferred=any(line.inferred for line in lines),
        is_folded=is_folded,
    )


def _line(segment: Segment) -> ChainLine:
    return ChainLine(
        segment["start_ns"], segment["duration_ns"], segment["category"], say(segment), segment["inferred"]
    )
