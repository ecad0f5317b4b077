"""Tells clusters apart: which cluster's life (session) each span belongs to.

Task, job and actor ids are counted anew by every cluster, and process ids come round again, so none of
them can tell two runs of one program apart. Node ids are new with every cluster. Our hook writes the
session's name; for other spans a session is the connected component of node ids and traces.
"""

import polars as pl

from raytrace_analyze.table.components import connected

_ID_LENGTH = 12


def assign_sessions(spans: pl.DataFrame) -> pl.Series:
    """Give the session of every span, none of them null.

    Reads `trace_id`, `node_id`, `session` (null where the record does not name it), `source` and `start`.
    What the record says stands. A span that names none goes with its node; else with its trace; a trace
    without any node goes with the spans of its own file that are nearest in time. What is left has no
    relation to Ray at all: there a session is a set of traces that share files.
    """
    if spans.get_column("session").null_count() == 0:
        return spans.get_column("session")
    with_node = spans.lazy().with_columns(
        pl.col("session").fill_null(pl.col("node_id").replace_strict(_sessions_of_nodes(spans), default=None))
    )
    of_trace = with_node.group_by("trace_id").agg(trace_session=pl.col("session").min())
    with_trace = (
        with_node.join(of_trace, on="trace_id", how="left", maintain_order="left")
        .with_columns(pl.col("session").fill_null(pl.col("trace_session")))
        .select("trace_id", "source", "start", "session")
        .collect()
    )
    if with_trace.get_column("session").null_count() == 0:
        return with_trace.get_column("session")
    with_near = _fill_by_trace(with_trace, _nearest_in_file(with_trace))
    return _fill_by_trace(with_near, _unrelated(with_near)).get_column("session")


def _sessions_of_nodes(spans: pl.DataFrame) -> dict[str, str]:
    """Give each node id its session: the one the hook named, else the connected component's own name."""
    in_trace = spans.select("trace_id", "node_id").drop_nulls().unique()
    alone = in_trace.select(pl.col("node_id").unique().implode().list.sort()).item().to_list()
    shared = in_trace.group_by("trace_id").agg("node_id").filter(pl.col("node_id").list.len() > 1)
    groups = shared.get_column("node_id").list.sort().unique().to_list()
    named = spans.select("node_id", "session").drop_nulls().group_by("node_id").agg(pl.col("session").min()).rows()
    session_of = dict(named)
    for component in connected([*([node] for node in alone), *groups]):
        known = sorted({session_of[node] for node in component if node in session_of})
        name = known[0] if known else f"node-{min(component)[:_ID_LENGTH]}"
        for node in component:
            session_of.setdefault(node, name)
    return session_of


def _nearest_in_file(spans: pl.DataFrame) -> pl.DataFrame:
    """Give for each trace without a session that of the span nearest in time in one of its own files."""
    known = (
        spans.filter(pl.col("session").is_not_null())
        .select("source", "start", near_session="session", near="start")
        .sort("start", "near_session")
    )
    lost = spans.filter(pl.col("session").is_null()).select("trace_id", "source", "start").sort("start", "trace_id")
    return (
        lost.join_asof(known, on="start", by="source", strategy="nearest", check_sortedness=False)
        .drop_nulls("near_session")
        .with_columns(distance=(pl.col("start") - pl.col("near")).abs())
        .sort("distance", "start", "near_session")
        .group_by("trace_id", maintain_order=True)
        .agg(found=pl.col("near_session").first())
    )


def _unrelated(spans: pl.DataFrame) -> pl.DataFrame:
    """Give for each trace still without a session a name for the set of traces it shares files with."""
    lost = spans.filter(pl.col("session").is_null())
    files = lost.select("trace_id", "source").unique().group_by("trace_id").agg(pl.col("source").sort())
    sources = files.get_column("source").unique().to_list()
    component_of = {source: number for number, together in enumerate(connected(sources)) for source in together}
    return (
        lost.with_columns(component=pl.col("source").replace_strict(component_of, return_dtype=pl.Int64))
        .sort("start", "trace_id")
        .with_columns(found="trace-" + pl.col("trace_id").first().over("component").str.slice(0, _ID_LENGTH))
        .unique("trace_id")
        .select("trace_id", "found")
    )


def _fill_by_trace(spans: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    return (
        spans.join(found, on="trace_id", how="left", maintain_order="left")
        .with_columns(pl.col("session").fill_null(pl.col("found")))
        .drop("found")
    )
