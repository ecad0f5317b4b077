"""What a span of a scope can have waited for: the children that it joins."""

import numpy as np

from raytrace_analyze.names.serve import is_route
from raytrace_analyze.table.lineage import Flags, RowIds, flags
from raytrace_analyze.trace.ancestors import first_above
from raytrace_analyze.trace.clipping import Scoped
from raytrace_analyze.trace.groups import Timed, group_in_order, latest_last, positions
from raytrace_analyze.trace.relations import Runs
from raytrace_analyze.trace.span_arrays import Structure


def joins(scoped: Scoped, runs: Runs, *, infer: bool) -> Timed:
    """Give, by span or virtual root, the children it can have waited for, in order of when they ended.

    Those are its nested children, of a virtual root what its scope is about (`asked_for`), and, with `infer`, runs that
    nobody claims and whose waits were not recorded. What Ray's libraries run for themselves nobody is taken to have
    waited for.
    """
    structure = scoped.structure
    count = scoped.span_count
    nested = np.flatnonzero((scoped.parent[:count] >= 0) & ~structure.is_run & ~scoped.detached[:count])
    guests = np.empty(0, dtype=np.int64)
    if infer:
        by_async = _submitted_by_async(structure)
        guests = np.flatnonzero(
            structure.is_run & (scoped.scope_of[:count] >= 0) & ~runs.claimed & (~runs.recorded | by_async)
        )
        guests = guests[~structure.rays_own[guests]]
    asked = asked_for(scoped)
    guests = guests[~np.isin(guests, asked)]
    children = np.concatenate([nested, guests, asked])
    roots = count + scoped.scope_of[asked]
    owner = np.concatenate([scoped.parent[nested], _inferred_owners(scoped, guests), roots])
    ended = scoped.end[children]
    ties = (structure.is_submit[children].astype(np.int64), -scoped.start[children])
    order = latest_last(ended, ties, lambda some: structure.id_ranks(children[some]))
    place = np.empty(order.size, dtype=np.int64)
    place[order] = np.arange(order.size)
    return group_in_order(owner, scoped.start.size, children, place, ended)


def asked_for(scoped: Scoped) -> RowIds:
    """Give the runs that scopes are about: what a request of Ray Serve asks for that begins where it is sent.

    Whoever asked, and waits for it, is outside the scope: a request by a handle of the driver, say.
    """
    structure, count = scoped.structure, scoped.span_count
    tops = np.flatnonzero((scoped.parent[:count] >= count) & ~scoped.detached[:count])
    routes: RowIds = tops[structure.is_submit[tops]]
    routes = routes[is_route(structure.spans.get_column("name").gather(routes)).to_numpy()]
    if routes.size == 0:
        return routes
    scope = scoped.scope_of
    alone = positions(np.bincount(scope[tops])[scope[routes]] == 1)
    routes = routes[alone]
    begins = np.zeros(count, dtype=np.int64)
    begins[routes] = 1
    runs = np.flatnonzero(structure.is_run & (scoped.parent[:count] >= 0) & ~structure.rays_own)
    submit = scoped.parent[runs]
    route = first_above(structure.nest_parent, begins, submit, np.ones_like(submit))
    return runs[positions(route >= 0)]


def _inferred_owners(scoped: Scoped, guests: RowIds) -> RowIds:
    """Climb from each run's submit to the nearest ancestor that had not ended when the run ended.

    Climbing skips submits and goes through tasks; where nothing is left above, the virtual root takes the run.
    """
    structure, count = scoped.structure, scoped.span_count
    if guests.size == 0:
        return guests
    lasts_until = np.where(structure.is_submit, np.iinfo(np.int64).min, scoped.end[:count])
    owner = first_above(scoped.parent[:count], lasts_until, scoped.parent[guests], scoped.end[guests])
    return np.where(owner < 0, count + scoped.scope_of[guests], owner)


def _submitted_by_async(structure: Structure) -> Flags:
    """Tell the runs that an async (or threaded) method submitted, whose awaits may be missing."""
    concurrent = flags(structure.spans.get_column("concurrent")) & structure.is_run
    if not concurrent.any():
        return concurrent
    above = structure.nest_parent.copy()
    while True:
        open_rows = np.flatnonzero(above >= 0)
        open_rows = open_rows[structure.nest_parent[above[open_rows]] >= 0]
        if open_rows.size == 0:
            break
        above[open_rows] = above[above[open_rows]]
    submit = structure.submit
    outermost = np.where(submit >= 0, above[submit], -1)
    return (outermost >= 0) & concurrent[outermost]
