"""The engine, which finds the paths of all scopes at once, gives what the walk and the oracle give."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings

from raytrace_analyze import critical_path, critical_paths
from raytrace_analyze.path.batch import find_paths
from raytrace_analyze.path.options import PathOptions
from raytrace_analyze.path.segments import Segments, segments_of_paths, segments_of_steps
from raytrace_analyze.path.step import Stepper
from raytrace_analyze.path.walk import Queues, Walk
from raytrace_analyze.trace.clipping import scope_spans
from raytrace_analyze.trace.relations import relate_runs
from raytrace_analyze.trace.scopes import number_scopes
from raytrace_analyze.trace.span_arrays import build_structure
from tests import oracle
from tests.random_spans import random_spans, random_table
from tests.simulated_events import observe
from tests.simulator import simulate
from tests.tables import run, span, submit, table, wait

OPTIONS = [PathOptions(queues, infer) for queues in Queues for infer in (True, False)]
TOGETHER = (1, 1_000_000)
"""Steps of all scopes together, or chains of numbers: each must do alone what they do in turn."""


def as_rows(segments: Segments, unsettled: set[int]) -> list[tuple[int, ...]]:
    columns = (segments.scope, segments.start, segments.end, segments.category, segments.row, segments.via)
    rows = zip(*(column.tolist() for column in (*columns, segments.inferred, segments.blocker)), strict=True)
    return [row for row in rows if row[0] not in unsettled]


def unsettled_of(spans: pl.DataFrame) -> int:
    """Compare engine and walk for all scopes and options; count the scopes that the engine leaves to the walk."""
    structure = build_structure(spans)
    runs = relate_runs(structure)
    count = 0
    for kind in ("jobs", "traces"):
        scope_of, keys = number_scopes(spans, kind)
        scoped = scope_spans(structure, scope_of, len(keys))
        for options in OPTIONS:
            walk = Walk(scoped, runs, queues=options.queues, infer=options.infer)
            walked = [walk.from_root(number) for number in range(len(keys))]
            scope = np.repeat(np.arange(len(keys)), [len(steps) for steps in walked])
            expected = segments_of_steps(scope, [step for steps in walked for step in steps])
            for together in TOGETHER:
                found = list(find_paths(Stepper(scoped, runs, options), np.arange(len(keys)), together=together))
                unsettled = {scope for paths in found for scope in paths.unsettled.tolist()}
                count += len(unsettled)
                rows = [row for paths in found for row in as_rows(segments_of_paths(paths, structure), unsettled)]
                assert rows == as_rows(expected, unsettled)
    return count


def test_on_nonsense() -> None:
    assert sum(unsettled_of(random_table(seed, 30)) for seed in range(80)) < 80


def test_on_simulated_programs_nothing_is_left_to_the_walk() -> None:
    for seed in range(12):
        program = simulate(seed)
        assert unsettled_of(program.spans) == 0
        assert unsettled_of(program.stock_spans) == 0


@pytest.mark.slow
def test_on_much_nonsense() -> None:
    for seed in range(80, 5000):
        unsettled_of(random_table(seed, 30))


@pytest.mark.slow
def test_on_many_programs() -> None:
    for seed in range(12, 1000):
        program = simulate(seed)
        assert unsettled_of(program.spans) + unsettled_of(program.stock_spans) == 0


@given(random_spans())
@settings(max_examples=30, deadline=None)
def test_on_nonsense_that_shrinks(spans: pl.DataFrame) -> None:
    unsettled_of(spans)


def whole(segments: pl.DataFrame) -> list[tuple[object, ...]]:
    """Segments as the oracle has them: a queue is one, whatever it was for."""
    rows: list[tuple[object, ...]] = []
    for row in segments.select("start_ns", "end_ns", "category", "span_id", "via", "inferred").iter_rows():
        if rows and row[2] == "queue" == rows[-1][2] and rows[-1][3:] == row[3:]:
            rows[-1] = (rows[-1][0], *row[1:])
        else:
            rows.append(row)
    return rows


def test_500_programs_in_one_table_have_their_true_chains_and_the_oracles() -> None:
    programs = [simulate(seed, session=f"session-{seed}") for seed in range(500)]
    recorded = pl.concat([program.spans for program in programs]).sort("start", "trace_id", "span_id")
    for queues in ("follow", "show"):
        found = critical_paths(recorded, queues=queues).partition_by("session", as_dict=True)
        for program in programs:
            path = found[program.session,]
            expected = oracle.critical_path(program.spans, scope_id=program.job_id, queues=queues)
            segments = whole(path)
            assert segments == [
                (part.start_ns, part.end_ns, part.category, part.span_id, part.via, part.inferred)
                for part in expected.segments
            ]
            assert [(*row[:2], row[3], row[2]) for row in segments] == program.true_chain[queues]
            assert path["duration_ns"].sum() == program.makespan_ns


def test_100_programs_of_stock_spans_in_one_table_are_the_oracles() -> None:
    programs = [simulate(seed, session=f"session-{seed}") for seed in range(100)]
    stock = pl.concat([program.stock_spans for program in programs]).sort("start", "trace_id", "span_id")
    found = critical_paths(stock).partition_by("session", as_dict=True)
    for program in programs:
        if program.stock_spans.is_empty():
            continue
        expected = oracle.critical_path(program.stock_spans, scope_id=program.job_id)
        assert whole(found[program.session,]) == [
            (part.start_ns, part.end_ns, part.category, part.span_id, part.via, part.inferred)
            for part in expected.segments
        ]


def test_the_frame_is_that_of_each_path_alone() -> None:
    for seed in range(3):
        spans = simulate(seed).spans
        for (trace,), among in critical_paths(spans, scopes="traces").partition_by("scope", as_dict=True).items():
            assert among.drop("scope", "session").equals(critical_path(spans, trace=trace).segments)


def test_what_task_events_tell_of_slots_is_followed_alike() -> None:
    by_slot = 0
    for seed in range(12):
        program = observe(seed)
        path = critical_path(program.spans, program.task_events).segments
        assert critical_paths(program.spans, program.task_events).drop("scope", "session").equals(path)
        by_slot += not path.equals(critical_path(program.spans).segments)
    assert by_slot


def check_alone_and_together(spans: pl.DataFrame) -> pl.DataFrame:
    alone = critical_path(spans).segments
    among = critical_paths(spans).drop("scope", "session")
    assert among.equals(alone)
    assert alone["start_ns"].to_list()[1:] == alone["end_ns"].to_list()[:-1]
    return alone


MANY = 100_000


def large_table(**columns: object) -> pl.DataFrame:
    """Make a table from whole columns; what is not named is as in `span`, or null."""
    sample = table(span("x", 0, 1))
    given = pl.DataFrame(columns)
    times = given.with_columns(pl.col("start", "end").cast(sample.schema["start"]))
    rest = sample.drop(given.columns).select(pl.all().repeat_by(given.height).explode())
    return times.hstack(rest).select(pl.col(name).cast(dtype) for name, dtype in sample.schema.items())


def ids(numbers: np.ndarray) -> pl.Series:
    return pl.Series(numbers).cast(pl.String)


def test_a_chain_of_100_000_levels() -> None:
    level = np.arange(MANY)
    spans = large_table(
        span_id=ids(level), parent_id=ids(np.where(level, level - 1, -1)), start=level, end=2 * MANY + 10 - level
    )
    path = check_alone_and_together(spans)
    assert path.height == 2 * MANY - 1
    assert path["duration_ns"].sum() == 2 * MANY + 10


@pytest.mark.parametrize("length", [0, 1, 2], ids=["instants", "touching", "overlapping"])
def test_one_span_with_a_million_children(length: int) -> None:
    count = 1_000_000 if length == 2 else MANY
    number = np.arange(count)
    start = np.where(number, 1 + (number if length else 0), 0)
    end = np.where(number, start + length, count + 10)
    spans = large_table(span_id=ids(number), parent_id=ids(np.where(number, 0, -1)), start=start, end=end)
    assert critical_paths(spans)["duration_ns"].sum() == count + 10
    if length < 2:
        check_alone_and_together(spans)


def test_a_chain_of_100_000_tasks_that_submit_the_next_and_do_not_wait() -> None:
    level = np.arange(MANY)
    start = np.repeat(10 * level, 2) + np.tile([0, 2], MANY)
    end = start + np.tile([4, 1], MANY)
    number = np.arange(2 * MANY)
    spans = large_table(
        span_id=ids(number), parent_id=ids(number - 1), start=start, end=end,
        kind=np.tile(["CONSUMER", "PRODUCER"], MANY), category=np.tile(["task", "submit"], MANY),
    )  # fmt: skip
    path = check_alone_and_together(spans)
    assert path["duration_ns"].sum() == 10 * (MANY - 1) + 4


def test_waits_that_lead_in_a_circle_are_left_to_the_walk() -> None:
    rows = []
    for trace in range(3):
        x = {"trace_id": f"t{trace}"}
        rows += [
            span(f"driver{trace}", 0, 100, **x),
            submit(f"s{trace}", 1, 2, f"driver{trace}", **x),
            run(f"r{trace}", 5, 90, f"s{trace}", f"T{trace}", **x),
            wait(f"w{trace}", 6, 80, f"r{trace}", [f"T{trace}"], **x),
            wait(f"get{trace}", 3, 95, f"driver{trace}", [f"T{trace}"], **x),
        ]
    spans = table(*rows, recorded=True)
    assert unsettled_of(spans) > 0
    found = critical_paths(spans, scopes="traces")
    assert found.group_by("scope").agg(pl.col("duration_ns").sum())["duration_ns"].to_list() == [100] * 3
