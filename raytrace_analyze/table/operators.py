"""Names what Ray Data runs for an operator under a function of its own after that operator."""

import numpy as np
import polars as pl

from raytrace_analyze.attributes import OPERATOR, OPERATOR_NAME, told
from raytrace_analyze.table.lineage import RowIds

OPERATOR_SPAN = "ray.data.operator"
"""The hook's span, without length, that tells of an operator at the end of an execution."""
_RAW = "ray.data._internal."


def name_operators(spans: pl.DataFrame, parent: RowIds) -> pl.DataFrame:
    """Give Ray Data's own functions (to sample, to shuffle) the name of the operator that submitted them.

    `parent` is by row the row of the parent. Where the hook told nothing of the operator, they keep their names.
    """
    rows = np.flatnonzero(spans.get_column("function").str.starts_with(_RAW).fill_null(False).to_numpy())
    known = spans.filter(pl.col("name") == OPERATOR_SPAN)
    if not rows.size or known.is_empty():
        return spans
    text = pl.col("attributes")
    names = known.select("session", tag=told(text, OPERATOR), operator=told(text, OPERATOR_NAME)).unique(
        ["session", "tag"], keep="first", maintain_order=True
    )
    own = spans.select("session", tag=told(text, OPERATOR))
    above = pl.Series(np.where(parent[rows] >= 0, parent[rows], rows))
    tags = pl.DataFrame(
        {
            "row": rows,
            "session": own.get_column("session").gather(rows),
            "tag": pl.select(
                pl.coalesce(own.get_column("tag").gather(rows), own.get_column("tag").gather(above))
            ).to_series(),
        }
    )
    found = tags.join(names, on=["session", "tag"], how="inner")
    function = spans.get_column("function").scatter(found.get_column("row"), found.get_column("operator"))
    return spans.with_columns(function)
