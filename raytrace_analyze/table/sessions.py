"""Tells clusters apart: which cluster's life (session) each span belongs to.

Task, job and actor ids are counted anew by every cluster, and process ids come round again, so none of
them can tell two runs of one program apart. Node ids are new with every cluster. Our hook writes the
session's name; for other spans a session is the connected component of node ids and traces.
"""

from dataclasses import field
from functools import partial

import polars as pl

from raytrace_analyze.table.components import connected
from raytrace_analyze.table.parts import Parts, one_part
from raytrace_analyze.values import frozen

_ID_LENGTH = 12
COLUMNS = ("trace_id", "node_id", "session", "source", "start")
"""What sessions are told from."""
_NO_TRACES = pl.Schema({"trace_id": pl.String, "found": pl.String})


@frozen
class Sessions:
    """What a whole table tells of the sessions of spans that name none."""

    of_node: dict[str, str] = field(default_factory=dict)
    of_trace: pl.DataFrame = field(default_factory=_NO_TRACES.to_frame)
    """`trace_id` and `found`: of traces that know neither a session nor a node."""


def assign_sessions(spans: pl.DataFrame) -> pl.Series:
    """Give the session of every span of a whole table, none of them null; see `find_sessions`."""
    return sessions_of(spans, find_sessions(one_part(spans)))


def find_sessions(parts: Parts) -> Sessions:
    """Find what a table tells of sessions.

    Reads `trace_id`, `node_id`, `session` (null where the record does not name it), `source` and `start`.
    What the record says stands. A span that names none goes with its node; else with its trace; a trace
    without any node goes with the spans of its own file that are nearest in time. What is left has no
    relation to Ray at all: there a session is a set of traces that share files.
    """
    if all(parts(_names_all, ("session",))):
        return Sessions()
    told = list(parts(_told_of_nodes, COLUMNS))
    of_node = _sessions_of_nodes(pl.concat(named for named, _ in told), pl.concat(groups for _, groups in told))
    by_node = Sessions(of_node)
    sorted_out = list(parts(partial(_lost_and_known, known=by_node), COLUMNS))
    lost, known = (pl.concat(found) for found in zip(*sorted_out, strict=True))
    if lost.is_empty():
        return by_node
    near = _nearest_in_file(parts, by_node, lost.join(known, on="source", how="semi").select("source").unique())
    unrelated = _unrelated(lost.join(near, on="trace_id", how="anti"))
    return Sessions(of_node, pl.concat([near, unrelated]))


def sessions_of(spans: pl.DataFrame, known: Sessions) -> pl.Series:
    """Give the session of every span of whole traces, by what the whole table tells."""
    if _names_all(spans):
        return spans.get_column("session")
    return _fill_by_trace(_related(spans, known), known.of_trace).get_column("session")


def _names_all(spans: pl.DataFrame) -> bool:
    return spans.get_column("session").null_count() == 0


def _related(spans: pl.DataFrame, known: Sessions) -> pl.DataFrame:
    """Give `trace_id`, `source`, `start` and `session`, null in traces that know neither session nor node."""
    with_node = spans.lazy().with_columns(
        pl.col("session").fill_null(pl.col("node_id").replace_strict(known.of_node, default=None))
    )
    of_trace = with_node.group_by("trace_id").agg(trace_session=pl.col("session").min())
    return (
        with_node.join(of_trace, on="trace_id", how="left", maintain_order="left")
        .with_columns(pl.col("session").fill_null(pl.col("trace_session")))
        .select("trace_id", "source", "start", "session")
        .collect()
    )


def _told_of_nodes(spans: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give the sessions that records name of their nodes, and lists of nodes that belong together or stand alone."""
    in_trace = spans.select("trace_id", "node_id").drop_nulls().unique()
    shared = in_trace.group_by("trace_id").agg(nodes="node_id").filter(pl.col("nodes").list.len() > 1)
    alone = in_trace.select(nodes="node_id").unique().select(pl.concat_list("nodes"))
    named = spans.select("node_id", "session").drop_nulls().unique()
    return named, pl.concat([alone, shared.select(pl.col("nodes").list.sort())]).unique()


def _sessions_of_nodes(named: pl.DataFrame, groups: pl.DataFrame) -> dict[str, str]:
    """Give each node id its session: the one the hook named, else the connected component's own name."""
    session_of = dict(named.group_by("node_id").agg(pl.col("session").min()).rows())
    for component in connected(groups.get_column("nodes").unique().to_list()):
        known = sorted({session_of[node] for node in component if node in session_of})
        name = known[0] if known else f"node-{min(component)[:_ID_LENGTH]}"
        for node in component:
            session_of.setdefault(node, name)
    return session_of


def _lost_and_known(spans: pl.DataFrame, known: Sessions) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Give the traces that know neither session nor node, and the files of those that do.

    The first as `trace_id`, `source`, and the first `start` in that file; the second as `source`.
    """
    related = _related(spans, known)
    is_lost = pl.col("session").is_null()
    lost = related.filter(is_lost).group_by("trace_id", "source").agg(pl.col("start").min())
    return lost, related.filter(~is_lost).select("source").unique()


def _nearest_in_file(parts: Parts, by_node: Sessions, sources: pl.DataFrame) -> pl.DataFrame:
    """Give for each trace without a session that of the span nearest in time in one of its own files, of these."""
    if sources.is_empty():
        return _NO_TRACES.to_frame()
    spans = pl.concat(parts(partial(_related_in, known=by_node, sources=sources), COLUMNS))
    known = (
        spans.filter(pl.col("session").is_not_null())
        .select("source", "start", near_session="session", near="start")
        .sort("start", "near_session")
    )
    alone = spans.filter(pl.col("session").is_null()).select("trace_id", "source", "start").sort("start", "trace_id")
    return (
        alone.join_asof(known, on="start", by="source", strategy="nearest", check_sortedness=False)
        .drop_nulls("near_session")
        .with_columns(distance=(pl.col("start") - pl.col("near")).abs())
        .sort("distance", "start", "near_session")
        .group_by("trace_id", maintain_order=True)
        .agg(found=pl.col("near_session").first())
    )


def _related_in(spans: pl.DataFrame, known: Sessions, sources: pl.DataFrame) -> pl.DataFrame:
    return _related(spans, known).join(sources, on="source", how="semi")


def _unrelated(lost: pl.DataFrame) -> pl.DataFrame:
    """Give for each trace still without a session a name for the set of traces it shares files with."""
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
