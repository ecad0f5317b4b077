"""The records in one stretch of span JSON: all at once where it is sound, one by one where it is not."""

from dataclasses import dataclass, field
from itertools import pairwise

import msgspec
import polars as pl

from raytrace_analyze.decode.records.alike import Block, sort_out
from raytrace_analyze.decode.records.cut_columns import cut_columns
from raytrace_analyze.decode.records.framing import Damage, Found, Unfinished, record_starts, scan
from raytrace_analyze.decode.records.layout import Layout
from raytrace_analyze.decode.records.record import NOT_AS_TYPED, Record

_decoder = msgspec.json.Decoder(Record)

LARGE_BYTES = 1 << 20
"""From this much on, looking for what is laid out alike pays."""
_OF_KNOWN_BYTES = 256 << 10
"""The same where it is known already how records of the file are laid out."""
_MOST_OTHERS = 0.5
"""The share of records that may be like none, for it to pay."""

_AFTER_ELEMENT = b" \t\r\n,]"
"""What may follow a record that is an element of an array."""


@dataclass
class Stretch:
    """What was found in some bytes that start where a record does."""

    records: list[Record] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    """Where each record starts; left empty by `read_stretch` if all of the stretch was sound."""
    damage: list[Damage] = field(default_factory=list)
    unfinished: int | None = None
    """From here to the end of the stretch there is the start of a record."""
    raw: pl.DataFrame | None = None
    """In place of the records: their columns, as `columns.as_raw` gives them."""


def read_stretch(data: bytes, known: list[Layout] | None = None) -> Stretch:
    """Find all span records in the bytes.

    Given the layouts of the file's records that are `known`, to which it adds those that it meets, it may give whole
    columns in place of records.
    """
    if known is not None and len(data) >= (_OF_KNOWN_BYTES if known else LARGE_BYTES):
        found = _read_alike(data, known)
        if found is not None:
            return found
    if _is_utf8(data):
        try:
            # Takes line breaks inside a record, and none between two, as well.
            return Stretch(_decoder.decode_lines(data))
        except NOT_AS_TYPED:
            pass
    return read_with_offsets(data)


def _read_alike(data: bytes, known: list[Layout]) -> Stretch | None:
    """Read what is laid out alike as columns; None where that is not nearly all of it, or something is unsound."""
    block = Block(data)
    found = sort_out(block, known)
    if found is None or len(found.others) > _MOST_OTHERS * len(found.starts):
        return None
    try:
        records = _decoder.decode_lines(b"".join(found.texts))
    except NOT_AS_TYPED:
        return None
    if len(records) != len(found.texts):
        return None
    return Stretch(offsets=found.starts.tolist(), raw=cut_columns(block, found, records))


def read_with_offsets(data: bytes) -> Stretch:
    """Find the same records, each with its offset; what does not decode as it stands is searched."""
    stretch = Stretch()
    unclear: int | None = None
    for start, end in pairwise([*record_starts(data), len(data)]):
        record = _single_record(data[start:end].rstrip(_AFTER_ELEMENT))
        if record is None:
            unclear = start if unclear is None else unclear
            continue
        if unclear is not None:
            _search(stretch, data, unclear, start)
            unclear = None
        stretch.records.append(record)
        stretch.offsets.append(start)
    if unclear is not None:
        _search(stretch, data, unclear, len(data))
    return stretch


def _single_record(data: bytes) -> Record | None:
    if not _is_utf8(data):
        return None
    try:
        return _decoder.decode(data)
    except NOT_AS_TYPED:
        return None


def _search(stretch: Stretch, data: bytes, start: int, end: int) -> None:
    """Add what is in data[start:end], which did not decode record by record."""
    for item in scan(data[start:end]):
        offset = start + item.offset
        match item:
            case Found():
                stretch.records.append(item.record)
                stretch.offsets.append(offset)
            case Damage():
                stretch.damage.append(Damage(offset, item.length, item.reason))
            case Unfinished() if end < len(data):
                stretch.damage.append(Damage(offset, end - offset, "half a record"))
            case Unfinished():
                stretch.unfinished = offset


def _is_utf8(data: bytes) -> bool:
    if data.isascii():
        return True
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
