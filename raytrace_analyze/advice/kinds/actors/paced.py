"""Rates that actors keep: calls of a method sleep until it is their turn, as in a token bucket."""

from collections.abc import Iterator

import numpy as np

from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.advice.patterns import Candidate
from raytrace_analyze.replay.rewrite import take_no_time
from raytrace_analyze.vocabulary.advice import Pattern
from raytrace_analyze.wording.advice import actors as words


def paced_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find methods of asynchronous actors that let one call after the other go on, at a rate."""
    for pace in facts.paces:
        took = facts.end[pace.waits] - facts.start[pace.waits]
        if took.max() < facts.floor_ns:
            continue
        name = facts.functions[int(pace.runs[0])]
        longest = int(pace.waits[np.argmax(took)])
        yield Candidate(
            Pattern.PACED_CALLS,
            name,
            words.paced(
                name, pace.waits.size, every_ns=pace.every_ns, took_ns=int(took.sum()), longest_ns=int(took.max())
            ),
            take_no_time(facts.graph, pace.waits),
            pace.waits[np.argsort(-took, kind="stable")],
            facts.sites.get(longest),
            certain=False,
        )
