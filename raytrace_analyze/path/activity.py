"""What a span's own time was: on the CPU, idle in something, or not known.

Our hook's sampler looks at the threads of long runs and of the driver. It tells stretches in which a thread was idle,
and in what, some in which it was busy, and how much CPU time it took. What lies between them was on the CPU if it took
most of that time there; else, as where nobody looked, it is not known what it was. The moment before a run is first
looked at, or after it was last, is told by its neighbour where the thread had next to nothing to do in it.
"""

from collections.abc import Iterable, Iterator
from itertools import groupby

import numpy as np

from raytrace_analyze.sampled.samples import SAMPLED_FROM_NS, UNSEEN_NS, Place, Sampled, read_samples, sampled_above
from raytrace_analyze.table.lineage import Nanos, RowIds
from raytrace_analyze.trace.asof import latest_until, members_at
from raytrace_analyze.trace.groups import group_by_time
from raytrace_analyze.trace.span_arrays import Structure
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.paths import Activity

ACTIVITIES = tuple(Activity)
"""An activity's number in arrays is its position here; -1 is none: a segment that is no own time."""


@frozen
class Stretches:
    """The own time of some segments told apart: parallel arrays, segment by segment, oldest first; they tile it."""

    segment: RowIds
    """The position of the segment among those asked about."""
    start: Nanos
    end: Nanos
    activity: RowIds
    place: RowIds
    """The position of where it was idle in `places`, -1 where it was not."""
    places: list[Place]


def tell_apart(structure: Structure, clock_shift: Nanos, row: RowIds, start: Nanos, end: Nanos) -> Stretches:
    """Tell what the own time of spans was: parallel arrays of rows (beyond the last for a virtual root) and times.

    `clock_shift` is what was added to the times of each row of the table (ns): the samples' times need the same.
    """
    owner = sampled_above(structure, row)
    sampled = read_samples(structure, clock_shift, np.unique(owner[owner >= 0]))
    unknown = np.flatnonzero(owner < 0)
    asked = np.flatnonzero(owner >= 0)
    places: dict[Place, int] = {}
    questions = zip(*(values[asked].tolist() for values in (owner, start, end)), strict=True)
    found = [
        (number, begin, finish, ACTIVITIES.index(activity), -1 if at is None else places.setdefault(at, len(places)))
        for number, (span, since, until) in zip(asked.tolist(), questions, strict=True)
        for begin, finish, activity, at in _joined(_pieces(sampled.get(span), since, until))
    ]
    told = np.array(found, dtype=np.int64).reshape(-1, 5).T
    nothing = np.full(unknown.size, ACTIVITIES.index(Activity.UNKNOWN)), np.full(unknown.size, -1)
    columns = np.concatenate([told, np.stack([unknown, start[unknown], end[unknown], *nothing])], axis=1)
    columns = columns[:, np.argsort(columns[0], kind="stable")]
    segment, begins, ends, activity, place = columns
    told_of_all = Stretches(segment, begins, ends, activity, place, list(places))
    return _without_waits(structure, told_of_all, owner[segment])


def _without_waits(structure: Structure, told: Stretches, owner: RowIds) -> Stretches:
    """Call unknown what looks like work of a thread, `owner` by stretch, while that waited: another thread did it."""
    works = np.flatnonzero(told.activity == ACTIVITIES.index(Activity.CPU))
    is_wait = structure.spans.get_column("ready_task_ids").is_not_null().to_numpy() & ~structure.is_run
    waits = np.flatnonzero(is_wait)
    waits = waits[structure.start[waits] < structure.end[waits]]
    of = sampled_above(structure, waits)
    waits, of = waits[np.isin(of, owner[works])], of[np.isin(of, owner[works])]
    if works.size == 0 or waits.size == 0:
        return told
    begun = group_by_time(of, structure.start.size, waits, structure.start[waits])
    last = members_at(begun, latest_until(begun, owner[works], told.end[works] - 1))
    since = np.where(last >= 0, np.maximum(structure.start[last], told.start[works]), told.end[works])
    until = np.where(last >= 0, np.minimum(structure.end[last], told.end[works]), told.end[works])
    cut = since < until
    works, since, until = works[cut], since[cut], until[cut]
    if works.size == 0:
        return told
    rest = np.setdiff1d(np.arange(told.segment.size), works)
    unknown = np.full(works.size, ACTIVITIES.index(Activity.UNKNOWN))
    pieces = [
        (told.segment[rest], told.start[rest], told.end[rest], told.activity[rest], told.place[rest]),
        (told.segment[works], told.start[works], since, told.activity[works], told.place[works]),
        (told.segment[works], since, until, unknown, told.place[works]),
        (told.segment[works], until, told.end[works], told.activity[works], told.place[works]),
    ]
    columns = np.stack([np.concatenate(column) for column in zip(*pieces, strict=True)])
    columns = columns[:, columns[1] < columns[2]]
    segment, begins, ends, activity, place = columns[:, np.lexsort((columns[1], columns[0]))]
    return Stretches(segment, begins, ends, activity, place, told.places)


_Piece = tuple[int, int, Activity, Place | None]
"""Start, end, what it was, and where it was idle."""


def _joined(pieces: Iterable[_Piece]) -> Iterator[_Piece]:
    """Make one of pieces that touch and were the same."""
    for (activity, place), group in groupby(pieces, key=lambda piece: piece[2:]):
        same = list(group)
        yield same[0][0], same[-1][1], activity, place


def _pieces(sampled: Sampled | None, since: int, until: int) -> Iterator[_Piece]:
    if sampled is None:
        yield since, until, Activity.UNKNOWN, None
        return
    last: Place | None = None
    for idle in sampled.idle:
        begin, finish = max(idle.start, since), min(idle.end, until)
        if begin >= finish:
            continue
        if since < begin:
            yield from _between(sampled, since, begin, idle.place)
        yield begin, finish, Activity.IDLE, idle.place
        since, last = finish, idle.place
    if since < until:
        yield from _between(sampled, since, until, last)


def _between(sampled: Sampled, since: int, until: int, place: Place | None) -> Iterator[_Piece]:
    """Tell what a thread did right beside where it was idle (in a place, None for nowhere near)."""
    for busy in sampled.busy:
        begin, finish = max(busy.start, since), min(busy.end, until)
        if begin >= finish:
            continue
        yield from _unseen(sampled, since, begin, place)
        yield begin, finish, Activity.CPU, None
        since = finish
    yield from _unseen(sampled, since, until, place)


def _unseen(sampled: Sampled, since: int, until: int, place: Place | None) -> Iterator[_Piece]:
    """Tell what a thread did where no stretch says it.

    Where a thread was idle too often for all of it to be told, it is known for how long, but not when: each long gap
    gets its part of that, at its start.
    """
    length = until - since
    for idle_in, part in sampled.left_out if length >= SAMPLED_FROM_NS else ():
        begin, since = since, min(since + round(part * length), until)
        yield begin, since, Activity.IDLE, idle_in
    length = until - since
    if length <= 0:
        return
    if sampled.is_busy:
        yield since, until, Activity.CPU, None
    elif place is not None and sampled.is_idle_nearby and length <= UNSEEN_NS:
        yield since, until, Activity.IDLE, place
    else:
        yield since, until, Activity.UNKNOWN, None
