"""What `latency_stats` gives, and the names of its figures."""

from typing import Any

import polars as pl

from raytrace_analyze.shown import notebook

QUANTILES = (("p50", 0.50), ("p90", 0.90), ("p95", 0.95), ("p99", 0.99), ("max", 1.0))
TIMES = ("run", "queue", "submit")


class LatencyStats(pl.DataFrame):
    """What `latency_stats` gives: a DataFrame that can draw itself.

    So can its `head` and `slice`; of what `filter` gives, which is a plain DataFrame, `LatencyStats(frame).plot()`.
    """

    def plot(self) -> Any:  # type: ignore[override] # in place of the plots that polars makes with another library
        """Draw run, queue and submit time from p50 to the maximum: a `Plot`, which a notebook shows.

        Raises UsageError where columns of `latency_stats` by function lack.
        """
        return notebook().plot_latencies(self)
