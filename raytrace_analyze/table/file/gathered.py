"""Rows of a large table in another order, in little memory."""

import numpy as np
import polars as pl


def gathered(table: pl.DataFrame, rows: pl.Series) -> pl.DataFrame:
    """Give some rows of a table, in this order.

    One column is made after the other: each of the table goes then, if nobody else holds it. They are put in one piece
    first, as polars copies the texts of a column that is in several, once a row even where a few are shared by all.
    What is null in all rows takes no memory. Rows that are in this order already stay as they are.
    """
    if table.is_empty():
        return table
    is_there = np.array_equal(rows.to_numpy(), np.arange(table.height))
    names, nulls = table.columns, table.null_count().row(0)
    empty = [name for name, count in zip(names, nulls, strict=True) if count == table.height]
    unknown = [pl.lit(None, table.schema[name]).alias(name) for name in empty]
    columns = table.drop(empty).get_columns()[::-1]
    if not columns:
        return table[rows]
    del table
    found = []
    while columns:
        column = columns.pop().rechunk()
        found.append(column if is_there else column.gather(rows))
    return pl.DataFrame(found).with_columns(unknown).select(names)
