"""Frees what little is told of a large frame from its texts: polars keeps all of them for whoever has one."""

from dataclasses import fields, is_dataclass, replace
from typing import Any, TypeVar

import polars as pl

_LITTLE = 4
_Told = TypeVar("_Told")


def with_own_texts(told: _Told, of: pl.DataFrame) -> _Told:
    """Give the same with texts of its own in each frame with less than a quarter of the rows of the one it tells `of`.

    Frames are looked for in tuples, lists and dataclasses, too. Larger ones stay as they are: a copy costs as much.
    """
    changed: Any = told
    match told:
        case pl.DataFrame():
            is_little = told.height * _LITTLE < of.height
            # Texts that were put together anew lie in memory by themselves.
            changed = told.with_columns(pl.col(pl.String) + "") if is_little else told
        case tuple() if hasattr(told, "_fields"):
            changed = type(told)(*(with_own_texts(each, of) for each in told))
        case tuple() | list():
            changed = type(told)(with_own_texts(each, of) for each in told)
        case _ if is_dataclass(told) and not isinstance(told, type):
            changed = replace(told, **{one.name: with_own_texts(getattr(told, one.name), of) for one in fields(told)})
    return changed  # type: ignore[no-any-return]
