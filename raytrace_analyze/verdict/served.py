"""What the time of Ray Serve's requests went to most, in one value."""

import polars as pl

from raytrace_analyze.analyses.libraries.serve.requests import PARTS
from raytrace_analyze.analyses.libraries.serve.table import serve
from raytrace_analyze.prepared import PreparedTrace
from raytrace_analyze.verdict.result import Requests

_DOWNSTREAM = "downstream"


def requests_of(trace: PreparedTrace, session: str | None) -> Requests | None:
    """Give the deployment, and part of its requests' time, that took most in all; None where there are no requests.

    What a deployment spends with others is theirs.
    """
    of_session = (
        serve(trace)
        .filter(pl.col("session").eq_missing(pl.lit(session, pl.String)))
        .with_columns(requests=pl.col("requests") - pl.col("refused"))
    )
    parts = [part for part in PARTS if part != _DOWNSTREAM]
    spent = of_session.unpivot(
        [f"{part}_mean_ns" for part in parts],
        index=["app", "deployment", "route", "method", "is_ingress", "requests", "total_p50_ns", "total_mean_ns"],
        variable_name="part",
        value_name="mean_ns",
    ).with_columns(pl.col("part").str.strip_suffix("_mean_ns"), total_ns=pl.col("mean_ns") * pl.col("requests"))
    most = spent.filter(pl.col("total_ns") > 0).sort("total_ns", descending=True, maintain_order=True).head(1)
    for row in most.iter_rows(named=True):
        slow = of_session.filter(deployment=row["deployment"]).get_column("slow_replica").drop_nulls()
        return Requests(
            function=f"{row['deployment'] or '-'}.{row['method'] or '-'}",
            requests=row["requests"],
            p50_ns=row["total_p50_ns"],
            part=row["part"],
            part_ns=row["total_ns"],
            part_share=min(row["mean_ns"] / row["total_mean_ns"], 1.0),
            slow_replica=next(iter(slow), None),
        )
    return None
