"""Which point has to wait for which other one: all constraints of a scope, not only those that were binding.

Each edge leads from a point to a barrier that came no earlier. Where clocks say otherwise, the constraint is taken to
come from an earlier point of the same flow.
"""

import numpy as np
import numpy.typing as npt

from raytrace_analyze.path.walk import SLOT_WITHIN_NS
from raytrace_analyze.replay.points import FORK, GUEST, ITEM, JOIN, START, Points
from raytrace_analyze.table.lineage import Flags, Rows
from raytrace_analyze.trace.asof import latest_other, latest_until, members_at, times_at
from raytrace_analyze.trace.groups import Timed, numbers_within

Edges = tuple[Rows, Rows]
"""Points that lead to points: from, to."""


def program_edges(points: Points, *, infer: bool) -> Edges:
    """Give all edges but those of slots."""
    parts = [
        _in_flow(points),
        _forks(points),
        _joins(points),
        _waits(points),
        _items(points),
        _horizon(points),
        *_starts(points, infer=infer),
    ]
    return _join_up(parts)


def slot_edges(points: Points) -> Edges:
    """Give the edges from the end of a run to the start of the one that took its place in the worker process."""
    runs, start, end = points.runs, points.scoped.start, points.scoped.end
    rows = _tasks(points)
    found, ended = _latest(runs.on_worker, runs.worker[rows], start[rows], rows)
    since = np.maximum(start[rows] - SLOT_WITHIN_NS - 1, _submitted(points, rows))
    kept = _inside(points, found) & (ended > since) & (start[found] < start[rows])
    kept &= end[found] <= start[rows]
    return points.end_of[found[kept]], points.start_of[rows[kept]]


def _join_up(parts: list[Edges]) -> Edges:
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def _runs(points: Points) -> Rows:
    rows = points.rows[:-1]
    return rows[points.scoped.structure.is_run[rows]]


def _tasks(points: Points) -> Rows:
    rows = _runs(points)
    return rows[points.runs.actor[rows] < 0]


def _inside(points: Points, rows: Rows) -> Flags:
    """Tell which rows (-1: none) are in the scope."""
    return (rows >= 0) & (points.start_of[rows] >= 0)


def _latest(timed: Timed, group: Rows, until: Rows, own: Rows) -> Edges:
    """Give the member of each group that ended last by a time, and when; not the row itself."""
    position = latest_other(timed, group, until, own)
    return members_at(timed, position), times_at(timed, position)


def _in_flow(points: Points) -> Edges:
    """Program order: from the point before a barrier."""
    barriers = np.flatnonzero(points.is_barrier & ~((points.kind == START) & (points.row == points.flow)))
    return barriers - 1, barriers


def _forks(points: Points) -> Edges:
    """From where a flow is forked off to its start; of what is detached, from its parent's end or start."""
    forks = np.flatnonzero(points.kind == FORK)
    rows = points.rows[:-1]
    torn = rows[(points.head[rows] == rows) & points.scoped.detached[rows]]
    torn = torn[~points.scoped.structure.is_run[torn]]
    first, second = _not_later(points, points.end_of[points.scoped.parent[torn]], points.start_of[torn])
    return np.concatenate([forks, first]), np.concatenate([points.start_of[points.row[forks]], second])


def _joins(points: Points) -> Edges:
    joins = np.flatnonzero((points.kind == JOIN) | (points.kind == GUEST))
    ended = points.end_of[points.other[joins]]
    kept = points.time[ended] <= points.time[joins]
    return ended[kept], joins[kept]


def _waits(points: Points) -> Edges:
    """From the ends of the tasks that a wait came back with to its end."""
    ready = points.runs.ready
    wait = np.repeat(np.arange(ready.first.size - 1), np.diff(ready.first))
    kept = _inside(points, wait) & _inside(points, ready.members)
    first, second = points.end_of[ready.members[kept]], points.end_of[wait[kept]]
    in_time = points.is_barrier[second] & (points.time[first] <= points.time[second])
    return first[in_time], second[in_time]


def _items(points: Points) -> Edges:
    items = np.flatnonzero(points.kind == ITEM)
    waits = points.end_of[points.other[items]]
    kept = points.is_barrier[waits]
    return items[kept], waits[kept]


def _horizon(points: Points) -> Edges:
    """A scope without a driver's span ends when its last run has ended."""
    horizon = points.end_of[points.root]
    if not points.is_barrier[horizon]:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    ended = points.end_of[_runs(points)]
    ended = ended[points.time[ended] <= points.time[horizon]]
    return ended, np.full(ended.size, horizon)


def _starts(points: Points, *, infer: bool) -> list[Edges]:
    """What a run had to wait for: its submit, dependencies, earlier attempts, its actor."""
    runs = _runs(points)
    submitted = runs[points.scoped.parent[runs] >= 0]
    submits = submit_edges(points, submitted)
    actors = submitted[points.runs.actor[submitted] >= 0]
    parts = [
        submits,
        _dependencies(points, submitted),
        _attempts(points, submitted),
        _creations(points, actors),
        _turns(points, actors),
    ]
    unrecorded = submitted[~points.runs.recorded[submitted]]
    if infer and unrecorded.size:
        parts += _inferred(points, unrecorded)
    return parts


def submit_edges(points: Points, runs: Rows) -> Edges:
    """From the end of its submit to the start of each run; where it started before that, from something earlier."""
    return _not_later(points, points.end_of[points.scoped.parent[runs]], points.start_of[runs])


def _not_later(points: Points, first: Rows, second: Rows) -> Edges:
    """Give edges; where one would lead back in time, it begins at an earlier point of the flow, or of the scope."""
    flow = points.flow[first]
    for earlier in (
        points.start_of[points.row[first]],
        points.start_of[flow],
        np.full(first.size, points.start_of[points.root]),
    ):
        first = np.where(points.time[first] > points.time[second], earlier, first)
    return first, second


def _from_ends(points: Points, ended: Rows, rows: Rows) -> Edges:
    """Give the edges from the ends of runs to the starts of others, where there are both and they agree."""
    kept = _inside(points, ended) & (ended != rows)
    kept &= points.scoped.end[ended] <= points.scoped.start[rows]
    return points.end_of[ended[kept]], points.start_of[rows[kept]]


def _dependencies(points: Points, runs: Rows) -> Edges:
    taken = points.runs.dependencies
    submit = points.scoped.parent[runs]
    counts = taken.first[submit + 1] - taken.first[submit]
    each = np.repeat(np.arange(runs.size), counts)
    offset = numbers_within(counts)
    return _from_ends(points, taken.members[taken.first[submit[each]] + offset], runs[each])


def _attempts(points: Points, runs: Rows) -> Edges:
    """From each attempt of a task to the next one."""
    order = runs[np.lexsort((points.scoped.start[runs], points.scoped.parent[runs]))]
    again = points.scoped.parent[order[1:]] == points.scoped.parent[order[:-1]]
    by_submit = _from_ends(points, order[:-1][again], order[1:][again])
    task = points.runs.task[runs]
    order = np.lexsort((points.scoped.start[runs], task))
    again = (task[order[1:]] == task[order[:-1]]) & (task[order[1:]] >= 0)
    by_task = _from_ends(points, runs[order[:-1][again]], runs[order[1:][again]])
    return _join_up([by_submit, by_task])


def _creations(points: Points, methods: Rows) -> Edges:
    """From an actor's creation to its methods; for a creation that is a restart, from what the actor did last."""
    runs, start = points.runs, points.scoped.start
    on_actor = runs.on_actor
    created = np.flatnonzero(runs.is_creation[on_actor.members])
    counts = np.zeros(on_actor.members.size + 1, dtype=np.int64)
    counts[created + 1] = 1
    creations = Timed(on_actor.members[created], np.cumsum(counts)[on_actor.first], on_actor.times[created])
    plain = methods[~runs.is_creation[methods]]
    first = _latest(creations, runs.actor[plain], start[plain], plain)[0]
    again = methods[runs.is_creation[methods]]
    last = _latest(on_actor, runs.actor[again], start[again], again)[0]
    return _join_up([_from_ends(points, first, plain), _from_ends(points, last, again)])


def _turns(points: Points, methods: Rows) -> Edges:
    """From each run of a serial actor to the next one, in the order that was observed."""
    runs = points.runs
    methods = methods[runs.serial_actor[runs.actor[methods]]]
    before = _latest(runs.on_actor, runs.actor[methods], points.scoped.start[methods], methods)[0]
    return _from_ends(points, before, methods)


def _inferred(points: Points, unrecorded: Rows) -> list[Edges]:
    """Where nothing was recorded: from what ended just before, on the actor, or of the job in another process."""
    runs, start = points.runs, points.scoped.start
    on_actor = runs.actor[unrecorded] >= 0
    methods, tasks = unrecorded[on_actor], unrecorded[~on_actor]
    before = _latest(runs.on_actor, runs.actor[methods], start[methods], methods)[0]
    position = latest_until(runs.in_job, runs.job[tasks], start[tasks])
    found, ended = members_at(runs.in_job, position), times_at(runs.in_job, position)
    since = np.maximum(start[tasks] - SLOT_WITHIN_NS - 1, _submitted(points, tasks))
    close = (ended > since) & (found != tasks) & (runs.worker[found] != runs.worker[tasks])
    return [_from_ends(points, before, methods), _from_ends(points, found[close], tasks[close])]


def _submitted(points: Points, runs: Rows) -> npt.NDArray[np.int64]:
    """When runs were submitted; the beginning of time where that is not known."""
    submit = points.scoped.parent[runs]
    return np.where(submit >= 0, points.scoped.end[submit], np.iinfo(np.int64).min)
