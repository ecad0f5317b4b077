"""Requests of Ray Serve as submissions, runs and waits, which is what they are.

A proxy, or a handler, routes a request to a replica and goes on; the replica's part is no part of the routing and
outlives it, as a run outlives its submission. A proxy is done when the replica has answered: it waits for that.
"""

import numpy as np
import polars as pl

from raytrace_analyze.names.attributes import told
from raytrace_analyze.names.serve import REQUEST_ID, SEND, is_handle, is_proxy, is_route
from raytrace_analyze.schema import Kind
from raytrace_analyze.table.lineage import RowIds, roots
from raytrace_analyze.vocabulary.spans import SpanKind


def relate_requests(spans: pl.DataFrame, parent: RowIds) -> pl.DataFrame:
    """Make what routes a request a submission, what handles it there a run, and what proxies it a wait for that.

    `parent` is by row the row of the parent. Where Ray's own calls are recorded too, the call that brought the request
    to the replica is the submission within the routing, and its run has the handler's part in it.
    """
    name = spans.get_column("name")
    known = _distinct(name)
    if not (is_route(known) | is_handle(known)).any():
        return spans
    routes, proxies, handles = is_route(name), is_proxy(name), is_handle(name)
    rows = np.arange(spans.height)
    above = np.maximum(parent, 0)
    is_routed = pl.Series((parent >= 0) & routes.to_numpy()[above])
    made_id = pl.format("request-{}", spans.get_column("span_id"))
    of_route = spans.select(pl.format("request-{}", "span_id").gather(pl.Series(above))).to_series()
    answered = pl.Series(np.isin(rows, above[(is_routed & handles).to_numpy()]))
    kind = (
        pl.when(pl.Series(routes))
        .then(pl.lit(SpanKind.PRODUCER, Kind))
        .when(pl.Series(handles))
        .then(pl.lit(SpanKind.CONSUMER, Kind))
        .otherwise("kind")
    )
    told = spans.with_columns(
        kind=kind,
        task_id=pl.when(pl.Series(is_routed & handles))
        .then(pl.coalesce("task_id", pl.lit(of_route)))
        .otherwise("task_id"),
        submitted_task_id=pl.when(pl.Series(answered)).then(made_id).otherwise("submitted_task_id"),
    )
    # What answered: the handler's own part where the router's span has it below it, else what was sent last.
    sends = (
        told.select("name", "submitted_task_id", "start", above=pl.Series(parent))
        .filter(pl.Series(is_routed), pl.col("name").str.contains(SEND))
        .sort("start")
        .group_by("above", maintain_order=True)
        .agg(pl.col("submitted_task_id").last())
    )
    asked = (
        told.select("submitted_task_id", row=pl.Series(rows), proxy=pl.Series(parent))
        .filter(pl.Series(routes.to_numpy() & (parent >= 0) & proxies.to_numpy()[above]))
        .join(sends, left_on="row", right_on="above", how="left", suffix="_of_send")
        .with_columns(ready=pl.coalesce("submitted_task_id", "submitted_task_id_of_send"))
        .drop_nulls("ready")
        .group_by("proxy")
        .agg("ready")
    )
    found = pl.DataFrame({"row": rows}).join(asked, left_on="row", right_on="proxy", how="left", maintain_order="left")
    return told.with_columns(ready_task_ids=pl.coalesce("ready_task_ids", found.get_column("ready")))


def _distinct(name: pl.Series) -> pl.Series:
    """Give the names, each once: they are few, and looked into in a tenth of the time."""
    return name.unique()


def rejoin_requests(spans: pl.DataFrame, parent: RowIds) -> RowIds:
    """Give the parents with those of traces that were begun anew within a request: the handler that they lie in.

    What serves web requests inside a handler, as FastAPI does, may begin a trace of its own there, and a thread may
    lose its context; Serve's request id is still that of the request. Above what routes a request of its own there is
    nothing then, though in the same process a handler has a request of that id. `parent` must be free of circles; what
    comes out may have some in damaged tables.
    """
    name = spans.get_column("name")
    known = _distinct(name)
    if not (is_route(known).any() and is_handle(known).any()):
        return parent
    routes, handles = is_route(name).to_numpy(), is_handle(name).to_numpy()
    top = roots(parent)
    about = spans.select(
        "session",
        "start",
        "end",
        # The files of Serve's own tracing name no process; each process has its own.
        process=pl.concat_str("node_id", pl.coalesce(pl.col("pid").cast(pl.String), "source"), ignore_nulls=True),
        request=told(pl.col("attributes"), REQUEST_ID),
        row=pl.int_range(pl.len()),
    ).with_columns(top=pl.Series(top))
    lost = about.filter(pl.Series(routes), pl.col("request").is_not_null())
    hosts = about.filter(pl.Series(handles)).rename({"row": "host", "top": "host_top"})
    keys = ["session", "process", "request"]
    found = (
        lost.select(*keys, "top", at=spans.get_column("start").gather(lost.get_column("top")))
        .join(hosts, on=keys, nulls_equal=True)
        .filter(pl.col("host_top") != pl.col("top"), pl.col("at") >= pl.col("start"))
        .filter((pl.col("at") <= pl.col("end")).fill_null(value=True))
        .sort("start", "host")
        .unique("top", keep="last", maintain_order=True)
    )
    rejoined = parent.copy()
    rejoined[found.get_column("top").to_numpy()] = found.get_column("host").to_numpy()
    return rejoined
