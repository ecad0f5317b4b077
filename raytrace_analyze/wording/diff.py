"""What a reader of a comparison should know about its input."""

from collections.abc import Iterator

import polars as pl

from raytrace_analyze.names.programs import called_program
from raytrace_analyze.text.units import count_text

_OUTLIER = 2.0
"""From how many times the median of its group a run's makespan is pointed out."""


def comparison_notes(base: pl.DataFrame, new: pl.DataFrame, *, have_functions_in_common: bool) -> tuple[str, ...]:
    """Tell what makes the comparison weaker than it looks, from the runs of both sides (columns of `Group.runs`)."""
    of_both = _of_both(base, new, have_functions_in_common)
    return (*of_both, *_of_group("BASE", base), *_of_group("NEW", new))


def _of_both(base: pl.DataFrame, new: pl.DataFrame, have_functions_in_common: bool) -> Iterator[str]:
    if base.height == new.height == 1:
        yield (
            "one run each: a change that is larger than the spread of a function's own task runs is told; of a smaller "
            "one, such as a straggler that is gone, one run cannot tell whether it was mended or did not come this "
            "time. Two more runs of each would tell"
        )
    if not have_functions_in_common:
        yield "no function ran in both BASE and NEW: they look like runs of different programs"
    recorded = [runs.get_column("records_waits") for runs in (base, new)]
    if recorded[0].any() != recorded[1].any():
        with_waits, without = ("BASE", "NEW") if recorded[0].any() else ("NEW", "BASE")
        yield (
            f"waits are recorded in {with_waits} and told from times in {without}: the two paths may differ by that "
            "alone; trace both with the same hook"
        )


def _of_group(side: str, about: pl.DataFrame) -> Iterator[str]:
    count = about.height
    # What stands behind the program are its arguments: they may well differ from run to run.
    programs = sorted({called_program(each) for each in about.get_column("entrypoint").drop_nulls()})
    if len(programs) > 1:
        yield f"{side} holds runs of different programs ({', '.join(programs)}); --job chooses"
    failed = int(about.get_column("driver_failed").sum())
    if failed:
        yield f"{_of(failed, count)} of {side} ended with an error in the driver"
    cut = about.filter(pl.col("in_flight") > 0).height
    if cut:
        yield f"{_of(cut, count)} of {side} {'has' if cut == 1 else 'have'} spans that never ended"
    if count > 2:
        yield from _outliers(side, about)


def _outliers(side: str, about: pl.DataFrame) -> Iterator[str]:
    median = about.select(pl.col("makespan_ns").median()).item()
    for row in about.filter(pl.col("makespan_ns") > _OUTLIER * median).iter_rows(named=True):
        times = f"{row['makespan_ns'] / median:.1f} times the median of its group" if median else "much longer"
        yield (
            f"run {row['session']}/{row['job_id']} of {side} took {times}; it widens the spread, so leave it out or "
            "run again if something else went wrong in it"
        )


def _of(some: int, count: int) -> str:
    return f"{some} of {count_text(count, 'run')}"
