"""The driver's own time on the critical path: what it works, and what it is idle in."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.advice.patterns import Candidate, Pattern
from raytrace_analyze.advice.words import at_text, place_text, times_text
from raytrace_analyze.function_names import DRIVER
from raytrace_analyze.path.activity import ACTIVITIES, Stretches, tell_apart
from raytrace_analyze.replay.rewrite import is_driver_work, shorten_stretches
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds
from raytrace_analyze.units import duration_text
from raytrace_analyze.vocabulary import Activity

_MOMENT_NS = 1_000_000
"""What takes no longer does not part one time that the driver is idle from the next."""


@dataclass(frozen=True)
class _Own:
    """The driver's own stretches, told apart."""

    events: RowIds
    """The events before which they lie."""
    on_path: Flags
    """By piece: whether its stretch is on the critical path."""
    told: Stretches

    def pieces(self, activity: Activity) -> Flags:
        """Tell the pieces of one activity."""
        found: Flags = self.told.activity == ACTIVITIES.index(activity)
        return found

    def length(self, pieces: Flags) -> Nanos:
        """Give how long pieces last."""
        return (self.told.end - self.told.start)[pieces]

    def events_of(self, pieces: Flags) -> RowIds:
        """Give the event before which each of some pieces lies."""
        return self.events[self.told.segment[pieces]]


def driver_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find the driver's own time on the critical path: work that could be moved, and what it is idle in."""
    stretch, _ = facts.critical
    critical = stretch[is_driver_work(facts.graph)[stretch]]
    if facts.graph.fixed[critical].sum() < facts.floor_ns:
        return
    own = _tell(facts, critical)
    yield from _working(facts, own)
    yield from _idle(facts, own)
    yield from _unknown(facts, own)


def _tell(facts: Facts, critical: RowIds) -> _Own:
    graph, events = facts.graph, facts.graph.events
    all_events = np.flatnonzero(is_driver_work(graph) & (graph.fixed > 0))
    owner = np.where(events.owner[all_events] >= 0, events.owner[all_events], facts.spans.height)
    end = events.time[all_events]
    told = tell_apart(facts.structure, facts.job.trace.clock_shift, owner, end - graph.fixed[all_events], end)
    return _Own(all_events, np.isin(all_events, critical)[told.segment], told)


def _working(facts: Facts, own: _Own) -> Iterator[Candidate]:
    works = own.pieces(Activity.CPU)
    here = works & own.on_path
    took = own.length(here)
    if took.sum() < facts.floor_ns:
        return
    site, after = _after_call(facts, own.events_of(here), took)
    yield Candidate(
        Pattern.DRIVER_CODE,
        DRIVER,
        f"the driver itself works while the job waits for it, {duration_text(int(took.sum()))} on the CPU; the longest "
        f"stretch takes {duration_text(int(took.max()))}{after}",
        "move that work into tasks, or submit what does not need it before (this is what taking all of it off the "
        "critical path would save)",
        shorten_stretches(facts.graph, own.events_of(works), own.length(works)),
        _rows(facts, own.events_of(here)),
        site,
    )


def _idle(facts: Facts, own: _Own) -> Iterator[Candidate]:
    """Name each place where the driver is idle, while the job waits for it."""
    idle = own.pieces(Activity.IDLE)
    for number, (what, where) in enumerate(own.told.places):
        there = idle & (own.told.place == number)
        here = there & own.on_path
        took = own.length(here)
        if took.sum() < facts.floor_ns:
            continue
        sleeps = what.endswith("sleep")
        does = "sleeps" if sleeps else f"is idle in {what or 'something'}"
        times = _times_in_a_row(own, here)
        often = (
            f"{times_text(times.size)}, {duration_text(int(times.max()))} at most"
            if times.size > 1
            else duration_text(int(took.sum()))
        )
        remedy = (
            "if it sleeps until something is there, wait for that instead (`ray.get`, or `ray.wait` with a timeout), "
            "which comes back at once"
            if sleeps
            else "submit what does not need it before, or wait for it in a task meanwhile"
        )
        yield Candidate(
            Pattern.DRIVER_IDLE,
            DRIVER,
            f"the driver {does}{at_text(where)}, {often}, while the job waits for it"
            + (f": {duration_text(int(took.sum()))} in all" if times.size > 1 else ""),
            f"{remedy} (this is what not being idle there would save)",
            shorten_stretches(facts.graph, own.events_of(there), own.length(there)),
            _rows(facts, own.events_of(here)),
            where or None,
            # Whether it has to wait there only the program knows.
            certain=False,
        )


def _times_in_a_row(own: _Own, pieces: Flags) -> Nanos:
    """Give how long the driver was in one place each time; what lies within a moment is one time."""
    start, end = own.told.start[pieces], own.told.end[pieces]
    order = np.argsort(start, kind="stable")
    start, end = start[order], end[order]
    begins = np.ones(start.size, dtype=np.bool_)
    begins[1:] = start[1:] - end[:-1] > _MOMENT_NS
    return np.add.reduceat(end - start, np.flatnonzero(begins))


def _unknown(facts: Facts, own: _Own) -> Iterator[Candidate]:
    """Say that the driver is on the path where nobody knows what it does there: no saving is claimed for that."""
    here = own.pieces(Activity.UNKNOWN) & own.on_path
    took = own.length(here)
    if took.sum() < facts.floor_ns:
        return
    site, after = _after_call(facts, own.events_of(here), took)
    yield Candidate(
        Pattern.DRIVER_CODE,
        DRIVER,
        f"the job waits for the driver itself, {duration_text(int(took.sum()))} in all; the longest stretch takes "
        f"{duration_text(int(took.max()))}{after}. Whether it works there or is idle is not known",
        "look at what it does there: work can be moved into tasks, and what does not need it can be submitted before",
        None,
        _rows(facts, own.events_of(here)),
        site,
        certain=False,
    )


def _rows(facts: Facts, events: RowIds) -> RowIds:
    return np.unique(facts.graph.events.owner[events])


def _after_call(facts: Facts, events: RowIds, took: Nanos) -> tuple[str | None, str]:
    """Give the call before the longest of some stretches, and how a sentence goes on with it."""
    site = _site_before(facts, int(events[np.argmax(took)]))
    return site, f", after the call at {place_text(site)[2:-1]}" if site else ""


def _site_before(facts: Facts, event: int) -> str | None:
    """Give where in the program the last call before an event of the driver stands."""
    rows = facts.graph.events.row[event - 1 :: -1].tolist() if event > 0 else []
    return next((facts.sites[row] for row in rows if row in facts.sites), None)
