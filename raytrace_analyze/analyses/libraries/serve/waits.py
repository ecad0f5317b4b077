"""What handlers of Ray Serve wait for: other deployments, their batches (`@serve.batch`), models that are loaded."""

import numpy as np
import polars as pl

from raytrace_analyze.names.attributes import BATCH_SIZE, MAX_BATCH_SIZE, told
from raytrace_analyze.names.serve import is_handle
from raytrace_analyze.names.spans import BATCH_FILL, BATCH_TURN, MODEL_LOAD
from raytrace_analyze.prepared import PreparedTrace
from raytrace_analyze.table.lineage import nearest_ancestor
from raytrace_analyze.trace.busy_time import covered


def asked_of(hops: pl.DataFrame) -> pl.DataFrame:
    """Give when handlers had requests of their own elsewhere: columns `handler` (its row), `start`, `end`."""
    return hops.filter(pl.col("route_asked") >= 0).select(
        handler="route_asked", start="route_start", end=pl.max_horizontal("route_end", "handle_end")
    )


def request_waits(trace: PreparedTrace, downstream: pl.DataFrame, handlers: pl.Series) -> pl.DataFrame:
    """Sum for each handler what of its time was such a wait: `handler` (its row), and one column each (ns).

    `downstream_ns`, as `asked_of` gives it; time when several were elsewhere counts once. Of what is left,
    `fill_ns`: waiting for others to fill its batch, of that `turn_ns`: for the batch to begin, and of that `load_ns`:
    for a model to be loaded (`@serve.multiplexed`). They are null where none is recorded. `batch_size`,
    `max_batch_size`: means over the handler's batches. `handlers`: all handlers' rows.
    """
    recorded = _recorded(trace)
    seen = {name: recorded.filter(name=name) for name in (BATCH_FILL, BATCH_TURN, MODEL_LOAD)}
    times = ("handler", "start", "end")
    so_far = [downstream.select(times)]
    sums = [_summed(so_far, "downstream_ns")]
    for each, column in ((BATCH_FILL, "filled_ns"), (BATCH_TURN, "begun_ns"), (MODEL_LOAD, "loaded_ns")):
        so_far.append(seen[each].select(times))
        sums.append(_summed(so_far, column))
    sizes = seen[BATCH_FILL].group_by("handler").agg(pl.col("batch_size", "max_batch_size").mean())
    loads = seen[MODEL_LOAD].select("handler", loads=True).unique()
    found = pl.DataFrame({"handler": handlers.unique()}, schema={"handler": pl.Int64})
    for table in (*sums, sizes, loads):
        found = found.join(table, on="handler", how="left")
    is_batched = pl.col("batch_size").is_not_null()
    summed = ("downstream_ns", "filled_ns", "begun_ns", "loaded_ns")
    alone, filled, begun, loaded = (pl.col(each).fill_null(0) for each in summed)
    return found.select(
        "handler",
        "downstream_ns",
        "batch_size",
        "max_batch_size",
        fill_ns=pl.when(is_batched).then(filled - alone),
        turn_ns=pl.when(is_batched).then(begun - filled),
        load_ns=pl.when("loads").then(loaded - begun),
    )


def _summed(intervals: list[pl.DataFrame], column: str) -> pl.DataFrame:
    together = pl.concat(intervals)
    owner, start, end = (together.get_column(each).to_numpy() for each in ("handler", "start", "end"))
    return covered(owner, start, end).select(handler="owner", **{column: "covered_ns"})


def _recorded(trace: PreparedTrace) -> pl.DataFrame:
    """Give the recorded waits for batches and models: `handler`, `name`, `start`, `end`, and the batches' sizes."""
    structure, name = trace.structure, trace.spans.get_column("name")
    rows = name.is_in([BATCH_FILL, BATCH_TURN, MODEL_LOAD]).arg_true().to_numpy()
    above = nearest_ancestor(structure.parent, is_handle(name).to_numpy())[rows] if rows.size else rows
    attributes = trace.spans.get_column("attributes").gather(rows)
    sizes = {"batch_size": BATCH_SIZE, "max_batch_size": MAX_BATCH_SIZE}
    found = pl.DataFrame(
        {
            "handler": above.astype(np.int64),
            "name": name.gather(rows),
            "start": structure.start[rows],
            "end": structure.end[rows],
            **{column: told(attributes, each).cast(pl.Float64, strict=False) for column, each in sizes.items()},
        }
    )
    return found.filter(pl.col("handler") >= 0)
