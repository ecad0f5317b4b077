"""The engine finds the paths of all scopes at once: however it takes its steps, they are the oracle's."""

import random

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings

from raytrace_analyze import critical_path, critical_paths
from raytrace_analyze.path.options import PathOptions
from raytrace_analyze.path.segments import columns_frame, segments_of_paths
from raytrace_analyze.path.walk import chains, last_first
from raytrace_analyze.path.walk.batch import find_paths
from raytrace_analyze.path.walk.step import Stepper
from raytrace_analyze.trace.clipping import scope_spans
from raytrace_analyze.trace.relations import relate_runs
from raytrace_analyze.trace.scopes import number_scopes
from raytrace_analyze.trace.span_arrays import build_structure
from raytrace_analyze.vocabulary.options import Queues
from tests import oracle
from tests.oracle_slots import Slots
from tests.random_keepers import random_keepers
from tests.random_spans import random_spans, random_table
from tests.simulated_events import event_table, observe
from tests.simulator import simulate
from tests.sizes import counted
from tests.tables import run, span, submit, table, wait

OPTIONS = [
    PathOptions(queues, infer, overlap_tolerance=part) for queues in Queues for infer, part in ((True, 0), (False, 0.3))
]
TOGETHER = (1, 3, 1_000_000)
"""Steps of all scopes together, of some, or chains of states: each must do alone what they do in turn."""


def check_all_scopes(spans: pl.DataFrame) -> None:
    """Compare the paths of all scopes, however they are found, with one another and with the oracle's."""
    structure = build_structure(spans)
    runs = relate_runs(structure)
    for kind in ("jobs", "traces"):
        scope_of, keys = number_scopes(spans, kind)
        scoped = scope_spans(structure, scope_of, len(keys))
        for options in OPTIONS:
            stepper = Stepper(scoped, runs, options)
            ways = []
            for together in TOGETHER:
                parts = [
                    segments_of_paths(paths, structure)
                    for paths in find_paths(stepper, np.arange(len(keys)), together=together)
                ]
                frames = [columns_frame(part, scoped, []).with_columns(scope=pl.Series(part.scope)) for part in parts]
                ways.append(pl.concat(frames))
            assert all(way.equals(ways[0]) for way in ways[1:])
            for number, key in enumerate(keys):
                if key.session is None or key.kind == "session":
                    continue
                expected = oracle.critical_path(
                    spans, scope=key.kind, session=None if kind == "traces" else key.session, scope_id=key.id,
                    queues=options.queues.value, infer=options.infer, overlap_tolerance=options.overlap_tolerance,
                )  # fmt: skip
                found = ways[0].filter(scope=number).select("start_ns", "end_ns", "category", "span_id")
                assert found.rows() == [
                    (part.start_ns, part.end_ns, part.category, part.span_id) for part in expected.segments
                ]


def test_a_walk_that_comes_to_few_of_many_spans_goes_on_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(last_first, "_ASKED_FIRST", 1)
    monkeypatch.setattr(chains, "_COSTS", 2.0)
    monkeypatch.setattr(chains, "_ALONE", 2)
    for seed in range(3):
        check_all_scopes(random_table(seed, 20))
    for seed in range(2):
        check_all_scopes(simulate(seed).spans)


def test_on_nonsense() -> None:
    for seed in range(5):
        check_all_scopes(random_table(seed, 20))


def test_on_simulated_programs() -> None:
    for seed in range(2):
        program = simulate(seed)
        check_all_scopes(program.spans)
        check_all_scopes(program.stock_spans)


@pytest.mark.slow
def test_on_much_nonsense() -> None:
    for seed in range(5, 3000):
        check_all_scopes(random_table(seed, 30))


@pytest.mark.slow
def test_on_many_programs() -> None:
    for seed in range(2, 300):
        program = simulate(seed)
        check_all_scopes(program.spans)
        check_all_scopes(program.stock_spans)


@given(random_spans())
@settings(max_examples=6, deadline=None)
def test_on_nonsense_that_shrinks(spans: pl.DataFrame) -> None:
    check_all_scopes(spans)


def whole(segments: pl.DataFrame) -> list[tuple[object, ...]]:
    """Segments as the oracle has them: a queue is one, whatever it was for."""
    rows: list[tuple[object, ...]] = []
    for row in segments.select("start_ns", "end_ns", "category", "span_id", "via", "inferred").iter_rows():
        if rows and row[2] == "queue" == rows[-1][2] and rows[-1][3:] == row[3:]:
            rows[-1] = (rows[-1][0], *row[1:])
        else:
            rows.append(row)
    return rows


@pytest.mark.parametrize("count", [60, pytest.param(500, marks=pytest.mark.slow)])
def test_many_programs_in_one_table_have_their_true_chains_and_the_oracles(count: int) -> None:
    programs = [simulate(seed, session=f"session-{seed}") for seed in range(count)]
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


@pytest.mark.parametrize("count", [40, pytest.param(100, marks=pytest.mark.slow)])
def test_many_programs_of_stock_spans_in_one_table_are_the_oracles(count: int) -> None:
    programs = [simulate(seed, session=f"session-{seed}") for seed in range(count)]
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


@counted(5, 12)
def test_what_task_events_tell_of_slots_is_followed_alike(count: int) -> None:
    by_slot = 0
    for seed in range(count):
        program = observe(seed)
        path = critical_path(program.spans, program.task_events).segments
        assert critical_paths(program.spans, program.task_events).drop("scope", "session").equals(path)
        by_slot += not path.equals(critical_path(program.spans).segments)
        check_slots(program.spans, program.task_events)
    assert by_slot


def check_slots(spans: pl.DataFrame, events: pl.DataFrame) -> None:
    """Compare the path with the oracle's, which works out for itself who waited for a slot."""
    for (session, job), of_job in spans.drop_nulls(["session", "job_id"]).group_by("session", "job_id"):
        assert of_job.height
        expected = oracle.critical_path(
            spans, scope_id=str(job), session=str(session), slots=lambda everything: Slots(everything, events)
        )
        found = critical_path(spans, events, job=f"{session}/{job}", clock_correct=False)
        assert whole(found.segments) == [
            (part.start_ns, part.end_ns, part.category, part.span_id, part.via, part.inferred)
            for part in expected.segments
        ]


@counted(15, 40)
def test_random_task_events_of_nonsense_tell_engine_and_oracle_the_same(count: int) -> None:
    for seed in range(count):
        # A process for each run: what held the slot is told by events alone.
        spans = random_table(seed, 20).with_columns(worker_id="span_id")
        check_slots(spans, random_events(spans, seed))


@counted(20, 120)
def test_who_ended_an_actor_whose_slot_a_run_waited_for_is_followed_alike(count: int) -> None:
    led = 0
    for seed in range(count):
        spans, events = random_keepers(seed)
        check_slots(spans, events)
        path = critical_path(spans, events).segments
        led += path.filter(via="slot", span_id="d").height
    assert count / 4 < led < count


def random_events(spans: pl.DataFrame, seed: int) -> pl.DataFrame:
    """Make task events of some runs, at random times about theirs."""
    chosen = random.Random(seed)
    unit = max(int(spans.select(pl.col("start").to_physical().max()).item()) // 20, 1)
    rows = []
    runs = spans.filter(category="task").unique(["session", "task_id", "attempt"], keep="first", maintain_order=True)
    for session, task, attempt, start in runs.select(
        "session", "task_id", "attempt", pl.col("start").to_physical()
    ).iter_rows():
        if task is None or chosen.random() < 0.3:
            continue
        times = sorted(start - chosen.randint(-1, 8) * unit for _ in range(3))
        states = dict(zip(("pending_node_assignment", "submitted_to_worker", "running"), times, strict=True))
        known = {name: time for name, time in states.items() if chosen.random() < 0.8}
        rows.append({"session": session, "task_id": task, "attempt": attempt, **known})
    return event_table(rows)


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


@pytest.mark.parametrize(
    "length", [0, pytest.param(1, marks=pytest.mark.slow), 2], ids=["instants", "touching", "overlapping"]
)
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


def waits_in_a_circle() -> pl.DataFrame:
    # Three times the same, in a trace each: a task that waits for its own result.
    # driver [s]
    #          [get of T..............................]
    # r (T)      [---------------------------------]
    # w           [get of T...................]
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
    return table(*rows, recorded=True)


def test_waits_that_lead_in_a_circle_are_followed_once() -> None:
    check_all_scopes(waits_in_a_circle())
    found = critical_paths(waits_in_a_circle(), scopes="traces")
    assert found.group_by("scope").agg(pl.col("duration_ns").sum())["duration_ns"].to_list() == [100] * 3
    assert found.filter(scope="t0")["span_id"].to_list() == [
        "driver0", "s0", "r0", "r0", "w0", "r0", "get0", "driver0",
    ]  # fmt: skip


def test_a_run_whose_submit_lies_outside_its_parent_is_left_by_the_submit() -> None:
    # driver [-------]
    # s                 [s]                  a thread went on submitting
    # r                     ...[=======]
    spans = table(
        span("driver", 0, 10, name="ray.driver"),
        submit("s", 20, 22, "driver", submitted_task_id="T"),
        run("r", 30, 50, "s", "T"),
        recorded=True,
    )
    path = critical_path(spans, task="T")
    assert whole(path.segments) == [(20, 30, "queue", "r", None, False), (30, 50, "self", "r", None, False)]
    check_all_scopes(spans)
