"""Calls of an actor that were given up after a while, and made again until one came through: naps of a kind.

`queue.put(item, timeout=1)` in a loop: how long each of these waits is nobody's work, and as soon as there is room, the
one that is open then comes through.
"""

import numpy as np
import polars as pl

from raytrace_analyze.replay.graph import Graph, released_by
from raytrace_analyze.sampled.naps import Naps
from raytrace_analyze.table.lineage import Flags, RowIds, flags
from raytrace_analyze.trace.numbering import number_alike
from raytrace_analyze.waits.suspensions import find_suspensions

_NO_NAPS = np.empty(0, dtype=np.int64)


def vain_calls(graph: Graph) -> Naps:
    """Give the suspensions of calls that failed, which nobody had let go on, with what let the caller's next go on.

    That is the next call of the same method of the actor out of the same flow that did not fail, if it waited itself.
    """
    events = graph.events
    wakers = events.waiting.wakers
    if wakers is None:
        return Naps(_NO_NAPS, _NO_NAPS, _NO_NAPS, _NO_NAPS)
    suspensions, run, _ = find_suspensions(events.runs)
    chosen = (events.end_of[suspensions] >= 0) & wakers.is_asked[suspensions]
    suspensions, run = suspensions[chosen], run[chosen]
    let_go = released_by(graph)[events.end_of[suspensions]] >= 0
    longest = _longest(graph, suspensions, run)
    vain, through = np.full(events.start_of.size, -1), np.full(events.start_of.size, -1)
    vain[run[longest & ~let_go]] = suspensions[longest & ~let_go]
    through[run[longest & let_go]] = suspensions[longest & let_go]
    calls = np.intersect1d(_calls(graph), np.flatnonzero(_same_calls(graph, run)))
    return _pairs(graph, calls, vain, through)


def _longest(graph: Graph, suspensions: RowIds, run: RowIds) -> Flags:
    """Tell the longest suspension of each run."""
    scoped = graph.events.scoped
    lasted = scoped.end[suspensions] - scoped.start[suspensions]
    most = np.zeros(scoped.start.size, dtype=np.int64)
    np.maximum.at(most, run, lasted)
    is_longest: Flags = lasted == most[run]
    return is_longest


def _calls(graph: Graph) -> RowIds:
    events = graph.events
    rows = events.rows[:-1]
    return rows[
        events.scoped.structure.is_run[rows] & (events.runs.actor[rows] >= 0) & (events.scoped.parent[rows] >= 0)
    ]


def _key(graph: Graph, calls: RowIds) -> RowIds:
    """Number calls of one method of one actor out of one flow alike."""
    events = graph.events
    functions = events.scoped.structure.spans.get_column("function").gather(calls).fill_null("")
    names = functions.unique().sort()
    method = functions.replace_strict(names, pl.int_range(names.len(), eager=True), return_dtype=pl.Int64).to_numpy()
    return number_alike(events.runs.actor[calls], method, events.head[events.scoped.parent[calls]])


def _same_calls(graph: Graph, run: RowIds) -> Flags:
    """Tell the calls of actors that some of these runs are on."""
    actors = np.zeros(graph.events.runs.on_actor.first.size, dtype=np.bool_)
    actors[graph.events.runs.actor[run]] = True
    actor = graph.events.runs.actor
    return (actor >= 0) & actors[actor]


def _pairs(graph: Graph, calls: RowIds, vain: RowIds, through: RowIds) -> Naps:
    scoped = graph.events.scoped
    key = _key(graph, calls)
    order = np.lexsort((scoped.start[calls], key))
    calls, key = calls[order], key[order]
    failed = flags(scoped.structure.spans.get_column("status").gather(calls) == "ERROR") & (vain[calls] >= 0)
    place = np.arange(calls.size)
    following = np.minimum.accumulate(np.where(failed, calls.size, place)[::-1])[::-1]
    asked = np.flatnonzero(failed & (following < calls.size))
    asked = asked[key[asked] == key[following[asked]]]
    asked = asked[through[calls[following[asked]]] >= 0]
    row = vain[calls[asked]]
    return Naps(row, scoped.start[row], scoped.end[row], through[calls[following[asked]]])
