"""Requests of Ray Serve: one row for each deployment that a request came to, its time told apart.

Read from the spans that Serve's own tracing makes (see `names.serve`); what our hook adds tells the sends apart.
"""

import numpy as np
import polars as pl

from raytrace_analyze.analyses.libraries.serve.waits import asked_of, request_waits
from raytrace_analyze.names.attributes import ANSWERED_NS, HANDLER_CPU_NS, LOOP_IDLE_NS, LOOP_NS, SENT, told
from raytrace_analyze.names.serve import REQUEST_ID, SEND, is_handle, is_proxy, is_route
from raytrace_analyze.prepared import PreparedTrace
from raytrace_analyze.table.lineage import nearest_ancestor

PARTS = ("proxy", "router", "way", "fill", "turn", "load", "handler", "downstream", "back")
"""What a request's time is made of, in order."""

REQUESTS = pl.Schema(
    {
        **dict.fromkeys(("request_id", "trace_id", "session", "app", "deployment", "method", "route"), pl.String),
        "replica": pl.String,
        **dict.fromkeys(("is_ingress", "is_error", "is_refused", "in_flight"), pl.Boolean),
        **dict.fromkeys(("start_ns", "total_ns", *(f"{part}_ns" for part in PARTS), "sends"), pl.Int64),
        **dict.fromkeys(("batch_size", "max_batch_size"), pl.Float64),
        **dict.fromkeys(("loop_ns", "loop_idle_ns", "cpu_ns"), pl.Int64),
    }
)
"""Columns of `find_requests`. What is not known is null, never 0.

- `replica`: the one that handled it, by Serve's id; `is_ingress`: whether the request came to this deployment from a
  proxy; `is_error`: it failed, or never came to a replica; `is_refused`: it never did since too many waited
  already (`max_queued_requests`), as far as a proxy says so; `in_flight`: it had not ended, and its times are those
  until then;
- `total_ns`: of an ingress from the proxy's start until its answer was sent (where nothing tells of that, to the
  proxy's end, which comes when the replica has said that it is done), of others from when it was routed until the
  replica was done, of requests of which nothing is known before that what the replica took;
- `proxy_ns`: at the proxy until it was routed; `router_ns`: from then on until it was sent to the replica that took
  it, or, where the sends are not recorded, until that began with it; `way_ns`: from that send until the replica began;
- `fill_ns`: in the handler, it waited for others to fill its batch (`@serve.batch`), `turn_ns`: for that, filled, to
  begin; `load_ns`: in the handler, it waited for a model to be loaded (`@serve.multiplexed`); null where none is known
  of; `batch_size`, `max_batch_size`: how many were in its batches, and could be;
- `handler_ns`: the handler's own time, without these and `downstream_ns`: while requests of its own were with other
  deployments;
- `back_ns`: from the handler's end until the answer was sent;
- `sends`: how often it was sent to a replica until one took it;
- `loop_ns`: how long its handler kept the replica's event loop, on which nothing else ran then, `loop_idle_ns`: how
  much of that it was idle; `cpu_ns`: what it used of the CPU, there or in a thread. Null where the hook did not
  record it.
"""

_EXCEPTION = r'"name"\s*:\s*"exception"'
_REFUSED = "BackPressureError"
"""What Serve raises where a request asks for a replica for which too many wait already."""

_ABOUT = {
    "request_id": REQUEST_ID,
    "app": "app",
    "deployment": "deployment",
    "method": "call_method",
    "replica": "replica_id",
}
_IN_REPLICA = {"loop_ns": LOOP_NS, "loop_idle_ns": LOOP_IDLE_NS, "cpu_ns": HANDLER_CPU_NS}
_FROM = ("trace_id", "session", "request_id", "app", "deployment", "method", "route")


def find_requests(trace: PreparedTrace) -> pl.DataFrame:
    """Find the requests in a trace: columns of `REQUESTS`, in order of start; clocks corrected as the trace's."""
    spans = _served(trace)
    name = pl.col("name")
    refused = spans.filter(is_proxy(name), "is_refused").get_column("row")
    was_refused = pl.col("route_asked").is_in(refused.implode())
    proxies = spans.filter(is_proxy(name)).select(pl.col("row", "start", "end", "is_error").name.prefix("proxy_"))
    routes = spans.filter(is_route(name)).select(pl.all().name.prefix("route_"))
    handles = (
        spans.filter(is_handle(name))
        .select(pl.all().name.prefix("handle_"))
        .sort("handle_start")
        .with_columns(
            key=pl.when(pl.col("handle_routed") < 0).then(-1 - pl.col("handle_row")).otherwise("handle_routed")
        )
        # A request whose replica died came to another one: the last is the one that answered.
        .unique("key", keep="last", maintain_order=True)
    )
    hops = (
        routes.join(handles, left_on="route_row", right_on="key", how="full", coalesce=False)
        .join(proxies, left_on="route_asked", right_on="proxy_row", how="left")
        .join(_sends(trace, spans), left_on="route_row", right_on="send_routed", how="left")
        .with_columns(*(pl.coalesce(f"handle_{each}", f"route_{each}").alias(each) for each in _FROM))
        # Serve itself traces nothing there: of a request that a replica took it is not known what that did.
        .filter(~(pl.col("handle_row").is_null() & pl.col("route_is_sent").fill_null(value=False)))
    )
    hops = hops.with_columns(is_refused=pl.col("handle_row").is_null() & was_refused.fill_null(value=False))
    elsewhere = request_waits(trace, asked_of(hops), hops.get_column("handle_row").drop_nulls())
    return _told_apart(hops.join(elsewhere, left_on="handle_row", right_on="handler", how="left"))


def _served(trace: PreparedTrace) -> pl.DataFrame:
    """Give Serve's own spans with what their attributes say, their times in ns, and whose they are.

    `routed`: the row of the routing that a handler's part came by; `asked`: the row of the proxy's or handler's span
    that routed a request; -1 where there is none. Spans of the program may lie between.
    """
    structure, name = trace.structure, trace.spans.get_column("name")
    proxies, routes, handles = is_proxy(name), is_route(name), is_handle(name)
    attributes = pl.col("attributes")
    # A replica says by the exception alone that its part of a request failed.
    raised = is_handle(pl.col("name")) & pl.col("events").str.contains(_EXCEPTION).fill_null(value=False)
    served = trace.spans.select(
        *("trace_id", "session", "name", "attributes"),
        row=pl.Series(np.arange(structure.start.size)),
        start=pl.Series(structure.start),
        end=pl.Series(structure.end),
        # Times in attributes are those of the process's own clock.
        shift=pl.Series(trace.clock_shift),
        in_flight=pl.Series(structure.in_flight),
        is_error=(pl.col("status") == "ERROR") | raised,
        is_refused=pl.col("events").str.contains(_REFUSED, literal=True).fill_null(value=False),
        routed=pl.Series(nearest_ancestor(structure.parent, routes.to_numpy())),
        is_sent=told(attributes, SENT) == "true",
        asked=pl.Series(nearest_ancestor(structure.parent, (proxies | handles).to_numpy())),
    ).filter(proxies | routes | handles)
    answered = told(attributes, ANSWERED_NS).cast(pl.Int64, strict=False) + pl.col("shift")
    return served.with_columns(
        *(told(attributes, attribute).alias(column) for column, attribute in _ABOUT.items()),
        *(told(attributes, each).cast(pl.Int64, strict=False).alias(column) for column, each in _IN_REPLICA.items()),
        route=pl.coalesce(told(attributes, "route"), told(attributes, "http.route")),
        end=pl.min_horizontal("end", answered.clip(lower_bound="start")),
    ).drop("attributes", "shift")


def _sends(trace: PreparedTrace, served: pl.DataFrame) -> pl.DataFrame:
    """Count how often each routed request was sent, and when the last time."""
    sent = trace.spans.select(
        "name",
        "category",
        send_routed=pl.Series(trace.structure.parent),
        start=pl.Series(trace.structure.start),
    )
    return (
        sent.filter((pl.col("category") == "submit") & pl.col("name").str.contains(SEND))
        .join(served.select(send_routed="row"), on="send_routed", how="semi")
        .group_by("send_routed")
        .agg(sends=pl.len().cast(pl.Int64), sent=pl.col("start").max())
    )


def _told_apart(hops: pl.DataFrame) -> pl.DataFrame:
    """Tell the time of each request apart."""
    began = pl.col("handle_start")
    start = pl.coalesce("proxy_start", "route_start", began)
    end = pl.coalesce("proxy_end", pl.max_horizontal("handle_end", "route_end"))
    # The client has its answer before the replica has told that it is done; nobody handles what no replica took.
    answered = pl.max_horizontal(began, pl.min_horizontal("handle_end", "proxy_end"))
    done = pl.when(began.is_null()).then("route_end").otherwise(answered)
    in_handler = done - began
    left, within = in_handler, {}
    for part in ("downstream_ns", "fill_ns", "turn_ns", "load_ns"):
        # The lesser of two ignores null.
        within[part] = pl.when(in_handler.is_not_null() & pl.col(part).is_not_null()).then(
            pl.min_horizontal(part, left)
        )
        left -= within[part].fill_null(0)
    # A send by another machine's clock may seem to be later than what it led to.
    sent = pl.when(pl.col("sent").is_not_null()).then(pl.min_horizontal("sent", began))
    parts = {
        "proxy_ns": pl.col("route_start") - pl.col("proxy_start"),
        "router_ns": pl.when(began.is_null()).then("route_end").otherwise(pl.coalesce(sent, began))
        - pl.col("route_start"),
        "way_ns": began - sent,
        "handler_ns": left,
        "back_ns": pl.col("proxy_end") - done,
    }
    never_came = began.is_null()
    return (
        hops.with_columns(
            *(part.clip(lower_bound=0).alias(name) for name, part in parts.items()),
            **{**within, "downstream_ns": within["downstream_ns"].fill_null(pl.when(in_handler.is_not_null()).then(0))},
            **{column: pl.col(f"handle_{column}") for column in _IN_REPLICA},
            replica=pl.col("handle_replica"),
            is_ingress=pl.col("proxy_start").is_not_null(),
            is_error=never_came | pl.any_horizontal(pl.col("proxy_is_error", "handle_is_error").fill_null(False)),
            in_flight=pl.any_horizontal(pl.col("route_in_flight", "handle_in_flight").fill_null(False)),
            start_ns=start,
            total_ns=(end - start).clip(lower_bound=0),
        )
        .sort("start_ns", "trace_id")
        .select(REQUESTS.names())
        .cast(REQUESTS)
    )
