"""Which event has to wait for which other one: all constraints of a scope, not only those that were binding.

Each edge leads from a event to a barrier that came no earlier. Where clocks say otherwise, the constraint is taken to
come from an earlier event of the same flow.
"""

import numpy as np
import numpy.typing as npt

from raytrace_analyze.path.options import SLOT_WITHIN_NS, PathOptions
from raytrace_analyze.path.walk.late_submissions import late_submissions
from raytrace_analyze.replay.program_order.event_order import FORK, INFERRED_JOIN, JOIN, SIGNAL, START
from raytrace_analyze.replay.program_order.events import Edges, Events
from raytrace_analyze.replay.program_order.turn_pairs import turn_pairs
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds
from raytrace_analyze.trace.asof import NEVER, latest_other, latest_until, members_at, times_at
from raytrace_analyze.trace.groups import Timed, numbers_within

_SHORTLY_NS = 1_000_000_000
"""How long before a submission what it was made for may have ended on its actor."""


def program_edges(events: Events, options: PathOptions) -> Edges:
    """Give all edges but those of slots."""
    parts = [
        _in_flow(events),
        _forks(events),
        _joins(events),
        _waits(events),
        _signals(events),
        _calls(events),
        _rooms(events),
        _horizon(events),
        *_starts(events, options),
    ]
    return _join_up(parts)


def slot_edges(events: Events) -> Edges:
    """Give the edges from the end of a run to the start of the one that took its place, in its process or a new one."""
    runs, start, end = events.runs, events.scoped.start, events.scoped.end
    rows = _tasks(events)
    found, ended = _latest(runs.on_worker, runs.worker[rows], start[rows], rows)
    since = np.maximum(runs.slot_given(start[rows], rows) - SLOT_WITHIN_NS - 1, _submitted(events, rows))
    kept = _inside(events, found) & (ended > since) & (start[found] < start[rows])
    kept &= end[found] <= start[rows]
    taker, had = events.takers
    anew = _inside(events, had) & _inside(events, taker) & (end[had] <= start[taker])
    return _join_up(
        [
            (events.end_of[found[kept]], events.start_of[rows[kept]]),
            (events.end_of[had[anew]], events.start_of[taker[anew]]),
        ]
    )


def _join_up(parts: list[Edges]) -> Edges:
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def _runs(events: Events) -> RowIds:
    rows = events.rows[:-1]
    return rows[events.scoped.structure.is_run[rows]]


def _tasks(events: Events) -> RowIds:
    rows = _runs(events)
    return rows[events.runs.actor[rows] < 0]


def _inside(events: Events, rows: RowIds) -> Flags:
    """Tell which rows (-1: none) are in the scope."""
    return (rows >= 0) & (events.start_of[rows] >= 0)


def _latest(timed: Timed, group: RowIds, until: Nanos, own: RowIds) -> Edges:
    """Give the member of each group that ended last by a time, and when; not the row itself."""
    position = latest_other(timed, group, until, own)
    return members_at(timed, position), times_at(timed, position)


def _in_flow(events: Events) -> Edges:
    """Program order: from the event before a barrier."""
    barriers = np.flatnonzero(events.is_barrier & ~((events.kind == START) & (events.row == events.flow)))
    return barriers - 1, barriers


def _forks(events: Events) -> Edges:
    """From where a flow is forked off to its start; of what is detached, from its parent's end or start.

    What is beside a wait comes after that began.
    """
    forks = np.flatnonzero(events.kind == FORK)
    rows = events.rows[:-1]
    torn = rows[(events.head[rows] == rows) & events.scoped.detached[rows]]
    torn = torn[~events.scoped.structure.is_run[torn]]
    anchor = events.anchor[torn]
    after = np.where(anchor >= 0, events.start_of[anchor], events.end_of[events.scoped.parent[torn]])
    first, second = _not_later(events, after, events.start_of[torn])
    left = _left_behind(events, torn[anchor < 0])
    return (
        np.concatenate([forks, first, left[0]]),
        np.concatenate([events.start_of[events.row[forks]], second, left[1]]),
    )


def _left_behind(events: Events, torn: RowIds) -> Edges:
    """To submissions after the end of the span that they are in, from what else whoever made them may have looked for.

    That is the call before on the same actor, shortly before; else, of what Ray's libraries submit for themselves, what
    the driver was doing then, as on the path (`path.late_submissions`).
    """
    structure, runs = events.scoped.structure, events.runs
    late = torn[late_submissions(events.scoped)[torn]]
    made = events.scoped.start[late]
    actor = np.full(events.head.size, -1, dtype=np.int64)
    submitted = _runs(events)
    actor[structure.submit[submitted]] = runs.actor[submitted]
    before = latest_until(runs.on_actor, actor[late], made)
    run, ended = members_at(runs.on_actor, before), times_at(runs.on_actor, before)
    near = _inside(events, run) & (ended > made - _SHORTLY_NS)
    flow = np.flatnonzero(events.flow == events.flow[events.horizon])
    last = np.searchsorted(events.time[flow], made, side="right") - 1
    by_driver = ~near & structure.rays_own[events.scoped.parent[late]] & events.has_driver & (last >= 0)
    return (
        np.concatenate([events.end_of[run[near]], flow[last[by_driver]]]),
        np.concatenate([events.start_of[late[near]], events.start_of[late[by_driver]]]),
    )


def _joins(events: Events) -> Edges:
    joins = np.flatnonzero((events.kind == JOIN) | (events.kind == INFERRED_JOIN))
    ended = events.end_of[events.other[joins]]
    kept = events.time[ended] <= events.time[joins]
    return ended[kept], joins[kept]


def _waits(events: Events) -> Edges:
    """From the ends of the tasks that a wait waited for to its end; what gave it an item before is a signal."""
    waited = events.waiting.waited
    wait = np.repeat(np.arange(waited.first.size - 1), np.diff(waited.first))
    run = waited.members
    kept = _inside(events, wait) & _inside(events, run) & (waited.times >= events.scoped.structure.end[run])
    first, second = events.end_of[run[kept]], events.end_of[wait[kept]]
    in_time = events.is_barrier[second] & (events.time[first] <= events.time[second])
    return first[in_time], second[in_time]


def _signals(events: Events) -> Edges:
    """From what a run did to the start of the run that waited for it, or to the end of the wait."""
    signals = np.flatnonzero(events.kind == SIGNAL)
    waiter = events.other[signals]
    is_run = events.scoped.structure.is_run[waiter]
    after = np.where(is_run, events.start_of[waiter], events.end_of[waiter])
    kept = events.is_barrier[after] & (events.time[signals] <= events.time[after])
    return signals[kept], after[kept]


def _calls(events: Events) -> Edges:
    """From the calls that ended runs to the ends of these."""
    rows = events.rows[:-1][events.ended_by[events.rows[:-1]] >= 0]
    return events.start_of[events.ended_by[rows]], events.end_of[rows]


def _rooms(events: Events) -> Edges:
    """From where a request of Ray Serve was over to where the one is sent for which that made room."""
    room = events.waiting.room
    if room is None:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    send, handler = room.of_sends()
    kept = _inside(events, send) & _inside(events, handler)
    first, second = events.end_of[handler[kept]], events.start_of[send[kept]]
    in_time = events.time[first] <= events.time[second]
    return first[in_time], second[in_time]


def _horizon(events: Events) -> Edges:
    """A scope without a driver's span ends when its last run has ended."""
    horizon = events.end_of[events.root]
    if not events.is_barrier[horizon]:
        return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    ended = events.end_of[_runs(events)]
    ended = ended[events.time[ended] <= events.time[horizon]]
    return ended, np.full(ended.size, horizon)


def _starts(events: Events, options: PathOptions) -> list[Edges]:
    """What a run had to wait for: its submit, dependencies, earlier attempts, its actor."""
    runs = _runs(events)
    submitted = runs[events.scoped.parent[runs] >= 0]
    submits = submit_edges(events, submitted)
    actors = submitted[events.runs.actor[submitted] >= 0]
    parts = [
        submits,
        _dependencies(events, submitted),
        _attempts(events, submitted),
        _creations(events, actors),
        _join_up([_from_ends(events, *turns) for turns in turn_pairs(events, actors)]),
    ]
    unrecorded = submitted[~events.runs.recorded[submitted]]
    if options.infer and unrecorded.size:
        parts += _inferred(events, unrecorded, options.infer_within_ns)
    return parts


def submit_edges(events: Events, runs: RowIds) -> Edges:
    """From the end of its submit to the start of each run; where it started before that, from something earlier."""
    return _not_later(events, events.end_of[events.scoped.parent[runs]], events.start_of[runs])


def _not_later(events: Events, first: RowIds, second: RowIds) -> Edges:
    """Give edges; where one would lead back in time, it begins at an earlier event of the flow, or of the scope."""
    flow = events.flow[first]
    for earlier in (
        events.start_of[events.row[first]],
        events.start_of[flow],
        np.full(first.size, events.start_of[events.root]),
    ):
        first = np.where(events.time[first] > events.time[second], earlier, first)
    return first, second


def _from_ends(events: Events, ended: Nanos, rows: RowIds) -> Edges:
    """Give the edges from the ends of runs to the starts of others, where there are both and they agree."""
    kept = _inside(events, ended) & (ended != rows)
    kept &= events.scoped.end[ended] <= events.scoped.start[rows]
    return events.end_of[ended[kept]], events.start_of[rows[kept]]


def _dependencies(events: Events, runs: RowIds) -> Edges:
    taken = events.runs.dependencies
    submit = events.scoped.parent[runs]
    counts = taken.first[submit + 1] - taken.first[submit]
    each = np.repeat(np.arange(runs.size), counts)
    offset = numbers_within(counts)
    return _from_ends(events, taken.members[taken.first[submit[each]] + offset], runs[each])


def _attempts(events: Events, runs: RowIds) -> Edges:
    """From each attempt of a task to the next one."""
    return _from_ends(events, *events.runs.next_attempts(runs))


def _creations(events: Events, methods: RowIds) -> Edges:
    """From an actor's creation to its methods; for a creation that is a restart, from what the actor did last."""
    runs, start = events.runs, events.scoped.start
    on_actor = runs.on_actor
    created = np.flatnonzero(runs.is_creation[on_actor.members])
    counts = np.zeros(on_actor.members.size + 1, dtype=np.int64)
    counts[created + 1] = 1
    creations = Timed(on_actor.members[created], np.cumsum(counts)[on_actor.first], on_actor.times[created])
    plain = methods[~runs.is_creation[methods]]
    first = _latest(creations, runs.actor[plain], start[plain], plain)[0]
    again = methods[runs.is_creation[methods]]
    last = _latest(on_actor, runs.actor[again], start[again], again)[0]
    return _join_up([_from_ends(events, first, plain), _from_ends(events, last, again)])


def _inferred(events: Events, unrecorded: RowIds, within_ns: int) -> list[Edges]:
    """Where nothing was recorded: from what ended just before, on the actor, or of the job in another process."""
    runs, start = events.runs, events.scoped.start
    on_actor = runs.actor[unrecorded] >= 0
    methods, tasks = unrecorded[on_actor], unrecorded[~on_actor]
    before = _latest(runs.on_actor, runs.actor[methods], start[methods], methods)[0]
    found, close = _ended_before(events, tasks, start[tasks], within_ns)
    others = close & (runs.worker[found] != runs.worker[tasks])
    open_ = tasks[~close & (runs.arguments_there[tasks] > NEVER)]
    given, has_given = _ended_before(events, open_, np.minimum(runs.arguments_there[open_], start[open_]), within_ns)
    return [
        _from_ends(events, before, methods),
        _from_ends(events, found[others], tasks[others]),
        _from_ends(events, given[has_given], open_[has_given]),
    ]


def _ended_before(events: Events, tasks: RowIds, at: Nanos, within_ns: int) -> tuple[RowIds, Flags]:
    """Give what of the same job ended last by then, and whether that was near enough, and after the submit."""
    runs = events.runs
    position = latest_until(runs.in_job, runs.job[tasks], at)
    found, ended = members_at(runs.in_job, position), times_at(runs.in_job, position)
    since = np.maximum(at - within_ns - 1, _submitted(events, tasks))
    return found, (ended > since) & (found != tasks)


def _submitted(events: Events, runs: RowIds) -> npt.NDArray[np.int64]:
    """When runs were submitted; the beginning of time where that is not known."""
    submit = events.scoped.parent[runs]
    return np.where(submit >= 0, events.scoped.end[submit], np.iinfo(np.int64).min)
