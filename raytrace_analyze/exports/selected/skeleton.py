"""What an export has to know of all spans at once, in some 60 bytes a span: where they lie, and what they lie in."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import polars as pl

from raytrace_analyze.schema import PROCESS
from raytrace_analyze.values import frozen

_KEY = ("trace_id", "span_id")


@frozen
class Skeleton:
    """Spans without what fills them."""

    rows: pl.DataFrame
    """One row a span. Columns `key`, `parent` (numbers made of its ids and of its parent's, null for none), `start_ns`,
    `end_ns` (of one in flight the latest time that stands in any span), `process` (a number), `name` (categorical)."""
    processes: pl.DataFrame
    """By number `process`, from 1 on: `host`, `node_id`, `pid` and `is_driver`."""


def skeleton_of(parts: Iterable[pl.DataFrame]) -> Skeleton:
    """Gather it from a span table that is given a part at a time."""
    processes = pl.DataFrame(schema={"session": pl.String, "node_id": pl.String, "pid": pl.Int64, "process": pl.Int64})
    told: list[pl.DataFrame] = []
    found: list[pl.DataFrame] = []
    for part in parts:
        in_part = part.group_by(PROCESS, maintain_order=True).agg(
            pl.col("host").first(), is_driver=pl.col("category").eq("driver").fill_null(False).any()
        )
        new = in_part.select(PROCESS).join(processes, on=PROCESS, how="anti", nulls_equal=True, maintain_order="left")
        numbers = pl.int_range(processes.height + 1, processes.height + new.height + 1, eager=True)
        processes = pl.concat([processes, new.with_columns(process=numbers)])
        told.append(in_part.join(processes, on=PROCESS, how="left", nulls_equal=True))
        of_process = part.select(PROCESS).join(
            processes, on=PROCESS, how="left", nulls_equal=True, maintain_order="left"
        )
        found.append(
            part.select(
                key=span_key(),
                parent=pl.when(pl.col("parent_id").is_not_null()).then(span_key("parent_id")),
                start_ns=pl.col("start").to_physical(),
                end_ns=pl.col("end").to_physical(),
                process=of_process.get_column("process"),
                name=pl.col("name").cast(pl.Categorical),
            )
        )
    rows = pl.concat(found)
    latest = rows.select(pl.max_horizontal(pl.col("start_ns", "end_ns").max()))
    end = pl.max_horizontal(pl.col("end_ns").fill_null(latest.item()), "start_ns")
    of_number = (
        pl.concat(told).group_by("process").agg(pl.col("host", "node_id", "pid").first(), pl.col("is_driver").any())
    )
    return Skeleton(rows.with_columns(end_ns=end), of_number.sort("process"))


def parent_rows(keys: pl.Series, parents: pl.Series) -> npt.NDArray[np.int64]:
    """Give the row of each span's parent, -1 where there is none; of several spans with one key the first counts."""
    key = keys.to_numpy()
    order = np.argsort(key, kind="stable")
    wanted = parents.fill_null(0).to_numpy()
    at = np.minimum(np.searchsorted(key, wanted, sorter=order), key.size - 1)
    row = order[at].astype(np.int64)
    row[(key[row] != wanted) | parents.is_null().to_numpy()] = -1
    return row


def span_key(span_id: str = "span_id") -> pl.Expr:
    """Give the number that stands for a trace id and a span id: 64 bits, which no two spans share in practice."""
    return pl.concat_str("trace_id", span_id, separator=" ").hash(seed=1)
