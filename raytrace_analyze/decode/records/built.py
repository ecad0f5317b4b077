"""Builds console-style records out of the values of other formats."""

import json
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec

from raytrace_analyze.decode.records.record import Context, Record, Status

_LAST_NS = 2**63 - 1
_encode = msgspec.json.Encoder().encode
_LIKE_NAN = b"null"
"""What stands in place of NaN, too, in what msgspec writes."""


def time_text(ns: int) -> str | None:
    """Write ns since the epoch as exporters write times, with nine digits; None for what is no time of ours."""
    if not 0 <= ns <= _LAST_NS:
        return None
    seconds, rest = divmod(ns, 10**9)
    return f"{_second_text(seconds)}.{rest:09d}Z"


@lru_cache(maxsize=1024)
def _second_text(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def raw(value: Any) -> msgspec.Raw:
    """Write a value as JSON; what only Python can write (NaN, lone surrogates, large integers), as Python does."""
    try:
        text = _encode(value)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError):
        text = _LIKE_NAN
    return msgspec.Raw(json.dumps(value, separators=(",", ":")).encode() if _LIKE_NAN in text else text)


def build_record(
    ids: tuple[str, str, str | None],
    name: str,
    times_ns: tuple[int, int | None],
    *,
    kind: str,
    status: Status,
    attributes: dict[str, Any],
    events: list[dict[str, Any]],
    links: list[dict[str, Any]],
    resource: msgspec.Raw,
) -> Record | None:
    """Build a record from trace, span and parent id, and start and end; None if there are no ids or no start."""
    trace_id, span_id, parent_id = ids
    start, end = times_ns
    start_time = time_text(start)
    if not trace_id or not span_id or start_time is None:
        return None
    return Record(
        context=Context(trace_id, span_id),
        start_time=start_time,
        name=name,
        kind=kind,
        parent_id=parent_id,
        end_time=None if end is None else time_text(end),
        status=status,
        attributes=raw(attributes),
        events=raw(events),
        links=raw(links),
        resource=resource,
    )
