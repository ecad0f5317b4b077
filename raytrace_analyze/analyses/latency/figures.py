"""From the times of runs to figures by function or by place."""

import polars as pl

from raytrace_analyze.analyses.latency.result import QUANTILES, TIMES, LatencyStats
from raytrace_analyze.names.functions import rays_own_together
from raytrace_analyze.path.outcome import endings, errors
from raytrace_analyze.vocabulary.spans import Ending

_OF_ENDING = {"cancelled": Ending.CANCELLED, "killed": Ending.KILLED}
_ENDINGS = ("errors", *_OF_ENDING)
SAY_HOW_IT_ENDED = ("function", "status", "status_message", "error_type", "category", "attributes")
"""The columns that tell it."""


def add_endings(rows: pl.DataFrame) -> pl.DataFrame:
    """Add what gave no result: `errors`, spans of any kind, and of attempts those `cancelled` or `killed`.

    Takes the columns `SAY_HOW_IT_ENDED`.
    """
    # Few are anything but well, and reading texts takes long.
    wrong = (pl.col("status") == "ERROR") | pl.col("error_type").is_not_null() | pl.col("attributes").is_not_null()
    doubtful = rows.select(wrong.fill_null(False).arg_true()).to_series()
    of = {name: (endings() == ending).fill_null(value=False) for name, ending in _OF_ENDING.items()}
    found = rows[doubtful].select(errors=errors(), **of)
    well = pl.Series([False]).new_from_index(0, rows.height)
    return rows.with_columns(well.scatter(doubtful, found.get_column(name)).alias(name) for name in _ENDINGS)


def sum_up(
    timed: pl.DataFrame, attempts: pl.DataFrame, on_path: pl.DataFrame | None, *, by: str, column: str, internals: bool
) -> LatencyStats:
    """Make the figures of `latency_stats`, by one `column`, which is called `by` then.

    `timed` has a row a span: that column, `run_times.FIGURES` and those of `add_endings`; `attempts` the first and
    the last of these, `on_path` the first, `path_ns` and `path_share`. None where the path was not asked for.
    """
    if by == "function" and not internals:
        timed, attempts = _folded(timed), _folded(attempts)
        on_path = None if on_path is None else _folded(on_path).group_by(column).agg(pl.all().sum())
    without = attempts.group_by(pl.col(column).alias(by)).agg(
        without_span=pl.len().cast(pl.Int64),
        **{f"lost_{name}": pl.col(name).sum().cast(pl.Int64) for name in _ENDINGS},
    )
    quantiles = [
        pl.col(f"{time}_ns").quantile(q, "linear").round().cast(pl.Int64).alias(f"{time}_{name}_ns")
        for time in TIMES
        for name, q in QUANTILES
    ]
    times = [f"{time}_{name}_ns" for time in TIMES for name in ("total", *(name for name, _ in QUANTILES))]
    totals = [pl.col(f"{time}_ns").sum().alias(f"{time}_total_ns") for time in TIMES]
    figures = (
        timed.group_by(pl.col(column).alias(by))
        .agg(
            *totals,
            *quantiles,
            count=pl.len().cast(pl.Int64),
            **{name: pl.col(name).sum().cast(pl.Int64) for name in _ENDINGS},
            cpu_total_ns=_sum_or_null("cpu_ns"),
            cpu_run_ns=_sum_or_null("cpu_run_ns"),
            retried=pl.col("is_retried").sum().cast(pl.Int64),
            in_flight=pl.col("is_open").sum().cast(pl.Int64),
        )
        .join(without, on=by, how="full", coalesce=True, nulls_equal=True)
        .with_columns(
            pl.col("count", *_ENDINGS, "retried", "in_flight", "without_span").fill_null(0),
            *(pl.col(f"{time}_total_ns").fill_null(0) for time in TIMES),
        )
        .with_columns(pl.col(name) + pl.col(f"lost_{name}").fill_null(0) for name in _ENDINGS)
    )
    return LatencyStats(
        _with_path(figures, on_path, by, column)
        .sort("run_total_ns", by, descending=[True, False], nulls_last=True)
        .select(
            *(by, "count", *_ENDINGS, "retried", "in_flight", "cpu_total_ns", "cpu_run_ns"),
            *(*times, "path_ns", "path_share", "without_span"),
        )
    )


def _with_path(figures: pl.DataFrame, on_path: pl.DataFrame | None, by: str, column: str) -> pl.DataFrame:
    if on_path is None:
        return figures.with_columns(path_ns=pl.lit(None, pl.Int64), path_share=pl.lit(None, pl.Float64))
    found = figures.join(on_path, left_on=by, right_on=column, how="left", nulls_equal=True)
    return found.with_columns(pl.col("path_ns").fill_null(0), pl.col("path_share").fill_null(0.0))


def _folded(rows: pl.DataFrame) -> pl.DataFrame:
    return rows.with_columns(function=rays_own_together(pl.col("function")))


def _sum_or_null(column: str) -> pl.Expr:
    return pl.when(pl.col(column).is_not_null().any()).then(pl.col(column).sum())
