"""What waiting for very many things costs: `ray.wait` over thousands of references, and a full object store."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import polars as pl

from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.advice.patterns import Candidate
from raytrace_analyze.advice.program.files import first_place
from raytrace_analyze.names import attributes
from raytrace_analyze.names.spans import PUT, WAIT
from raytrace_analyze.queueing.circumstances import LONG_TO_STORE_NS
from raytrace_analyze.replay.rewrite import shorten_lags, shorten_stretches, shorten_waits
from raytrace_analyze.sampled.samples import read_samples, sampled_above
from raytrace_analyze.sampled.slept_on import slept_on
from raytrace_analyze.vocabulary.advice import Pattern
from raytrace_analyze.vocabulary.queues import Cause
from raytrace_analyze.wording.advice import runs as runs_words
from raytrace_analyze.wording.advice import waits as waits_words

_MANY = 1_000
"""From how many references a wait asks for very many."""
_ENOUGH = 100
"""How many it could ask for at a time."""
_FEWEST_WAITS = 10
_NOTABLE_NS = 50_000_000


def wait_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find loops of `ray.wait` that ask for thousands of references each time: each call looks at all of them."""
    waits = facts.waits[(facts.spans.get_column("name").gather(facts.waits) == WAIT).to_numpy()]
    if waits.size < _FEWEST_WAITS:
        return
    told = attributes.told(facts.spans.get_column("attributes").gather(waits), attributes.AWAITED_COUNT)
    asked = told.cast(pl.Int64, strict=False).fill_null(0).to_numpy()
    many, counts = waits[asked >= _MANY], asked[asked >= _MANY]
    sites = np.array([facts.sites.get(row, "") for row in many.tolist()], dtype=np.str_)
    for site in np.unique(sites).tolist():
        rows, count = many[sites == site], counts[sites == site]
        if rows.size < _FEWEST_WAITS:
            continue
        took = facts.end[rows] - facts.start[rows]
        yield Candidate(
            Pattern.WAIT_FOR_MANY,
            facts.caller(int(rows[0])),
            waits_words.wait_for_many(rows.size, int(count.max()), int(took.sum()), _ENOUGH, place=first_place(site)),
            shorten_waits(facts.graph, rows, _ENOUGH / count),
            rows[np.argsort(-took, kind="stable")],
            site or None,
        )


def late_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find loops that poll for results and sleep in between: on after these were there."""
    of_wait, runs = facts.all_ready_runs(facts.waits)
    waits, number = np.unique(of_wait, return_inverse=True)
    waits, number = waits.astype(np.int64), number.reshape(-1)
    there = np.zeros(waits.size, dtype=np.int64)
    np.maximum.at(there, number, facts.end[runs])
    lag = facts.graph.lag[facts.graph.activity[facts.graph.events.end_of[waits]]]
    slept = slept_on(facts.structure, facts.job.trace.clock_shift, waits, there, facts.end[waits])
    late = np.flatnonzero(np.minimum(slept, lag) >= _NOTABLE_NS)
    waits, slept, lag = waits[late], np.minimum(slept, lag)[late], lag[late]
    callers = [facts.caller(row) for row in waits.tolist()]
    for caller in sorted(set(callers)):
        chosen = np.array([each == caller for each in callers])
        rows, took = waits[chosen], slept[chosen]
        order = np.argsort(-took, kind="stable")
        site = facts.sites.get(int(rows[order[0]]))
        yield Candidate(
            Pattern.SEEN_LATE,
            caller,
            waits_words.seen_late(caller, rows.size, slept_ns=int(took.sum()), place=first_place(site)),
            shorten_waits(facts.graph, rows, 1 - took / lag[chosen]),
            rows[order],
            site,
        )


def store_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find who waited for room in the object store: runs before they started, or until their results were in it, and
    calls of `ray.put`."""
    yield from _storing(facts)
    yield from _putting(facts)
    waited = facts.start_waits.ns_for(Cause.STORE_FULL, for_no_run=True)
    rows = np.flatnonzero(waited >= _NOTABLE_NS)
    if rows.size == 0:
        return
    waited = waited[rows]
    first = int(rows[np.argmax(waited)])
    yield Candidate(
        Pattern.STORE_FULL,
        facts.functions[first],
        runs_words.store_full(facts.functions[first], rows.size, waited_ns=int(waited.sum())),
        shorten_lags(facts.graph, rows, waited),
        rows[np.argsort(-waited, kind="stable")],
        certain=False,
    )


def _storing(facts: Facts) -> Iterator[Candidate]:
    """Find runs that held their slots long after they had ended, until their results were stored."""
    is_long = facts.job.trace.rules.about.long_to_store[facts.runs]
    rows = facts.runs[is_long]
    took = facts.relations.held_until[rows] - facts.end[rows]
    if rows.size == 0:
        return
    order = np.argsort(-took, kind="stable")
    function = facts.functions[int(rows[order[0]])]
    demand = facts.graph.demand
    at_once = np.where(np.isin(demand.run, rows), facts.graph.events.scoped.end[demand.run], demand.end)
    yield Candidate(
        Pattern.STORE_FULL,
        function,
        runs_words.long_to_store(function, rows.size, took_ns=int(took.sum()), longest_ns=int(took.max())),
        replace(facts.graph, demand=replace(demand, end=at_once)),
        rows[order],
        certain=False,
    )


def _putting(facts: Facts) -> Iterator[Candidate]:
    """Find calls of `ray.put` whose threads were idle for long: there was no room for what they put."""
    structure = facts.structure
    puts = facts.rows[(facts.spans.get_column("name").gather(facts.rows) == PUT).to_numpy()]
    puts = puts[(facts.end - facts.start)[puts] >= LONG_TO_STORE_NS]
    flow = sampled_above(structure, puts)
    puts, flow = puts[flow >= 0], flow[flow >= 0]
    samples = read_samples(structure, facts.job.trace.clock_shift, np.unique(flow))
    idle = np.array(
        [
            sum(
                max(min(one.end, int(facts.end[put])) - max(one.start, int(facts.start[put])), 0)
                for one in (samples[of].idle if of in samples else ())
            )
            for put, of in zip(puts.tolist(), flow.tolist(), strict=True)
        ],
        dtype=np.int64,
    )
    puts, idle = puts[idle >= LONG_TO_STORE_NS], idle[idle >= LONG_TO_STORE_NS]
    if puts.size == 0:
        return
    events = facts.graph.events.end_of[puts]
    order = np.argsort(-idle, kind="stable")
    longest = puts[order[:1]]
    (site,) = attributes.told(facts.spans.get_column("attributes").gather(longest), attributes.CALL_SITE)
    yield Candidate(
        Pattern.STORE_FULL,
        facts.caller(int(longest[0])),
        runs_words.long_to_put(puts.size, took_ns=int(idle.sum()), place=first_place(site)),
        shorten_stretches(facts.graph, events, idle),
        puts[order],
        site,
        certain=False,
    )
