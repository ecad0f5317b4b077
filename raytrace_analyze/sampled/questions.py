"""Questions that a program asks an actor again and again, until another's call has changed the answer.

`while not ray.get(status.is_done.remote()): time.sleep(1)` waits for whoever calls `status.finish`. No wait says so:
each question is answered at once. It is taken to have waited for that call where nothing else explains the loop: some
questions were answered between which nobody else called the actor, then one call of another method ended, and with the
next answer the loop was over; or the questions failed before that, and did not any more. A loop that takes what it has
waited for and asks again, as that of a consumer which looks how long a queue is, may ask in vain once at a time: what
ends it again and again is told together.
"""

import numpy as np
import polars as pl

from raytrace_analyze.names.attributes import CALL_SITE, told
from raytrace_analyze.sampled.replica_starts import find_replica_starts
from raytrace_analyze.sampled.samples import sampled_above
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds, flags
from raytrace_analyze.trace.asof import latest_until, members_at
from raytrace_analyze.trace.groups import Timed, group_by_time, numbers_within
from raytrace_analyze.trace.numbering import number_alike, number_pairs
from raytrace_analyze.trace.span_arrays import Structure
from raytrace_analyze.values import frozen

_FAILED = "ERROR"
IN_VAIN = 3
"""So many questions at least must have been asked while nothing changed; in all, of a loop that goes on."""
_MOST_AGAINST = 0.25
"""What share of such ends may be against it: the loop went on with no such call, or asked again in spite of one."""


@frozen
class Answers:
    """The ends of such loops: parallel arrays of rows."""

    first: RowIds
    """The wait for the first answer that was not yet what the loop waited for."""
    in_vain: RowIds
    """The wait for the last such answer."""
    answer: RowIds
    """The wait for the next one."""
    changed_by: RowIds
    """The run, of another method on the actor, that ended in between."""
    unchanged: RowIds
    """The runs, of all the loops, that gave those that were not yet it."""


def asked_in_vain(structure: Structure) -> Flags:
    """Tell the runs that answered the questions of such loops in vain: had the loop been over, nobody had asked."""
    found = np.zeros(structure.start.size, dtype=np.bool_)
    if structure.waited_besides[0].size:
        found[find_answers(structure).unchanged] = True
    return found


def find_answers(structure: Structure) -> Answers:
    """Find the loops of questions of the runs and drivers that the sampler looked at, and who ended each."""
    asked = _questions(structure)
    if asked.wait.size <= IN_VAIN:
        return Answers(*(asked.wait[:0] for _ in range(5)))
    changed_by = _changes(structure, asked)
    is_changed = changed_by >= 0
    # How many questions directly before each one, of the same loop, nothing changed for.
    unchanged = _since_break(~asked.follows | is_changed)
    found = np.flatnonzero(is_changed)
    if found.size:
        is_last = _is_last(structure, asked)
        is_changed[found] = ~_is_by(structure, changed_by[found], asked.flow[found])
        ends = (is_last | _fails_no_more(structure, asked)) & is_changed & (unchanged >= IN_VAIN - 1)
        once = _ends_again_and_again(structure, asked, is_last, unchanged, np.where(is_changed, changed_by, -1))
        once = np.where(ends, 0, once)
        unchanged = np.where(once > 0, once - 1, unchanged)
        found = np.flatnonzero(ends | (once > 0))
    starts = find_replica_starts(structure, asked.run, asked.flow)
    first = np.concatenate([found - 1 - unchanged[found], starts.first])
    in_vain = np.concatenate([found - 1, starts.in_vain])
    changed_by = np.concatenate([changed_by[found], starts.ready])
    counts = in_vain + 1 - first
    every = np.repeat(first, counts) + numbers_within(counts)
    return Answers(asked.wait[first], asked.wait[in_vain], asked.wait[in_vain + 1], changed_by, asked.run[every])


@frozen
class _Asked:
    """Waits for one call of an actor's method each: parallel arrays, by who asks what, in order of time."""

    wait: RowIds
    run: RowIds
    flow: RowIds
    """The run or driver that asks."""
    actor: RowIds
    """The number of the actor, by row of a run."""
    method: RowIds
    """The number of the function, by row of a run."""
    follows: Flags
    """Whether it is the same question as the one before, asked when that was answered."""


def _questions(structure: Structure) -> _Asked:
    spans, submit = structure.spans, structure.submit
    wait, run = structure.ready_runs
    alone = np.bincount(wait, minlength=structure.start.size)[wait] == 1
    is_closed = ~structure.is_run[wait] & ~structure.in_flight[wait]
    kept = alone & is_closed & spans.get_column("actor_id").gather(run).is_not_null().to_numpy() & (submit[run] >= 0)
    wait, run = wait[kept], run[kept]
    flow = sampled_above(structure, wait)
    wait, run, flow = wait[flow >= 0], run[flow >= 0], flow[flow >= 0]
    if wait.size <= IN_VAIN:
        return _Asked(wait, run, flow, run[:0], run[:0], run[:0] > 0)
    actor, _ = number_pairs(structure, spans.get_column("actor_id"), structure.is_run)
    method, _ = number_pairs(structure, spans.get_column("function"), structure.is_run)
    order = np.lexsort((structure.id_ranks(wait), structure.start[submit[run]], method[run], actor[run], flow))
    wait, run, flow = wait[order], run[order], flow[order]
    follows = np.zeros(wait.size, dtype=np.bool_)
    follows[1:] = (
        (flow[1:] == flow[:-1])
        & (actor[run[1:]] == actor[run[:-1]])
        & (method[run[1:]] == method[run[:-1]])
        & (structure.start[submit[run[1:]]] >= structure.end[wait[:-1]])
    )
    return _Asked(wait, run, flow, actor, method, follows)


def _changes(structure: Structure, asked: _Asked) -> RowIds:
    """Give by question the last run of another method on the actor that ended since the answer before, -1 for none.

    What Ray's libraries run for themselves (Serve's long polls) changes no answer.
    """
    runs = np.flatnonzero((asked.actor >= 0) & ~structure.rays_own)
    if runs.size == 0:
        return np.full(asked.run.size, -1, dtype=np.int64)
    actors = int(asked.actor.max()) + 1
    ended = group_by_time(asked.actor[runs], actors, runs, structure.end[runs], structure.lateness[runs])
    last = latest_until(ended, asked.actor[asked.run], structure.end[asked.run])
    method = asked.method[members_at(ended, last)]
    is_own = (last >= 0) & (method == asked.method[asked.run])
    last = np.where(is_own, _other_before(ended, asked.method)[last], last)
    changed_by = members_at(ended, last)
    since = np.concatenate([[0], structure.start[asked.run[:-1]]])
    return np.where(asked.follows & (changed_by >= 0) & (structure.end[changed_by] > since), changed_by, -1)


def _other_before(ended: Timed, method: RowIds) -> RowIds:
    """Give by position the last before it, in its group, that is a run of another method; -1 for none."""
    kind, place = method[ended.members], np.arange(ended.members.size)
    begins = np.ones(place.size, dtype=np.bool_)
    begins[1:] = kind[1:] != kind[:-1]
    is_first = np.zeros(place.size + 1, dtype=np.bool_)
    is_first[ended.first] = True
    begins |= is_first[:-1]
    streak = np.maximum.accumulate(np.where(begins, place, 0))
    return np.where(is_first[streak], -1, streak - 1)


def _is_by(structure: Structure, run: RowIds, flow: RowIds) -> Flags:
    """Tell whether each run was submitted by a flow."""
    submit = structure.submit[run]
    found: Flags = (submit >= 0) & (sampled_above(structure, np.maximum(submit, 0)) == flow)
    return found


def _fails_no_more(structure: Structure, asked: _Asked) -> Flags:
    """Tell the questions that were answered where the one before failed, as that of a queue does which is empty."""
    failed = _failed(structure, asked)
    return np.concatenate([[False], failed[:-1] & ~failed[1:]])


def _failed(structure: Structure, asked: _Asked) -> Flags:
    return flags(structure.spans.get_column("status").gather(asked.run).cast(pl.String) == _FAILED)


def _since_break(is_break: Flags) -> RowIds:
    """Count for each position those directly before it, back to the last break, which is not counted."""
    number = np.arange(is_break.size)
    last_break = np.maximum.accumulate(np.where(is_break, number, -1))
    found: RowIds = number - 1 - np.concatenate([[-1], last_break[:-1]])
    return found


def _ends_again_and_again(
    structure: Structure, asked: _Asked, is_last: Flags, unchanged: RowIds, changed_by: RowIds
) -> RowIds:
    """Count by question how many directly before it were in vain, of a loop that waits so again and again; else 0.

    Such a loop is one line of the program: it asks again at once as long as it is in vain, and goes on to something
    else, or with an answer that is no failure, when another flow's calls of one method (`changed_by`, -1 for none) have
    changed the answer.
    """
    sites = told(structure.spans.get_column("attributes").gather(structure.submit[asked.run]), CALL_SITE)
    site = sites.rank("dense").fill_null(0).to_numpy().astype(np.int64)
    line = number_alike(asked.flow, asked.actor[asked.run], asked.method[asked.run], site)
    failed = _failed(structure, asked)
    is_over = np.where(np.bincount(line, weights=failed)[line] > 0, ~failed, is_last)
    in_vain = np.minimum(_since_break(is_over), unchanged + 1)
    same = np.concatenate([[False], line[1:] == line[:-1]]) & asked.follows & (site > 0)
    ends = same & is_over & (in_vain > 0)
    by = np.where(changed_by >= 0, asked.method[changed_by], -1)
    loop = number_alike(line, by)
    is_explained = ends & (by >= 0)
    explained = np.bincount(loop, weights=is_explained)[loop]
    against = np.bincount(line, weights=ends & (by < 0))[line]
    against += np.bincount(loop, weights=same & ~is_over & (by >= 0))[loop]
    enough = np.bincount(loop, weights=np.where(is_explained, in_vain, 0))[loop] >= IN_VAIN
    kept = is_explained & enough & (against <= _MOST_AGAINST * explained)
    return np.where(kept, in_vain, 0)


def _is_last(structure: Structure, asked: _Asked) -> Flags:
    """Tell the questions after which their flow went on to something else: it did not just ask again."""
    submits = np.flatnonzero(structure.is_submit)
    of_flow = sampled_above(structure, submits)
    begun = group_by_time(of_flow, structure.start.size, submits, structure.start[submits])
    goes_on = np.ones(asked.wait.size, dtype=np.bool_)
    answered: Nanos = structure.end[asked.wait[:-1]]
    again = structure.start[structure.submit[asked.run[1:]]]
    between = latest_until(begun, asked.flow[:-1], again - 1) > latest_until(begun, asked.flow[:-1], answered)
    goes_on[:-1] = ~asked.follows[1:] | between
    return goes_on
