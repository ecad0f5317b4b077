"""Requests of Ray Serve that no replica had taken when the record ends, and what its replicas were busy with."""

from collections.abc import Iterable, Iterator

import polars as pl

from raytrace_analyze.analyses.stuck.submitted import Row
from raytrace_analyze.names.attributes import json_of
from raytrace_analyze.names.serve import REPLICA, REQUEST_ID, is_route


def unrouted(spans: pl.DataFrame, running: Iterable[Row]) -> Iterator[tuple[Row, str, Row]]:
    """Give what routes a request that is open, the request's id, and each run on a replica of its deployment."""
    routes = spans.filter(pl.col("end").is_null(), is_route(pl.col("name")))
    if routes.is_empty():
        return
    rows = list(running)
    about = pl.Series([row["function"] for row in rows], dtype=pl.String).str.extract_groups(REPLICA).struct.unnest()
    busy: dict[tuple[str | None, str | None], list[Row]] = {}
    for row, app, method in zip(rows, about["app"], about["deployment"], strict=True):
        busy.setdefault((app, (method or "").partition(".")[0]), []).append(row)
    for route in routes.with_columns(start_ns=pl.col("start").to_physical()).iter_rows(named=True):
        told = json_of(route["attributes"], {})
        for run in busy.get((told.get("app"), told.get("deployment")), ()):
            yield route, str(told.get(REQUEST_ID) or route["span_id"]), run
