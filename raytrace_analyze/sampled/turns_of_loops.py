"""Sleeps that are turns of one loop which looks for something: told one by one, since each look takes some CPU."""

from collections.abc import Mapping
from itertools import pairwise

import numpy as np

from raytrace_analyze.sampled.samples import Idle, Sampled, sampled_above
from raytrace_analyze.table.lineage import Nanos
from raytrace_analyze.trace.span_arrays import Structure

_LITTLE = 0.25
"""What part of a sleep a look may take: with more in between, the loop does something else than looking."""


def find_turns(structure: Structure, sampled: Mapping[int, Sampled]) -> dict[int, list[tuple[Idle, Idle]]]:
    """Give by row of a flow the sleeps with the next one in the same loop, where it only looked in between.

    Nothing of Ray's is called in between: a loop that calls tasks does something with them.
    """
    flows = [row for row, seen in sampled.items() if any(each.again for each in seen.idle)]
    if not flows:
        return {}
    is_wait = structure.spans.get_column("ready_task_ids").is_not_null().to_numpy() & ~structure.is_run
    calls = np.flatnonzero(is_wait | structure.is_submit)
    of_call = sampled_above(structure, calls)
    begun = {row: np.sort(structure.start[calls[of_call == row]]) for row in flows}
    return {row: [two for two in pairwise(sampled[row].idle) if _are_turns(*two, begun[row])] for row in flows}


def _are_turns(first: Idle, second: Idle, begun: Nanos) -> bool:
    """Tell whether two sleeps that follow each other are turns of one loop; `begun` is when calls of Ray's were."""
    gap = second.start - first.end
    if not (first.again and second.again) or first.place != second.place:
        return False
    if gap > _LITTLE * min(first.end - first.start, second.end - second.start):
        return False
    # When a sleep began and ended is known to within a look.
    since, until = ((each.start + each.end) // 2 for each in (first, second))
    return bool(np.searchsorted(begun, since) == np.searchsorted(begun, until))
