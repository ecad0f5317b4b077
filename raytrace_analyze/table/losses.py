"""Spans that the hook could not write, as it says in its files: a process with a full disk goes on without them."""

import os

import polars as pl

from raytrace_analyze.decode.problems import loss
from raytrace_analyze.model import Problem
from raytrace_analyze.names.attributes import LOST_BECAUSE, LOST_SPANS


def told_losses(spans: pl.DataFrame | pl.LazyFrame) -> pl.DataFrame:
    """Give what spans (`source` and `resource`) say was lost by then: `source`, `lost`, `because`; a line a file."""
    telling = spans.lazy().filter(pl.col("resource").str.contains(f'"{LOST_SPANS}"', literal=True))
    attributes = pl.col("resource").str.extract_groups(
        rf'"{LOST_SPANS}"\s*:\s*(?<lost>\d{{1,15}})(?:\s*,\s*"{LOST_BECAUSE}"\s*:\s*"(?<because>[^"\\]*))?'
    )
    said = telling.select("source", attributes.alias("said")).unnest("said").with_columns(pl.col("lost").cast(pl.Int64))
    return _last(said.drop_nulls("lost")).collect()


def lost_spans(told: pl.DataFrame, headers: list[Problem]) -> list[Problem]:
    """Give a problem for each process that lost spans, with how many and why.

    Takes what `told_losses` found, and what the headers of open spans' files say, which is later where the disk stayed
    full. The larger number of a process counts.
    """
    found = {_process(problem.path): problem for problem in headers}
    said = _last(told.lazy()).collect()
    for source, lost, because in said.select("source", "lost", "because").iter_rows():
        known = found.get(_process(source))
        if known is None or known.lost < lost:
            found[_process(source)] = loss(source, lost, because or "")
    return sorted(found.values(), key=lambda problem: (-problem.lost, problem.path))


def _last(said: pl.LazyFrame) -> pl.LazyFrame:
    in_order = said.sort("source", "lost", "because", nulls_last=False)
    return in_order.group_by("source", maintain_order=True).last()


def _process(path: str) -> str:
    """Give what the files of one process have in common: folder, and name up to the first dot."""
    folder, name = os.path.split(path)
    return os.path.join(folder, name.split(".", 1)[0])  # noqa: PTH118 - texts, maybe no paths of this machine
