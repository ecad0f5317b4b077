"""What was wrong with the input of a `merge`, kept in the metadata of the table, so that who reads it knows too."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec
import polars as pl

from raytrace_analyze.decode.parquet import CANNOT_READ
from raytrace_analyze.decode.records.record import NOT_AS_TYPED
from raytrace_analyze.files.opened import for_polars
from raytrace_analyze.model import Problem, ProblemKind

PROBLEMS_KEY = "raytrace.problems"
"""Key of the metadata: JSON, a list of lists."""

_MOST = 100
"""So many of a kind are kept one by one; the rest as one that stands for all of them."""
_LONGEST = 1 << 20
_FROM_ROWS = (ProblemKind.MISSING_PARENT,)
"""Kinds that the rows themselves tell of, anew each time they are read."""

_Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class _Kept(msgspec.Struct, array_like=True, frozen=True):
    kind: ProblemKind
    path: str
    offset: _Count | None
    detail: str
    lost: _Count
    places: _Count


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(list[_Kept]).decode


def problems_text(problems: Iterable[Problem]) -> str:
    """Write problems as text for the metadata; empty if there is none to keep."""
    kept: list[_Kept] = []
    listed = list(problems)
    for kind in ProblemKind:
        of_kind = [problem for problem in listed if problem.kind is kind and kind not in _FROM_ROWS]
        shown, more = of_kind[:_MOST], of_kind[_MOST:]
        if more:
            lost, places = sum(each.lost for each in more), sum(each.places for each in more)
            shown.append(Problem(kind, "", None, f"{places:,} more of these", lost, places))
        kept += [_Kept(each.kind, each.path, each.offset, each.detail, each.lost, each.places) for each in shown]
    return _encode(kept).decode() if kept else ""


def kept_problems(path: Path) -> tuple[Problem, ...]:
    """Read what `problems_text` wrote into the metadata of a table; nothing where that cannot be read."""
    try:
        text = pl.read_parquet_metadata(for_polars(path)).get(PROBLEMS_KEY, "")
        kept = _decode(text) if 0 < len(text) <= _LONGEST else []
    except (*CANNOT_READ, *NOT_AS_TYPED):
        return ()
    return tuple(Problem(each.kind, each.path, each.offset, each.detail, each.lost, each.places) for each in kept)
