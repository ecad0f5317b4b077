"""What Ray Serve names the spans of its own tracing: the one place that knows them.

A request comes to a proxy, which routes it to a replica of a deployment; that handles it, and may route requests of its
own to other deployments. Requests by a handle of a process without Serve's tracing begin at the replica.
"""

from typing import TypeVar

import polars as pl

_Texts = TypeVar("_Texts", pl.Expr, pl.Series)

PROXY_FUNCTION = "(proxy)"
"""What the time that a request is at a proxy is booked under."""

REQUEST_ID = "request_id"
"""The attribute with Serve's id of a request, the same in all of its spans."""

ROUTE_SPAN = "route_to_replica"
_PROXY = "^proxy_[a-z]+_request"
_ROUTE = f"^{ROUTE_SPAN}"
_HANDLE = "^replica_handle_request"
_METHOD = r"^(?:route_to_replica|replica_handle_request) (.+) (\S+)$"

SEND = r"ServeReplica:.*\.handle_request"
"""The call that brings a request to a replica, as Ray's own tracing names it: it may be refused, and sent again."""

REPLICA = r"^(?:.*\.)?ServeReplica:(?<app>[^:]*):(?<deployment>.*)$"
"""The class of a deployment's replicas."""


def is_proxy(name: _Texts) -> _Texts:
    """Tell the spans of requests at a proxy."""
    return name.str.contains(_PROXY)


def is_route(name: _Texts) -> _Texts:
    """Tell the spans in which a request waits for a replica that takes it."""
    return name.str.contains(_ROUTE)


def is_handle(name: _Texts) -> _Texts:
    """Tell the spans of requests at a replica."""
    return name.str.contains(_HANDLE)


def function_of(name: pl.Expr) -> pl.Expr:
    """Name what a span of Serve's is about as a method, `Deployment.method`; null for other spans.

    Of the router's spans it is the method that is asked for, as a submission has the function's name.
    """
    deployment, method = name.str.extract(_METHOD, 1), name.str.extract(_METHOD, 2)
    return (
        pl.when(is_proxy(name))
        .then(pl.lit(PROXY_FUNCTION))
        .when(deployment.is_not_null())
        .then(pl.concat_str(deployment, pl.lit("."), method))
    )
