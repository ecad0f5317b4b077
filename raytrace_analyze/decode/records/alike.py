"""Records that are laid out alike, read as whole columns: found by their literals, cut out by their places.

No record becomes an object of its own, so that several threads of one process do; what is not alike is left to who
reads one by one.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import polars as pl

from raytrace_analyze.decode.records.layout import Layout, Run, Slot, layouts_of
from raytrace_analyze.values import frozen

Offsets = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

_QUOTE, _BACKSLASH, _FIRST_PRINTABLE = ord('"'), ord("\\"), ord(" ")
_CLOSE = ord("]")
_BREAK = ord("\n")
_OPEN = ord("{")

_WINDOWS = (64, 1 << 10, 1 << 14)
"""How far the end of a text is looked for, one after the other where it is not found."""
_MOST_LONG = 1 << 10
"""Of more long texts at a time the end is not looked for: memory stays bounded."""
_MOST_BYTES = 16 << 20
"""How much is cut out at a time, if there are not single texts that are longer."""
_MOST_DIGITS = 20

_SHORT = 32
"""How much of a run's end is looked at first."""

_ROUNDS = 3
_SAMPLES = 12
"""So many records are looked at, so many times, for layouts that are not known yet."""
_MOST_KNOWN = 32
"""So many layouts are kept: each is tried on all that is left."""
_FEWEST = 64
"""So few records are read one by one as fast."""

_TEXTS = r'"[^"\\]+"(?:\s*,\s*"[^"\\]+")*'
_NUMBERS = r"(?:0|[1-9][0-9]{0,18})(?:\s*,\s*(?:0|[1-9][0-9]{0,18}))*"


@frozen
class Alike:
    """Records of one layout. Offsets are those of the data that they stand in."""

    layout: Layout
    rows: Offsets
    """Which of the records these are."""
    runs: Sequence[Offsets]
    """Where each run of the layout starts."""
    lengths: Sequence[Offsets]
    """How long the place is that follows it; one less."""

    @property
    def attributes(self) -> tuple[Offsets, Offsets]:
        """Where the texts of their attributes start, and their lengths."""
        (first, offset), (last, end_offset) = self.layout.attributes, self.layout.after_attributes
        start = self.runs[first] + offset
        return start, self.runs[last] + end_offset - start


@frozen
class Sorted:
    """The records of some data by layout."""

    starts: Offsets
    """Where each record starts; the first is 0."""
    alike: Sequence[Alike]
    others: Offsets
    """Records that are like none of these, as positions in `starts`."""
    texts: Sequence[bytes]
    """The same as they stand there."""


class Block:
    """Bytes in which the same is looked up in many places at once."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.array = np.frombuffer(data, np.uint8)

    def cut(self, at: Offsets, width: int) -> npt.NDArray[np.bytes_]:
        """Give so many bytes at each offset; NULs for those that are beyond the end."""
        last = max(len(self.data) - width, 0)
        width_of_view = min(width, len(self.data))
        view = np.ndarray((last + 1,), f"S{width_of_view}", self.data, strides=(1,))
        found = view[np.minimum(at, last)].astype(f"S{width}", copy=False)
        for row in np.flatnonzero(at > last).tolist():
            found[row] = self.data[at[row] : at[row] + width]
        return np.asarray(found)

    def window(self, at: Offsets, width: int) -> npt.NDArray[np.uint8]:
        """Give the same as numbers, a row each."""
        found = self.cut(at, width)
        return found.view(np.uint8).reshape(len(at), found.itemsize)

    def wide(self, at: Offsets, width: int) -> pl.Series:
        """Give the texts at the offsets, all of one width."""
        return _as_bytes(self.window(at, width)).cast(pl.String)

    def texts(self, at: Offsets, lengths: Offsets) -> pl.Series:
        """Give the texts at the offsets, which have these lengths."""
        width = int(lengths.max())
        if len(at) > 1 and len(at) * width > _MOST_BYTES:  # a few are long, and all would take as much as the longest
            order = np.argsort(lengths, kind="stable")
            halves = (order[: len(at) // 2], order[len(at) // 2 :])
            return pl.concat([self.texts(at[half], lengths[half]) for half in halves]).gather(np.argsort(order))
        if (lengths == width).all():
            return self.wide(at, width) if width else pl.repeat("", len(at), eager=True)
        cut = pl.DataFrame({"bytes": _as_bytes(self.window(at, width)), "length": lengths})
        return cut.select(pl.col("bytes").bin.head("length").cast(pl.String)).to_series()


def _as_bytes(characters: npt.NDArray[np.uint8]) -> pl.Series:
    """Make bytes of each row: no other way from places in a text to a column takes so little."""
    return pl.Series(characters).cast(pl.List(pl.UInt8)).cast(pl.Binary)


def sort_out(block: Block, known: list[Layout]) -> Sorted | None:
    """Tell which records of the block are laid out alike; adds layouts that it meets to those `known`,
    the commonest first.

    None where that cannot be told: not all of it is ASCII, or a character is somewhere that ends a string early.
    """
    if not block.data.isascii():
        return None
    starts = record_starts(block)
    ends = np.append(starts[1:], len(block.data))
    left = np.arange(len(starts))
    is_left = np.ones(len(starts), np.bool_)
    alike: list[Alike] = []

    def match(layout: Layout) -> bool:
        nonlocal left
        found = _match(block, layout, left, starts, ends) if len(left) else None
        if found is None:
            return False
        alike.append(found)
        is_left[found.rows] = False
        left = left[is_left[left]]
        return True

    for layout in known:
        match(layout)
    for _ in range(_ROUNDS):
        if len(left) < _FEWEST:
            break
        samples = left[np.linspace(0, len(left) - 1, _SAMPLES, dtype=np.int64)].tolist()
        for layout in layouts_of([block.data[starts[row] : ends[row]] for row in samples]):
            match(layout)
    common = sorted(alike, key=lambda found: len(found.rows), reverse=True)
    met = [found.layout for found in common]
    known[:] = [*met, *(layout for layout in known if layout not in met)][:_MOST_KNOWN]
    others = [block.data[starts[row] : ends[row]] for row in left.tolist()]
    return Sorted(starts, alike, left, others) if _adds_up(block, alike, b"".join(others)) else None


def record_starts(block: Block) -> Offsets:
    """Give the offsets where a record starts: at a bracket at the start of a line; 0 is always one of them."""
    first = np.flatnonzero(block.array == _BREAK) + 1
    first = first[: np.searchsorted(first, len(block.data))]
    return np.concatenate([[0], first[block.array[first] == _OPEN]])


def _match(block: Block, layout: Layout, rows: Offsets, starts: Offsets, ends: Offsets) -> Alike | None:
    """Find which of the rows are laid out so, and their places; None if none is."""
    # The rows that can be still, where to go on in each, and for each run where it starts, and how long its place is.
    known: list[Offsets] = [rows, starts[rows]]
    for run in layout.runs:
        known = _kept(known, _ends_with(block, known[1], run))
        known = _kept(known, _agrees(block, known[1], run))
        matched, at, *told = known
        after = at + len(run.text)
        if run.slot is None:
            known = _kept([matched, after, *told, at], after == ends[matched])
        else:
            length, is_sound = _length(block, after, run.slot)
            known = _kept([matched, after + length, *told, at, length], is_sound)
        if not len(known[0]):
            return None
    matched, _, *told = known
    return Alike(layout, matched, told[::2], told[1::2])


def _kept(known: list[Offsets], flags: Flags) -> list[Offsets]:
    return known if flags.all() else [values[flags] for values in known]


def _ends_with(block: Block, at: Offsets, run: Run) -> Flags:
    """Tell where a run ends as it should: what tells records of other kinds apart, at least cost."""
    literal = run.last[-_SHORT:]
    return np.asarray(block.cut(at + len(run.text) - len(literal), len(literal)) == literal)


def _agrees(block: Block, at: Offsets, run: Run) -> Flags:
    """Tell where all that is literal in a run, but for its end, is as it should be."""
    if len(run.text) <= _SHORT and not run.fixed:
        return np.ones(len(at), np.bool_)
    if not run.fixed:
        return np.asarray(block.cut(at, len(run.text)) == run.text)
    text, mask = (np.frombuffer(values, np.uint8) for values in (run.text, run.mask))
    differs = np.asarray(((block.window(at, len(text)) ^ text) & mask).any(axis=1))
    return ~differs


def _length(block: Block, at: Offsets, slot: Slot) -> tuple[Offsets, Flags]:
    """Tell how long what stands in the place is at each offset, and whether it can be that."""
    match slot:
        case Slot.TEXT:
            return _up_to(block, at, _QUOTE)
        case Slot.LIST:
            return _up_to(block, at, _CLOSE)
        case Slot.NUMBER:
            window = block.window(at, _MOST_DIGITS)
            is_digit = (window - np.uint8(ord("0"))) < 10
            length = np.argmin(is_digit, axis=1)
            return length, (length == 1) | ((length > 1) & (window[:, 0] != ord("0")))


def _up_to(block: Block, at: Offsets, character: int) -> tuple[Offsets, Flags]:
    """Tell how far the next such character is from each offset, and whether there is one near."""
    length = np.zeros(len(at), np.int64)
    is_found = np.zeros(len(at), np.bool_)
    left = np.arange(len(at))
    for width in _WINDOWS:
        window = block.window(at[left], width)
        distance = ((window == character) | (window == _BACKSLASH)).argmax(axis=1)
        found = window[np.arange(len(left)), distance] == character
        length[left[found]] = distance[found]
        is_found[left[found]] = True
        left = left[~found]
        if not 0 < len(left) <= _MOST_LONG:
            break
    return length, is_found


def _adds_up(block: Block, alike: Sequence[Alike], others: bytes) -> bool:
    """Tell whether all quotes, backslashes and control characters stand in literals, or in lists or other records.

    If so, none is in a place, and each string ends where its place does.
    """
    expected = _odd(np.frombuffer(others, np.uint8))
    for found in alike:
        expected += len(found.rows) * _odd(np.frombuffer(found.layout.literals, np.uint8))
        for run, at, length in zip(found.layout.runs, found.runs, found.lengths, strict=False):
            if run.slot is Slot.LIST:
                is_full = length > 0
                if not is_full.any():
                    continue
                lists = block.texts(at[is_full] + len(run.text), length[is_full])
                either = _TEXTS if run.name else f"{_TEXTS}|{_NUMBERS}"  # a column is made of texts only
                if not lists.str.contains(rf"^\s*(?:{either})?\s*$").all():
                    return False
                expected += _odd(np.frombuffer(lists.str.join("").item().encode(), np.uint8))
    return bool((_odd(block.array) == expected).all())


def _odd(characters: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    return np.array(
        [
            np.count_nonzero(characters == _QUOTE),
            np.count_nonzero(characters == _BACKSLASH),
            np.count_nonzero(characters < _FIRST_PRINTABLE),
        ]
    )
