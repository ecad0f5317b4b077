"""What Ray Serve names the spans of its own tracing: the one place that knows them.

A request comes to a proxy, which routes it to a replica of a deployment; that handles it, and may route requests of its
own to other deployments. Requests by a handle of a process without Serve's tracing begin at the replica.
"""

from typing import TypeVar

import polars as pl

_Texts = TypeVar("_Texts", pl.Expr, pl.Series)

PROXY = "^proxy_(http|grpc)_request"
ROUTE = "^route_to_replica"
HANDLE = "^replica_handle_request"

SEND = r"ServeReplica:.*\.handle_request"
"""The call that brings a request to a replica, as Ray's own tracing names it: it may be refused, and sent again."""

REPLICA = r"^(?:.*\.)?ServeReplica:(?<app>[^:]*):(?<deployment>.*)$"
"""The class of a deployment's replicas."""


def is_proxy(name: _Texts) -> _Texts:
    """Tell the spans of requests at a proxy."""
    return name.str.contains(PROXY)


def is_route(name: _Texts) -> _Texts:
    """Tell the spans in which a request waits for a replica that takes it."""
    return name.str.contains(ROUTE)


def is_handle(name: _Texts) -> _Texts:
    """Tell the spans of requests at a replica."""
    return name.str.contains(HANDLE)
