"""Who held the slots of a node, and the turns of an actor: occupancy as steps over time, in whole columns."""

from dataclasses import replace
from functools import cached_property

import numpy as np

from raytrace_analyze.queueing.demands import Demands
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds
from raytrace_analyze.trace.asof import NEVER, latest_until, members_at, times_at
from raytrace_analyze.trace.groups import Timed, group_by_time, numbers_within
from raytrace_analyze.trace.relations import Runs
from raytrace_analyze.trace.span_arrays import Structure
from raytrace_analyze.values import frozen


@frozen
class Occupancy:
    """How much of each place was taken over time, and what it can have held at most.

    A place's capacity is the most that was in use when something was given a part of it: what runs on after a
    `ray.get` takes its part back without asking.
    """

    capacity: RowIds
    steps: Timed
    """By place: `members` are positions in `used`."""
    used: RowIds
    owner: RowIds

    def used_at(self, place: RowIds, time: Nanos) -> RowIds:
        """Give how much of each place was taken right after a time: parallel arrays."""
        step = members_at(self.steps, latest_until(self.steps, place, time))
        return np.where(step >= 0, self.used[step], 0) if self.used.size else np.zeros(place.size, np.int64)

    def freed(self, place: RowIds, demand: RowIds) -> Timed:
        """Give for each kind of demand (parallel arrays) the steps at which it came to fit in.

        `members` are the runs that made room.
        """
        kind, position, before, after, limit = self._steps_of(place, demand)
        return self._at(place, kind, position, (before > limit) & (after <= limit))

    def filled(self, place: RowIds, demand: RowIds) -> Timed:
        """Give for each kind of demand the steps at which it fitted in no more; `members` are who took the room."""
        kind, position, before, after, limit = self._steps_of(place, demand)
        return self._at(place, kind, position, (before <= limit) & (after > limit))

    def _steps_of(self, place: RowIds, demand: RowIds) -> tuple[RowIds, RowIds, RowIds, RowIds, RowIds]:
        """Give the steps of each kind's place: the kind, the step, what was taken before and after, what may be."""
        last = self.steps.first.size - 1
        known = np.clip(place, 0, last)
        begin, end = self.steps.first[known], self.steps.first[np.minimum(known + 1, last)]
        size = np.where(place >= 0, end - begin, 0)
        kind = np.repeat(np.arange(place.size), size)
        offset = numbers_within(size)
        position = begin[kind] + offset
        before = np.where(offset > 0, self.used[self.steps.members[position - 1]], 0)
        limit = (self._capacity(place) - demand)[kind]
        return kind, position, before, self.used[self.steps.members[position]], limit

    def _at(self, place: RowIds, kind: RowIds, position: RowIds, chosen: Flags) -> Timed:
        """Group some steps by kind."""
        kind, position = kind[chosen], position[chosen]
        # The steps are in order already, and so are the kinds: nothing is left to be sorted.
        first = np.concatenate([[0], np.cumsum(np.bincount(kind, minlength=place.size))]).astype(np.int64)
        return Timed(self.owner[self.steps.members[position]], first, self.steps.times[position])

    def _capacity(self, place: RowIds) -> RowIds:
        return np.where(place >= 0, self.capacity[place], 0) if self.capacity.size else np.zeros(place.size, np.int64)


def occupancy(
    place: RowIds,
    places: int,
    start: Nanos,
    end: Nanos,
    amount: RowIds,
    owner: RowIds,
    is_grant: Flags,
    told_within: tuple[int, int] | None = None,
) -> Occupancy:
    """Add up what is held of each of so many places (a number, -1 for none): parallel arrays, one element a holding.

    `amount` can be negative (a part given back for a while); only holdings that are a grant tell the capacity, and of
    these only those that begin `told_within` a stretch (ns), if one is given.
    """
    kept = (place >= 0) & (end > start)
    place, start, end, amount, owner = (values[kept] for values in (place, start, end, amount, owner))
    change = np.concatenate([amount, -amount])
    steps = group_by_time(
        np.concatenate([place, place]),
        places,
        np.arange(change.size),
        np.concatenate([start, end]),
        # Of what happens at one time, what is given back comes first.
        change,
    )
    total = np.cumsum(change[steps.members])
    before = np.concatenate([[0], total])[steps.first[:-1]] if places else total
    used = np.zeros(change.size, dtype=np.int64)
    used[steps.members] = total - np.repeat(before, np.diff(steps.first))
    capacity = np.zeros(places, dtype=np.int64)
    tells = is_grant[kept]
    if told_within is not None:
        tells &= (start >= told_within[0]) & (start <= told_within[1])
    granted = np.flatnonzero(tells)
    np.maximum.at(capacity, place[granted], used[granted])
    return Occupancy(capacity, steps, used, np.concatenate([owner, owner]))


@frozen
class NodeSlots:
    """The nodes' resources, and what each run demands of them."""

    nodes: Occupancy
    demands: Demands
    kind: RowIds
    """By demand: the number of the pair of place and amount, -1 where the place is not known."""
    held_to: Nanos
    """By row: until when a task's run, or the actor of a creation, held what it demands (ns)."""

    @cached_property
    def freed(self) -> Timed:
        """By kind: when it came to fit in, and the runs that made room."""
        of_place, of_amount, _ = self.demands.kinds
        return self.nodes.freed(of_place, of_amount)

    def with_capacity(self, capacity: RowIds) -> "NodeSlots":
        """Give the same where each place can hold so much."""
        return NodeSlots(replace(self.nodes, capacity=capacity), self.demands, self.kind, self.held_to)

    def waited(self, rows: RowIds, until: Nanos) -> tuple[RowIds, RowIds]:
        """Tell when each run's demand last came to fit in on its node, and who made room; NEVER and -1 for never."""
        demand, question = self.demands.of(rows)
        found = latest_until(self.freed, self.kind[demand], until[question])
        freed, owner = times_at(self.freed, found), members_at(self.freed, found)
        time = np.full(rows.size, NEVER, dtype=np.int64)
        np.maximum.at(time, question, freed)
        holder = np.full(rows.size, -1, dtype=np.int64)
        latest = freed == time[question]
        holder[question[latest]] = owner[latest]
        return time, holder

    def last_resource(self, rows: RowIds, until: Nanos) -> RowIds:
        """Tell what each run's demand last came to fit in, after all else that it demands: a number of a resource.

        -1 where nothing did, or several things at once.
        """
        demand, question = self.demands.of(rows)
        freed = times_at(self.freed, latest_until(self.freed, self.kind[demand], until[question]))
        latest = np.full(rows.size, NEVER, dtype=np.int64)
        np.maximum.at(latest, question, freed)
        is_last = (freed == latest[question]) & (freed > NEVER)
        found = np.full(rows.size, -1, dtype=np.int64)
        found[question[is_last]] = self.demands.place[demand[is_last]] % max(len(self.demands.resources), 1)
        found[np.bincount(question[is_last], minlength=rows.size) != 1] = -1
        return found

    def had_room_until(self, rows: RowIds, since: Nanos, until: Nanos, least_ns: int, unsure: Flags) -> Nanos:
        """Tell until when each run's demand last fitted in on its node for so long, within some time; else NEVER.

        Only of runs that demand one resource. Room that a run took which is `unsure` (by row of the table) may have
        been given to it before.
        """
        of_place, of_amount, _ = self.demands.kinds
        filled = self.nodes.filled(of_place, of_amount)
        began = times_at(self.freed, latest_until(self.freed, filled.groups, filled.times))
        is_long = filled.times - np.maximum(began, filled.times - least_ns) >= least_ns
        ended = filled.where(is_long & ~unsure[filled.members])
        demand, question = self.demands.of(rows)
        single = np.bincount(question, minlength=rows.size)[question] == 1
        demand, question = demand[single], question[single]
        kind, asked, latest = self.kind[demand], since[question], until[question]
        taken = times_at(ended, latest_until(ended, kind, latest))
        # What nobody had taken by then.
        freed = times_at(self.freed, latest_until(self.freed, kind, latest))
        goes_on = freed >= times_at(filled, latest_until(filled, kind, latest - 1))
        goes_on &= (kind >= 0) & (latest - np.maximum(freed, asked) >= least_ns)
        last = np.where(goes_on, latest, taken)
        is_later = last >= asked + least_ns
        room = np.full(rows.size, NEVER, dtype=np.int64)
        room[question[is_later]] = last[is_later]
        return room


def letting_go(structure: Structure, runs: Runs, flow: RowIds) -> RowIds:
    """Give the waits in which a task's run lets its slot go; `flow` is the run in whose control flow each span lies."""
    waits = np.flatnonzero(runs.is_wait & (flow >= 0))
    return waits[(runs.actor[flow[waits]] < 0) & ~structure.keeps_slot[waits]]


def node_slots(
    structure: Structure,
    runs: Runs,
    demands: Demands,
    held_from: Nanos,
    flow: RowIds,
    actors_over: Nanos,
    told_within: tuple[int, int] | None = None,
) -> NodeSlots:
    """Work out who held what of each node.

    `held_from` (ns): since when a run had its slot; a task holds it until its results are stored, but
    for its waits; an actor with a demand holds it to the end of its last run, or until it is over (`actors_over`, by
    number of the actor, NEVER where that is not known). `flow`: the run in whose control flow each span lies.
    `told_within`: the stretch (ns) of which all is known, where that is not all of the time.
    """
    row, place, amount, holds = demands.row, demands.place, demands.amount, demands.holds
    end = runs.held_until.copy()
    creations = np.flatnonzero(runs.is_creation)
    last = runs.on_actor.first[runs.actor[creations] + 1] - 1
    end[creations] = np.maximum(end[creations], runs.on_actor.times[last])
    end[creations] = np.maximum(end[creations], actors_over[runs.actor[creations]])
    waits = letting_go(structure, runs, flow)
    paused, of_wait = demands.of(flow[waits])
    wait, at_rest = waits[of_wait], row[paused]
    nodes = occupancy(
        np.concatenate([np.where(holds, place, -1), place[paused]]),
        int(place.max(initial=-1)) + 1,
        np.concatenate([held_from[row], np.maximum(structure.start[wait], held_from[at_rest])]),
        np.concatenate([end[row], np.minimum(structure.end[wait], end[at_rest])]),
        np.concatenate([amount, -amount[paused]]),
        np.concatenate([row, at_rest]),
        np.concatenate([holds, np.zeros(wait.size, dtype=np.bool_)]),
        told_within,
    )
    return NodeSlots(nodes, demands, np.where(place >= 0, demands.kinds[2], -1), end)
