"""Ray's own events: the export logs of a session, and what its event aggregator posts (the History Server's files)."""

import base64
import binascii
import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import polars as pl

from raytrace_analyze.decode.event_pieces import (
    ACTOR_TASK,
    DRIVER,
    UNNAMED,
    frame_of_pieces,
    piece,
    profile_text,
)
from raytrace_analyze.decode.framed.documents import read_documents
from raytrace_analyze.decode.input_format import InputFormat
from raytrace_analyze.decode.problems import ProblemList
from raytrace_analyze.decode.records.record import as_int, as_text
from raytrace_analyze.decode.records.times import epoch_ns
from raytrace_analyze.files.opened import readable
from raytrace_analyze.model import Head, InputFile, Problem
from raytrace_analyze.schema import STATES

_RECORDS = frozenset({""})
_START = re.compile(rb"\s*(?:\xef\xbb\xbf)?\s*[\[{]")
_EVENT = re.compile(
    rb'"source_?[tT]ype"\s*:\s*"EXPORT_(?:TASK|DRIVER_JOB|ACTOR|NODE)"'
    rb'|"event_?[tT]ype"\s*:\s*"(?:(?:ACTOR_)?TASK|DRIVER_JOB|ACTOR|NODE|WORKER)_'
    rb'(?:DEFINITION|LIFECYCLE|EXECUTION|PROFILE)_EVENT"'
)
_SESSION = re.compile(r"(?:^|/)(session_[\w.-]+)/")
_STATE_NUMBERS = {
    str(number): name
    for number, name in enumerate(
        (
            *("NIL", "PENDING_ARGS_AVAIL", "PENDING_NODE_ASSIGNMENT", "PENDING_OBJ_STORE_MEM_AVAIL"),
            *("PENDING_ARGS_FETCH", "SUBMITTED_TO_WORKER", "PENDING_ACTOR_TASK_ARGS_FETCH"),
            *("PENDING_ACTOR_TASK_ORDERING_OR_CONCURRENCY", "RUNNING", "RUNNING_IN_RAY_GET", "RUNNING_IN_RAY_WAIT"),
            *("FINISHED", "FAILED"),
        )
    )
}
"""How Ray numbers the states where it does not name them."""

_DRIVER_STATES = {"CREATED": "running", "FINISHED": "finished"}
_INT64_MAX, _INT32_MAX = 2**63 - 1, 2**31 - 1
_HEX = re.compile(r"(?:[0-9a-f]{2})+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_ID_DIGITS = (8, 32, 48, 56)
"""Of jobs, actors, tasks, nodes and workers, in hex."""

_Told = dict[str, Any]


def read_pieces(file: InputFile) -> tuple[pl.DataFrame, tuple[Problem, ...]]:
    """Give what the events of a file say of attempts, in columns of `event_pieces.PIECES`, and what was wrong with it.

    Events of other kinds are passed over. A value of a wrong type is null. Never raises for bad content.
    """
    problems = ProblemList(file.path)
    path = readable(file.path)
    rows: list[_Told] = []
    for offset, document in read_documents(file, problems, b'{"', _RECORDS):
        events = document if isinstance(document, list) else [document]
        if not all(isinstance(event, dict) for event in events):
            problems.damage(offset, 0, "JSON, but no event of Ray's")
            continue
        for event in events:
            rows.extend(_pieces(_in_words(event), path))
    return frame_of_pieces(rows, path), problems.finish()


def _in_words(event: _Told) -> _Told:
    """Give an event with its names in snake_case: by a flag Ray writes camelCase."""
    return {_word(key): value for key, value in event.items()}


@lru_cache(maxsize=4096)
def _word(key: str) -> str:
    return _HUMP.sub("_", key).lower()


def _part(event: _Told, key: str) -> _Told:
    value = event.get(key)
    return _in_words(value) if isinstance(value, dict) else {}


def _pieces(event: _Told, path: str) -> Iterator[_Told]:
    session = as_text(event.get("session_name")) or _session_of(path)
    data = _part(event, "event_data")
    match event.get("source_type"):
        case "EXPORT_TASK":
            yield from _task(data, session)
        case "EXPORT_DRIVER_JOB":
            yield from _driver_job(data, session)
    for key, read in _READERS.items():
        if told := _part(event, key):
            yield from read(told, session)


def _session_of(path: str) -> str:
    """Give the session that a file's path names; without one its folder keeps the files of a cluster together."""
    found = _SESSION.findall(path)
    return found[-1] if found else f"{UNNAMED}{path.rpartition('/')[0].rpartition('/')[2] or 'here'}"


def _task(data: _Told, session: str) -> Iterator[_Told]:
    """Read a whole or partial record of an attempt, as the export log has it."""
    info, updates = _part(data, "task_info"), _part(data, "state_updates")
    states = updates.get("state_ts_ns")
    yield from _attempt(
        data.get("task_id"),
        data.get("attempt_number"),
        session=session,
        job_id=_id(data.get("job_id")),
        **_defined(info, info.get("type"), as_text(info.get("func_or_class_name"))),
        **_where(updates),
        **_failure(_part(updates, "error_info")),
        **(_stamps(states.items()) if isinstance(states, dict) else {}),
        **_profile(_part(data, "profile_events")),
    )


def _attempt(task_id: Any, attempt: Any, **told: Any) -> Iterator[_Told]:
    found = _id(task_id)
    if found is not None:
        yield piece(
            found, attempt=as_int(attempt, _INT32_MAX), **{key: one for key, one in told.items() if one is not None}
        )


def _defined(told: _Told, kind: Any, name: str | None) -> _Told:
    resources = told.get("required_resources")
    return {
        "type": as_text(kind),
        "name": name,
        "parent_task_id": _id(told.get("parent_task_id")),
        "actor_id": _id(told.get("actor_id")),
        "resources": json.dumps(resources) if isinstance(resources, dict) and resources else None,
    }


def _where(told: _Told) -> _Told:
    pid = as_int(told.get("worker_pid"), _INT64_MAX)
    return {"node_id": _id(told.get("node_id")), "worker_id": _id(told.get("worker_id")), "pid": pid or None}


def _failure(told: _Told) -> _Told:
    return (
        {"error_type": as_text(told.get("error_type")), "error_message": as_text(told.get("error_message"))}
        if told
        else {}
    )


def _stamps(states: Any) -> _Told:
    """Read the times of states, by name or number: ns, or a time as text."""
    found: _Told = {}
    for key, value in states:
        name = _STATE_NUMBERS.get(str(key), str(key))
        time = as_int(value, _INT64_MAX) if not isinstance(value, str) or value.isdigit() else epoch_ns(value)
        if name in STATES and time:
            found[name.lower()] = time
    return found


def _transitions(told: _Told, key: str = "state_transitions") -> list[tuple[str, Any]]:
    listed = told.get(key)
    parts = map(_in_words, (one for one in listed if isinstance(one, dict))) if isinstance(listed, list) else ()
    return [(str(one.get("state")), one.get("timestamp")) for one in parts]


def _profile(told: _Told) -> _Told:
    events = told.get("events")
    parts = map(_in_words, (one for one in events if isinstance(one, dict))) if isinstance(events, list) else ()
    known = [
        (
            as_text(one.get("event_name")) or "",
            as_int(one.get("start_time"), _INT64_MAX),
            as_int(one.get("end_time"), _INT64_MAX),
        )
        for one in parts
    ]
    return {"profile": profile_text((name, start, end) for name, start, end in known if start and end)}


def _definition(told: _Told, session: str) -> Iterator[_Told]:
    is_method = "actor_func" in told
    function = _part(_part(told, "actor_func" if is_method else "task_func"), "python_function_descriptor")
    owner = function.get("class_name") or ("" if is_method else function.get("module_name"))
    name = ".".join(filter(None, (as_text(owner), as_text(function.get("function_name")))))
    given = as_text(told.get("actor_task_name" if is_method else "task_name"))
    kind = ACTOR_TASK if is_method else told.get("task_type")
    task_id, attempt = told.get("task_id"), told.get("task_attempt")
    about = _defined(told, kind, name or given)
    yield from _attempt(task_id, attempt, session=session, job_id=_id(told.get("job_id")), **about)


def _lifecycle(told: _Told, session: str) -> Iterator[_Told]:
    older = told.get("task_state")
    states = list(older.items()) if isinstance(older, dict) else _transitions(told)
    yield from _attempt(
        told.get("task_id"),
        told.get("task_attempt"),
        session=session,
        job_id=_id(told.get("job_id")),
        **_where(told),
        **_failure(_part(told, "ray_error_info")),
        **_stamps(states),
    )


def _profiled(told: _Told, session: str) -> Iterator[_Told]:
    about = _profile(_part(told, "profile_events"))
    task_id, attempt = told.get("task_id"), told.get("attempt_number")
    yield from _attempt(task_id, attempt, session=session, job_id=_id(told.get("job_id")), **about)


def _job_definition(told: _Told, session: str) -> Iterator[_Told]:
    yield from _driver(
        _id(told.get("job_id")),
        session,
        name=as_text(told.get("entrypoint")),
        pid=as_int(told.get("driver_pid"), _INT64_MAX) or None,
        node_id=_id(told.get("driver_node_id")),
    )


def _job_lifecycle(told: _Told, session: str) -> Iterator[_Told]:
    times = {_DRIVER_STATES.get(state): epoch_ns(str(time)) for state, time in _transitions(told)}
    known = {state: time for state, time in times.items() if state is not None and time}
    yield from _driver(_id(told.get("job_id")), session, **known)


def _driver_job(told: _Told, session: str) -> Iterator[_Told]:
    """Read a driver from the export log, where times are in milliseconds."""
    begin, end = (as_int(told.get(key), _INT64_MAX // 10**6) for key in ("start_time", "end_time"))
    yield from _driver(
        _id(told.get("job_id")),
        session,
        name=as_text(told.get("entrypoint")),
        pid=as_int(told.get("driver_pid"), _INT64_MAX) or None,
        running=begin * 10**6 if begin else None,
        finished=end * 10**6 if end else None,
    )


def _driver(job_id: str | None, session: str, **told: Any) -> Iterator[_Told]:
    """Give a driver as what Ray takes it for: a task whose id is made of its job's."""
    if job_id is not None:
        yield piece(f"{'f' * 40}{job_id}", type=DRIVER, session=session, job_id=job_id, attempt=0, **told)


_READERS = {
    "task_definition_event": _definition,
    "actor_task_definition_event": _definition,
    "task_lifecycle_event": _lifecycle,
    "task_execution_event": _lifecycle,
    "task_profile_events": _profiled,
    "driver_job_definition_event": _job_definition,
    "driver_job_lifecycle_event": _job_lifecycle,
    "driver_job_execution_event": _job_lifecycle,
}


def _id(value: Any) -> str | None:
    """Read an id, in base64 or in hex; None for none, and for the id of nothing (all ones)."""
    if not isinstance(value, str) or not value:
        return None
    if len(value) in _ID_DIGITS and _HEX.fullmatch(value):
        found = value
    else:
        try:
            found = base64.b64decode(value, validate=True).hex()
        except (binascii.Error, ValueError):
            return None
    return found if found.strip("f") else None


def _is_ray_events(head: Head) -> bool:
    return _START.match(head.content) is not None and _EVENT.search(head.content) is not None


FORMAT = InputFormat("Ray's events", _is_ray_events, read_pieces=read_pieces)
"""Export logs (`event_EXPORT_TASK_*.log`) and the events that Ray's aggregator posts, one or a list of them a line."""
