"""What had not ended, and who waits for whom in it: circles, and the one that everybody waits for."""

from collections.abc import Iterator

import networkx as nx
import polars as pl

from raytrace_analyze.analyses.stuck.given import Given
from raytrace_analyze.analyses.stuck.grouped import Group
from raytrace_analyze.analyses.stuck.held_locks import waits_for_a_call
from raytrace_analyze.analyses.stuck.last_calls import LastCaller
from raytrace_analyze.analyses.stuck.open_work import read_open
from raytrace_analyze.analyses.stuck.opened import HELD, WAITER, Open
from raytrace_analyze.analyses.stuck.retried import Tried
from raytrace_analyze.analyses.stuck.room import Kept
from raytrace_analyze.names.functions import is_rays_own
from raytrace_analyze.prepared import Trace, prepare
from raytrace_analyze.shown import Shown
from raytrace_analyze.text.units import count_text
from raytrace_analyze.values import frozen

WAITS = pl.Schema(
    {
        "waiter": pl.String,
        "waiter_function": pl.String,
        "waiter_actor_id": pl.String,
        "waiter_state": pl.String,
        "since_ns": pl.Int64,
        "reason": pl.String,
        "certain": pl.Boolean,
        "waited_for": pl.String,
        "waited_for_function": pl.String,
        "waited_for_actor_id": pl.String,
        "waited_for_state": pl.String,
        "circle": pl.Int64,
    }
)
"""Columns of `Hang.waits`: one row a waiter and what it waits for. Both are named by task id, a driver by
`driver JOB`. States: `runs`, `waits` (in a recorded wait), `pending` (submitted, never started). `reason`: `result`,
`dependency`, `actor` (its actor runs the other), `slot` (the other holds one), `resource` (the other holds
what it asks for besides CPUs), `placement` (the
other holds what the placement group asks for), `consumer` (a generator that is held back: the other takes its items),
`held` (the other took a lock there and has not given it back), `party` (it waits at a barrier, where the other has not
come), `replica` (a request of
Ray Serve, by its id or whose it is: the other runs on a replica that could take it). `since_ns` is ns since the epoch.
`circle` numbers the circle that the row is part of, null for none."""

MOST_CIRCLES = 20
"""How many circles are told; more say nothing new."""


@frozen
class Blocker:
    """Something that others wait for, or that waits for no task, and that waits for nothing known itself."""

    key: str
    function: str
    actor_id: str | None
    state: str
    idle_in: str | None
    """What its thread idled in last, where the hook sampled it."""
    waiters: int
    """How many wait for it, over any number of others between; none for who only waits itself."""
    demand: str | None
    """Of a task that never started: what it asks for and no node of the cluster has."""
    held_by: str | None = None
    """Of a call that asks an actor for a lock: the function that took it last and ended without giving it back."""
    taken_by: str | None = None
    """Of a task that never started, or who waits for a placement group: the class of actors that hold what is asked
    for, and do nothing."""
    kept_by: Kept | None = None
    """Of the same: the placement group that keeps what is asked for, in which nothing runs and which nobody removed."""
    needed_by: tuple[str, ...] = ()
    """Of a call that waits for what another one has to give: the methods, of calls there, that wait for what it holds:
    if one of these was to give it, they wait for each other."""
    last_caller: LastCaller | None = None
    """Of a call that waits for what another one has to give: the task that made the last other call there, and is
    over."""
    tried: Tried | None = None
    """Of a task whose attempts failed, and of which another one never started."""
    given: Given | None = None
    """Of a task that never started: when Ray gave it to a process, in which its function had not begun."""
    in_group: Group | None = None
    """Of a task that never started: the placement group that it is to run in, of which no task has started."""


@frozen
class Hang(Shown):
    """Who waited for whom when the record ends."""

    waits: pl.DataFrame
    """Columns of `WAITS`."""
    circles: tuple[tuple[str, ...], ...]
    """Each as its members in order: every one waits for the next, the last for the first."""
    blockers: tuple[Blocker, ...]
    """Those at the end of all waiting, the one that most wait for first, what is Ray's own last."""
    open_spans: int
    """How many spans had not ended."""
    unknown_waits: int
    """Waits that had not ended and whose record does not say what was waited for."""

    def in_short(self) -> str:
        """Say how much had not ended, and how many wait in circles."""
        open_spans = count_text(self.open_spans, "span")
        return (
            f"{open_spans} had not ended, {count_text(len(self.circles), 'circle')} of those that wait for each other"
        )

    @property
    def is_hung(self) -> bool:
        """Whether somebody waits in a circle."""
        return bool(self.circles)


def hang(spans: Trace, job: str | None = None) -> Hang:
    """Tell what had not ended when the record ends, and who waits for whom in it.

    Takes a span table (columns of `schema.TABLE`), or what `prepare` made of one, of a job that hangs, was killed or
    still runs; `job` (`ID` or `SESSION/ID`) keeps one job, by default all are looked at: one may wait for another. What
    an open wait asked for is certain where the hook recorded it; else it is taken to be what the same task had
    submitted and what never ended.

    Raises NoSpansError for an empty table, UsageError for a job that is unknown or ambiguous.
    """
    trace = prepare(spans).require_spans()
    known = read_open(trace.spans, trace.attempts, job)
    graph: nx.DiGraph[str] = nx.DiGraph()
    graph.add_edges_from((edge.waiter, edge.waited_for) for edge in known.edges)
    circles = tuple(_circles(graph))
    of_edge = {
        (member, after): number
        for number, circle in enumerate(circles)
        for member, after in zip(circle, (*circle[1:], circle[0]), strict=True)
    }
    rows = [
        {
            **known.about(edge.waiter, "waiter"),
            **known.about(edge.waited_for, "waited_for"),
            "since_ns": edge.since_ns,
            "reason": edge.reason,
            "certain": edge.certain,
            "circle": of_edge.get((edge.waiter, edge.waited_for)),
        }
        for edge in known.edges
    ]
    waits = pl.DataFrame(rows, schema=WAITS) if rows else WAITS.to_frame()
    return Hang(
        waits=waits.sort("circle", "since_ns", "waiter", "waited_for", nulls_last=True),
        circles=circles,
        blockers=tuple(_blockers(graph, known)),
        open_spans=known.open_spans,
        unknown_waits=known.unknown_waits,
    )


def _circles(graph: "nx.DiGraph[str]") -> Iterator[tuple[str, ...]]:
    """Give a shortest circle of each set of nodes that all wait for each other, the shortest first."""
    found = []
    for members in nx.strongly_connected_components(graph):
        inside = graph.subgraph(members)
        if len(members) > 1 or any(graph.has_edge(node, node) for node in members):
            found.append(_shortest_circle(inside))
    found.sort(key=lambda circle: (len(circle), circle))
    yield from found[:MOST_CIRCLES]


def _shortest_circle(graph: "nx.DiGraph[str]") -> tuple[str, ...]:
    best: list[str] | None = None
    for first in sorted(graph)[:50]:  # of a large knot any short circle will do
        for after in sorted(graph.successors(first)):
            back = nx.shortest_path(graph, after, first)
            if best is None or len(back) < len(best):
                best = [first, *back[:-1]] if back[0] != first else [first]
    return tuple(best or ())


def _blockers(graph: "nx.DiGraph[str]", known: Open) -> Iterator[Blocker]:
    """Give those at the end of all waiting: what they do, and for how many."""
    ends = [node for node in graph if graph.out_degree(node) == 0]
    ends += sorted(known.by_themselves.difference(graph))
    needed_by = _needed_by(ends, known)
    functions = pl.Series([known.about(node, WAITER)[f"{WAITER}_function"] for node in ends], dtype=pl.String)
    own = dict(zip(ends, is_rays_own(functions).fill_null(value=False).to_list(), strict=True))
    waiters = {node: len(nx.ancestors(graph, node)) if node in graph else 0 for node in ends}
    for node in sorted(ends, key=lambda node: (own[node], -waiters[node], node)):
        about = known.about(node, WAITER)
        yield Blocker(
            key=node,
            function=about[f"{WAITER}_function"] or "",
            actor_id=about[f"{WAITER}_actor_id"],
            state=about[f"{WAITER}_state"] or "",
            idle_in=known.idle_in.get(node),
            waiters=waiters[node],
            demand=known.impossible.get(node),
            taken_by=known.taken.get(node),
            kept_by=known.kept.get(node),
            tried=known.tried.get(node),
            given=known.given.get(node),
            in_group=known.in_group.get(node),
            needed_by=needed_by.get(node, ()),
            last_caller=known.last_callers.get(node),
            held_by=held.function if (held := known.locks.get(node)) else None,
        )


def _needed_by(ends: list[str], known: Open) -> dict[str, tuple[str, ...]]:
    """Name the methods of calls that wait for what a call holds, which itself waits for another call."""
    waiting: dict[str, set[str]] = {}
    asked = {node for node in ends if waits_for_a_call(known.idle_in.get(node, ""))}
    for edge in known.edges:
        if edge.reason == HELD and edge.waited_for in asked:
            method = known.about(edge.waiter, WAITER)[f"{WAITER}_function"] or ""
            waiting.setdefault(edge.waited_for, set()).add(method)
    return {node: tuple(sorted(methods)) for node, methods in waiting.items()}
