"""Hosts with shifted clocks: what the times prove of them, and that nothing is changed where they prove nothing."""

from pathlib import Path

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from raytrace_analyze import (
    clock_offsets,
    correct_clocks,
    critical_path,
    critical_paths,
    jobs,
    latency_stats,
    load,
    traces,
)
from raytrace_analyze.schema import EVENT_TIMES, STAMPED_BY_SUBMITTER
from tests.random_spans import random_table
from tests.simulator import simulate
from tests.sizes import counted
from tests.tables import Row, chain, run, span, submit, table, wait, whole

SECOND = 1_000_000_000
LEFT_OPEN_NS = 10_000_000
SHIFTS = st.one_of(st.integers(-5 * SECOND, 5 * SECOND), st.integers(-20_000_000, 20_000_000))


def shifted(spans: pl.DataFrame, host: str | None, by_ns: int) -> pl.DataFrame:
    """Set the clock of a host (of a node, where spans name no host) forward."""
    is_there = pl.coalesce("host", "node_id").eq_missing(pl.lit(host))
    shift = pl.when(is_there).then(pl.lit(by_ns, pl.Int64)).otherwise(0).cast(pl.Duration("ns"))
    return spans.with_columns(pl.col("start", "end") + shift)


def estimates(spans: pl.DataFrame) -> dict[str | None, dict[str, object]]:
    return {row["host"]: row for row in clock_offsets(spans).iter_rows(named=True)}


def get_from_afar(**remote: object) -> list[Row]:
    """A driver on `a` that waits for a task on `b`; times are true.

    a: driver [-[s]---[get......................]--]
    b: run             [===================]
    """
    return [
        span("driver", 0, 100, name="ray.driver", host="a", node_id="na"),
        submit("s", 5, 10, "driver", submitted_task_id="T", host="a", node_id="na"),
        run("r", 30, 80, "s", "T", **{"host": "b", "node_id": "nb", **remote}),
        wait("get", 20, 85, "driver", ["T"], host="a", node_id="na"),
    ]


def clock(spans: pl.DataFrame, host: str = "b") -> tuple[object, ...]:
    row = estimates(spans)[host]
    return row["offset_ns"], row["lower_ns"], row["upper_ns"], row["is_proven"]


def test_clocks_in_a_possible_order_are_left_as_they_are() -> None:
    spans = table(*get_from_afar(), recorded=True)
    # b could be set back by 25 (the run still after the start of its submit), or forward by 5 (it ends before the get).
    assert clock(spans) == (0, -25, 5, False)
    assert correct_clocks(spans, clock_offsets(spans)).equals(spans)
    path = critical_path(spans)
    assert path.segments.equals(critical_path(spans, clock_correct=False).segments)
    assert path.notes == (
        "spans of 2 hosts; nothing shows that their clocks differ, so that no shift of them can be known",
    )
    assert critical_path(spans, clock_correct=False).notes == ()


@pytest.mark.parametrize("by_ns", [-1_000, -26, 6, 1_000])
def test_a_clock_that_cannot_be_right_is_corrected_within_its_bounds(by_ns: int) -> None:
    spans = shifted(table(*get_from_afar(), recorded=True), "b", by_ns)
    # The middle of what is likely: from 20 earlier (the run after the end of its submit) to 5 later than in truth.
    assert clock(spans) == (-by_ns - 8, -by_ns - 25, -by_ns + 5, True)
    path = critical_path(spans)
    assert chain(path.segments) == [
        ("driver", 0, 5, "self"),
        ("s", 5, 10, "submit"),
        ("r", 10, 22, "queue"),
        ("r", 22, 72, "self"),
        ("get", 72, 85, "fetch"),
        ("driver", 85, 100, "self"),
    ]
    assert len(path.notes) == 1
    assert "clock of b" in path.notes[0]
    assert ("ahead" if by_ns > 0 else "behind") in path.notes[0]


def test_evidence_says_what_cannot_be() -> None:
    early, late = (estimates(shifted(table(*get_from_afar(), recorded=True), "b", by)) for by in (-75, 25))
    assert early["b"]["violations"] == early["a"]["violations"] == 1
    assert early["b"]["evidence"] == "f started on b 50 ns before a submitted it"
    assert late["b"]["evidence"] == "ray.get on a came back 20 ns before f, which it waited for, was that far on b"
    assert early["a"]["is_reference"]
    assert not early["b"]["is_reference"]


def test_nodes_stand_in_for_hosts_that_are_not_named() -> None:
    rows = [row | {"host": None} for row in get_from_afar()]
    assert clock(shifted(table(*rows, recorded=True), "nb", -1_000), "nb") == (992, 975, 1_005, True)


def test_a_span_that_names_only_its_node_is_on_that_nodes_host() -> None:
    there = span("t", 31, 40, None, host=None, node_id="nb", pid=7)
    assert set(estimates(table(*get_from_afar(), there))) == {"a", "b"}


def test_without_waits_only_one_end_is_known_and_the_least_shift_taken() -> None:
    rows = [row for row in get_from_afar() if row["span_id"] in ("s", "r")]
    assert clock(shifted(table(*rows), "b", -1_000)) == (980, 975, None, True)
    assert clock(shifted(table(*rows), "b", 1_000)) == (0, -1_025, None, False)


def test_the_host_that_clashes_with_most_is_the_one_to_move() -> None:
    # a: driver submits to b and c; b's task submits to c, and c's clock is late.
    rows = [
        *get_from_afar(),
        submit("sc", 11, 12, "driver", submitted_task_id="U", host="a", node_id="na"),
        run("c", 40, 60, "sc", "U", host="c", node_id="nc"),
        submit("sb", 41, 42, "r", submitted_task_id="V", host="b", node_id="nb"),
        run("cc", 50, 60, "sb", "V", host="c", node_id="nc"),
    ]
    found = estimates(shifted(table(*rows, recorded=True), "c", -SECOND))
    assert [found[host]["is_proven"] for host in "abc"] == [False, False, True]


DEPENDENT = [
    span("driver", 0, 200, name="ray.driver", host="a"),
    submit("s1", 1, 2, "driver", submitted_task_id="T", host="a"),
    submit("s2", 3, 4, "driver", submitted_task_id="U", dependency_task_ids=["T"], host="a"),
    run("r1", 20, 60, "s1", "T", host="a", attempt=0),
    run("r2", 70, 90, "s2", "U", host="b", attempt=0),
]
RETRIED = [
    span("driver", 0, 200, name="ray.driver", host="a"),
    submit("s", 1, 2, "driver", submitted_task_id="T", host="a"),
    run("r0", 20, 60, "s", "T", host="a", attempt=0, status="ERROR"),
    run("r1", 70, 90, "s", "T", host="b", attempt=1),
]
CREATED = [
    span("driver", 0, 200, name="ray.driver", host="a"),
    submit("s1", 1, 2, "driver", submitted_task_id="T", actor_id="A", host="a"),
    submit("s2", 3, 4, "driver", submitted_task_id="U", actor_id="A", host="a"),
    run("r1", 20, 60, "s1", "T", function="A.__init__", actor_id="A", host="a", attempt=0),
    run("r2", 70, 90, "s2", "U", function="A.m", actor_id="A", host="b", attempt=0),
]


@pytest.mark.parametrize(
    ("rows", "words"), [(DEPENDENT, "whose result it takes"), (RETRIED, "attempt before"), (CREATED, "its actor")]
)
def test_a_run_starts_after_what_it_needs(rows: list[Row], words: str) -> None:
    spans = table(*rows, recorded=True)
    # 10 is what lies between the end of what it needs and its start.
    assert clock(shifted(spans, "b", -10)) == (0, 0, None, False)
    assert clock(shifted(spans, "b", -11)) == (1, 1, None, True)
    assert words in str(estimates(shifted(spans, "b", -11))["b"]["evidence"])


def test_the_end_of_a_run_that_ray_reported_is_not_by_its_own_clock() -> None:
    rows = [row | ({"status_message": "WORKER_DIED: gone"} if row["span_id"] == "r0" else {}) for row in RETRIED]
    assert not estimates(shifted(table(*rows, recorded=True), "b", -40))["b"]["is_proven"]
    assert estimates(shifted(table(*rows, recorded=True), "b", -51))["b"]["is_proven"]


def test_a_result_comes_from_the_attempt_that_went_well() -> None:
    # a: get            [.............]
    # b: 0 failed, then 1;  c: 2, made again long after the get, since its result was lost
    rows = [
        span("driver", 0, 300, name="ray.driver", host="a"),
        submit("s", 1, 2, "driver", submitted_task_id="T", host="a"),
        run("r0", 10, 20, "s", "T", host="b", attempt=0, status="ERROR"),
        run("r1", 30, 40, "s", "T", host="b", attempt=1),
        run("r2", 200, 240, "s", "T", host="c", attempt=2),
        wait("get", 5, 45, "driver", ["T"], host="a"),
    ]
    assert not clock_offsets(table(*rows, recorded=True)).get_column("is_proven").any()


def items_while_it_runs(*, name: str, host: str) -> list[Row]:
    return [
        span("driver", 0, 200, name="ray.driver", host="a"),
        submit("s", 1, 2, "driver", submitted_task_id="T", host="a"),
        run("r", 20, 150, "s", "T", function="g", host="b"),
        wait("next", 5, 45, "driver", ["T"], name=name, host="a"),
        submit("s2", 3, 4, "driver", submitted_task_id="U", host="a"),
        run("r2", 22, 140, "s2", "U", function="g", host=host),
        wait("get", 46, 60, "driver", ["U"], host="a"),
    ]


def test_a_generator_gives_items_while_it_runs() -> None:
    spans = table(*items_while_it_runs(name="ray.next", host="b"), recorded=True)
    assert clock(spans) == (0, -19, 25, False)


def test_a_function_that_one_clock_saw_give_results_while_it_ran_is_a_generator() -> None:
    spans = table(*items_while_it_runs(name="ray.wait", host="a"), recorded=True)
    assert clock(spans) == (0, -19, 25, False)


def test_runs_and_waits_without_an_end_prove_nothing() -> None:
    rows = [row | ({"end": None} if row["span_id"] == "get" else {}) for row in get_from_afar()]
    assert clock(shifted(table(*rows, recorded=True), "b", SECOND))[0] == 0
    timed_out = {"status": "ERROR", "status_message": "GetTimeoutError: too slow"}
    rows = [row | (timed_out if row["span_id"] == "get" else {}) for row in get_from_afar()]
    assert clock(shifted(table(*rows, recorded=True), "b", SECOND))[0] == 0


def test_times_that_no_clock_makes_possible_are_left_as_they_are() -> None:
    # The run on b takes longer than there is time between its submit and the get; c is only late.
    rows = [
        *get_from_afar(),
        submit("sc", 11, 12, "driver", submitted_task_id="U", host="a", node_id="na"),
        run("c", 40 - SECOND, 60 - SECOND, "sc", "U", host="c", node_id="nc"),
    ]
    spans = table(*(row | ({"end": 400} if row["span_id"] == "r" else {}) for row in rows), recorded=True)
    found = estimates(spans)
    assert [found[host]["is_contradictory"] for host in "abc"] == [False, True, False]
    assert found["b"]["offset_ns"] == 0
    assert found["b"]["lower_ns"] is found["b"]["upper_ns"] is None
    assert found["c"]["is_proven"]
    notes = critical_path(spans).notes
    assert any("no clock makes the times of b possible" in note for note in notes)


def test_one_process_is_never_changed() -> None:
    one = {"host": "a", "pid": 1}
    spans = table(*(row | one | {"start": row["start"] * (row["span_id"] != "r")} for row in get_from_afar()))
    assert clock_offsets(spans).select("offset_ns", "is_reference", "violations").rows() == [(0, True, 0)]
    assert critical_path(spans).notes == critical_path(spans, clock_correct=False).notes
    assert critical_path(spans).segments.equals(critical_path(spans, clock_correct=False).segments)


def test_a_table_without_spans_has_no_hosts() -> None:
    assert clock_offsets(table(*get_from_afar()).clear()).is_empty()


def test_sessions_have_nothing_to_do_with_each_other() -> None:
    right = get_from_afar()
    wrong = [row | {"session": "z", "trace_id": "tz"} for row in get_from_afar()]
    both = table(*right, *wrong, recorded=True)
    spans = pl.concat([both.filter(session="s"), shifted(both.filter(session="z"), "b", 9 * SECOND)])
    found = clock_offsets(spans).filter("is_proven")
    assert found.select("session", "host").rows() == [("z", "b")]
    assert critical_path(spans, job="s/01").notes == critical_path(table(*right, recorded=True)).notes


def test_every_analysis_takes_corrected_times() -> None:
    true = table(*get_from_afar(), recorded=True)
    spans = shifted(true, "b", -SECOND)
    assert jobs(spans).get_column("makespan_ns").to_list() == [100]
    assert jobs(spans, clock_correct=False).get_column("makespan_ns").to_list() != [100]
    assert traces(spans).get_column("makespan_ns").to_list() == [100]
    assert traces(spans, clock_correct=False).get_column("makespan_ns").to_list() != [100]
    assert critical_paths(spans).get_column("duration_ns").sum() == 100
    assert latency_stats(spans).get_column("queue_total_ns").to_list() == [12]
    assert latency_stats(spans, clock_correct=False).get_column("queue_total_ns").to_list() == [0]
    assert latency_stats(spans).get_column("path_ns").to_list() == [12 + 50 + 5]


@given(st.integers(0, 2**32 - 1), SHIFTS, st.booleans())
@settings(max_examples=10, deadline=None)
def test_a_programs_shifted_node_is_found_within_its_bounds(seed: int, by_ns: int, is_stock: bool) -> None:
    program = simulate(seed)
    true = program.stock_spans if is_stock else program.spans
    assume(true["host"].n_unique() == 2)
    assert (clock_offsets(true)["offset_ns"] == 0).all()
    spans = shifted(true, "host-1", by_ns)
    found = estimates(spans)
    assert not any(row["is_contradictory"] for row in found.values())
    (moved, reference) = sorted(found.values(), key=lambda row: bool(row["is_reference"]))
    truth = -by_ns if moved["host"] == "host-1" else by_ns
    for bound, sign in (("lower_ns", 1), ("upper_ns", -1)):
        assert moved[bound] is None or sign * moved[bound] <= sign * truth
    assert reference["offset_ns"] == 0
    assert moved["is_proven"] == (moved["violations"] != 0)
    corrected = correct_clocks(spans, clock_offsets(spans))
    if moved["is_proven"]:
        assert not clock_offsets(corrected)["is_proven"].any()
    else:
        assert corrected.equals(spans)
        assert any("no shift of them can be known" in note for note in critical_path(spans).notes)


def check_chains(seeds: range) -> tuple[int, int]:
    """Shift one node of each program; give how many chains are as they were, of how many that could be corrected.

    What happens on two hosts within what the bounds leave open may change places.
    """
    same = proven = 0
    for seed in seeds:
        true = simulate(seed).spans
        by_ns = (1 if seed % 2 else -1) * (1 + seed % 5) * SECOND
        spans = shifted(true, "host-1", by_ns)
        offsets = clock_offsets(spans)
        moved = offsets.filter("is_proven")
        if moved.is_empty():
            continue
        if not ((moved["upper_ns"] - moved["lower_ns"]).fill_null(LEFT_OPEN_NS) < LEFT_OPEN_NS).all():
            continue
        before, after = critical_path(true, clock_correct=False), critical_path(spans)
        proven += 1
        steps = [path.segments.select("span_id", "category").rows() for path in (before, after)]
        same += steps[0] == steps[1]
        assert sum(after.segments["duration_ns"]) == after.makespan_ns
        if steps[0] == steps[1]:
            assert_boundaries_within(before.segments, after.segments, offsets)
    return same, proven


def assert_boundaries_within(before: pl.DataFrame, after: pl.DataFrame, offsets: pl.DataFrame) -> None:
    """Boundaries on the reference's clock differ by at most as much as the bounds leave open."""
    width = int((offsets["upper_ns"] - offsets["lower_ns"]).max())
    first = int(before["start_ns"][0]) - int(after["start_ns"][0])
    for name in ("start_ns", "end_ns"):
        assert ((before[name] - after[name] - first).abs() <= width).all()


def test_the_chain_of_a_corrected_program_is_the_true_one() -> None:
    same, proven = check_chains(range(30))
    assert proven > 5
    assert same >= 0.95 * proven


@pytest.mark.slow
def test_the_chains_of_many_corrected_programs() -> None:
    same, proven = check_chains(range(30, 1000))
    assert same >= 0.97 * proven


@pytest.mark.parametrize("seeds", [12, pytest.param(60, marks=pytest.mark.slow)])
def test_nonsense_comes_to_an_end(seeds: int) -> None:
    for seed in range(seeds):
        spans = random_table(seed)
        offsets = clock_offsets(spans)
        assert correct_clocks(spans, offsets).height == spans.height
        path = critical_path(spans)
        assert path.segments["duration_ns"].sum() == path.makespan_ns


def many_hosts(count: int) -> pl.DataFrame:
    """A driver that gives three tasks each to many hosts, which give one each to the next host."""
    rows: list[Row] = [span("driver", 0, 10 * SECOND, name="ray.driver", host="a", node_id="n")]
    for number in range(count):
        for part in range(3):
            key, at = f"{number}-{part}", SECOND * part + number * 1_000
            own = {"host": f"h{number}", "node_id": f"n{number}"}
            next_host = {"host": f"h{(number + 1) % count}", "node_id": f"n{(number + 1) % count}"}
            rows += [
                submit(f"s{key}", at, at + 10, "driver", submitted_task_id=key, host="a", node_id="n"),
                run(f"r{key}", at + 5_000, at + 50_000, f"s{key}", key, **own),
                submit(f"t{key}", at + 9_000, at + 9_010, f"r{key}", submitted_task_id=f"n{key}", **own),
                run(f"q{key}", at + 20_000, at + 40_000, f"t{key}", f"n{key}", **next_host),
                wait(f"w{key}", at + 20, at + 60_000, "driver", [key], host="a", node_id="n"),
            ]
    return table(*rows, recorded=True)


def test_a_thousand_hosts() -> None:
    true = many_hosts(1_000)
    is_off = pl.col("host").str.extract(r"h(\d+)").cast(pl.Int64) % 7 == 0
    shift = pl.when(is_off).then(SECOND).otherwise(0).cast(pl.Duration("ns"))
    spans = true.with_columns(pl.col("start", "end") - shift)
    offsets = clock_offsets(spans)
    assert offsets.height == 1_001
    number = offsets["host"].str.extract(r"h(\d+)").cast(pl.Int64)
    moved = offsets.filter(number % 7 == 0)
    assert moved["is_proven"].all()
    assert ((moved["lower_ns"] <= SECOND) & (moved["upper_ns"] >= SECOND)).all()
    assert not offsets.filter(number % 7 != 0)["is_proven"].any()
    assert "more host" in critical_path(spans).notes[-1]


@pytest.mark.parametrize("by_ns", [-SECOND, SECOND])
def test_the_last_sign_of_life_of_an_open_driver_is_shifted_as_its_host_is(by_ns: int) -> None:
    """The second driver is on `b`, whose clock is off, and was killed; it wrote last at 200.

    a: driver [-[s]---[get......................]--]
    b: driver   [-[s2].............................................  alive at 200
    a: run                  [====]
    """
    start = 1_700_000_000_000_000_000
    on_b = {"host": "b", "node_id": "nb", "job_id": "02", "trace_id": "u"}
    alive = f'{{"x": 1, "raytrace.alive": "2023-11-14T22:13:{20 + by_ns // SECOND}.000000200Z", "y": "z"}}'
    rows = [
        *get_from_afar(host="a", node_id="na"),
        span("driver2", 15, None, name="ray.driver", pid=2, attributes=alive, **on_b),
        submit("s2", 20, 25, "driver2", submitted_task_id="T2", **{**on_b, "pid": 2}),
        run("r2", 40, 50, "s2", "T2", host="a", node_id="na", job_id="02", trace_id="u"),
        wait("get2", 26, 60, "driver2", ["T2"], **{**on_b, "pid": 2}),
    ]
    times = ("start", "end")
    moved = [{**row, **{name: row[name] and row[name] + start for name in times}} for row in rows]
    spans = shifted(table(*moved, recorded=True), "b", by_ns)
    offset = estimates(spans)["b"]["offset_ns"]
    assert offset != 0
    ends_at = start + 200 + by_ns + offset
    assert critical_path(spans, job="02").end_ns == ends_at
    assert critical_path(correct_clocks(spans, clock_offsets(spans)), job="02").end_ns == ends_at
    attributes = correct_clocks(spans, clock_offsets(spans)).filter(span_id="driver2").item(0, "attributes")
    assert attributes.startswith('{"x": 1, "raytrace.alive": "2023-11-14T22:13:20.0000')
    assert attributes.endswith('Z", "y": "z"}')


def shifted_process(spans: pl.DataFrame, pid: int, by_ns: int) -> pl.DataFrame:
    """Shift all that a process has stamped: its spans, and what Ray says of its runs; a driver's, of all submits."""
    is_own = pl.col("pid") == pid
    shift = pl.when(is_own).then(pl.lit(by_ns, pl.Int64)).otherwise(0).cast(pl.Duration("ns"))
    is_drivers = spans.filter(is_own, category="driver").height > 0
    stamped = [name for name in EVENT_TIMES if name in spans.columns and name not in STAMPED_BY_SUBMITTER]
    submitted = [name for name in STAMPED_BY_SUBMITTER if name in spans.columns] if is_drivers else []
    by = pl.duration(nanoseconds=by_ns)
    return spans.with_columns(pl.col("start", "end", *stamped) + shift, *(pl.col(name) + by for name in submitted))


@pytest.mark.parametrize("by_ns", [-SECOND, SECOND])
def test_a_process_that_contradicts_the_others_on_its_host_is_corrected_by_itself(by_ns: int) -> None:
    other = [
        submit("s2", 11, 12, "driver", submitted_task_id="U", host="a", node_id="na"),
        run("r2", 31, 70, "s2", "U", host="a", node_id="na"),
        wait("get2", 13, 75, "driver", ["U"], host="a", node_id="na"),
    ]
    true = table(*get_from_afar(host="a", node_id="na", pid=7), *other, recorded=True)
    assert clock_offsets(true).select("host", "pid", "offset_ns").rows() == [("a", None, 0)]
    spans = shifted_process(true, 7, by_ns)
    found = clock_offsets(spans).filter("is_proven")
    assert found.select("host", "pid", "offset_ns", "lower_ns", "upper_ns").rows() == [
        ("a", 7, -by_ns - 8, -by_ns - 25, -by_ns + 5)
    ]
    path = critical_path(spans)
    assert [step[0] for step in chain(path.segments)] == ["driver", "s", "r", "r", "get", "driver"]
    assert "the clock of process 7 on a is taken to be" in path.notes[0]


def test_a_process_that_contradicts_another_host_is_corrected_by_itself() -> None:
    # Two processes on b; the clock of one of them is right, so that no shift of b would do.
    rows = [
        *get_from_afar(pid=7),
        submit("s2", 11, 12, "driver", submitted_task_id="U", host="a", node_id="na"),
        run("r2", 31, 70, "s2", "U", host="b", node_id="nb", pid=8),
        wait("get2", 13, 75, "driver", ["U"], host="a", node_id="na"),
    ]
    found = clock_offsets(shifted_process(table(*rows, recorded=True), 7, -SECOND))
    assert found.filter("is_proven").select("host", "pid").rows() == [("b", 7)]
    assert not found.get_column("is_contradictory").any()


@counted(4, 8)
def test_the_chain_of_a_program_with_one_process_shifted_is_the_true_one(count: int) -> None:
    same = proven = 0
    for seed in range(count):
        true = simulate(seed).spans
        before = whole(critical_path(true, clock_correct=False).segments).select("span_id", "category")
        for pid in true["pid"].unique().sort()[:3]:
            spans = shifted_process(true, pid, (1 if seed % 2 else -1) * (1 + seed % 5) * SECOND)
            offsets = clock_offsets(spans)
            assert not offsets["is_contradictory"].any()
            proven += offsets["is_proven"].any()
            if offsets["is_proven"].any():
                same += whole(critical_path(spans).segments).select("span_id", "category").equals(before)
    assert proven > 9
    assert same >= 0.9 * proven


@pytest.mark.parametrize("name", ["actor_pipeline-ours", "custom_spans-ours", "map_reduce-ours", "wait_loop-ours"])
@pytest.mark.parametrize("by_ns", [-5 * SECOND, SECOND // 2, 5 * SECOND])
def test_the_chain_of_a_capture_with_one_process_shifted_is_the_true_one(name: str, by_ns: int) -> None:
    found = load([Path(__file__).parent.parent / "sample_spans" / name])
    true = found.spans
    before = whole(critical_path(true).segments).select("span_id", "category")
    for pid in true["pid"].drop_nulls().unique().sort():
        spans = shifted_process(true, pid, by_ns)
        if clock_offsets(spans)["is_proven"].any():
            after = critical_path(spans).segments
            assert whole(after).select("span_id", "category").equals(before)


def test_what_cannot_be_in_one_session_leaves_others_as_they_are() -> None:
    """In one a process has a clock of its own; in the other no clock makes the times possible."""
    rows = [
        *get_from_afar(pid=7),
        submit("s2", 11, 12, "driver", submitted_task_id="U", host="a", node_id="na"),
        run("r2", 31, 70, "s2", "U", host="b", node_id="nb", pid=8),
        wait("get2", 13, 75, "driver", ["U"], host="a", node_id="na"),
    ]
    impossible = [row | {"session": "z", "trace_id": "tz", "pid": row["pid"] or 9} for row in get_from_afar()]
    impossible = [row | ({"end": 400} if row["span_id"] == "r" else {}) for row in impossible]
    one, other = shifted_process(table(*rows, recorded=True), 7, -SECOND), table(*impossible, recorded=True)
    alone = [clock_offsets(one), clock_offsets(other)]
    assert [found.get_column("is_contradictory").any() for found in alone] == [False, True]
    assert clock_offsets(pl.concat([one, other])).equals(pl.concat(alone))
