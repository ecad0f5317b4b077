"""Spans within their scopes: virtual roots, effective intervals, what is detached.

The part of the definition's "Before the walk" that depends on the scope. All scopes of one kind (all jobs, all
traces) are prepared at once. A scope's virtual root stands behind the rows of the table: scope `k` is element
`n + k` of the arrays, where `n` is the number of spans.
"""

from functools import cached_property

import numpy as np

from raytrace_analyze.table.lineage import Flags, Nanos, RowIds, fold_ancestors
from raytrace_analyze.trace.span_arrays import Structure
from raytrace_analyze.values import frozen

_LATEST = np.iinfo(np.int64).max
_EARLIEST = np.iinfo(np.int64).min


@frozen
class Scoped:
    """Spans of one or more scopes, with their virtual roots; arrays of length n + scopes."""

    structure: Structure
    scope_of: RowIds
    """The number of each span's scope, -1 where it is in none; a virtual root belongs to its own."""
    start: Nanos
    """Effective start."""
    end: Nanos
    """Effective end; for a virtual root the horizon."""
    parent: RowIds
    """The parent in whose control flow a nested span lies (a virtual root where there is none in the scope); for a
    run its submit, -1 where that is missing or outside the scope."""
    detached: Flags
    """Nested spans that lie outside their parent: on no path."""

    @cached_property
    def span_count(self) -> int:
        """How many spans there are; the first virtual root stands at this position."""
        return self.structure.spans.height

    def root(self, scope: int) -> int:
        """Give the position of a scope's virtual root."""
        return self.span_count + scope


def scope_spans(structure: Structure, scope_of: RowIds, scope_count: int) -> Scoped:
    """Cut the table into scopes (`scope_of`: the number of each row's scope, -1 for none) and clip the spans."""
    inside = structure.parent >= 0
    same_scope = inside & (scope_of == scope_of[structure.parent])
    parent = np.where(same_scope, structure.parent, -1)
    nest_parent = np.where(structure.is_run, -1, parent)
    nested = nest_parent >= 0
    # Where no span sticks out of its own parent, none sticks out of any ancestor.
    start, end = structure.start, structure.end
    if (nested & (start < start[nest_parent])).any():
        start = fold_ancestors(nest_parent, start, np.maximum)
    if (nested & (end > end[nest_parent])).any():
        end = fold_ancestors(nest_parent, end, np.minimum)
    outside = nested & ((structure.start >= end[nest_parent]) | (structure.end < start[nest_parent]))
    detached = fold_ancestors(nest_parent, outside, np.logical_or) if outside.any() else outside
    root_start, root_end = _extents(structure, scope_of, scope_count, start, end, detached)
    roots = structure.spans.height + scope_of
    orphan = (parent < 0) & ~structure.is_run & (scope_of >= 0)
    scopes = np.arange(scope_count, dtype=np.int64)
    return Scoped(
        structure=structure,
        scope_of=np.concatenate([scope_of, scopes]),
        start=np.concatenate([start, root_start]),
        end=np.concatenate([end, root_end]),
        parent=np.concatenate([np.where(orphan, roots, parent), np.full(scope_count, -1, dtype=np.int64)]),
        detached=np.concatenate([detached, np.zeros(scope_count, dtype=np.bool_)]),
    )


def _extents(
    structure: Structure, scope_of: RowIds, scope_count: int, start: Nanos, end: Nanos, detached: Flags
) -> tuple[RowIds, RowIds]:
    """Give start and horizon of each scope's virtual root."""
    root_start = np.full(scope_count, _LATEST, dtype=np.int64)
    root_end = np.full(scope_count, _EARLIEST, dtype=np.int64)
    driver_end = root_end.copy()
    within = scope_of >= 0
    np.minimum.at(root_start, scope_of[within], start[within])
    counts = within & ~detached
    np.maximum.at(root_end, scope_of[counts], end[counts])
    is_driver = (structure.spans.get_column("category") == "driver").to_numpy() & within
    np.maximum.at(driver_end, scope_of[is_driver], end[is_driver])
    horizon = np.where(driver_end > _EARLIEST, driver_end, root_end)
    return root_start, np.maximum(horizon, root_start)
