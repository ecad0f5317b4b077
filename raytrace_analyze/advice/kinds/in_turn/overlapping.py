"""How many calls of an asynchronous actor are known to overlap: where they wait is not always up to them alone."""

import numpy as np

from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.names.attributes import AWAITED, told
from raytrace_analyze.names.awaited import SLEEP
from raytrace_analyze.replay.graph import Graph
from raytrace_analyze.replay.program_order.event_order import SIGNAL
from raytrace_analyze.replay.rewrite import execute_in_turn, take_turns_of
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds, flags
from raytrace_analyze.trace.busy_time import covered
from raytrace_analyze.values import frozen
from raytrace_analyze.waits.suspensions import find_suspensions, let_go_by_others

_MUCH = 0.1
"""What part of the calls' time has to be in waits of a kind for that kind to decide."""


@frozen
class Overlap:
    """What is known of calls that would all be there at once."""

    most: int = 0
    """How many are taken to be served at a time: the most that were seen; 0 where nothing says that it is so many."""
    certain: bool = True
    """Whether all of them are known to overlap, where `most` is 0."""

    def joined(self, other: "Overlap") -> "Overlap":
        """Say of two actors what holds for both."""
        return Overlap(max(self.most, other.most), self.certain and other.certain)


def let_overlap(facts: Facts, graph: Graph, calls: RowIds) -> tuple[Graph, Overlap]:
    """Let the calls (rows) of asynchronous actors among some overlap as far as is known.

    They execute one at a time. While they sleep, any number do. What they wait for in something that another part of
    their actor lets go (a future, an event, a queue), and no recorded call does, that part may serve one after another:
    of these as many overlap as were seen to. What else they wait for may overlap, or not.
    """
    turns = facts.graph.events.waiting.turns
    calls = calls[(turns.lane[calls] >= 0) & ~facts.relations.is_creation[calls]]
    calls = calls[turns.on_loop[turns.lane[calls]]]
    found = Overlap()
    if calls.size == 0:
        return graph, found
    suspensions, run, _ = find_suspensions(facts.relations)
    length = np.maximum(facts.end[suspensions] - facts.start[suspensions], 0)
    awaited = told(facts.spans.get_column("attributes").gather(suspensions), AWAITED)
    is_let_go = _let_go(facts)[suspensions]
    by_others = flags(let_go_by_others(awaited)) & ~is_let_go
    elsewhere = ~by_others & ~is_let_go & ~flags(awaited == SLEEP)
    for each in np.unique(turns.lane[calls]).tolist():
        methods = calls[turns.lane[calls] == each]
        methods = methods[np.argsort(facts.start[methods], kind="stable")]
        took = int((facts.end[methods] - facts.start[methods]).sum())
        of_these = np.isin(run, methods)
        if length[of_these & by_others].sum() > _MUCH * took:
            most = _most_at_once(facts, methods)
            graph = take_turns_of(graph, methods, most)
            found = found.joined(Overlap(most, False))
        else:
            graph = execute_in_turn(graph, methods, _executed(facts, methods))
            certain = bool(length[of_these & elsewhere].sum() <= _MUCH * took)
            found = found.joined(Overlap(0, certain))
    return graph, found


def _let_go(facts: Facts) -> Flags:
    """Tell by row the waits that a run ended."""
    events = facts.graph.events
    waiter = events.other[events.kind == SIGNAL]
    found = np.zeros(facts.spans.height, dtype=np.bool_)
    found[waiter[(waiter >= 0) & (waiter < found.size)]] = True
    return found


def _executed(facts: Facts, methods: RowIds) -> Nanos:
    """Give how long each of some runs executed: less all that it waited for."""
    structure = facts.structure
    inside = np.flatnonzero(facts.relations.is_wait & ~structure.is_run & np.isin(structure.run_above, methods))
    waited = np.zeros(facts.spans.height, dtype=np.int64)
    together = covered(structure.run_above[inside], facts.start[inside], facts.end[inside])
    waited[together.get_column("owner").to_numpy()] = together.get_column("covered_ns").to_numpy()
    left: Nanos = np.maximum(facts.end[methods] - facts.start[methods] - waited[methods], 0)
    return left


def _most_at_once(facts: Facts, methods: RowIds) -> int:
    times = np.concatenate([facts.start[methods], facts.end[methods]])
    change = np.repeat([1, -1], methods.size)
    return max(int(np.cumsum(change[np.lexsort((change, times))]).max()), 1)
