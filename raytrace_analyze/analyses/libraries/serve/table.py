"""Ray Serve in one table: for each deployment and route, where the time of its requests goes."""

import polars as pl

from raytrace_analyze.analyses.libraries.serve.event_loops import kept_loops
from raytrace_analyze.analyses.libraries.serve.requests import PARTS, find_requests
from raytrace_analyze.analyses.libraries.serve.slow_replicas import slow_replicas
from raytrace_analyze.names.serve import REPLICA, SEND
from raytrace_analyze.names.spans import class_created, creates_actor
from raytrace_analyze.path.aggregate import parse_tail
from raytrace_analyze.prepared import PreparedTrace, Trace, prepare
from raytrace_analyze.schema import ACTOR_DIED

_DEPLOYMENT = ("session", "app", "deployment")
_GROUP = (*_DEPLOYMENT, "route", "method", "is_ingress")


def serve(spans: Trace, *, tail: str | None = None, clock_correct: bool = True) -> pl.DataFrame:
    """Tell for each deployment and route of Ray Serve where the time of its requests goes.

    Takes a span table (columns of `schema.TABLE`) or what `prepare` made of one; needs the spans of Serve's own tracing
    (our hook switches it on). One row a deployment, route and method, that with the most time in all first; what is not
    known is null. Columns:

    - `session`, `app`, `deployment`, `route`, `method`; `is_ingress`: the requests came from a proxy;
    - `requests`, `errors` (failed, or never came to a replica), `refused` (of these, since too many waited already;
      nothing that follows counts them), `in_flight`;
    - `total_mean_ns`, `total_p50_ns`, `total_p99_ns` (linear interpolation): of an ingress from the proxy's start to
      its end, of others from when the request was routed until the replica was done;
    - the means of what that is made of: `proxy_mean_ns`, `router_mean_ns` (waited for a replica that takes it),
      `way_mean_ns` (from the send until the replica began; null, and part of the router's, where the sends are not
      recorded), in the handler `fill_mean_ns` (waited for others to fill its batch, `@serve.batch`), `turn_mean_ns`
      (waited for that batch to begin), `load_mean_ns` (waited for a model to be loaded, `@serve.multiplexed`; all three
      null where none is known of), `handler_mean_ns` (its own) and
      `downstream_mean_ns` (with other deployments), `back_mean_ns`; `sends`: how often a request was sent until a
      replica took it, the mean; `batch_size`, `max_batch_size`: how many requests were in its batch, and could be;
    - the means of how long the handler kept its replica's event loop, on which nothing else ran then, `loop_mean_ns`,
      how much of that it was idle, `loop_idle_mean_ns`, and what it used of the CPU, there or in a thread,
      `cpu_mean_ns`; `loop_share`: for what part of the time (0 to 1) these requests kept their replicas' loops, from a
      replica's first request to its last;
    - `slow_replica` (Serve's id), where one of several is slow: the median of its handler's own time,
      `slow_replica_handler_ns`, in its `slow_replica_requests`, is half or more beyond that of all others' requests,
      `other_replicas_handler_ns`;
    - `replicas`, `replica_start_p50_ns`, `replica_start_max_ns`: from the creation of a replica until it was ready;
      `replicas_not_ready`: how many of them never were; `replicas_died`: how many died while they handled requests.

    With a `tail`, as `p99`, two rows each: those of the slowest one percent of the requests (at least one; `in_tail`
    true), and those of the rest. Raises UsageError for another tail.
    """
    quantile = None if tail is None else parse_tail(tail)
    trace = prepare(spans, clock_correct=clock_correct)
    requests = find_requests(trace)
    group: list[str] = list(_GROUP)
    if quantile is not None:
        taken_ns = pl.when(~pl.col("is_refused")).then("total_ns")
        rank = taken_ns.rank("ordinal", descending=True).over(_GROUP)
        size = ((1 - quantile) * taken_ns.count().over(_GROUP)).round().clip(lower_bound=1)
        requests = requests.with_columns(in_tail=(rank <= size).fill_null(value=False))
        group.append("in_tail")
    counted = requests.group_by(group).agg(
        requests=pl.len().cast(pl.Int64),
        errors=pl.col("is_error").sum().cast(pl.Int64),
        refused=pl.col("is_refused").sum().cast(pl.Int64),
        in_flight=pl.col("in_flight").sum().cast(pl.Int64),
    )
    requests, total = requests.filter(~pl.col("is_refused")), pl.col("total_ns")
    summed = requests.group_by(group).agg(
        total_mean_ns=_mean("total_ns"),
        total_p50_ns=total.quantile(0.5, "linear").round().cast(pl.Int64),
        total_p99_ns=total.quantile(0.99, "linear").round().cast(pl.Int64),
        **{f"{part}_mean_ns": _mean_part(f"{part}_ns") for part in PARTS},
        sends=pl.col("sends").mean(),
        batch_size=pl.col("batch_size").mean(),
        max_batch_size=pl.col("max_batch_size").mean(),
        **{f"{each}_mean_ns": _mean(f"{each}_ns") for each in ("loop", "loop_idle", "cpu")},
        all_ns=total.sum(),
    )
    by_time = pl.col("all_ns").fill_null(0).sum().over(_GROUP)
    return (
        counted.join(summed, on=group, how="left", nulls_equal=True)
        .join(slow_replicas(requests, _GROUP), on=_GROUP, how="left", nulls_equal=True)
        .join(kept_loops(requests, _GROUP[:-1]), on=_GROUP[:-1], how="left", nulls_equal=True)
        .join(_replicas(trace), on=_DEPLOYMENT, how="left", nulls_equal=True)
        .sort(by_time, *group, descending=[True, *(name == "in_tail" for name in group)], nulls_last=True)
        .drop("all_ns")
        .select(*group, pl.exclude(group))
    )


def _mean(column: str) -> pl.Expr:
    return pl.col(column).mean().round().cast(pl.Int64)


def _mean_part(column: str) -> pl.Expr:
    """The mean of a part. Of requests that no replica took, what comes after the router took no time.

    Nor did waits for a batch, or a model, of those that waited for none.
    """
    had_none = pl.col(column if column in ("fill_ns", "turn_ns", "load_ns") else "handler_ns").is_null()
    taken = pl.when(had_none & pl.col(column).count().gt(0)).then(pl.col(column).fill_null(0)).otherwise(column)
    return taken.mean().round().cast(pl.Int64)


def _replicas(trace: PreparedTrace) -> pl.DataFrame:
    """Tell how many replicas of each deployment there were, and how long they took from creation until they were ready.

    A replica is ready when it has set up the deployment's class, which Serve asks it for once it is created.
    """
    structure = trace.structure
    runs = (
        trace.spans.select(
            *("session", "actor_id", "function"),
            is_run=pl.Series(structure.is_run),
            died=pl.col("status_message").str.starts_with(ACTOR_DIED).fill_null(value=False),
            failed=(pl.col("status") == "ERROR").fill_null(value=False),
            end=pl.Series(structure.end),
            submitted=pl.Series(structure.start).gather(
                pl.Series(structure.submit).set(pl.Series(structure.submit < 0), None)
            ),
        )
        .filter("is_run", pl.col("actor_id").is_not_null())
        .with_columns(
            class_created(pl.col("function")).str.extract_groups(REPLICA).struct.unnest(),
        )
    )
    made = runs.filter(creates_actor(pl.col("function")), pl.col("app").is_not_null())
    ready = (
        runs.filter(pl.col("function").str.contains(_SET_UP), ~pl.col("failed"))
        .group_by("session", "actor_id")
        .agg(ready=pl.col("end").min())
    )
    # Those that Serve stops are killed while they are set up, or asked how they are.
    died = runs.group_by("session", "actor_id").agg((pl.col("died") & pl.col("function").str.contains(SEND)).any())
    took = pl.col("ready") - pl.col("submitted")
    return (
        made.drop("died")
        .join(ready, on=["session", "actor_id"], how="left")
        .join(died, on=["session", "actor_id"], how="left")
        .group_by(_DEPLOYMENT)
        .agg(
            replicas=pl.len().cast(pl.Int64),
            replica_start_p50_ns=took.quantile(0.5, "linear").round().cast(pl.Int64),
            replica_start_max_ns=took.max(),
            replicas_not_ready=pl.col("ready").is_null().sum().cast(pl.Int64),
            replicas_died=pl.col("died").sum().cast(pl.Int64),
        )
    )


_SET_UP = r"ServeReplica:.*\.initialize_and_get_metadata$"
