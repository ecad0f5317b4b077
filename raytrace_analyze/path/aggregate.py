"""What holds the critical paths of many jobs or traces: sums over all of them, and what differs in the slowest."""

from collections.abc import Sequence

import polars as pl

from raytrace_analyze.choices import choose
from raytrace_analyze.errors import UsageError
from raytrace_analyze.names.attributes import entrypoint
from raytrace_analyze.path.all_scopes import some_paths_of
from raytrace_analyze.path.options import SLOT_WITHIN_NS, PathOptions, path_options
from raytrace_analyze.prepared import PreparedTrace, Trace, prepare
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.trace.scopes import read_scopes
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.groups import ONLY_OF_MANY, PathGroup, column_of
from raytrace_analyze.vocabulary.options import Scopes
from raytrace_analyze.vocabulary.paths import Category

PERCENTILES = (("p50", 0.50), ("p90", 0.90), ("p99", 0.99), ("max", 1.0))


@frozen
class Aggregates:
    """The critical paths of many scopes, summed up."""

    frame: pl.DataFrame
    """What `path_aggregates` gives."""
    scopes: int
    """How many jobs or traces took any time at all."""
    makespan_ns: int
    """The sum of their makespans."""
    tail_scopes: int
    """How many of them are in the tail; 0 where none was asked for."""
    tail_from_ns: int
    """The shortest makespan in the tail."""


@frozen
class ScopeTimes:
    """The time on the critical path of each of some scopes."""

    scopes: pl.DataFrame
    """By `number`: `session`, `scope` (its id), `makespan`, and when its path starts (`start`, ns)."""
    of_each: pl.DataFrame
    """By `number` and `group`: the sums of the time on the path."""


def path_aggregates(
    spans: Trace,
    task_events: pl.DataFrame | None = None,
    *,
    scopes: str = "jobs",
    by: str = "function",
    tail: str | None = None,
    queues: str = "follow",
    infer: bool = True,
    infer_within_ns: int = SLOT_WITHIN_NS,
    clock_correct: bool = True,
    overlap_tolerance: float = 0.0,
    options: PathOptions | None = None,
) -> pl.DataFrame:
    """Tell what holds the critical paths of all `jobs`, all `traces` or all `requests` (of Ray Serve) of a span table.

    Sums by `function`, `name`, `category`, `cause`, `node`, `worker` or `actor` of the segments, or by `entrypoint`
    (a job's program, a trace's first root span) or `hour` (UTC, of the start) of the scopes. One row a group, the
    largest total first:

    - the group, null where it is not known; `total_ns`, and of that `self_ns`, `submit_ns`, `queue_ns`, `wait_ns`,
      `fetch_ns` and `inferred_ns` (what rests on inference); `share` of all makespans (0 to 1);
    - `scopes`: on how many paths it is; `p50_ns`, `p90_ns`, `p99_ns`, `max_ns` of its time on those (linear
      interpolation, rounded to whole ns);
    - `example`, `example_session`: the scope where it has most.

    With a `tail`, as `p99`: the slowest one percent of scopes (at least one) against the rest, what adds most time to
    them first: `tail_share`, `rest_share` of the makespans there; `tail_mean_ns`, `rest_mean_ns` a scope;
    `extra_ns`, the difference: its sum over all groups is that of the mean makespans.

    The other options are those of `critical_path`. Raises NoSpansError for an empty table, UsageError for any other
    `scopes`, `by` or `tail`.
    """
    trace = prepare(spans, task_events, clock_correct=clock_correct)
    options = path_options(options, queues, infer, infer_within_ns, overlap_tolerance)
    return aggregate_paths(trace, options, scopes=scopes, by=by, tail=tail).frame


def aggregate_paths(
    trace: PreparedTrace, options: PathOptions, *, scopes: str, by: str = "function", tail: str | None = None
) -> Aggregates:
    """Do what `path_aggregates` does; gives the totals, too."""
    check_sums(scopes, by, tail)
    return sum_up([scope_times(trace.require_spans(), options, scopes=scopes, by=by)], by=by, tail=tail)


def check_sums(scopes: str, by: str, tail: str | None) -> None:
    """Raise UsageError for any other `scopes`, `by` or `tail` than `path_aggregates` takes."""
    choose(Scopes, scopes, "kind of scopes")
    choose(PathGroup, by, "group")
    if tail is not None:
        parse_tail(tail)


def scope_times(
    trace: PreparedTrace, options: PathOptions, *, scopes: str, by: str, numbers: RowIds | None = None
) -> ScopeTimes:
    """Sum up the time on each path, of all scopes or of those with some numbers, which follow each other."""
    of_scopes, of_each = [], []
    before = 0
    for segments in some_paths_of(trace, scopes, options, numbers):
        numbered = segments.with_columns(number=pl.struct("session", "scope").rle_id() + before)
        of_scopes.append(
            numbered.group_by("number").agg(
                pl.col("session", "scope").first(), makespan=pl.col("duration_ns").sum(), start=pl.col("start_ns").min()
            )
        )
        group = pl.lit(None, pl.String) if by in ONLY_OF_MANY else column_of(by)
        of_each.append(_of_each(numbered.with_columns(group=group)))
        before += of_scopes[-1].height
    times = ScopeTimes(pl.concat(of_scopes), pl.concat(of_each))
    if by not in ONLY_OF_MANY:
        return times
    described = _described(times.scopes, trace.spans, scopes, by).select("number", "group")
    return ScopeTimes(
        times.scopes, times.of_each.drop("group").join(described, on="number").select(times.of_each.columns)
    )


def with_first(times: ScopeTimes, trace: PreparedTrace, scopes: str) -> ScopeTimes:
    """Add to scopes when the `first` span of each starts, by which those of several parts are put in one order."""
    known = trace.scopes(scopes)
    begins = trace.spans.select("start", number=pl.Series(known.of_row)).filter(pl.col("number") >= 0)
    of_number = begins.group_by("number").agg(first=pl.col("start").min())
    ids = known.table.select("session", scope="id")[of_number.get_column("number")]
    of_id = ids.hstack(of_number.select("first")).group_by("session", "scope").agg(pl.col("first").min())
    return ScopeTimes(times.scopes.join(of_id, on=["session", "scope"], how="left"), times.of_each)


def one_after_another(parts: Sequence[ScopeTimes]) -> ScopeTimes:
    """Put together the scopes of several parts, all of one before all of the next."""
    before, scopes, of_each = 0, [], []
    for part in parts:
        number = pl.col("number") + before
        scopes.append(part.scopes.with_columns(number))
        of_each.append(part.of_each.with_columns(number))
        before += part.scopes.height
    return ScopeTimes(pl.concat(scopes), pl.concat(of_each))


def sum_up(parts: Sequence[ScopeTimes], *, by: str, tail: str | None = None) -> Aggregates:
    """Sum up the times of all scopes, each in one part; where there are several, `with_first` was given each."""
    times = _together(parts)
    of_scopes = _mark_tail(times.scopes, None if tail is None else parse_tail(tail))
    frame = _sums(times.of_each.join(of_scopes.select("number", "session", "scope", "in_tail"), on="number"))
    in_tail = of_scopes.filter("in_tail")
    return Aggregates(
        frame=_finish(frame, of_scopes, by, with_tail=tail is not None),
        scopes=of_scopes.height,
        makespan_ns=int(of_scopes.get_column("makespan").sum()),
        tail_scopes=in_tail.height,
        tail_from_ns=int(in_tail.select(pl.col("makespan").min().fill_null(0)).item()),
    )


def _together(parts: Sequence[ScopeTimes]) -> ScopeTimes:
    """Number the scopes of all parts in one order: that in which one part would have had them."""
    if len(parts) == 1:
        return parts[0]
    scopes, of_each = (
        pl.concat([getattr(part, name).with_columns(part=pl.lit(at)) for at, part in enumerate(parts)])
        for name in ("scopes", "of_each")
    )
    anew = scopes.sort("first", "session", "scope", "part", "number").with_row_index("anew")
    numbers = anew.select("part", "number", "anew")
    return ScopeTimes(
        anew.drop("part", "number").rename({"anew": "number"}),
        of_each.join(numbers, on=["part", "number"]).drop("part", "number").rename({"anew": "number"}),
    )


def parse_tail(tail: str) -> float:
    """Read a tail as `p99` or `p99.9`: the part of the scopes that is not in it. Raises UsageError for others."""
    try:
        percentile = float(tail.lower().removeprefix("p"))
    except ValueError:
        percentile = -1.0
    if not 0 <= percentile < 100:
        raise UsageError(f"a tail is a percentile such as p99, not {tail!r}")
    return percentile / 100


def _mark_tail(of_scopes: pl.DataFrame, quantile: float | None) -> pl.DataFrame:
    """Mark the slowest scopes: those beyond the quantile, at least one."""
    if quantile is None:
        return of_scopes.with_columns(in_tail=pl.lit(False))
    size = max(round(of_scopes.height * (1 - quantile)), 1)
    ordered = of_scopes.sort("makespan", "number", descending=[True, False])
    return ordered.with_columns(in_tail=pl.int_range(pl.len()) < size)


def _described(of_scopes: pl.DataFrame, spans: pl.DataFrame, scopes: str, by: str) -> pl.DataFrame:
    """Give each scope's entry point or hour, as `group` behind its `number`."""
    if by == "hour":
        hour = pl.col("start").cast(pl.Datetime("ns", "UTC")).dt.strftime("%Y-%m-%dT%H:00Z")
        return of_scopes.select("number", group=hour)
    if scopes == "requests":
        served = read_scopes(spans, scopes)
        numbered = spans.select("name", "start", request=pl.Series(served.of_row)).filter(pl.col("request") >= 0)
        names = numbered.sort("start").group_by("request", maintain_order=True).agg(group=pl.col("name").first())
        ids = served.table.get_column("id").gather(names.get_column("request"))
        by_id = names.select("group", scope=ids).unique("scope", keep="first")
        return of_scopes.select("number", "scope").join(by_id, on="scope", how="left").select("number", "group")
    if scopes == "traces":
        first = pl.col("name").sort_by(pl.col("parent_id").is_not_null(), "start", "span_id").first()
        names = spans.group_by(scope="trace_id").agg(group=first)
        return of_scopes.select("number", "scope").join(names, on="scope", how="left").select("number", "group")
    drivers = spans.filter(pl.col("category") == "driver")
    names = drivers.group_by("session", scope="job_id").agg(group=entrypoint())
    found = of_scopes.select("number", "session", "scope").join(
        names, on=["session", "scope"], how="left", nulls_equal=True
    )
    return found.select("number", "group")


def _of_each(numbered: pl.DataFrame) -> pl.DataFrame:
    """Sum each group's time on each path."""
    duration = pl.col("duration_ns")
    return numbered.group_by("number", "group").agg(
        total_ns=duration.sum(),
        inferred_ns=duration.filter(pl.col("inferred")).sum(),
        **{f"{name}_ns": duration.filter(pl.col("category") == name).sum() for name in Category},
    )


def _sums(of_each: pl.DataFrame) -> pl.DataFrame:
    """Sum over the paths; the example is the first of those with the most."""
    total = pl.col("total_ns")
    percentiles = [total.quantile(q, "linear").round().cast(pl.Int64).alias(f"{name}_ns") for name, q in PERCENTILES]
    sums = [pl.col(f"{name}_ns").sum() for name in (*Category, "inferred")]
    return (
        of_each.sort("total_ns", "number", descending=[True, False])
        .group_by("group", maintain_order=True)
        .agg(
            *percentiles,
            *sums,
            example=pl.col("scope").first(),
            example_session=pl.col("session").first(),
            scopes=pl.len().cast(pl.Int64),
            in_tail_ns=total.filter(pl.col("in_tail")).sum(),
            total_ns=total.sum(),
        )
    )


def _finish(frame: pl.DataFrame, of_scopes: pl.DataFrame, by: str, *, with_tail: bool) -> pl.DataFrame:
    """Add shares and the comparison with the tail; put rows and columns in order."""
    makespan = int(of_scopes.get_column("makespan").sum())
    tail = of_scopes.filter("in_tail")
    tail_makespan, rest_scopes = int(tail.get_column("makespan").sum()), of_scopes.height - tail.height
    in_rest = pl.col("total_ns") - pl.col("in_tail_ns")
    compared = frame.rename({"group": by}).with_columns(
        share=pl.col("total_ns") / max(makespan, 1),
        tail_share=pl.col("in_tail_ns") / max(tail_makespan, 1),
        rest_share=in_rest / max(makespan - tail_makespan, 1),
        tail_mean_ns=(pl.col("in_tail_ns") / max(tail.height, 1)).round().cast(pl.Int64),
        rest_mean_ns=(in_rest / max(rest_scopes, 1)).round().cast(pl.Int64),
    )
    compared = compared.with_columns(extra_ns=pl.col("tail_mean_ns") - pl.col("rest_mean_ns"))
    of_tail = ("tail_share", "rest_share", "tail_mean_ns", "rest_mean_ns", "extra_ns") if with_tail else ()
    return compared.sort("extra_ns" if with_tail else "total_ns", by, descending=[True, False], nulls_last=True).select(
        *(by, "total_ns", "share", *(f"{name}_ns" for name in Category), "inferred_ns", "scopes"),
        *(f"{name}_ns" for name, _ in PERCENTILES),
        *of_tail,
        *("example", "example_session"),
    )
