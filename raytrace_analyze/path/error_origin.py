"""Where an error came from: followed from the program that failed to the attempt that raised it."""

import re
from typing import Any

import polars as pl

from raytrace_analyze.names.attributes import AWAITED_TASK_IDS, TIMED_OUT, json_of, told
from raytrace_analyze.names.programs import is_of_program
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.spans import Ending

_DEEPEST = 1_000
"""How many tasks an error can have passed through."""
_FRAME = re.compile(r'File "([^"]+)", line (\d+)')
_CAUSED = "the direct cause of the"
"""How Python tells that an error was raised from another one, which stands before it."""
_FIRST_LINE = 200
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")
_BY_RAY = re.compile(r"RayTaskError\S*: ray::|TASK_EXECUTION_EXCEPTION: User exception:")
"""How an error begins that Ray passes on from a task, with where it was raised; the error itself comes last."""
_PROCESS = re.compile(r"\(pid=(\d{1,9})\b")
"""How Ray names the process where it was raised."""
_ERROR = re.compile(r"[A-Za-z_][\w.]*(: |$)")
"""How the line begins that says what an error is."""

Row = dict[str, Any]


@frozen
class Failure:
    """An attempt that failed, and why."""

    function: str | None
    """None for the driver itself."""
    span_id: str
    task_id: str | None
    ending: Ending
    message: str
    """The error's first line; Ray's word for it where there is no other."""
    place: str | None
    """`file:line` of the program where it was raised, as far as that is recorded."""


def first_line(message: str | None) -> str:
    """Give the line of an error that says what it is, shortened: the first, of one that Ray passes on the last."""
    lines = [line.strip() for line in _plain(message).splitlines() if line.strip()]
    if not lines:
        return ""
    line = lines[-1] if _BY_RAY.match(lines[0]) else lines[0]
    return line[:_FIRST_LINE].rstrip(": .")


def _plain(message: str | None) -> str:
    return _COLOURS.sub("", message or "")


def error_of(head: Row, passed: list[Row]) -> str:
    """Say with what error something ended, which it got by the attempts `passed`, the last of them first.

    Of one whose text has several lines Ray passes the last one on as the last: the attempt says what it is.
    """
    message = first_line(head["status_message"])
    if passed and _BY_RAY.match(_plain(head["status_message"])) and not _ERROR.match(message):
        return describe_failure(passed[0], None).message
    return message or "no message"


def describe_failure(row: Row, ending: str | None) -> Failure:
    """Tell of one failed attempt (a row of `schema.TABLE`)."""
    message = _cause(row) or first_line(row["status_message"]) or row["error_type"] or "no message"
    return Failure(
        function=row["function"],
        span_id=row["span_id"],
        task_id=row["task_id"],
        ending=Ending(ending or Ending.EXCEPTION),
        message=message,
        place=_place(row),
    )


def follow(head: Row, spans: pl.DataFrame, failed: pl.DataFrame) -> list[Row]:
    """Follow an error from where it ended to the attempt in which it came up; gives all attempts on the way.

    `head` is the row of `schema.TABLE` of what ended with it, `failed` are attempts that failed, with their `ending`.
    """
    if failed.is_empty():
        return []
    named = failed.sort("start")
    by_task = {row["task_id"]: row for row in named.iter_rows(named=True) if row["task_id"]}
    waits = spans.filter(pl.col("ready_task_ids").is_not_null(), pl.col("status") == "ERROR")
    waits = waits.filter((told(pl.col("attributes"), TIMED_OUT) != "true").fill_null(True)).sort("end")
    last_wait = {_flow(row): row for row in waits.iter_rows(named=True)}
    submits = spans.filter(pl.col("submitted_task_id").is_in(list(by_task)))
    needs = dict(submits.select("submitted_task_id", "dependency_task_ids").iter_rows())
    found: list[Row] = []
    flow = _flow(head)
    seen: set[str] = set()
    for _ in range(_DEEPEST):
        asked = [*_asked(last_wait.get(flow)), *(needs.get(flow) or ())]
        causes = [by_task[task] for task in asked if task in by_task and task not in seen]
        # A library asks in a thread of its own, and what it got there fails the program.
        causes = causes or [
            row for row in _raised_in(found[-1] if found else head, named) if row["task_id"] not in seen
        ]
        if not causes:
            break
        found.append(min(causes, key=lambda row: row["end"] or row["start"]))
        flow = found[-1]["task_id"]
        seen.add(flow)
    return found


def _raised_in(row: Row, failed: pl.DataFrame) -> list[Row]:
    """Give the attempt whose error Ray passed on to a span: the last that failed in the process that Ray names.

    None where processes of several nodes have that number.
    """
    message = _plain(row["status_message"])
    named = _PROCESS.search(message) if _BY_RAY.match(message) else None
    if named is None:
        return []
    there = failed.filter(
        pl.col("pid") == int(named[1]), pl.col("end") <= pl.lit(row["end"]), pl.col("task_id").is_not_null()
    )
    return [] if there.get_column("node_id").n_unique() > 1 else there.sort("end").tail(1).to_dicts()


def _flow(row: Row) -> str:
    return row["task_id"] or f"driver {row['session']} {row['job_id']}"


def _asked(wait: Row | None) -> list[str]:
    if wait is None:
        return []
    asked = json_of(wait["attributes"], {}).get(AWAITED_TASK_IDS)
    return [*(wait["ready_task_ids"] or ()), *(asked if isinstance(asked, list) else ())]


def _traces(row: Row) -> list[str]:
    events: list[Any] = json_of(row["events"], [])
    traces = [
        about.get("exception.stacktrace")
        for event in events
        if isinstance(event, dict) and isinstance(about := event.get("attributes"), dict)
    ]
    return [text for text in traces if isinstance(text, str)]


def _places(text: str) -> list[str]:
    """Give the places of a traceback that are none of a library's, the innermost last."""
    return [f"{file}:{line}" for file, line in _FRAME.findall(text) if is_of_program(file)]


def _place(row: Row) -> str | None:
    """Read where in the program an error was raised: its last place that is none of a library's."""
    texts = [*_traces(row), *([row["status_message"]] if row["status_message"] else [])]
    return next((places[-1] for text in texts if (places := _places(text))), None)


def _cause(row: Row) -> str | None:
    """Read what a library made an error of its own of: what the program itself had raised. None where it did not."""
    for text in _traces(row):
        *causes, last = text.split(_CAUSED)
        if not causes or _places(last):
            continue
        for cause in reversed(causes):
            lines = cause.splitlines()
            frames = [number for number, line in enumerate(lines) if _FRAME.search(line)]
            if _places(cause):
                said = (line for line in lines[frames[-1] + 1 :] if line and not line.startswith(" "))
                return first_line(next(said, None)) or None
    return None
