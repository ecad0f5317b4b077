"""The events of a job in time, in order: starts, ends and joins of spans, strung up along flows of control.

A flow is what happens one thing after another: a run (or the scope's virtual root) with all that is nested in it.
Nested spans that overlap (threads, awaits side by side) are flows of their own, forked off where they start and
joined where they end; so are detached spans, which nobody joins. The stretch of time before a event belongs to the
innermost span there.

Rows are positions in the arrays of `Scoped`: spans, then virtual roots.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from raytrace_analyze.replay.beside import take_apart
from raytrace_analyze.replay.signals import Signals, find_signals
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds, depth, flags, nearest_ancestor
from raytrace_analyze.trace.clipping import Scoped
from raytrace_analyze.trace.joins import joins
from raytrace_analyze.trace.relations import Runs
from raytrace_analyze.values import frozen
from raytrace_analyze.waits.suspensions import own_time
from raytrace_analyze.waits.waiting import Waiting

Edges = tuple[RowIds, RowIds]
"""What leads to what: from, to."""

START, END, FORK, JOIN, INFERRED_JOIN, SIGNAL = range(6)
"""Kinds of events: of a span's own flow its start and end; of another flow where a row is forked off or joined; where
a run is joined that nobody claims; where a run did what another span waited for (see `signals`)."""

_FAR = 1 << 40


@frozen
class Slots:
    """Who had the slots that runs waited for."""

    freed: Signals
    """Where actors were ended that had them."""
    taken: Edges
    """Runs that began with a new process once a task's run had ended, and that run: rows."""

    @staticmethod
    def unknown() -> "Slots":
        """Know nothing."""
        none = Signals.none()
        return Slots(none, (none.row, none.row))


@frozen
class Events:
    """All events of a scope, sorted by flow and, within it, in the order in which they came."""

    scoped: Scoped
    runs: Runs
    waiting: Waiting
    root: int
    """Row of the scope's virtual root."""
    rows: RowIds
    """The rows of the scope, the root last."""
    flow: RowIds
    """By event: the row of the span that heads its flow."""
    time: Nanos
    row: RowIds
    kind: npt.NDArray[np.int8]
    owner: RowIds
    """The innermost span of the stretch before the event."""
    is_barrier: Flags
    """Events that wait for other flows: the start of a flow, joins, ends of waits and of runs that a call ended, where
    a request of Ray Serve is sent once there is room. A stretch before one is time spent waiting; any other takes as
    long as it takes."""
    start_of: RowIds
    """By row: the event where it starts in its own flow, -1 outside the scope."""
    end_of: RowIds
    other: RowIds
    """Of JOIN and INFERRED_JOIN events what is joined, of SIGNAL events the span that waits for it: rows, or -1."""
    ended_by: RowIds
    """By row: the call that ended a run, -1 for none."""
    anchor: RowIds
    """By row: the wait beside which it is, so that its flow does not wait for it; -1 for none."""
    head: RowIds
    """By row: the row that heads its flow."""
    run_above: RowIds
    """By row: the run in whose body it lies, itself for a run, -1 for the driver's."""
    is_wait: Flags
    """By row: waits, but for sleeps that stand for work."""
    takers: Edges
    """Runs that began with a new process in the slot of another one that had ended, and those: rows."""
    frees_slot: Flags
    """By event: there an actor was ended whose slot a run waited for."""
    has_driver: bool
    horizon: int
    """The event where the scope ends: the driver's end, where there is one."""
    """The driver has a span of its own in the scope: what lies outside of all spans is not the driver's."""


def lay_events(
    scoped: Scoped,
    runs: Runs,
    scope: int,
    waiting: Waiting,
    *,
    infer: bool = True,
    slots: Slots | None = None,
) -> Events:
    """Find the events of one scope; `slots` is what is known of who had those that runs waited for."""
    slots = slots or Slots.unknown()
    # Where clocks contradict each other, a span can end before it starts: it takes no time then.
    scoped = replace(scoped, end=np.maximum(scoped.end, scoped.start))
    root = scoped.root(scope)
    rows = np.append(np.flatnonzero(scoped.scope_of[: scoped.span_count] == scope), root)
    is_run = np.append(scoped.structure.is_run, np.zeros(scoped.start.size - scoped.span_count, dtype=np.bool_))
    above = np.where(is_run, -1, scoped.parent)
    run_above = np.where(is_run, np.arange(is_run.size), nearest_ancestor(above, is_run))
    nested = rows[above[rows] >= 0]
    attached_spans = nested[~scoped.detached[nested]]
    scoped, beside = take_apart(scoped, runs, waiting, attached_spans)
    loose = np.union1d(_notes(scoped, runs, waiting, attached_spans), beside.row)
    if waiting.room is not None:
        # What a router tries while there is no room it would not have tried, had there been some sooner.
        loose = np.union1d(loose, np.intersect1d(waiting.room.meanwhile, attached_spans))
    anchor = np.full(is_run.size, -1)
    anchor[beside.row] = beside.wait
    if loose.size:
        detached = scoped.detached.copy()
        detached[loose] = True
        scoped = replace(scoped, detached=detached)
    forks = np.concatenate([_overlapping(scoped, nested[~scoped.detached[nested]]), nested[_detached(scoped, nested)]])
    is_head = above < 0
    is_head[forks] = True
    head = np.where(is_head, np.arange(is_head.size), nearest_ancestor(above, is_head))
    level = depth(np.where(is_head, -1, above))
    lost = rows[is_run[rows] & (scoped.parent[rows] < 0)]
    attached = forks[~scoped.detached[forks]]
    in_time = attached[scoped.end[attached] <= scoped.end[head[above[attached]]]]
    guest, claimant = _guests(scoped, runs, rows, infer=infer)
    inner = _child_at(scoped, above, head, rows, guest, claimant)
    # Whose waits are recorded did something else meanwhile: nothing says that it waited for that afterwards.
    joined = (inner < 0) | ~runs.recorded[guest]
    guest, claimant, inner = guest[joined], claimant[joined], inner[joined]
    guest_time = np.where(inner >= 0, scoped.end[inner], scoped.end[guest])
    signals, of_slot = find_signals(scoped, runs, waiting, rows, slots.freed)
    parts = [
        _spans(scoped, rows, head, level, above, START),
        _spans(scoped, rows, head, level, above, END),
        _part(FORK, head[above[attached]], scoped.start[attached], attached, _fork_key(scoped, attached, level, above)),
        _part(FORK, np.full(lost.size, root), scoped.start[lost], lost, np.full(lost.size, 2 * _FAR)),
        _part(JOIN, head[above[in_time]], scoped.end[in_time], in_time, _join_key(scoped, in_time, level, above)),
        _part(INFERRED_JOIN, head[claimant], guest_time, claimant, _key(level[claimant] + 1, 1)),
        _part(SIGNAL, head[signals.row], signals.time, signals.row, np.full(signals.row.size, 2 * _FAR)),
    ]
    kind, flow, time, row, key = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    none = [np.full(part[0].size, -1) for part in parts]
    other = np.concatenate([*none[:4], in_time, guest, signals.waiter])
    frees_slot = np.concatenate([np.zeros(other.size - of_slot.size, dtype=np.bool_), of_slot])
    order = _sorted(flow, time, key)
    kind, flow, time, row, other = kind[order], flow[order], time[order], row[order], other[order]
    start_of, end_of = np.full(is_run.size, -1), np.full(is_run.size, -1)
    for which, kept in ((start_of, START), (end_of, END)):
        found = np.flatnonzero(kind == kept)
        which[row[found]] = found
    is_wait = np.append(runs.is_wait, np.zeros(is_run.size - runs.is_wait.size, np.bool_))
    is_let_go = np.zeros(scoped.span_count, dtype=np.bool_)
    is_let_go[signals.waiter[signals.waiter < scoped.span_count]] = True
    is_wait[: scoped.span_count] &= ~own_time(runs, is_let_go)
    ended_by = ended_in_scope(scoped, waiting, rows)
    drivers = rows[:-1][flags(scoped.structure.spans.get_column("category").gather(rows[:-1]) == "driver")]
    # What others begin beside the driver, such as the long polls of Ray Serve, holds nobody's end up.
    last = drivers[(scoped.end[drivers] == scoped.end[root]) & (time[end_of[drivers]] == scoped.end[root])]
    return Events(
        scoped=scoped,
        runs=runs,
        waiting=waiting,
        root=root,
        rows=rows,
        flow=flow,
        time=time,
        row=row,
        kind=kind,
        owner=_owners(kind, flow, row, above),
        is_barrier=((kind == START) & ((row == flow) | _is_let_in(waiting, is_run.size)[row]))
        | (kind == JOIN)
        | (kind == INFERRED_JOIN)
        | ((kind == END) & is_wait[row] & ~is_run[row])
        | ((kind == END) & (ended_by[row] >= 0))
        | ((kind == END) & (row == root) & (drivers.size == 0)),
        start_of=start_of,
        end_of=end_of,
        other=other,
        ended_by=ended_by,
        anchor=anchor,
        head=head,
        run_above=run_above,
        is_wait=is_wait,
        takers=slots.taken,
        frees_slot=frees_slot[order],
        has_driver=drivers.size > 0,
        horizon=int(end_of[last[0] if last.size else root]),
    )


def _is_let_in(waiting: Waiting, size: int) -> Flags:
    """Tell by row what brought requests of Ray Serve to a replica, once others had made room there."""
    is_let_in = np.zeros(size, dtype=np.bool_)
    if waiting.room is not None:
        is_let_in[waiting.room.of_sends()[0]] = True
    return is_let_in


_Part = tuple[npt.NDArray[np.int8], RowIds, RowIds, RowIds, RowIds]
"""Events of one kind: kind, flow, time, row, and what orders events of one time."""


def _part(kind: int, flow: RowIds, time: Nanos, row: RowIds, key: RowIds) -> _Part:
    return np.full(row.size, kind, dtype=np.int8), flow, time, row, key


def _key(level: RowIds, sub: int) -> RowIds:
    """Order what happens at one time: ends, the deepest first (0, 1), then starts, the outermost first (3)."""
    return _FAR + level * 4 if sub == 3 else -level * 4 + sub


def _spans(scoped: Scoped, rows: RowIds, head: RowIds, level: RowIds, above: RowIds, kind: int) -> _Part:
    """The starts, or ends, of spans in their own flows; a flow begins and ends with those of its head."""
    time = scoped.start[rows] if kind == START else scoped.end[rows]
    key = _key(level[rows], 3 if kind == START else 0)
    is_empty = scoped.start[rows] >= scoped.end[rows]
    starts_with_parent = (above[rows] >= 0) & (scoped.start[rows] == scoped.start[above[rows]])
    after = np.where(starts_with_parent, _FAR + level[rows] * 4, -level[rows] * 4) + (1 if kind == START else 2)
    key = np.where(is_empty, after, key)
    is_head = head[rows] == rows
    key[is_head] = -4 * _FAR if kind == START else 4 * _FAR
    return _part(kind, head[rows], time, rows, key)


def _fork_key(scoped: Scoped, rows: RowIds, level: RowIds, above: RowIds) -> RowIds:
    """Order where overlapping spans are forked off: of one that takes no time, right before it is joined."""
    is_empty = scoped.start[rows] >= scoped.end[rows]
    return np.where(is_empty, _join_key(scoped, rows, level, above) - 1, _key(level[above[rows]] + 1, 3))


def _join_key(scoped: Scoped, rows: RowIds, level: RowIds, above: RowIds) -> RowIds:
    """Order where overlapping spans are joined: before what begins, but for what began and ended just then."""
    deeper = level[above[rows]] + 1
    is_empty = scoped.start[rows] >= scoped.end[rows]
    starts_with_parent = scoped.start[rows] == scoped.start[above[rows]]
    return np.where(is_empty & starts_with_parent, _key(deeper, 3) + 1, _key(deeper, 0))


def _sorted(flow: RowIds, time: Nanos, key: RowIds) -> RowIds:
    """Give the order by flow, time and key; sorts by one number where these fit into it, which is much faster."""
    if time.size == 0:
        return np.empty(0, dtype=np.int64)
    order = np.argsort(time, kind="stable")
    place = np.empty(order.size, dtype=np.int64)
    ordered = time[order]
    place[order] = np.cumsum(np.concatenate([[0], ordered[1:] != ordered[:-1]]))
    by = flow * (int(place.max()) + 1) + place
    order = np.argsort(by, kind="stable")
    tied = np.flatnonzero(np.diff(by[order]) == 0)
    tied = np.union1d(tied, tied + 1)
    order[tied] = order[tied][np.lexsort((key[order[tied]], by[order[tied]]))]
    return order


def _overlapping(scoped: Scoped, nested: RowIds) -> RowIds:
    """Give the nested spans that overlap a sibling."""
    if nested.size == 0:
        return nested
    order = nested[_sorted(scoped.parent[nested], scoped.start[nested], scoped.end[nested] - scoped.start[nested])]
    parent, start, end = scoped.parent[order], scoped.start[order], scoped.end[order]
    # The latest end among the siblings before, as ranks, so that one running maximum serves all parents.
    ends, rank = np.unique(end, return_inverse=True)
    first = np.concatenate([[True], parent[1:] != parent[:-1]])
    group = np.cumsum(first) - 1
    latest = np.maximum.accumulate(group * ends.size + rank) - group * ends.size
    opens = first.copy()
    opens[1:] |= start[1:] >= ends[latest[:-1]]
    cluster = np.cumsum(opens) - 1
    overlapping: RowIds = order[np.bincount(cluster)[cluster] > 1]
    return overlapping


def _notes(scoped: Scoped, runs: Runs, waiting: Waiting, nested: RowIds) -> RowIds:
    """Give what takes no time while a sibling goes on, and does nothing to others: another thread's notes.

    They hold nobody up, and nobody joins them.
    """
    rows = _overlapping(scoped, nested)
    rows = rows[(scoped.end[rows] == scoped.start[rows]) & ~runs.is_wait[rows]]
    rows = rows[~scoped.structure.is_submit[rows]]
    return rows if waiting.ended_by is None else np.setdiff1d(rows, waiting.ended_by)


def _detached(scoped: Scoped, nested: RowIds) -> Flags:
    """Tell the outermost detached spans: what is nested in them goes with them."""
    return scoped.detached[nested] & ~scoped.detached[scoped.parent[nested]]


def _guests(scoped: Scoped, runs: Runs, rows: RowIds, *, infer: bool) -> tuple[RowIds, RowIds]:
    """Give the runs that nobody claims, and who is taken to have waited for each."""
    none = np.empty(0, dtype=np.int64)
    within = rows[:-1]
    if not infer or not (scoped.structure.is_run[within] & ~runs.claimed[within]).any():
        return none, none
    found = joins(scoped, runs, infer=True)
    owner = np.repeat(np.arange(found.first.size - 1), np.diff(found.first))
    kept = scoped.structure.is_run[found.members] & (scoped.scope_of[found.members] == scoped.scope_of[rows[-1]])
    kept &= (found.times <= scoped.end[owner]) & (found.times >= scoped.start[owner])
    return found.members[kept], owner[kept]


def _child_at(scoped: Scoped, above: RowIds, head: RowIds, rows: RowIds, guest: RowIds, claimant: RowIds) -> RowIds:
    """Give the child within whose time the claimant's flow was when a guest ended; -1 where it was in none.

    What the claimant did inside a nested span it did not stop doing for the guest: it can join it right after.
    """
    found = np.full(guest.size, -1, dtype=np.int64)
    if guest.size == 0:
        return found
    children = rows[(above[rows] >= 0) & (head[rows] != rows)]
    children = children[scoped.end[children] > scoped.start[children]]
    if children.size == 0:
        return found
    # Children of one parent in one flow follow each other: the last to start before then is the only one to look at.
    both = np.concatenate([scoped.start[children], scoped.end[guest]])
    parent = np.concatenate([above[children], claimant])
    is_guest = np.arange(both.size) >= children.size
    order = _sorted(parent, both, (~is_guest).astype(np.int64))
    position = np.maximum.accumulate(np.where(is_guest[order], -1, np.arange(order.size)))
    last = np.where(position >= 0, order[position], 0)
    asked = is_guest[order] & (position >= 0) & (parent[order] == parent[last])
    child = children[np.where(asked, last, 0)]
    asked &= scoped.end[child] > both[order]
    found[order[asked] - children.size] = child[asked]
    return found


def ended_in_scope(scoped: Scoped, waiting: Waiting, rows: RowIds) -> RowIds:
    """Give by row the call of the same scope that ended a run, -1 for none."""
    found = np.full(scoped.start.size, -1, dtype=np.int64)
    if waiting.ended_by is not None:
        within = rows[:-1]
        call = waiting.ended_by[within]
        kept = (call >= 0) & (scoped.scope_of[call] == scoped.scope_of[within]) & ~scoped.detached[call]
        kept &= scoped.start[call] < scoped.end[within]
        found[within[kept]] = call[kept]
    return found


def _owners(kind: npt.NDArray[np.int8], flow: RowIds, row: RowIds, above: RowIds) -> RowIds:
    """Give the innermost span before each event, told by the event before it; for a flow's first event itself."""
    inner = np.where(kind == START, row, np.where(kind == INFERRED_JOIN, row, above[row]))
    # A event of another flow can lie anywhere: what was the innermost span before it still is.
    is_passing = (kind == SIGNAL) | ((kind == FORK) & (above[row] < 0))
    told = np.maximum.accumulate(np.where(is_passing, 0, np.arange(row.size)))
    inner = inner[told]
    is_first = np.concatenate([[True], flow[1:] != flow[:-1]])
    return np.where(is_first, row, np.concatenate([row[:1], inner[:-1]]))
