"""What threads spent until something was there, without doing anything for it: naps.

A loop that looks, sleeps and looks again sleeps until what it looks for is there. No faster function makes that
shorter by itself: what does is that the awaited run ends sooner, or, where it is nothing of Ray's (a file, a socket, a
process), nothing that is known.
"""

from dataclasses import fields

import numpy as np

from raytrace_analyze.names.attributes import AWAITED_COUNT, IDLE, LIBRARY, RANK, TRIAL
from raytrace_analyze.names.spans import NEXT, WAIT
from raytrace_analyze.sampled.questions import find_answers
from raytrace_analyze.sampled.samples import IS_FOR_OTHERS, SHORT_NS, is_for_others, read_samples, sampled_above
from raytrace_analyze.sampled.takes import of_queues
from raytrace_analyze.sampled.turns_of_loops import find_turns
from raytrace_analyze.sampled.unanswered import unanswered_runs
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds, flags
from raytrace_analyze.trace.asof import latest_until, members_at
from raytrace_analyze.trace.busy_time import covered
from raytrace_analyze.trace.groups import group_by_time, numbers_within
from raytrace_analyze.trace.span_arrays import Structure
from raytrace_analyze.values import frozen

_CAN_END = f"loops|again|{IS_FOR_OTHERS}"
"""What the sampler says of a stretch in which a thread woke up, looked at something, and went on sleeping, of one
after which it slept in the same loop again, or in which it waited for what others do."""


_FOR_OTHERS = 2
"""Of a sleep: it can end since it is a wait for other threads."""
_TRAINS = f"{RANK}|{TRIAL}"
"""What the hook says of the training functions of Ray Train and Tune."""


@frozen
class Naps:
    """Parallel arrays; rows are positions in the table, times in ns."""

    row: RowIds
    """The wait that came back with nothing; else the run or driver in whose own time it lies."""
    start: Nanos
    end: Nanos
    awaited: RowIds
    """The run whose end it was for, or the later wait for what it was for; -1 for something outside of Ray."""

    def joined(self, *others: "Naps") -> "Naps":
        """Put several together."""
        every = (self, *others)
        return Naps(*(np.concatenate([getattr(part, each.name) for part in every]) for each in fields(Naps)))


def find_naps(structure: Structure, clock_shift: Nanos, rows: RowIds) -> Naps:
    """Find the naps of some spans (rows); `clock_shift` is what was added to the times of each row (ns)."""
    is_wait = structure.spans.get_column("ready_task_ids").gather(rows).is_not_null().to_numpy()
    waits = rows[is_wait & ~structure.is_run[rows] & ~structure.in_flight[rows]]
    asked, run = unanswered_runs(structure, waits)
    late = structure.end[run] >= structure.end[asked]
    asked, run = asked[late], run[late]
    questions, changed_by = _questions(structure, waits)
    looked, for_run = np.concatenate([asked, questions]), np.concatenate([run, changed_by])
    asleep = _sleeps(structure, clock_shift, rows, looked)
    between = _between(structure, asleep, looked, for_run)
    outside = np.flatnonzero(asleep.can_end)
    outside = outside[~_overlap(asleep, outside, between) & ~_for_others(structure, asleep, outside, waits)]
    outside = outside[~_with_items(structure, asleep, outside, waits)]
    whole = _whole_waits(structure, asked, run)
    return _of_waits(structure, asked[whole], run[whole]).joined(
        _of_waits(structure, *_of_libraries(structure, waits[~np.isin(waits, asked)])),
        between,
        Naps(asleep.row[outside], asleep.start[outside], asleep.end[outside], np.full(outside.size, -1)),
    )


def _of_waits(structure: Structure, wait: RowIds, awaited: RowIds) -> Naps:
    return Naps(wait, structure.start[wait], structure.end[wait], awaited)


def _of_libraries(structure: Structure, waits: RowIds) -> tuple[RowIds, RowIds]:
    """Pair the waits with which Ray's libraries look for anything new, in vain, with the next one that found it."""
    about = structure.spans.select("attributes", "ready_task_ids")[waits]
    text, found = about.get_column("attributes"), about.get_column("ready_task_ids").list.len() > 0
    asks = text.str.contains(LIBRARY, literal=True) & text.str.contains(AWAITED_COUNT, literal=True)
    order = np.flatnonzero(flags(asks))
    order = order[np.lexsort((structure.start[waits[order]], structure.nest_parent[waits[order]]))]
    rows, has_found = waits[order], flags(found)[order]
    place = np.arange(rows.size)
    following = np.minimum.accumulate(np.where(has_found, place, rows.size)[::-1])[::-1]
    vain = np.flatnonzero(~has_found & (following < rows.size))
    vain = vain[structure.nest_parent[rows[vain]] == structure.nest_parent[rows[following[vain]]]]
    return rows[vain], rows[following[vain]]


def _questions(structure: Structure, waits: RowIds) -> tuple[RowIds, RowIds]:
    """Pair the first and the last question in vain of loops that ask an actor with the run that changed its answer."""
    if structure.waited_besides[0].size == 0:
        return waits[:0], waits[:0]
    answers = find_answers(structure)
    inside = np.isin(answers.in_vain, waits)
    wait = np.concatenate([answers.first[inside], answers.in_vain[inside]])
    return wait, np.tile(answers.changed_by[inside], 2)


def _whole_waits(structure: Structure, wait: RowIds, run: RowIds) -> RowIds:
    """Give the pairs whose wait timed out, and would have come back with the end of the run.

    One that comes back with the first of what it asks for needs any, others need the last of it.
    """
    latest = np.zeros(structure.start.size, dtype=np.int64)
    np.maximum.at(latest, wait, structure.end[run])
    spans = structure.spans.select("name", "ready_task_ids")[wait]
    is_empty = (spans.get_column("ready_task_ids").list.len() == 0).to_numpy()
    any_will_do = is_empty & (spans.get_column("name") == WAIT).to_numpy()
    decides = any_will_do | (structure.end[run] == latest[wait])
    return np.flatnonzero(decides & ~np.isin(wait, structure.idle_waits))


@frozen
class _Sleeps:
    """When the threads of some runs and drivers were idle: parallel arrays, by row, in order of time."""

    row: RowIds
    start: Nanos
    end: Nanos
    can_end: RowIds
    """Whether it can end any time, for something that is not known: 1 or 0."""
    flow_of_wait: RowIds
    """By wait that was asked about: the run or driver whose thread it is in, -1 for none that was looked at."""


def _sleeps(structure: Structure, clock_shift: Nanos, rows: RowIds, wait: RowIds) -> _Sleeps:
    """Read when the threads were idle that asked for something in vain, and those that were so again and again."""
    flow = sampled_above(structure, wait)
    texts = structure.spans.get_column("attributes").gather(rows)
    again = rows[flags(texts.str.contains(_CAN_END) & texts.str.contains(IDLE, literal=True))]
    of = np.unique(np.concatenate([flow[flow >= 0], again]))
    sampled = read_samples(structure, clock_shift, of)
    # What a rank or a trial does from one report to the next is its work, whatever way out its loop has.
    trains = set(of[flags(structure.spans.get_column("attributes").gather(of).str.contains(_TRAINS))].tolist())
    pairs = find_turns(structure, sampled)
    turns = {row: {each.start for two in found for each in two} for row, found in pairs.items()}
    told = [
        (
            row,
            one.start,
            one.end,
            _FOR_OTHERS
            if is_for_others(one.place)
            else int((one.loops or one.start in turns.get(row, ())) and row not in trains),
        )
        for row in of.tolist()
        if row in sampled
        for one in sampled[row].idle
    ]
    known = np.array(told, dtype=np.int64).reshape(-1, 4)
    lazy = np.array([row for row in of.tolist() if row in sampled and sampled[row].does_little], dtype=np.int64)
    lazy = np.intersect1d(lazy, flow)
    found = np.concatenate([known, _short_gaps(structure, rows, lazy, known)])
    row, start, end, can_end = found[np.lexsort((found[:, 1], found[:, 0]))].T
    return _Sleeps(row, start, end, can_end, flow)


def _short_gaps(structure: Structure, rows: RowIds, flows: RowIds, known: RowIds) -> RowIds:
    """Give the gaps between the spans right in some flows that are too short for the sampler to tell: rows as `known`.

    What a thread that does little in all spends between two questions is sleep; where the sampler told it, it is known.
    """
    inside = rows[np.isin(structure.nest_parent[rows], flows)]
    inside = inside[np.lexsort((structure.start[inside], structure.nest_parent[inside]))]
    if inside.size < 2:
        return known[:0]
    flow, start, end = structure.nest_parent[inside], structure.start[inside], structure.end[inside]
    is_short = (flow[1:] == flow[:-1]) & (start[1:] > end[:-1]) & (start[1:] - end[:-1] <= SHORT_NS)
    gaps: RowIds = np.stack([flow[:-1], end[:-1], start[1:], np.zeros(flow.size - 1, dtype=np.int64)], axis=1)[is_short]
    if not known.size:
        return gaps
    by_start = group_by_time(known[:, 0], structure.start.size, np.arange(len(known)), known[:, 1])
    last = members_at(by_start, latest_until(by_start, gaps[:, 0], gaps[:, 2] - 1))
    is_told = (last >= 0) & (known[last, 2] > gaps[:, 1])
    untold: RowIds = gaps[~is_told]
    return untold


def _between(structure: Structure, asleep: _Sleeps, wait: RowIds, run: RowIds) -> Naps:
    """Give the sleeps between the first and the last time that a thread asked for a run in vain."""
    flow = asleep.flow_of_wait
    known = np.flatnonzero(flow >= 0)
    pairs, group = np.unique(np.stack([flow[known], run[known]]), axis=1, return_inverse=True)
    since = np.full(pairs.shape[1], np.iinfo(np.int64).max)
    until = np.full(pairs.shape[1], np.iinfo(np.int64).min)
    np.minimum.at(since, group, structure.end[wait[known]])
    # A poll that is as long as its thread was idle for it has that time itself, unless something else came in between.
    is_last = np.isin(wait[known], structure.idle_waits)
    np.maximum.at(until, group, np.where(is_last, structure.end[wait[known]], structure.start[wait[known]]))
    low = np.searchsorted(asleep.row, pairs[0], side="left")
    counts = np.searchsorted(asleep.row, pairs[0], side="right") - low
    asker = np.repeat(np.arange(counts.size), counts)
    sleep = low[asker] + numbers_within(counts)
    begin, end = np.maximum(asleep.start[sleep], since[asker]), np.minimum(asleep.end[sleep], until[asker])
    kept = (begin < end) & (end <= structure.end[pairs[1][asker]])
    return Naps(pairs[0][asker[kept]], begin[kept], end[kept], pairs[1][asker[kept]])


def _for_others(structure: Structure, asleep: _Sleeps, sleep: RowIds, waits: RowIds) -> Flags:
    """Tell the sleeps for most of which other threads or coroutines of the same flow waited for something of Ray's."""
    by_flow = _ByRow(sampled_above(structure, waits, of_any_thread=True))
    covers = np.zeros(sleep.size, dtype=np.bool_)
    for number, one in enumerate(sleep.tolist()):
        start, end = asleep.start[one], asleep.end[one]
        inside = waits[by_flow.of(asleep.row[one])]
        inside = inside[(structure.start[inside] < end) & (structure.end[inside] > start)]
        if inside.size == 0:
            continue
        since, until = np.maximum(structure.start[inside], start), np.minimum(structure.end[inside], end)
        together = covered(np.zeros_like(inside), since, until).get_column("covered_ns").sum()
        covers[number] = 2 * together > end - start
    return covers


def _with_items(structure: Structure, asleep: _Sleeps, sleep: RowIds, waits: RowIds) -> Flags:
    """Tell the sleeps in, or between, which the same thread took the next item of a generator, a dataset or a queue.

    Or the next of results that it had asked for before. A loop that takes one in each turn does something with it,
    whatever way out it has. The sampler tells short sleeps with little between them as one.
    """
    is_next = (structure.spans.get_column("name").gather(waits) == NEXT).to_numpy()
    takes = waits[is_next | of_queues(structure, waits)]
    # Who waits for other threads does nothing with what came.
    is_loop = asleep.can_end[sleep] != _FOR_OTHERS
    earlier = waits[_asked_before(structure, waits)]
    with_earlier = is_loop & _took_between(structure, asleep, sleep, earlier)
    found: Flags = with_earlier | _took_between(structure, asleep, sleep, takes)
    return found


def _took_between(structure: Structure, asleep: _Sleeps, sleep: RowIds, takes: RowIds) -> Flags:
    """Tell the sleeps in, or between, which some of these waits of the same thread ended."""
    found = np.zeros(sleep.size, dtype=np.bool_)
    by_flow = _ByRow(sampled_above(structure, takes))
    for row in np.unique(asleep.row[sleep]).tolist():
        of_row = np.flatnonzero(asleep.row[sleep] == row)
        ends = np.sort(structure.end[takes[by_flow.of(row)]])
        start, end = asleep.start[sleep[of_row]], asleep.end[sleep[of_row]]
        # From the sleep before until the next one; what came before all of them may have been another loop's.
        since = np.concatenate([start[:1], end[:-1]])
        until = np.concatenate([start[1:], end[-1:]])
        found[of_row] = np.searchsorted(ends, until, side="right") > np.searchsorted(ends, since)
    return found


def _asked_before(structure: Structure, waits: RowIds) -> Flags:
    """Tell the waits that came back with results which their flow had asked for before its wait before that."""
    order = waits[np.lexsort((structure.start[waits], structure.nest_parent[waits]))]
    follows = np.zeros(structure.start.size, dtype=np.bool_)
    before = np.zeros(structure.start.size, dtype=np.int64)
    follows[order[1:]] = structure.nest_parent[order[1:]] == structure.nest_parent[order[:-1]]
    before[order[1:]] = structure.start[order[:-1]]
    wait, run = structure.ready_runs
    submit = structure.submit[run]
    early = follows[wait] & (submit >= 0) & (structure.end[submit] <= before[wait])
    return np.isin(waits, wait[early])


def _overlap(asleep: _Sleeps, sleep: RowIds, naps: Naps) -> Flags:
    """Tell the sleeps of which some is a nap of the same thread already."""
    by_row = _ByRow(naps.row)
    found = np.zeros(sleep.size, dtype=np.bool_)
    for number, one in enumerate(sleep.tolist()):
        same = by_row.of(asleep.row[one])
        found[number] = bool(((naps.start[same] < asleep.end[one]) & (naps.end[same] > asleep.start[one])).any())
    return found


class _ByRow:
    """Where in an array each number stands, found without going through all of it."""

    def __init__(self, rows: RowIds) -> None:
        self._order = np.argsort(rows, kind="stable")
        self._sorted = rows[self._order]

    def of(self, row: int) -> RowIds:
        """Give the places of a number."""
        first, last = np.searchsorted(self._sorted, (row, row + 1))
        return self._order[first:last]
