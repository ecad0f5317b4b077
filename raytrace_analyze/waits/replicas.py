"""Who made room at a replica of Ray Serve: the request whose end let the next one be sent there.

A replica takes so many requests at a time; while it has them, others wait in the router's queue. How many it takes is
told by the most that it was seen to have at once.
"""

import numpy as np
import polars as pl

from raytrace_analyze.names.attributes import told
from raytrace_analyze.names.serve import is_handle, is_route
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds, nearest_ancestor
from raytrace_analyze.trace.asof import NEVER, latest_until, members_at, times_at
from raytrace_analyze.trace.groups import group_by_time, positions
from raytrace_analyze.trace.relations import Runs
from raytrace_analyze.values import frozen

_DEPLOYMENT = ("session", "app", "deployment")
_QUEUED_FROM_NS = 5_000_000
"""What a request that finds room at once takes at most until it is sent."""


@frozen
class Room:
    """By row of what routes a request; -1, or NEVER, for others, and for those that found room at once."""

    handler: RowIds
    """What handled the request whose end made room."""
    made: Nanos
    """When that was."""
    send: RowIds
    """What brought the request to its replica then: the submission, else the run itself."""
    sent: Nanos
    """When that was."""
    meanwhile: RowIds
    """Rows of what their routers did until then: they ask replicas, send in vain, give up."""

    def of_sends(self) -> tuple[RowIds, RowIds]:
        """Pair what brought requests to their replicas with the handler whose end let it."""
        routes = positions(self.handler >= 0)
        return self.send[routes], self.handler[routes]


def find_room(runs: Runs) -> Room | None:
    """Find who made room for the requests of a table; None where no request waited for that."""
    structure, names = runs.structure, runs.structure.spans.get_column("name")
    known = names.unique()
    if not (is_route(known).any() and is_handle(known).any()):
        return None
    handles, is_routing = positions(is_handle(names).to_numpy()), is_route(names).to_numpy()
    run = np.where(structure.is_run[handles], handles, structure.run_above[handles])
    handles, run = handles[run >= 0], run[run >= 0]
    submit = structure.submit[run]
    is_own = is_routing[submit] & (submit >= 0)
    route = np.where(submit < 0, -1, np.where(is_own, submit, nearest_ancestor(structure.parent, is_routing)[submit]))
    send = np.where(is_own, run, submit)
    replica, deployment = _places(structure.spans, handles)
    frees = _is_full(replica, deployment, structure.start[handles], structure.end[handles])
    ended = group_by_time(
        replica[frees], int(replica.max(initial=-1)) + 1, handles[frees], structure.end[handles[frees]]
    )
    asked = positions((route >= 0) & (replica >= 0))
    route, send = route[asked], send[asked]
    sent = structure.start[send]
    last = latest_until(ended, replica[asked], sent)
    made, handler = times_at(ended, last), members_at(ended, last)
    waited = (last >= 0) & (made >= structure.start[route] + _QUEUED_FROM_NS) & (handler != handles[asked])
    if not waited.any():
        return None
    route, send, sent, made, handler = (each[waited] for each in (route, send, sent, made, handler))
    return Room(
        _by_row(structure.start.size, route, handler, -1),
        _by_row(structure.start.size, route, made, NEVER),
        _by_row(structure.start.size, route, send, -1),
        _by_row(structure.start.size, route, sent, NEVER),
        _meanwhile(runs, route, sent),
    )


def _by_row(size: int, rows: RowIds, values: RowIds, otherwise: int) -> RowIds:
    found = np.full(size, otherwise, dtype=np.int64)
    found[rows] = values
    return found


def _places(spans: pl.DataFrame, handles: RowIds) -> tuple[RowIds, RowIds]:
    """Number the replicas and the deployments of what handled requests; -1 where that is not told."""
    texts = pl.col("attributes")
    about = spans.select("session", "attributes")[handles].select(
        "session", app=told(texts, "app"), deployment=told(texts, "deployment"), replica=told(texts, "replica_id")
    )
    is_told = about.get_column("replica").is_not_null()
    numbered = about.select(replica=_number(*_DEPLOYMENT, "replica"), deployment=_number(*_DEPLOYMENT))
    replica = np.where(is_told.to_numpy(), numbered.get_column("replica").to_numpy(), -1)
    return replica, numbered.get_column("deployment").to_numpy()


def _number(*columns: str) -> pl.Expr:
    whole = pl.concat_str(*(pl.col(column).fill_null("") for column in columns), separator="\n")
    return whole.rank("dense").cast(pl.Int64) - 1


def _is_full(replica: RowIds, deployment: RowIds, start: Nanos, end: Nanos) -> Flags:
    """Tell the requests right before whose end their replica had as many as any of the deployment ever had."""
    times, rank = np.unique(np.concatenate([start, end]), return_inverse=True)
    begun, over = rank[: start.size], rank[start.size :]
    base = replica * times.size
    begins, ends = np.sort(base + begun), np.sort(base + over)
    # As many had begun before the replica's own as had ended before them: what other replicas had is no matter.
    there = np.searchsorted(begins, base + over, side="left") - np.searchsorted(ends, base + over, side="left")
    most = np.zeros(int(deployment.max(initial=-1)) + 1, dtype=np.int64)
    np.maximum.at(most, deployment, there)
    is_full: Flags = (there >= most[deployment]) & (replica >= 0)
    return is_full


def _meanwhile(runs: Runs, route: RowIds, sent: Nanos) -> RowIds:
    """Give what routers did before they sent requests, but for waits: what a request takes may have to come first."""
    structure = runs.structure
    until = _by_row(structure.start.size, route, sent, NEVER)
    rows = positions((structure.parent >= 0) & ~structure.is_run & ~runs.is_wait)
    before: Flags = structure.start[rows] < until[structure.parent[rows]]
    return rows[before]
