"""How the task runs of each function changed, whether that mattered or not."""

import numpy as np
import polars as pl

from raytrace_analyze.analyses.diff.runs import RunGroup
from raytrace_analyze.analyses.diff.significance import ALPHA, Significance

_QUANTILES = (("p50", 0.50), ("p95", 0.95))
FUNCTIONS = (
    *("function", "base_count", "new_count"),
    *(f"{column}_ns" for name, _ in _QUANTILES for column in (f"base_{name}", f"new_{name}", f"{name}_difference")),
    *("base_sd_ns", "new_sd_ns", "path_difference_ns", "p_value", "is_noise"),
)
"""Columns of `RunDiff.functions`."""


def compare_functions(base: RunGroup, new: RunGroup, parts: pl.DataFrame) -> pl.DataFrame:
    """Compare counts and run times of all functions: columns of `FUNCTIONS`."""
    both = _summed("base", base).join(_summed("new", new), on="function", how="full", coalesce=True, nulls_equal=True)
    on_path = parts.group_by("function").agg(path_difference_ns=pl.col("difference_ns").sum())
    joined = both.join(on_path, on="function", how="left", nulls_equal=True).with_columns(
        pl.col("^(base|new)_(count|total_ns)$").fill_null(0.0),
        pl.col("path_difference_ns").fill_null(0),
        *(
            (pl.col(f"new_{name}_ns") - pl.col(f"base_{name}_ns")).alias(f"{name}_difference_ns")
            for name, _ in _QUANTILES
        ),
    )
    change = (pl.col("new_total_ns") - pl.col("base_total_ns")).abs()
    return (
        joined.join(_judged(base, new), on="function", how="left", nulls_equal=True)
        .sort(change, "function", descending=[True, False], nulls_last=True)
        .select(FUNCTIONS)
    )


def _summed(side: str, runs: RunGroup) -> pl.DataFrame:
    """Sum up one side's task runs by function; its columns begin with the side."""
    time = pl.col("run_ns")
    return runs.tasks.group_by("function").agg(
        (pl.len() / runs.about.height).alias(f"{side}_count"),
        (time.sum() / runs.about.height).alias(f"{side}_total_ns"),
        time.std().round().cast(pl.Int64).alias(f"{side}_sd_ns"),
        *(time.quantile(q, "linear").round().cast(pl.Int64).alias(f"{side}_{name}_ns") for name, q in _QUANTILES),
    )


def _judged(base: RunGroup, new: RunGroup) -> pl.DataFrame:
    """Test the medians that the runs have of each function, where all runs have one: `p_value`, `is_noise`."""
    shifted = new.tasks.with_columns(pl.col("run") + base.about.height)
    medians = (
        pl.concat([base.tasks, shifted])
        .group_by("function", "run")
        .agg(pl.col("run_ns").median())
        .drop_nulls("run_ns")
        .sort("run")
        .group_by("function")
        .agg("run_ns")
        .filter(pl.col("run_ns").list.len() == base.about.height + new.about.height)
        .sort("function", nulls_last=True)
    )
    counts = (base.about.height, new.about.height)
    values = np.array(medians.get_column("run_ns").to_list(), dtype=np.float64).reshape(medians.height, sum(counts))
    p_values = Significance(*counts).p_values(values)
    judged = medians.select("function").with_columns(pl.Series("p_value", p_values, dtype=pl.Float64))
    return judged.with_columns(is_noise=pl.col("p_value") > ALPHA)
