"""Methods of asynchronous actors that keep the event loop while they are idle: nothing else goes on there meanwhile."""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.advice.patterns import Candidate
from raytrace_analyze.replay.rewrite import execute_in_turn
from raytrace_analyze.sampled.samples import Place, Sampled, is_for_others, looked_at, read_samples
from raytrace_analyze.table.lineage import Nanos, RowIds
from raytrace_analyze.vocabulary.advice import Pattern
from raytrace_analyze.wording.advice import actors as words

_MOSTLY = 0.5
"""What part of their time calls are idle that block their loop."""
_FEWEST_CALLS = 3


def blocking_methods(facts: Facts, calls: RowIds, queued: Nanos) -> Iterator[Candidate]:
    """Find the methods among the calls on one event loop (rows, in order of start) that block it.

    A coroutine is looked at only while it has the loop: where it is idle then, the loop is. `queued` says by row how
    long a call waited because its actor was busy.
    """
    if not queued[calls].any():
        return
    samples = read_samples(facts.structure, facts.job.trace.clock_shift, looked_at(facts.structure, calls))
    by_function: dict[str, list[int]] = {}
    for call in calls.tolist():
        by_function.setdefault(facts.functions[call], []).append(call)
    for function, rows in by_function.items():
        methods = np.array(rows, dtype=np.int64)
        took = facts.end[methods] - facts.start[methods]
        idle = np.array([_idle_ns(samples.get(row), took) for row, took in zip(rows, took.tolist(), strict=True)])
        if methods.size < _FEWEST_CALLS or idle.sum() < max(_MOSTLY * took.sum(), facts.floor_ns):
            continue
        if (facts.start[methods[1:]] < facts.end[methods[:-1]]).any():
            continue
        place = _longest([samples[row] for row in rows if row in samples])
        yield Candidate(
            Pattern.BLOCKED_LOOP,
            function,
            words.blocks_loop(
                function,
                methods.size,
                idle_ns=int(idle.sum()),
                idle_in=place[0],
                longest_wait_ns=int(queued[calls].max()),
            ),
            execute_in_turn(facts.graph, methods, np.maximum(took - idle, 0)),
            methods[np.argsort(-idle, kind="stable")],
            site=place[1] or None,
            certain=False,
        )


def _idle_ns(sampled: Sampled | None, took_ns: int) -> int:
    """Tell how long a call was idle: all the time that it took, where it was for most and from the first look on."""
    if sampled is None:
        return 0
    seen = sum(one.end - one.start for one in sampled.idle if not is_for_others(one.place))
    return took_ns if sampled.is_idle_nearby and 2 * seen >= took_ns else min(seen, took_ns)


def _longest(samples: list[Sampled]) -> Place:
    """Give the place in which the calls were idle longest, all together."""
    total: Counter[Place] = Counter()
    for sampled in samples:
        for one in sampled.idle:
            total[one.place] += one.end - one.start
    return max(total, key=lambda place: (total[place], place))
