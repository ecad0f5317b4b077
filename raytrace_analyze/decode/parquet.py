"""Span tables that `merge` wrote: merging merges."""

from collections.abc import Iterator, Mapping

import polars as pl

from raytrace_analyze.decode.columns import empty_frame
from raytrace_analyze.decode.record import resource_of
from raytrace_analyze.errors import UsageError
from raytrace_analyze.model import Decoded, Problem, ProblemKind, SpanFile
from raytrace_analyze.schema import DECODED, SCHEMA_VERSION, VERSION_KEY

_ROWS = 1 << 17
"""How many spans are read at a time: some 100 MB."""

_RESOURCE_VALUES = {"resource": pl.String, "session": pl.String, "instance_id": pl.String}


def decode_parquet(file: SpanFile) -> Iterator[Decoded]:
    """Give the rows of a span table as a decoder of raw files would have given them.

    The session is what the record itself says, null otherwise, as sessions are told apart anew among all
    input. `source` stays the file that the span first came from. Raises UsageError if the table was
    written by a newer version or is no span table; a file that is damaged becomes a problem.
    """
    path = str(file.path)
    try:
        check_version(path)  # every version up to ours has a subset of our columns
        table = pl.scan_parquet(path, glob=False)
        height = table.select(pl.len()).collect().item()
        for start in range(0, height, _ROWS):
            yield Decoded(_as_decoded(table.slice(start, _ROWS).collect()))
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        yield Decoded(empty_frame(), (Problem(ProblemKind.UNREADABLE, path, None, reason),))


def check_version(path: str) -> None:
    """Raise UsageError if a Parquet file is none that we wrote, or one that a newer version wrote."""
    text = pl.read_parquet_metadata(path).get(VERSION_KEY, "")
    if not text.isdigit():
        raise UsageError(f"{path} is a Parquet file, but none that `raytrace-analyze merge` wrote")
    if int(text) > SCHEMA_VERSION:
        raise UsageError(
            f"{path} has schema version {text}, and this raytrace-analyze knows up to {SCHEMA_VERSION}: "
            "upgrade raytrace-analyze, or merge the span files anew"
        )


def conform(rows: pl.DataFrame, columns: Mapping[str, pl.DataType]) -> pl.DataFrame:
    """Give the rows in these columns and types; a column that an older version did not write is null."""
    return rows.select(
        pl.col(name).cast(dtype, strict=False) if name in rows.columns else pl.lit(None, dtype).alias(name)
        for name, dtype in columns.items()
    )


def _as_decoded(rows: pl.DataFrame) -> pl.DataFrame:
    own = {name: dtype for name, dtype in DECODED.items() if name not in ("session", "instance_id")}
    known = conform(rows, own)
    resources = [text for text in known["resource"].unique(maintain_order=True) if text is not None]
    values = [(text, found.session, found.instance_id) for text in resources if (found := resource_of(text.encode()))]
    spread = pl.DataFrame(values, schema=_RESOURCE_VALUES, orient="row")
    return known.join(spread, on="resource", how="left", maintain_order="left").select(DECODED.names())
