"""Which parts of a difference are inside the spread between runs."""

import numpy as np
import polars as pl

from raytrace_analyze.analyses.diff.significance import ALPHA, Floats, Significance

_WIDE = 2.0
"""With one run each: up to how many standard deviations a difference is called noise."""


def judge_groups(parts: pl.DataFrame, group: str, run_parts: pl.DataFrame, counts: tuple[int, int]) -> pl.DataFrame:
    """Add `spread_ns`, `p_value` and `is_noise` to parts, from what each run has of them.

    `counts` are the runs of BASE and of NEW, of which one at least is greater than 1.
    """
    values = _values(parts, group, run_parts, counts)
    p_values = Significance(*counts).p_values(values)
    return parts.with_columns(
        pl.Series("spread_ns", np.rint(_spread(values, counts[0])).astype(np.int64)),
        pl.Series("p_value", p_values, dtype=pl.Float64),
        pl.Series("is_noise", [p_value is not None and p_value > ALPHA for p_value in p_values], dtype=pl.Boolean),
    )


def judge_single_runs(parts: pl.DataFrame, run_parts: pl.DataFrame, functions: pl.DataFrame) -> pl.DataFrame:
    """Add `spread_ns`, `p_value` (null) and `is_noise` to the parts by function of one run each.

    The spread between runs is unknown then. What stands in for it is the spread of a function's own task runs,
    as far as they are on the path: of `k` that vary by `s`, the sum varies by `s * sqrt(k)`. Running time that differs
    by more is no noise; of a difference within that nothing can be said (a straggler that is fixed looks like one that
    did not come this time), and of queues neither. A function that is new or gone is no noise.
    """
    known = parts.join(functions, on="function", how="left", nulls_equal=True, maintain_order="left").join(
        _running(run_parts), on="function", how="left", nulls_equal=True, maintain_order="left"
    )
    variance = pl.sum_horizontal(
        (pl.col(f"{side}_tasks") * pl.coalesce(f"{side}_sd_ns", f"{other}_sd_ns").cast(pl.Float64) ** 2)
        for side, other in (("base", "new"), ("new", "base"))
    )
    has_spread = pl.any_horizontal(pl.col("base_sd_ns", "new_sd_ns").is_not_null())
    difference, running = pl.col("difference_ns").abs(), pl.col("running_difference_ns").abs()
    bound = _WIDE * variance.sqrt()
    return known.select(
        *parts.columns,
        spread_ns=pl.when(has_spread).then((variance / 2).sqrt().round().cast(pl.Int64)),
        p_value=pl.lit(None, pl.Float64),
        is_noise=pl.when(pl.col("presence") != "both")
        .then(False)
        .when(has_spread & (difference <= bound))
        .then(None)
        .when(has_spread & (running > bound) & (2 * running >= difference))
        .then(False),
    )


def _running(run_parts: pl.DataFrame) -> pl.DataFrame:
    """Give each function's running time on the path: how many tasks it is of, and its difference, one run each."""
    running = run_parts.filter(category="self")
    of_side = {
        f"{side}_{name}": pl.col(column).filter(pl.col("side") == side).sum()
        for side in ("base", "new")
        for name, column in (("tasks", "task_runs"), ("running_ns", "path_ns"))
    }
    return (
        running.group_by("function")
        .agg(**of_side)
        .select(
            *("function", "base_tasks", "new_tasks"),
            running_difference_ns=pl.col("new_running_ns") - pl.col("base_running_ns"),
        )
    )


def unknown(parts: pl.DataFrame) -> pl.DataFrame:
    """Add the columns of a judgement where there is nothing to judge by."""
    return parts.with_columns(
        spread_ns=pl.lit(None, pl.Int64), p_value=pl.lit(None, pl.Float64), is_noise=pl.lit(None, pl.Boolean)
    )


def _values(parts: pl.DataFrame, group: str, run_parts: pl.DataFrame, counts: tuple[int, int]) -> Floats:
    """Give the path time of each part (a row each) in each run: a column each, those of BASE first."""
    placed = (
        run_parts.with_columns(column=pl.col("run") + pl.when(side="new").then(counts[0]).otherwise(0))
        .group_by(group, "column")
        .agg(pl.col("path_ns").sum())
        .join(parts.with_row_index("row").select("row", group), on=group, how="inner", nulls_equal=True)
    )
    values = np.zeros((parts.height, sum(counts)))
    values[placed.get_column("row").to_numpy(), placed.get_column("column").to_numpy()] = placed.get_column("path_ns")
    return values


def _spread(values: Floats, base_runs: int) -> Floats:
    """Give the standard deviation between the runs of a group, both groups taken together."""
    squares = [
        ((side - side.mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
        for side in (values[:, :base_runs], values[:, base_runs:])
    ]
    return np.asarray(np.sqrt(sum(squares) / (values.shape[1] - 2)))
