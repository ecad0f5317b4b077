"""Perfetto's own binary format: smaller than its JSON, and with the time of day.

Source: Perfetto's trace_packet.proto, track_descriptor.proto, track_event.proto, debug_annotation.proto and
interned_data.proto, which name the fields whose numbers stand here.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, BinaryIO

from raytrace_analyze.exports.encoding import in_utf8
from raytrace_analyze.exports.output_format import OutputFormat
from raytrace_analyze.exports.selected.selection import Selection
from raytrace_analyze.exports.shapes.tracks import (
    PATH_LANE,
    PATH_NAME,
    PATH_PROCESS,
    arrows,
    draw,
    drawn_rows,
    lane_names,
    process_names,
    segment_details,
    segment_name,
    span_details,
)
from raytrace_analyze.exports.wire import double, many, message, number, set_number
from raytrace_analyze.text.printable import printable

_SEQUENCE = 1
_BEGIN, _END = 1, 2
_REALTIME, _BOOTTIME = 1, 6
_STATE_CLEARED, _NEEDS_STATE = 1, 2
_IN_STATE = number(13, _NEEDS_STATE)
_CATEGORIES, _NAMES, _DETAILS, _TEXTS = 1, 2, 3, 29
"""What is interned, by its field in a packet's interned data."""
_MOST_INTERNED = 1 << 16
_LONGEST_INTERNED = 1 << 8
"""How many texts of each, and how long: others are written out, so that memory does not grow with the spans."""
_SAID_AGAIN = frozenset(
    ("kind", "category", "status", "trace_id", "session", "job_id", "actor_id", "node_id", "worker_id", "via", "cause")
)
"""Details whose values many spans have."""
_LANES = 1 << 32
"""So many lanes a process has at most: a track's id is made of both numbers."""
_LARGEST_INT = 1 << 63


def write(selection: Selection, stream: BinaryIO) -> None:
    """Write it; times are nanoseconds since the earliest start, beside which the time of day stands."""
    stream.writelines(message(1, number(10, _SEQUENCE) + packet) for packet in _packets(selection))


def _packets(selection: Selection) -> Iterator[bytes]:
    origin, drawn, texts = selection.start_ns, draw(selection.skeleton, apart=True), _Texts()
    yield _clocks(origin)
    yield _process(PATH_PROCESS, PATH_NAME)
    yield _lane(PATH_PROCESS, PATH_LANE, selection.path_name)
    for process, name in process_names(selection.skeleton):
        yield _process(process, name)
    for process, lane, name in lane_names(drawn):
        yield _lane(process, lane, name)
    for row in drawn_rows(selection, drawn):
        track = _track(row["process"], row["lane"])
        shown = _slice(texts, track, row["name"], row["category"], span_details(row))
        yield texts.packet(row["start_ns"] - origin, shown)
        yield texts.packet(row["drawn_to_ns"] - origin, _end(track))
    track = _track(PATH_PROCESS, PATH_LANE)
    for segment in selection.segments.iter_rows(named=True):
        began = segment["start_ns"] - origin
        shown = _slice(texts, track, segment_name(segment), PATH_NAME, segment_details(segment))
        yield texts.packet(began, shown)
        yield texts.packet(began + segment["duration_ns"], _end(track))
    for flow, (before, step) in enumerate(arrows(drawn, selection.segments), start=1):
        yield texts.packet(before["start_ns"] - origin, _arrow_end(texts, "s", flow, before))
        yield texts.packet(step["start_ns"] - origin, _arrow_end(texts, "f", flow, step))


class _Texts:
    """Texts that were said, each written once, and what is new among them, which goes with the next packet."""

    def __init__(self) -> None:
        self._known: dict[int, dict[str, int]] = {kind: {} for kind in (_CATEGORIES, _NAMES, _DETAILS, _TEXTS)}
        self._new: list[bytes] = []
        self._details: dict[tuple[int, str, str], bytes] = {}

    def said(self, kind: int, said: str, by_number: int, in_full: int) -> bytes:
        """Give a field that says a text: that of its number, or the one that holds it."""
        known = self._known[kind]
        found = known.get(said)
        if found is None and len(known) < _MOST_INTERNED and len(said) <= _LONGEST_INTERNED:
            found = known[said] = len(known) + 1
            self._new.append(message(kind, number(1, found) + message(2, _shown(said))))
        return message(in_full, _shown(said)) if found is None else number(by_number, found)

    def detail(self, field: int, key: str, value: str) -> bytes:
        """Give a field with a debug annotation that holds a text: encoded once, where spans have the same."""
        found = self._details.get((field, key, value))
        if found is None:
            name = self.said(_DETAILS, key, 1, 10)
            said = self.said(_TEXTS, value, 17, 6) if key in _SAID_AGAIN else message(6, _shown(value))
            found = message(field, name + said)
            if len(self._details) < _MOST_INTERNED and len(value) <= _LONGEST_INTERNED:
                self._details[field, key, value] = found
        return found

    def packet(self, time: int, event: bytes) -> bytes:
        """Give the packet of an event at a time (ns)."""
        new = message(12, b"".join(self._new)) if self._new else b""
        self._new.clear()
        return set_number(8, time) + new + _IN_STATE + message(11, event)


def _clocks(origin: int) -> bytes:
    """Say which time of day it was at the start; the first packet also says that nothing was said before it."""
    clocks = ((_BOOTTIME, 0), (_REALTIME, origin))
    snapshot = many(1, clocks, lambda clock: number(1, clock[0]) + set_number(2, clock[1]))
    return number(13, _STATE_CLEARED) + message(6, snapshot)


def _track(process: int, lane: int = 0) -> int:
    """Give the id of a track; lane 0 is that of the process itself."""
    return 1 + process * _LANES + lane


def _process(process: int, name: str) -> bytes:
    # The path stands on top: what has a lower rank comes first.
    described = set_number(1, process) + message(6, _shown(name))
    return message(60, set_number(1, _track(process)) + message(3, described) + set_number(12, process))


def _lane(process: int, lane: int, name: str) -> bytes:
    thread = set_number(1, process) + set_number(2, process * _LANES + lane) + message(5, _shown(name))
    named = set_number(1, _track(process, lane)) + set_number(5, _track(process)) + message(2, _shown(name))
    return message(60, named + message(4, thread))


def _slice(texts: _Texts, track: int, name: str, category: str | None, details: dict[str, Any]) -> bytes:
    return _event(texts, track, _BEGIN, name, category) + _noted(texts, 4, details)


@lru_cache(maxsize=1 << 12)
def _end(track: int) -> bytes:
    return set_number(9, _END) + set_number(11, track)


def _event(texts: _Texts, track: int, kind: int, name: str, category: str | None) -> bytes:
    categories = texts.said(_CATEGORIES, category, 3, 22) if category else b""
    return number(9, kind) + set_number(11, track) + categories + texts.said(_NAMES, name, 10, 23)


def _noted(texts: _Texts, field: int, details: dict[str, Any]) -> bytes:
    """Give fields with debug annotations."""
    return b"".join(
        texts.detail(field, key, value)
        if isinstance(value, str)
        else message(field, texts.said(_DETAILS, key, 1, 10) + _value(texts, value))
        for key, value in details.items()
    )


def _value(texts: _Texts, value: Any) -> bytes:
    match value:
        case bool():
            return set_number(2, int(value))
        case int() if -_LARGEST_INT <= value < _LARGEST_INT:
            return set_number(4, value)
        case float():
            return double(5, value)
        case dict():
            return _noted(texts, 11, value)
        case list():
            return b"".join(message(12, _value(texts, each)) for each in value)
    return message(6, _shown("null" if value is None else str(value)))


def _arrow_end(texts: _Texts, phase: str, flow: int, step: dict[str, Any]) -> bytes:
    """Lead from, or to, the slice that is open there: a flow of the JSON format, of which slices know nothing."""
    legacy = set_number(2, ord(phase)) + set_number(6, flow) + (set_number(12, 1) if phase == "f" else b"")
    return _event(texts, _track(step["process"], step["lane"]), 0, PATH_NAME, PATH_NAME) + message(6, legacy)


def _shown(name: str) -> bytes:
    return in_utf8(printable(name)).encode()


FORMAT = OutputFormat("pftrace", write, re.compile(rb"\n.\x50\x01\x68\x01\x32", re.DOTALL), times=2, is_text=False)
