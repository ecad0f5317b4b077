"""Idleness that is a wait: for a result that came in a callback, or that a program polls for between other calls.

Such a wait has no span that is as long as it was: a delivery takes no time, and a poll ends before the thread sleeps
until the next one. Where the sampler saw the thread idle meanwhile, the wait is given its true times here; all that
looks at waits then finds one like any other.
"""

from dataclasses import replace

import numpy as np
import polars as pl

from raytrace_analyze.names.attributes import AWAITED_COUNT, told
from raytrace_analyze.names.spans import DELIVERY
from raytrace_analyze.sampled.questions import Answers, find_answers
from raytrace_analyze.sampled.samples import LOOKS_NS, SHORT_NS, Sampled, read_samples, sampled_above
from raytrace_analyze.sampled.unanswered import unanswered_runs
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds, flags
from raytrace_analyze.trace.ancestors import first_above
from raytrace_analyze.trace.asof import NEVER, latest_until, members_at, times_at
from raytrace_analyze.trace.groups import Timed, group_by_time
from raytrace_analyze.trace.span_arrays import Structure
from raytrace_analyze.values import frozen

LOOP_NS = 1_000_000_000
"""What a loop that sleeps and looks again may have slept after the result was there."""
AFTER_NS = 20_000_000
"""What begins so soon after a delivery is what its callback does."""


def with_idle_waits(structure: Structure, clock_shift: Nanos) -> Structure:
    """Give deliveries and polls the times for which their threads were idle for them; other spans stay as they are.

    A delivery begins where its thread became idle before it, if it went on after it. A poll that came back without a
    result, the last that asked for it in vain, ends with the run that gave it if its thread was idle then, and asked
    again. Either lies in the innermost span that its flow was in at that time. `clock_shift` is what was added to the
    times of each row (ns).
    """
    is_wait = structure.spans.get_column("ready_task_ids").is_not_null().to_numpy() & ~structure.is_run
    waits = np.flatnonzero(is_wait)
    deliveries = waits[(structure.spans.get_column("name").gather(waits) == DELIVERY).to_numpy()]
    deliveries = deliveries[~_is_rays_own(structure, deliveries)]
    answers = find_answers(structure)
    unanswered = unanswered_runs(structure, waits[~structure.in_flight[waits]])
    polls = (np.concatenate([unanswered[0], answers.in_vain]), np.concatenate([unanswered[1], answers.changed_by]))
    if deliveries.size == 0 and polls[0].size == 0:
        return structure
    idle = _read_idle(structure, clock_shift, is_wait, deliveries, polls[0])
    if idle.since.size == 0 and not idle.does_little.any():
        return structure
    start, end = structure.start.copy(), structure.end.copy()
    found, start[found] = _deliveries(structure, idle, deliveries)
    asked, end[asked] = _polls(structure, idle, waits, polls, answers)
    parent = structure.parent.copy()
    moved = np.union1d(found, asked)
    parent[moved] = idle.innermost(structure, moved, end[moved])
    was_idle = np.isin(answers.in_vain, asked)
    besides = (answers.in_vain[was_idle], answers.changed_by[was_idle])
    return replace(structure, start=start, end=end, parent=parent, idle_waits=moved, waited_besides=besides)


@frozen
class _Flows:
    """The runs and drivers that were looked at, and when their threads were idle: parallel arrays by stretch."""

    since: Nanos
    until: Nanos
    loops: Flags
    by_start: Timed
    """By row of the flow: its stretches."""
    of_row: RowIds
    """By row: the flow whose thread it is in, -1 for none that was looked at; of a delivery, the one it was for."""
    does_little: Flags
    """By row of the flow: whether its thread was on the CPU for less than half of what is no wait of it."""
    is_step: Flags
    """Of rows: spans that can have a wait nested in them."""

    def at(self, flow: RowIds, time: Nanos) -> RowIds:
        """Give the last stretch of each flow that began before a time and lasted about until then, -1 for none."""
        found = members_at(self.by_start, latest_until(self.by_start, flow, time - 1))
        if not self.until.size:
            return found
        return np.where((found >= 0) & (self.until[found] + LOOKS_NS >= time), found, -1)

    def innermost(self, structure: Structure, rows: RowIds, time: Nanos) -> RowIds:
        """Give the innermost span that each row's flow was in at a time."""
        flow = self.of_row[rows]
        inside = np.flatnonzero(self.is_step & np.isin(self.of_row, flow))
        begun = group_by_time(self.of_row[inside], self.of_row.size, inside, structure.start[inside])
        last = members_at(begun, latest_until(begun, flow, time - 1))
        above = first_above(structure.nest_parent, structure.end, last, time)
        return np.where((above >= 0) & (self.of_row[above] == flow), above, flow)


def _read_idle(structure: Structure, clock_shift: Nanos, is_wait: Flags, deliveries: RowIds, polls: RowIds) -> _Flows:
    of_row = sampled_above(structure, np.arange(structure.start.size))
    of_row[deliveries] = sampled_above(structure, deliveries, of_any_thread=True)
    flows = np.unique(of_row[np.concatenate([deliveries, polls])])
    samples: dict[int, Sampled] = read_samples(structure, clock_shift, flows[flows >= 0])
    stretches = [(flow, one) for flow, sampled in samples.items() for one in sampled.idle]
    since = np.array([one.start for _, one in stretches], dtype=np.int64)
    does_little = np.zeros(of_row.size, dtype=np.bool_)
    does_little[[flow for flow, sampled in samples.items() if sampled.does_little]] = True
    return _Flows(
        does_little=does_little,
        since=since,
        until=np.array([one.end for _, one in stretches], dtype=np.int64),
        loops=np.array([one.loops for _, one in stretches], dtype=np.bool_),
        by_start=group_by_time(
            np.array([flow for flow, _ in stretches], dtype=np.int64), of_row.size, np.arange(since.size), since
        ),
        of_row=of_row,
        is_step=~is_wait & ~structure.is_submit & ~structure.is_run,
    )


def _is_rays_own(structure: Structure, deliveries: RowIds) -> Flags:
    """Tell the deliveries of what Ray's libraries ask for themselves (Serve's long polls): no thread waits for it."""
    wait, run = structure.ready_runs
    return np.isin(deliveries, wait[structure.rays_own[run]])


def _deliveries(structure: Structure, idle: _Flows, rows: RowIds) -> tuple[RowIds, Nanos]:
    """Give the deliveries that a thread was idle for, and since when."""
    stretch = idle.at(idle.of_row[rows], structure.end[rows])
    rows, stretch = rows[stretch >= 0], stretch[stretch >= 0]
    time, flow = structure.end[rows], idle.of_row[rows]
    submits = np.flatnonzero(structure.is_submit)
    of_submit = sampled_above(structure, submits, of_any_thread=True)
    begun = group_by_time(of_submit, idle.of_row.size, submits, structure.start[submits])
    starts = times_at(begun, latest_until(begun, flow, time + AFTER_NS)) >= time
    goes_on = idle.until[stretch] - time <= np.where(idle.loops[stretch], LOOP_NS, LOOKS_NS)
    wait, run = structure.ready_runs
    ended = np.full(structure.start.size, NEVER, dtype=np.int64)
    begun_before = structure.start[run] < structure.end[wait]
    np.maximum.at(ended, wait[begun_before], structure.end[run[begun_before]])
    kept = (starts | goes_on) & (ended[rows] > idle.since[stretch])
    return rows[kept], idle.since[stretch[kept]]


def _polls(
    structure: Structure, idle: _Flows, waits: RowIds, polls: tuple[RowIds, RowIds], answers: Answers
) -> tuple[RowIds, Nanos]:
    """Give the polls after which a thread was idle until a run ended, and when that was."""
    ready_wait, ready_run = structure.ready_runs
    is_answer = np.isin(ready_wait, waits)
    wait = np.concatenate([polls[0], ready_wait[is_answer], answers.answer])
    run = np.concatenate([polls[1], ready_run[is_answer], answers.changed_by])
    in_vain = np.arange(wait.size) < polls[0].size
    order = np.lexsort((structure.id_ranks(wait), structure.start[wait], run, idle.of_row[wait]))
    wait, run, in_vain = wait[order], run[order], in_vain[order]
    flow, ended = idle.of_row[wait], structure.end[run]
    asks_again = np.zeros(wait.size, dtype=np.bool_)
    asks_again[:-1] = (flow[1:] == flow[:-1]) & (run[1:] == run[:-1]) & (structure.start[wait[1:]] >= ended[:-1])
    again = np.full(wait.size, NEVER, dtype=np.int64)
    again[:-1] = structure.start[wait[1:]]
    kept = np.flatnonzero(in_vain & asks_again & (flow >= 0) & (ended > structure.end[wait]))
    # A sleep that is shorter than what the sampler tells is no stretch.
    is_short = (again[kept] - structure.end[wait[kept]] <= SHORT_NS) & idle.does_little[flow[kept]]
    kept = kept[is_short | (idle.at(flow[kept], ended[kept]) >= 0)]
    kept = kept[~_asked_between(structure, idle, waits, flow[kept], structure.end[wait[kept]], ended[kept])]
    last = np.full(structure.start.size, NEVER, dtype=np.int64)
    np.maximum.at(last, wait[kept], ended[kept])
    found = np.unique(wait[kept])
    return found, last[found]


def _asked_between(
    structure: Structure, idle: _Flows, waits: RowIds, flow: RowIds, since: Nanos, until: Nanos
) -> Flags:
    """Tell the flows that asked for several results at once meanwhile and got some of them.

    Such a wait does not tell what else it asked for: it may be what an earlier poll did.
    """
    about = structure.spans.select("attributes", "ready_task_ids")[waits]
    count = told(about.get_column("attributes"), AWAITED_COUNT).cast(pl.Int64, strict=False)
    got = about.get_column("ready_task_ids").list.len()
    partly = waits[flags((got > 0) & (count > got))]
    partly = partly[idle.of_row[partly] >= 0]
    begun = group_by_time(idle.of_row[partly], idle.of_row.size, partly, structure.start[partly])
    found: Flags = times_at(begun, latest_until(begun, flow, until)) >= since
    return found
