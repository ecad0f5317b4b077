"""The hook's side file of Ray's task events: a header, then a line a task attempt (see hook/README.md)."""

import re
from collections.abc import Iterable
from typing import Any

import msgspec
import polars as pl

from raytrace_analyze.decode.framed.lines import is_hole, read_lines
from raytrace_analyze.decode.input_format import InputFormat
from raytrace_analyze.decode.problems import ProblemList
from raytrace_analyze.decode.records.record import NOT_AS_TYPED, as_int, as_text
from raytrace_analyze.files.streams import BrokenStream
from raytrace_analyze.model import NOT_UTF8, Head, InputFile, Problem, ProblemKind
from raytrace_analyze.schema import TIME

STATES = (
    "PENDING_ARGS_AVAIL",
    "PENDING_NODE_ASSIGNMENT",
    "PENDING_OBJ_STORE_MEM_AVAIL",
    "PENDING_ARGS_FETCH",
    "SUBMITTED_TO_WORKER",
    "RUNNING",
    "FINISHED",
    "FAILED",
)
"""The states whose times are columns of their own, under their names in lower case."""

_COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "session": pl.String,
    "job_id": pl.String,
    "task_id": pl.String,
    "attempt": pl.Int32,
    "type": pl.String,
    "name": pl.String,
    "parent_task_id": pl.String,
    "actor_id": pl.String,
    "node_id": pl.String,
    "worker_id": pl.String,
    "pid": pl.Int64,
    "resources": pl.String,
    "states": pl.String,
    "error_type": pl.String,
    "error_message": pl.String,
    "profile": pl.String,
    **{state.lower(): TIME for state in STATES},
}

TASK_EVENTS = pl.Schema(_COLUMNS)
"""One row a task attempt. `resources`, `states` and `profile` are the original JSON; null if not there."""

HEADER = re.compile(rb'\{"raytrace": ?"task_events"')
"""How such a file begins."""

_TEXTS = ("type", "name", "parent_task_id", "actor_id", "node_id", "worker_id")
_INT32_MAX = 2**31 - 1
_INT64_MAX = 2**63 - 1

_decode_line = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def decode_task_events(file: InputFile) -> tuple[pl.DataFrame, tuple[Problem, ...]]:
    """Give the attempts in the file, in columns of `TASK_EVENTS`, and what was wrong with it.

    A value of a wrong type is null. A line that is no task attempt is DAMAGED_RECORD, a last one that is
    cut CUT_RECORD. Never raises for bad content.
    """
    problems = ProblemList(file.path)
    rows: list[dict[str, Any]] = []
    header: dict[str, Any] | None = None
    try:
        for offset, read in read_lines(file):
            line = _in_utf_8(read, offset, problems)
            values = _line_values(line)
            if header is None and not is_hole(line):
                header = values or {}
                _note_dropped(header, problems)
                if values:
                    continue
            row = _row(values, header) if values and header is not None else None
            if row:
                rows.append(row)
            elif line.strip():
                _add_bad_line(line, offset, problems)
    except BrokenStream as error:
        problems.add(error.kind, None, error.detail)
    return _frame(rows), problems.finish()


def _note_dropped(header: dict[str, msgspec.Raw], problems: ProblemList) -> None:
    dropped = _value(header, "dropped")
    attempts = as_int(dropped.get("attempts"), _INT64_MAX) if isinstance(dropped, dict) else None
    if attempts:
        problems.add_forgotten(attempts)


def _in_utf_8(line: bytes, offset: int, problems: ProblemList) -> bytes:
    """Put U+FFFD in place of what is no UTF-8, which costs the field that it stands in, and note it."""
    try:
        line.decode()
    except UnicodeDecodeError as error:
        problems.damage(offset + error.start, 1, NOT_UTF8)
        return line.decode("utf-8", "replace").encode()
    return line


def _line_values(line: bytes) -> dict[str, msgspec.Raw] | None:
    try:
        return _decode_line(line)
    except NOT_AS_TYPED:
        return None


def _row(values: dict[str, msgspec.Raw], header: dict[str, msgspec.Raw]) -> dict[str, Any] | None:
    task_id = as_text(_value(values, "task_id"))
    if task_id is None:
        return None
    error = _value(values, "error")
    error = error if isinstance(error, dict) else {}
    states = _value(values, "states")
    return {
        "session": as_text(_value(header, "session")),
        "job_id": as_text(_value(values, "job_id")) or as_text(_value(header, "job_id")),
        "task_id": task_id,
        "attempt": as_int(_value(values, "attempt"), _INT32_MAX),
        **{key: as_text(_value(values, key)) for key in _TEXTS},
        "pid": as_int(_value(values, "pid"), _INT64_MAX),
        **{key: _json(values, key) for key in ("resources", "states", "profile")},
        "error_type": as_text(error.get("type")),
        "error_message": as_text(error.get("message")),
        **_state_times(states if isinstance(states, dict) else {}),
    }


def _value(values: dict[str, msgspec.Raw], key: str) -> object:
    try:
        return msgspec.json.decode(values[key]) if key in values else None
    except NOT_AS_TYPED:
        return None


def _json(values: dict[str, msgspec.Raw], key: str) -> str | None:
    text = bytes(values[key]).decode() if key in values else "null"
    return None if text == "null" else text


def _state_times(states: dict[str, object]) -> dict[str, int | None]:
    """Give the time of each state in ns; 0 is how Ray says that a state was not reached."""
    return {state.lower(): as_int(states.get(state), _INT64_MAX) or None for state in STATES}


def _frame(rows: Iterable[dict[str, Any]]) -> pl.DataFrame:
    plain = {name: pl.Int64 if dtype == TIME else dtype for name, dtype in TASK_EVENTS.items()}
    return pl.DataFrame(rows, schema=plain).cast(TASK_EVENTS)


def _add_bad_line(line: bytes, offset: int, problems: ProblemList) -> None:
    if line.endswith(b"\n"):
        problems.damage(offset, len(line), "not a task attempt")
    else:
        problems.add(ProblemKind.CUT_RECORD, offset, "the last record has no end")


def _is_task_events(head: Head) -> bool:
    return HEADER.match(head.content.lstrip()) is not None


FORMAT = InputFormat("task events", _is_task_events, read_task_events=decode_task_events)
"""The hook's side file: state times per task attempt."""
