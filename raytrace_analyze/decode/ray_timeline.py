"""`ray timeline`: Chrome's JSON of the profiles of tasks; when and where they ran, and nothing of why."""

import re
from typing import Any

import polars as pl

from raytrace_analyze.decode.event_pieces import TASK, frame_of_pieces, piece, profile_text
from raytrace_analyze.decode.framed.documents import read_documents
from raytrace_analyze.decode.input_format import InputFormat
from raytrace_analyze.decode.problems import ProblemList
from raytrace_analyze.decode.records.record import as_int, as_text
from raytrace_analyze.files.opened import readable
from raytrace_analyze.model import Head, InputFile, Problem

_RECORDS = frozenset({"", "traceEvents"})
_START = re.compile(rb'\s*(?:\xef\xbb\xbf)?\s*(?:\{\s*(?:"[^\[]*)?"traceEvents"\s*:\s*)?\[\s*\{')
_TASK = re.compile(rb'"cat"\s*:\s*"task::')
_OF_A_RUN = "task::"
_PROFILED = "task:"
_WORKER = re.compile(r"worker:([0-9a-f]{40,64})")
_INT32_MAX = 2**31 - 1
_FULL_TASK_DIGITS = 48


def read_pieces(file: InputFile) -> tuple[pl.DataFrame, tuple[Problem, ...]]:
    """Give the runs of the file, in columns of `event_pieces.PIECES`, and what was wrong with it."""
    problems = ProblemList(file.path)
    path = readable(file.path)
    rows: list[dict[str, Any]] = []
    for offset, document in read_documents(file, problems, b"\0", _RECORDS):
        events = document.get("traceEvents") if isinstance(document, dict) else document
        if not isinstance(events, list):
            problems.damage(offset, 0, "JSON, but no timeline of Ray's")
            continue
        for event in events:
            if isinstance(event, dict) and event.get("ph") == "X":
                rows.extend(_pieces(event))
    return frame_of_pieces(rows, path), problems.finish()


def _pieces(event: dict[str, Any]) -> list[dict[str, Any]]:
    """Read a run, or a stretch of one; what belongs to no task is passed over."""
    category, arguments = as_text(event.get("cat")) or "", event.get("args")
    told = arguments if isinstance(arguments, dict) else {}
    task_id, start, took = as_text(told.get("task_id")), _ns(event.get("ts")), _ns(event.get("dur"))
    if task_id is None or start is None or took is None or not category.startswith(_PROFILED):
        return []
    attempt = as_int(told.get("attempt_number"), _INT32_MAX) or 0
    worker = _WORKER.search(as_text(event.get("tid")) or "")
    about: dict[str, Any] = {
        "session": "timeline",
        "attempt": attempt,
        "job_id": task_id[-8:] if len(task_id) == _FULL_TASK_DIGITS else None,
        "worker_id": worker[1] if worker else None,
    }
    if category.startswith(_OF_A_RUN):
        name = as_text(told.get("func_or_class_name")) or category.removeprefix(_OF_A_RUN)
        return [piece(task_id, type=TASK, name=name, running=start, finished=start + took, **about)]
    return [piece(task_id, profile=profile_text([(category, start, start + took)]), **about)]


def _ns(value: Any) -> int | None:
    """Read microseconds."""
    return round(value * 1000) if isinstance(value, int | float) and 0 <= value < 2**53 else None


def _is_timeline(head: Head) -> bool:
    return _START.match(head.content) is not None and _TASK.search(head.content) is not None


FORMAT = InputFormat("Ray timeline", _is_timeline, read_pieces=read_pieces)
"""What `ray timeline` writes."""
