"""Requests of Ray Serve: one row for each deployment that a request came to, its time told apart.

Read from the spans that Serve's own tracing makes (see `serve_names`); what our hook adds tells the sends apart.
"""

import polars as pl

from raytrace_analyze.attributes import told
from raytrace_analyze.prepared import PreparedTrace
from raytrace_analyze.serve_names import SEND, is_handle, is_proxy, is_route

PARTS = ("proxy", "router", "way", "handler", "downstream", "back")
"""What a request's time is made of, in order."""

REQUESTS = pl.Schema(
    {
        **dict.fromkeys(("request_id", "trace_id", "session", "app", "deployment", "method", "route"), pl.String),
        **dict.fromkeys(("is_ingress", "is_error", "in_flight"), pl.Boolean),
        **dict.fromkeys(("start_ns", "total_ns", *(f"{part}_ns" for part in PARTS), "sends"), pl.Int64),
    }
)
"""Columns of `find_requests`. What is not known is null, never 0.

- `is_ingress`: whether the request came to this deployment from a proxy; `is_error`: it failed, or never came to a
  replica; `in_flight`: it had not ended, and its times are those until then;
- `total_ns`: of an ingress from the proxy's start to its end, of others from when it was routed until the replica was
  done, of requests by a handle of a process without Serve's tracing what the replica took;
- `proxy_ns`: at the proxy until it was routed; `router_ns`: from then on until it was sent to the replica that took
  it, or, where the sends are not recorded, until that began with it; `way_ns`: from that send until the replica began;
- `handler_ns`: the handler's own time, without `downstream_ns`: while requests of its own were with other deployments;
- `back_ns`: from the handler's end until the proxy was done with it;
- `sends`: how often it was sent to a replica until one took it.
"""

_ABOUT = {"request_id": "request_id", "app": "app", "deployment": "deployment", "method": "call_method"}
_FROM = ("trace_id", "session", "request_id", "app", "deployment", "method", "route")


def find_requests(trace: PreparedTrace) -> pl.DataFrame:
    """Find the requests in a trace: columns of `REQUESTS`, in order of start; clocks corrected as the trace's."""
    spans = _served(trace)
    name = pl.col("name")
    proxies = spans.filter(is_proxy(name)).select(pl.col("span_id", "start", "end", "is_error").name.prefix("proxy_"))
    routes = spans.filter(is_route(name)).select(pl.all().name.prefix("route_"))
    handles = (
        spans.filter(is_handle(name))
        .select(pl.all().name.prefix("handle_"))
        .sort("handle_start")
        .with_columns(key=pl.coalesce("handle_parent_id", "handle_span_id"))
        # A request whose replica died came to another one: the last is the one that answered.
        .unique("key", keep="last", maintain_order=True)
    )
    hops = (
        routes.join(handles, left_on="route_span_id", right_on="handle_parent_id", how="full", coalesce=False)
        .join(proxies, left_on="route_parent_id", right_on="proxy_span_id", how="left", coalesce=False)
        .join(_sends(trace), left_on="route_span_id", right_on="send_parent_id", how="left")
        .with_columns(*(pl.coalesce(f"handle_{each}", f"route_{each}").alias(each) for each in _FROM))
    )
    return _told_apart(hops.join(_downstream(hops), left_on="handle_span_id", right_on="route_parent_id", how="left"))


def _served(trace: PreparedTrace) -> pl.DataFrame:
    """Give Serve's own spans with what their attributes say, and their times in ns."""
    attributes, name = pl.col("attributes"), pl.col("name")
    structure = trace.structure
    timed = trace.spans.select(
        *("trace_id", "span_id", "parent_id", "session", "name", "attributes"),
        start=pl.Series(structure.start),
        end=pl.Series(structure.end),
        in_flight=pl.Series(structure.in_flight),
        is_error=pl.col("status") == "ERROR",
    ).filter(is_proxy(name) | is_route(name) | is_handle(name))
    route = pl.coalesce(told(attributes, "route"), told(attributes, "http.route"))
    return timed.with_columns(
        *(told(attributes, attribute).alias(column) for column, attribute in _ABOUT.items()), route=route
    ).drop("attributes")


def _sends(trace: PreparedTrace) -> pl.DataFrame:
    """Count how often each routed request was sent, and when the last time."""
    sent = trace.spans.select("parent_id", "name", "category", start=pl.Series(trace.structure.start))
    return (
        sent.filter((pl.col("category") == "submit") & pl.col("name").str.contains(SEND))
        .group_by(send_parent_id="parent_id")
        .agg(sends=pl.len().cast(pl.Int64), sent=pl.col("start").max())
    )


def _downstream(hops: pl.DataFrame) -> pl.DataFrame:
    """Sum for each handler how long requests of its own were elsewhere; time when several were counts once."""
    end = pl.max_horizontal("route_end", "handle_end")
    before = end.cum_max().shift(1).over("route_parent_id", order_by="route_start")
    own = (end - pl.max_horizontal("route_start", before)).clip(lower_bound=0)
    return (
        hops.filter(pl.col("route_parent_id").is_not_null())
        .select("route_parent_id", downstream_ns=own)
        .group_by("route_parent_id")
        .agg(pl.col("downstream_ns").sum())
    )


def _told_apart(hops: pl.DataFrame) -> pl.DataFrame:
    """Tell the time of each request apart."""
    began, done = pl.col("handle_start"), pl.col("handle_end")
    start = pl.coalesce("proxy_start", "route_start", began)
    end = pl.coalesce("proxy_end", pl.max_horizontal("handle_end", "route_end"))
    in_handler = done - began
    downstream = pl.when(in_handler.is_not_null()).then(
        pl.min_horizontal(pl.col("downstream_ns").fill_null(0), in_handler)
    )
    # A send by another machine's clock may seem to be later than what it led to.
    sent = pl.min_horizontal("sent", began)
    parts = {
        "proxy_ns": pl.col("route_start") - pl.col("proxy_start"),
        "router_ns": pl.coalesce(sent, began, "route_end") - pl.col("route_start"),
        "way_ns": began - sent,
        "handler_ns": in_handler - downstream,
        "back_ns": pl.col("proxy_end") - done,
    }
    never_came = began.is_null()
    return (
        hops.with_columns(
            *(part.clip(lower_bound=0).alias(name) for name, part in parts.items()),
            downstream_ns=downstream,
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
