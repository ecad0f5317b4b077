"""The driver's own time on the critical path: what it works, and what it is idle in."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
import polars as pl

from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.advice.kinds.driver.before_idle import asked_again, failed_before
from raytrace_analyze.advice.kinds.driver.child_jobs import job_within
from raytrace_analyze.advice.patterns import Candidate
from raytrace_analyze.advice.program.files import first_place
from raytrace_analyze.analyses.libraries.serve.requests import find_requests
from raytrace_analyze.analyses.libraries.tune.table import DOING
from raytrace_analyze.analyses.stack_lines import stack_lines
from raytrace_analyze.names.functions import DRIVER
from raytrace_analyze.names.serve import is_proxy
from raytrace_analyze.path.activity import ACTIVITIES, Stretches, tell_apart
from raytrace_analyze.replay.rewrite import is_driver_work, shorten_stretches
from raytrace_analyze.sampled.imports import imported_ns
from raytrace_analyze.sampled.samples import SHORT_NS, Idle, Sampled, is_for_others, read_samples
from raytrace_analyze.sampled.turns_of_loops import find_turns
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds, flags
from raytrace_analyze.trace.busy_time import covered_within
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.advice import Pattern
from raytrace_analyze.vocabulary.paths import Activity
from raytrace_analyze.vocabulary.spans import SpanCategory
from raytrace_analyze.wording.advice import driver as words

_OFTEN = 0.2
"""At what part of all looks a place is worth to be named."""


@frozen
class _Own:
    """The driver's own stretches, told apart."""

    events: RowIds
    """The events before which they lie."""
    on_path: Flags
    """By piece: whether its stretch is on the critical path."""
    told: Stretches
    by_driver: Mapping[int, Sampled]
    """What the sampler saw of the driver's thread, by its row."""

    @property
    def sampled(self) -> Iterable[Sampled]:
        """What the sampler saw."""
        return self.by_driver.values()

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
    idle = list(_idle(facts, own))
    yield from idle
    idle_ns = own.length(own.pieces(Activity.IDLE) & own.on_path).sum() if idle else 0
    yield from _unknown(facts, own, idle_ns / 2)


def _tell(facts: Facts, critical: RowIds) -> _Own:
    graph, events = facts.graph, facts.graph.events
    all_events = np.flatnonzero(is_driver_work(graph) & (graph.fixed > 0))
    owner = np.where(events.owner[all_events] >= 0, events.owner[all_events], facts.spans.height)
    end = events.time[all_events]
    told = tell_apart(facts.structure, facts.job.trace.clock_shift, owner, end - graph.fixed[all_events], end)
    sampled = read_samples(facts.structure, facts.job.trace.clock_shift, _drivers(facts))
    return _Own(all_events, np.isin(all_events, critical)[told.segment], told, sampled)


def _working(facts: Facts, own: _Own) -> Iterator[Candidate]:
    """Tell what the driver's own code works, and apart from that how long it imports modules.

    Without these the program cannot do, or it can: nobody knows, so no saving is claimed for them.
    """
    works = own.pieces(Activity.CPU)
    took, events, here = own.length(works), own.events_of(works), own.on_path[works]
    about = next(iter(facts.spans.get_column("attributes").gather(_drivers(facts))), None)
    imported = imported_ns(own.sampled, about, own.told.start[works], own.told.end[works])
    lines = _lines(own, about, works & own.on_path, is_importing=2 * imported[here].sum() > took[here].sum())
    for is_import, part, by_line in zip((True, False), (imported, took - imported), lines, strict=True):
        on_path = part[here]
        if on_path.sum() < facts.floor_ns:
            continue
        site, seen_at = _site_before(facts, events[here], on_path), _longest(by_line, int(on_path.sum()))
        say = words.imports if is_import else words.works
        yield Candidate(
            Pattern.DRIVER_IMPORTS if is_import else Pattern.DRIVER_CODE,
            DRIVER,
            say(int(on_path.sum()), int(on_path.max()), after=first_place(site), seen_at=first_place(seen_at)),
            None if is_import else shorten_stretches(facts.graph, events, part),
            _rows(facts, events[here]),
            seen_at or site,
            certain=not is_import,
        )


def _lines(
    own: _Own, about: str | None, pieces: Flags, *, is_importing: bool
) -> tuple[Mapping[str, float], Mapping[str, float]]:
    """Give for how long (ns) the driver was in which line in some pieces on the CPU: importing modules, and else.

    Where nobody tells when it was in which line: where it was seen on the CPU often, whenever, unless it imported
    for most of that.
    """
    start, end = own.told.start[pieces], own.told.end[pieces]
    imports, rest = Counter[str](), Counter[str]()
    for busy in (each for one in own.sampled for each in one.busy if each.place):
        shared = int(np.maximum(np.minimum(end, busy.end) - np.maximum(start, busy.start), 0).sum())
        imports[busy.place] += round(shared * busy.importing)
        rest[busy.place] += round(shared * (1 - busy.importing))
    if rest or is_importing:
        return imports, rest
    lines = stack_lines(about).filter(activity=Activity.CPU)
    share = lines.select("place", pl.col("samples") / pl.col("samples").sum())
    everywhere = int((end - start).sum())
    return imports, {place: part * everywhere for place, part in share.iter_rows() if place}


def _longest(by_line: Mapping[str, float], of_all: int) -> str | None:
    """Give the line that took longest, None where that is little of all time."""
    line = max(by_line, key=lambda each: by_line[each], default=None)
    return line if line is not None and by_line[line] >= _OFTEN * of_all else None


def _drivers(facts: Facts) -> RowIds:
    is_driver = flags(facts.spans.get_column("category").gather(facts.rows) == SpanCategory.DRIVER)
    rows: RowIds = facts.rows[is_driver]
    return rows


def _idle(facts: Facts, own: _Own) -> Iterator[Candidate]:
    """Name each place where the driver is idle, while the job waits for it; what it puts waits for the store."""
    puts = facts.spans.get_column("category") == SpanCategory.PUT
    is_put = np.append(puts.to_numpy(), False)[np.minimum(facts.graph.events.owner, facts.spans.height)]
    idle = own.pieces(Activity.IDLE) & ~is_put[own.events[own.told.segment]]
    idle_times = [each for one in own.sampled for each in one.idle]
    for number, (what, where) in enumerate(own.told.places):
        there = idle & (own.told.place == number)
        here = there & own.on_path
        took = own.length(here)
        if took.sum() < facts.floor_ns:
            continue
        times = _each_time(idle_times, own, here)
        elastic = facts.graph.elastic
        is_outside = elastic is not None and 2 * elastic.outside_ns(own.events_of(here)) > took.sum()
        failed = failed_before(facts, own.events_of(here), took)
        # It may be the client of what is under way; one that sleeps once sends, or lets time go by.
        asks = _asked_meanwhile(facts, own, here) if is_outside or not what.endswith("sleep") else None
        # What a call of Ray's is idle for is no shorter for anything that the driver does not do there.
        is_outside = is_outside or asks is not None or is_for_others((what, where))
        other_job = job_within(facts, what, own.told.start[here], own.told.end[here])
        is_outside = is_outside or other_job is not None
        if other_job is not None:
            said = words.waits_for_job(times, what=what, place=where, job=other_job)
        elif is_outside and asks is None and is_for_others((what, where)):
            said = words.waits_for_others(times, what=what, place=where)
        elif is_outside:
            before = None if asks else _ended_before(facts, own, here)
            question = None if asks else asked_again(facts, own.events_of(here), took)
            if question is not None:
                said = words.asks_again(times, what=what, place=where, question=question)
            else:
                said = words.looks_outside(times, what=what, place=where, before=before, asks=asks)
        elif failed is not None:
            said = words.backs_off(times, what=what, place=where, function=failed)
        else:
            said = words.is_idle(times, what=what, place=where, within=_tunes_part(facts, own, here))
        yield Candidate(
            Pattern.DRIVER_IDLE,
            DRIVER,
            said,
            None if is_outside else shorten_stretches(facts.graph, own.events_of(there), own.length(there)),
            _rows(facts, own.events_of(here)),
            where or None,
            # Whether it has to wait there only the program knows.
            certain=False,
        )


def _tunes_part(facts: Facts, own: _Own, pieces: Flags) -> str | None:
    """Name the part of Ray Tune's controller in which the driver is for most of some pieces, None for none."""
    owner = np.minimum(facts.graph.events.owner[own.events_of(pieces)], facts.spans.height - 1)
    took = own.length(pieces)
    names = facts.spans.get_column("name").gather(owner)
    for name, part in DOING.items():
        if 2 * took[flags(names == name)].sum() > took.sum():
            return part
    return None


def _ended_before(facts: Facts, own: _Own, pieces: Flags) -> str | None:
    """Name the function of which a run ended right before each loop of some pieces did, as the only one; else None."""
    structure = facts.structure
    runs = facts.rows[structure.is_run[facts.rows]]
    runs = runs[np.argsort(structure.end[runs], kind="stable")]
    start, until = own.told.start[pieces], own.told.end[pieces]
    # After a turn of a loop comes its next one: it had not found yet what it looks for.
    has_next = [turn.end for found in find_turns(structure, own.by_driver).values() for turn, _ in found]
    last = ~np.isin(until, has_next) & (until - start >= SHORT_NS)
    first, after = (
        np.searchsorted(structure.end[runs], times[last], side="right") for times in (until - SHORT_NS, until)
    )
    if not last.any() or (after - first != 1).any():
        return None
    names = {facts.functions[run] for run in runs[first].tolist()}
    return names.pop() if len(names) == 1 else None


def _asked_meanwhile(facts: Facts, own: _Own, pieces: Flags) -> str | None:
    """Name whom requests of Ray Serve over HTTP asked during most of some pieces, the one asked longest; None if not.

    The driver may be their client: who that is no span tells.
    """
    name = facts.spans.get_column("name")
    if not is_proxy(name.unique()).any():
        return None
    requests = find_requests(facts.job.trace).filter("is_ingress", pl.col("session") == facts.job.scope.session)
    start = requests.get_column("start_ns").to_numpy()
    end = start + requests.get_column("total_ns").fill_null(0).to_numpy()
    since, until = own.told.start[pieces], own.told.end[pieces]
    under_way = covered_within(start, end, since, until)
    if 2 * under_way.sum() <= (until - since).sum():
        return None
    method = pl.format("{}.{}", "deployment", "method")
    longest = requests.group_by(function=method).agg(pl.col("total_ns").sum()).sort("total_ns", "function")
    found: str = longest.get_column("function").to_list()[-1]
    return found


def _each_time(known: list[Idle], own: _Own, pieces: Flags) -> list[int]:
    """Give how long the driver was in one place each time; all together where it is not known how often that was.

    `known` are the stretches that the sampler tells. One with something to do in between may be many, of which looks
    saw one after the other; another piece is of those that are not told one by one.
    """
    start, length = own.told.start[pieces], own.length(pieces)
    begun = np.array([each.start for each in known], dtype=np.int64)
    order = np.argsort(begun, kind="stable")
    of = order[np.maximum(np.searchsorted(begun[order], start, side="right") - 1, 0)] if begun.size else start
    found: dict[int, int] = {}
    for number, since, took in zip(of.tolist(), start.tolist(), length.tolist(), strict=True):
        if not begun.size or not known[number].start <= since < known[number].end or known[number].busy_ns:
            return [int(length.sum())]
        found[number] = found.get(number, 0) + took
    return list(found.values())


def _unknown(facts: Facts, own: _Own, beside_ns: float) -> Iterator[Candidate]:
    """Say that the driver is on the path where nobody knows what it does there: no saving is claimed for that.

    Little `beside` more that is known tells nothing of what it does.
    """
    here = own.pieces(Activity.UNKNOWN) & own.on_path
    took = own.length(here)
    if took.sum() < max(facts.floor_ns, beside_ns):
        return
    site = _site_before(facts, own.events_of(here), took)
    yield Candidate(
        Pattern.DRIVER_CODE,
        DRIVER,
        words.is_waited_for(int(took.sum()), int(took.max()), after=first_place(site)),
        None,
        _rows(facts, own.events_of(here)),
        site,
        certain=False,
    )


def _rows(facts: Facts, events: RowIds) -> RowIds:
    return np.unique(facts.graph.events.owner[events])


def _site_before(facts: Facts, events: RowIds, took: Nanos) -> str | None:
    """Give where in the program the last call before the longest of some stretches of the driver stands."""
    event, job = int(events[np.argmax(took)]), facts.graph.events
    first = int(np.searchsorted(job.flow, job.flow[event], side="left"))
    rows = job.row[first:event][::-1].tolist()
    return next((facts.sites[row] for row in rows if row in facts.sites), None)
