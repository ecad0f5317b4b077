"""Loops that poll for a result with sleeps in between: what their threads slept on after it was there."""

import numpy as np

from raytrace_analyze.names.attributes import LIBRARY, POLLS
from raytrace_analyze.sampled.samples import read_samples, sampled_above
from raytrace_analyze.table.lineage import Nanos, RowIds, flags
from raytrace_analyze.trace.span_arrays import Structure


def slept_on(structure: Structure, clock_shift: Nanos, waits: RowIds, since: Nanos, until: Nanos) -> Nanos:
    """Give for how long (ns) the thread of each wait, if that is several polls, was idle between them in a stretch.

    `waits` (rows), `since` and `until` (ns) are parallel. In a poll itself a thread counts as no idle one: it is known
    what it waits for there. What Ray's libraries ask for is none of the program's.
    """
    found = np.zeros(waits.size, dtype=np.int64)
    texts = structure.spans.get_column("attributes").gather(waits)
    polls = texts.str.contains(POLLS, literal=True) & ~texts.str.contains(LIBRARY, literal=True)
    asked = np.flatnonzero(flags(polls) & (until > since))
    flow = sampled_above(structure, waits[asked])
    samples = read_samples(structure, clock_shift, np.unique(flow[flow >= 0]))
    for number, of in zip(asked.tolist(), flow.tolist(), strict=True):
        idle = samples[of].idle if of in samples else ()
        stretches = ((max(one.start, int(since[number])), min(one.end, int(until[number]))) for one in idle)
        found[number] = sum(max(end - start, 0) for start, end in stretches)
    return found
