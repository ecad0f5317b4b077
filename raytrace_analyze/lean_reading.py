"""A large table, for commands that show none of its rows: what they do not need of it is not kept in memory.

That is most of a table: attributes that its columns say anyway, links, where a row was read, empty columns.
"""

import polars as pl

from raytrace_analyze.decode.parquet import CANNOT_READ
from raytrace_analyze.errors import UsageError
from raytrace_analyze.files.streams import held_open
from raytrace_analyze.ingest import Found, Ingested, ingested_table
from raytrace_analyze.schema import TABLE
from raytrace_analyze.table.assemble import checked_table

LARGE_ROWS = 2_000_000
"""Smaller tables are read whole: there is room for them."""

_ROWS = 500_000
"""How many rows are read at a time."""
_SHOWN_ONLY = ("links", "source")
_IN_COLUMNS = r'"ray\.(?:pid|job_id|node_id|worker_id|task_id|actor_id)": ?"[^"\\]*"'
_REDUNDANT = rf"{_IN_COLUMNS}, ?|, ?{_IN_COLUMNS}"


def load_lean(found: Found) -> Ingested | None:
    """Read a large table without what only its rows themselves show: null in `links` and `source`, less in attributes.

    None where there is more than a table, or it is small or damaged.
    """
    if not found.is_one_table:
        return None
    path = found.discovery.files[0].path
    try:
        with held_open(path) as source:
            table = pl.scan_parquet(source, glob=False)
            if table.select(pl.len()).collect().item() < LARGE_ROWS or table.collect_schema() != TABLE:
                return None
            return ingested_table(found, checked_table(_read(table), str(path)))
    except (*CANNOT_READ, UsageError):
        return None  # reading all of it tells what is wrong


def _read(table: pl.LazyFrame) -> pl.DataFrame:
    """Read a part at a time, so that what is left out is never there for all rows."""
    counts = table.select(pl.exclude(_SHOWN_ONLY).null_count(), rows=pl.len()).collect(engine="streaming").row(0)
    names = [name for name in TABLE.names() if name not in _SHOWN_ONLY]
    *nulls, rows = counts
    told = [name for name, count in zip(names, nulls, strict=True) if count < rows]
    lean = table.select(told).with_columns(pl.col("attributes").str.replace_all(_REDUNDANT, ""))
    return pl.concat([lean.slice(first, _ROWS).collect() for first in range(0, rows, _ROWS)])
