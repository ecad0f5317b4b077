"""What a comparison found: the makespans, the parts that make up their difference, and what is noise."""

from fractions import Fraction

import polars as pl

from raytrace_analyze.analyses.diff.judgement import judge_groups, judge_single_runs, unknown
from raytrace_analyze.analyses.diff.significance import ALPHA
from raytrace_analyze.choices import choose
from raytrace_analyze.names.functions import DRIVER
from raytrace_analyze.shown import Shown
from raytrace_analyze.text.units import duration_text
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.groups import DiffGroup


@frozen
class Group:
    """The runs of one side."""

    runs: pl.DataFrame
    """One row a run: `run` (from 0), `session`, `job_id`, `entrypoint`, `makespan_ns`, `in_flight` (spans that never
    ended), `driver_failed`, `records_waits`."""
    makespan_ns: int
    """The mean of the runs' makespans, to the nanosecond: means add up over the parts, medians do not."""

    @property
    def count(self) -> int:
        """How many runs there are."""
        return self.runs.height

    @property
    def median_ns(self) -> int:
        """The median of the runs' makespans."""
        return int(self.runs.select(pl.col("makespan_ns").median().round()).item())


@frozen
class RunDiff(Shown):
    """What moved the makespan from BASE to NEW.

    All times are means over the runs of a group, so that the parts add up to the difference to the nanosecond.
    """

    base: Group
    new: Group
    parts: pl.DataFrame
    """The finest breakdown. Columns: `function`, `category`, `cause`, and what they have of the critical path:
    `base_ns`, `new_ns`, `difference_ns`. Each adds up to that of the makespans."""
    run_parts: pl.DataFrame
    """The same for each run, not averaged. Columns: `side` (`base` or `new`), `run`, `function`, `category`, `cause`,
    `path_ns`, `task_runs` (of how many tasks the running time is)."""
    functions: pl.DataFrame
    """Each function's task runs, on the path or off it; the greatest change of run time first. Columns: `function`;
    `base_count`, `new_count` (task runs in one run, on average); `base_p50_ns`, `new_p50_ns`, `p50_difference_ns`,
    `base_p95_ns`, `new_p95_ns`, `p95_difference_ns` (run time; null where none ended); `base_sd_ns`, `new_sd_ns`
    (standard deviation between its task runs); `path_difference_ns` (what it changed on the path); `p_value` and
    `is_noise` of the p50, run by run (null where that cannot be told)."""
    test: str
    """The statistical test that tells noise from a difference; `none` with one run each."""
    p_value: float | None
    """The probability that mere chance puts the makespans as far apart; null with one run each."""
    notes: tuple[str, ...] = ()
    """What a reader should know about the input."""

    def in_short(self) -> str:
        """Say how long the two sides took, and what that is judged to be."""
        base, new = duration_text(self.base.makespan_ns), duration_text(self.new.makespan_ns)
        return f"NEW {new}, BASE {base}: {self.verdict}"

    @property
    def difference_ns(self) -> int:
        """How much longer NEW takes than BASE."""
        return self.new.makespan_ns - self.base.makespan_ns

    @property
    def growth(self) -> float | None:
        """The difference as a share of BASE's makespan; null where that is 0."""
        return self.difference_ns / self.base.makespan_ns if self.base.makespan_ns else None

    @property
    def is_noise(self) -> bool | None:
        """Whether the difference is inside the run-to-run spread; null where that is not known."""
        return None if self.p_value is None else self.p_value > ALPHA

    @property
    def verdict(self) -> str:
        """`longer`, `shorter`, `noise`, or `same` (not a nanosecond's difference)."""
        if not self.difference_ns:
            return "same"
        if self.is_noise:
            return "noise"
        return "longer" if self.difference_ns > 0 else "shorter"

    def exceeds(self, limit: Fraction | float) -> bool:
        """Tell whether NEW takes longer by more than a share of BASE's makespan (0.1: ten percent), beyond noise.

        With one run each nothing is known of the noise, and the share alone decides.
        """
        return self.verdict == "longer" and self.difference_ns > Fraction(limit) * self.base.makespan_ns

    def by(self, group: str = "function") -> pl.DataFrame:
        """Break the difference down by `function`, `category` or `cause`; the greatest difference first.

        Columns: the group (null: no cause); `base_ns`, `new_ns`, `difference_ns`, each adding up to that of the
        makespans; `growth` (the difference as a share of BASE's makespan, 0 where that is 0); `presence` (`both`;
        `new` or `gone`: in no run of BASE, or of NEW); `spread_ns` (the standard deviation between the runs of a
        group; with one run each, what the spread of a function's own task runs makes of it; null where it is not
        known); `p_value` (of all parts together, see docs/diff.md), `is_noise` (null where that is not known).
        Raises UsageError for any other group.
        """
        choose(DiffGroup, group, "group")
        sums = self.parts.group_by(group).agg(pl.col("base_ns", "new_ns", "difference_ns").sum())
        growth = pl.col("difference_ns") / self.base.makespan_ns if self.base.makespan_ns else pl.lit(0.0)
        shown = sums.with_columns(growth=growth).join(
            self._presence(group), on=group, how="left", nulls_equal=True, maintain_order="left"
        )
        return self._judged(shown, group).sort(
            pl.col("difference_ns").abs(), group, descending=[True, False], nulls_last=True
        )

    def _judged(self, parts: pl.DataFrame, group: str) -> pl.DataFrame:
        counts = (self.base.count, self.new.count)
        if max(counts) > 1:
            return judge_groups(parts, group, self.run_parts, counts)
        if group == "function":
            return judge_single_runs(parts, self.run_parts, self.functions)
        return unknown(parts)

    def _presence(self, group: str) -> pl.DataFrame:
        """Tell of each value of a group on which side it is; of a function, on the path or off it."""
        seen = [self.run_parts.filter(pl.col("path_ns") > 0).select(group, "side")]
        if group == "function":
            for side in ("base", "new"):
                ran = self.functions.filter(pl.col(f"{side}_count") > 0)
                seen.append(ran.select("function", side=pl.lit(side)))
                # There is always a driver, even where no time is left for it.
                seen.append(pl.DataFrame({"function": [DRIVER], "side": [side]}))
        sides = pl.col("side")
        return (
            pl.concat(seen)
            .group_by(group)
            .agg(
                presence=pl.when((sides == "base").any() & (sides == "new").any())
                .then(pl.lit("both"))
                .when((sides == "new").any())
                .then(pl.lit("new"))
                .otherwise(pl.lit("gone"))
            )
        )
