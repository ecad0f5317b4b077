"""Names what Ray Data runs for an operator under a function of its own after that operator."""

import numpy as np
import polars as pl

from raytrace_analyze.names.attributes import OPERATOR, OPERATOR_NAME, told
from raytrace_analyze.names.functions import OPERATOR_TASKS
from raytrace_analyze.names.spans import OPERATOR_SPAN
from raytrace_analyze.schema import TABLE
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.table.parts import Parts

"""The hook's span, without length, that tells of an operator at the end of an execution."""
_ORDER = ("start", "trace_id", "span_id")


def find_operators(parts: Parts) -> pl.DataFrame:
    """Find what the hook told of the operators in a table: `session`, `tag` and the name of the `operator`.

    Of what is told twice the first in order of start, trace and id counts. Every span has a session.
    """
    columns = (*_ORDER, "name", "session", "attributes")
    text = pl.col("attributes")
    is_any = any(parts(_has_operators, ("name",)))
    found = list(parts(_operator_spans, columns)) if is_any else []
    rows = pl.concat([TABLE.to_frame().select(columns), *found]).sort(_ORDER)
    names = rows.select("session", tag=told(text, OPERATOR), operator=told(text, OPERATOR_NAME))
    return names.unique(["session", "tag"], keep="first", maintain_order=True)


def _has_operators(spans: pl.DataFrame) -> bool:
    return bool((spans.get_column("name") == OPERATOR_SPAN).any())


def _operator_spans(spans: pl.DataFrame) -> pl.DataFrame:
    return spans.filter(pl.col("name") == OPERATOR_SPAN)


def name_operators(spans: pl.DataFrame, parent: RowIds, operators: pl.DataFrame) -> pl.DataFrame:
    """Give Ray Data's own functions (to sample, to shuffle) the name of the operator that submitted them.

    `parent` is by row the row of the parent; `operators` what `find_operators` gives. Where the hook told nothing of
    the operator, they keep their names.
    """
    if operators.is_empty():
        return spans
    rows = np.flatnonzero(spans.get_column("function").str.starts_with(OPERATOR_TASKS).fill_null(False).to_numpy())
    if not rows.size:
        return spans
    own = spans.select("session", tag=told(pl.col("attributes"), OPERATOR))
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
    found = tags.join(operators, on=["session", "tag"], how="inner")
    function = spans.get_column("function").scatter(found.get_column("row"), found.get_column("operator"))
    return spans.with_columns(function)
