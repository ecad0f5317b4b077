"""The events of a job in time, in order: starts, ends and joins of spans, strung up along flows of control.

A flow is what happens one thing after another: a run (or the scope's virtual root) with all that is nested in it.
Nested spans that overlap (threads, awaits side by side) are flows of their own, forked off where they start and
joined where they end; so are detached spans, which nobody joins. The stretch of time before an event belongs to the
innermost span there.

Rows are positions in the arrays of `Scoped`: spans, then virtual roots.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from raytrace_analyze.replay.program_order.beside import take_apart
from raytrace_analyze.replay.program_order.event_order import (
    END,
    FAR,
    FORK,
    INFERRED_JOIN,
    JOIN,
    SIGNAL,
    START,
    by_flow_and_time,
    fork_key,
    join_key,
    key_of,
    part,
    spans_part,
)
from raytrace_analyze.replay.program_order.flows import notes, outermost_detached, overlapping
from raytrace_analyze.replay.program_order.guests import child_at, find_guests
from raytrace_analyze.replay.program_order.signals import Signals, find_signals
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds, depth, flags, nearest_ancestor
from raytrace_analyze.trace.clipping import Scoped
from raytrace_analyze.trace.relations import Runs
from raytrace_analyze.values import frozen
from raytrace_analyze.waits.suspensions import own_time
from raytrace_analyze.waits.waiting import Waiting

Edges = tuple[RowIds, RowIds]
"""What leads to what: from, to."""
_NONE = np.empty(0, dtype=np.int64)


@frozen
class Slots:
    """Who had the slots that runs waited for."""

    freed: Signals
    """Where actors were ended that had them."""
    taken: Edges
    """Runs that began with a new process once a task's run had ended, and that run: rows."""
    fetched: tuple[RowIds, Nanos] = (_NONE, _NONE)
    """Runs (rows) whose arguments were still to be pulled or restored while slots were free, and until when."""

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
    """Whether the driver has a span of its own in the scope: what lies outside of all spans is not the driver's."""
    horizon: int
    """The event where the scope ends: the driver's end, where there is one."""


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
    loose = np.union1d(notes(scoped, runs, waiting, attached_spans), beside.row)
    if waiting.room is not None:
        # What a router tries while there is no room it would not have tried, had there been some sooner.
        loose = np.union1d(loose, np.intersect1d(waiting.room.meanwhile, attached_spans))
    anchor = np.full(is_run.size, -1)
    anchor[beside.row] = beside.wait
    if loose.size:
        detached = scoped.detached.copy()
        detached[loose] = True
        scoped = replace(scoped, detached=detached)
    forks = np.concatenate(
        [overlapping(scoped, nested[~scoped.detached[nested]]), nested[outermost_detached(scoped, nested)]]
    )
    is_head = above < 0
    is_head[forks] = True
    head = np.where(is_head, np.arange(is_head.size), nearest_ancestor(above, is_head))
    level = depth(np.where(is_head, -1, above))
    lost = rows[is_run[rows] & (scoped.parent[rows] < 0)]
    attached = forks[~scoped.detached[forks]]
    in_time = attached[scoped.end[attached] <= scoped.end[head[above[attached]]]]
    guest, claimant = find_guests(scoped, runs, rows, infer=infer)
    inner = child_at(scoped, above, head, rows, guest, claimant)
    # Whose waits are recorded did something else meanwhile: nothing says that it waited for that afterwards.
    joined = (inner < 0) | ~runs.recorded[guest]
    guest, claimant, inner = guest[joined], claimant[joined], inner[joined]
    guest_time = np.where(inner >= 0, scoped.end[inner], scoped.end[guest])
    signals, of_slot = find_signals(scoped, runs, waiting, rows, slots.freed)
    parts = [
        spans_part(scoped, rows, head, level, above, START),
        spans_part(scoped, rows, head, level, above, END),
        part(FORK, head[above[attached]], scoped.start[attached], attached, fork_key(scoped, attached, level, above)),
        part(FORK, np.full(lost.size, root), scoped.start[lost], lost, np.full(lost.size, 2 * FAR)),
        part(JOIN, head[above[in_time]], scoped.end[in_time], in_time, join_key(scoped, in_time, level, above)),
        part(INFERRED_JOIN, head[claimant], guest_time, claimant, key_of(level[claimant] + 1, 1)),
        part(SIGNAL, head[signals.row], signals.time, signals.row, np.full(signals.row.size, 2 * FAR)),
    ]
    kind, flow, time, row, key = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    none = [np.full(part[0].size, -1) for part in parts]
    other = np.concatenate([*none[:4], in_time, guest, signals.waiter])
    frees_slot = np.concatenate([np.zeros(other.size - of_slot.size, dtype=np.bool_), of_slot])
    order = by_flow_and_time(flow, time, key)
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
    # An event of another flow can lie anywhere: what was the innermost span before it still is.
    is_passing = (kind == SIGNAL) | ((kind == FORK) & (above[row] < 0))
    told = np.maximum.accumulate(np.where(is_passing, 0, np.arange(row.size)))
    inner = inner[told]
    is_first = np.concatenate([[True], flow[1:] != flow[:-1]])
    return np.where(is_first, row, np.concatenate([row[:1], inner[:-1]]))
