"""The hook's side file of open spans: a header with the resource, then a line a slot (see hook/README.md)."""

import re
from collections.abc import Iterator

import msgspec

from raytrace_analyze.decode.framed.lines import is_hole, read_lines
from raytrace_analyze.decode.input_format import InputFormat
from raytrace_analyze.decode.problems import ProblemList
from raytrace_analyze.decode.records.batch import Batch
from raytrace_analyze.decode.records.framing import Found, is_too_short, scan
from raytrace_analyze.decode.records.record import EMPTY_OBJECT, Record
from raytrace_analyze.files.opened import readable
from raytrace_analyze.files.streams import BrokenStream
from raytrace_analyze.model import Head, InputFile, ProblemKind
from raytrace_analyze.names.attributes import AWAITED_COUNT, READY_TASK_IDS

HEADER = re.compile(rb'\{"raytrace": ?"open"')
"""How such a file begins."""

_AWAITED = f'"{AWAITED_COUNT}":'.encode()
_READY = f'"{READY_TASK_IDS}":'.encode()


class _Header(msgspec.Struct):
    resource: msgspec.Raw = EMPTY_OBJECT
    lost_spans: int = 0
    lost_because: str = ""


def read_open_spans(file: InputFile, problems: ProblemList) -> Iterator[Batch]:
    """Give the spans that were open when the file was last written (their end is null), in one batch.

    A slot that does not hold a whole record is DAMAGED_RECORD, a last line that is cut CUT_RECORD.
    """
    records: list[Record] = []
    offsets: list[int] = []
    lines = read_lines(file)
    try:
        resource = EMPTY_OBJECT
        for offset, line in lines:
            if not is_hole(line):
                resource = _resource_in(line, offset, problems)
                break
            problems.damage(offset, len(line), "NULs in place of what was written")
        for offset, line in lines:
            if line.startswith(b"{"):
                found = _records_in(line, offset, resource, problems)
                records += found
                offsets += [offset] * len(found)
    except BrokenStream as error:
        problems.add(error.kind, None, error.detail)
    yield Batch(records, readable(file.path), problems, offsets.__getitem__)


def _resource_in(line: bytes, offset: int, problems: ProblemList) -> msgspec.Raw:
    try:
        header = msgspec.json.decode(line, type=_Header)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        _add_bad_line(line, offset, problems)
        return EMPTY_OBJECT
    if header.lost_spans > 0:
        problems.add_loss(header.lost_spans, header.lost_because)
    return header.resource.copy()


def _records_in(line: bytes, offset: int, resource: msgspec.Raw, problems: ProblemList) -> list[Record]:
    records = [] if is_too_short(line) else [item.record for item in scan(line) if isinstance(item, Found)]
    for record in records:
        if record.resource == EMPTY_OBJECT:
            record.resource = resource
        _complete_wait(record)
    if not records:
        _add_bad_line(line, offset, problems)
    return records


def _complete_wait(record: Record) -> None:
    """Say of a wait, which learns what it came back with only as it ends, that this is nothing yet.

    Without ready tasks it would not count as a wait, and the time in it as work of whoever waits.
    """
    attributes = bytes(record.attributes).strip()
    if _AWAITED in attributes and _READY not in attributes:
        record.attributes = msgspec.Raw(b"%s,%s[]}" % (attributes[:-1], _READY))


def _add_bad_line(line: bytes, offset: int, problems: ProblemList) -> None:
    if line.endswith(b"\n"):
        problems.damage(offset, len(line), "no whole record in this slot")
    else:
        problems.add(ProblemKind.CUT_RECORD, offset, "the last slot has no end")


def _is_open_spans(head: Head) -> bool:
    return HEADER.match(head.content.lstrip()) is not None


FORMAT = InputFormat("open spans", _is_open_spans, read=read_open_spans)
"""The hook's side file: spans that had not ended when it was last written."""
