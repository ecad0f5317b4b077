"""The oracle against simulated programs whose true blocking chain is known, published cases, and nonsense."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings

from tests.oracle import OraclePath, Queues, critical_path
from tests.random_programs import Program
from tests.random_spans import random_spans, random_table, scopes, span_table
from tests.simulator import Simulation, programs, simulate
from tests.sizes import counted, first
from tests.tables import run, span, submit, table, wait

CASES = Path(__file__).parent / "cases"
SEEDS = range(400)
MODES: tuple[Queues, ...] = ("show", "follow")
MILLISECOND = 1_000_000
OVERLAPPING_SIBLINGS = {"crisp_10", "crisp_19", "crisp_20", "crisp_21"}
"""Where CRISP counts the overlap of two siblings twice."""

Link = tuple[str | None, int, int, str]


def chain(path: OraclePath) -> list[Link]:
    return [(part.span_id, part.start_ns, part.end_ns, part.category) for part in path.segments]


def job_chain(*rows: dict[str, Any], recorded: bool = True, **options: Any) -> list[Link]:
    return chain(critical_path(table(*rows, recorded=recorded), scope_id="01", **options))


def assert_tiles(path: OraclePath) -> None:
    edges = [path.start_ns, *(part.end_ns for part in path.segments)]
    assert edges[-1] == path.end_ns
    assert [part.start_ns for part in path.segments] == edges[:-1]
    assert all(part.start_ns < part.end_ns for part in path.segments)


def assert_true(simulation: Simulation, queues: Queues, spans: pl.DataFrame | None = None) -> None:
    spans = simulation.spans if spans is None else spans
    path = critical_path(spans, session=simulation.session, scope_id=simulation.job_id, queues=queues)
    found = [(part.start_ns, part.end_ns, part.span_id, part.category) for part in path.segments]
    assert found == simulation.true_chain[queues]
    assert path.end_ns - path.start_ns == simulation.makespan_ns
    assert not any(part.inferred for part in path.segments)


# Simulated programs


@pytest.mark.parametrize("queues", MODES)
@pytest.mark.parametrize("seeds", [SEEDS[:60], pytest.param(SEEDS[60:], marks=pytest.mark.slow)])
def test_chain_of_simulated_programs_is_the_true_one(queues: Queues, seeds: range) -> None:
    for seed in seeds:
        assert_true(simulate(seed), queues)


@given(programs())
@settings(max_examples=30, deadline=None)
def test_chain_of_any_simulated_program_is_the_true_one(program: Program) -> None:
    for queues in MODES:
        assert_true(simulate(program), queues)


@counted(60, 100)
def test_simulated_programs_take_every_kind_of_step(count: int) -> None:
    taken: Counter[str | None] = Counter()
    for seed in SEEDS[:count]:
        path = critical_path(simulate(seed).spans, scope_id="01000000")
        taken.update(part.via for part in path.segments)
        taken.update(part.category for part in path.segments)
    recorded = {"join", "wait", "dependency", "attempt", "creation", "submit", "actor", "slot"}
    assert set(taken) == recorded | {"self", "queue", "fetch"}
    assert min(taken[step] for step in recorded) > 5


@counted(15, 40)
@pytest.mark.parametrize("queues", MODES)
def test_clusters_whose_ids_repeat_do_not_mix(queues: Queues, count: int) -> None:
    for seed in SEEDS[:count]:
        one, other = simulate(seed, session="session-1"), simulate(seed, session="session-2")
        both = pl.concat([one.spans, other.spans])
        assert_true(one, queues, both)
        assert_true(other, queues, both)


@counted(30, 100)
@pytest.mark.parametrize("infer", [True, False])
def test_stock_spans_of_simulated_programs_are_tiled(infer: bool, count: int) -> None:
    for seed in SEEDS[:count]:
        spans = simulate(seed).stock_spans
        if spans.is_empty():
            continue
        path = critical_path(spans, scope_id="01000000", infer=infer)
        assert_tiles(path)
        assert {part.category for part in path.segments} <= {"self", "submit", "queue"}
        assert infer or not any(part.inferred for part in path.segments)


# Nonsense


def assert_every_scope_is_tiled(spans: pl.DataFrame) -> None:
    for scope in scopes(spans):
        for queues in MODES:
            assert_tiles(critical_path(spans, **scope, queues=queues, infer=queues == "follow"))


@given(random_spans())
@settings(max_examples=40, deadline=None)
def test_every_scope_of_nonsense_is_tiled(spans: pl.DataFrame) -> None:
    assert_every_scope_is_tiled(spans)


@pytest.mark.parametrize("first_seed", first(1, range(0, 200, 50)))
def test_every_scope_of_much_nonsense_is_tiled(first_seed: int) -> None:
    for seed in range(first_seed, first_seed + 50):
        assert_every_scope_is_tiled(random_table(seed))


def test_scope_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="no job 02"):
        critical_path(table(span("a", 0, 1)), scope_id="02")


# Published cases


def published(name: str) -> list[Any]:
    return list(json.loads((CASES / f"{name}.json").read_text()))


def chain_in_us(case: dict[str, Any]) -> list[tuple[str | None, int, int]]:
    rows = [
        {
            "span_id": row["span_id"],
            "parent_id": row["parent_id"],
            "kind": row["kind"] or "INTERNAL",
            "start": row["start_us"] * 1000,
            "end": (row["start_us"] + row["duration_us"]) * 1000,
        }
        for row in case["spans"]
    ]
    path = critical_path(span_table(rows), scope="trace", scope_id="t1")
    return [(part.span_id, part.start_ns // 1000, part.end_ns // 1000) for part in path.segments]


@pytest.mark.parametrize("case", published("jaeger_ui_cases"), ids=lambda case: case["name"])
def test_jaeger_sections_are_the_same(case: dict[str, Any]) -> None:
    assert chain_in_us(case) == [tuple(section) for section in reversed(case["expected"])]


@pytest.mark.parametrize("case", published("crisp_cases"), ids=lambda case: case["name"])
def test_crisp_exclusive_times_are_the_same_but_for_overlaps(case: dict[str, Any]) -> None:
    exclusive: Counter[str | None] = Counter()
    for span_id, start, end in chain_in_us(case):
        exclusive[span_id] += end - start
    expected = {span_id: time for span_id, time in case["exclusive_us"].items() if time}
    assert (exclusive == expected) == (case["name"] not in OVERLAPPING_SIBLINGS)


# Programs worked out by hand


def test_generator_that_has_not_ended_when_its_item_came() -> None:
    # driver  [s]-------[next]---]
    # gen        [-----------------------]
    rows = [
        span("driver", 0, 20, name="ray.driver"),
        submit("s", 0, 2, "driver"),
        run("gen", 4, 40, "s", task="g"),
        wait("next", 8, 12, "driver", ["g"]),
    ]
    assert job_chain(*rows) == [
        ("s", 0, 2, "submit"), ("gen", 2, 4, "queue"), ("gen", 4, 12, "self"), ("driver", 12, 20, "self"),
    ]  # fmt: skip


def test_wait_whose_result_was_there_already() -> None:
    # driver  [s]-----------[get]
    # r          [----]
    rows = [submit("s", 0, 2), run("r", 3, 8, "s", task="a"), wait("get", 10, 12, None, ["a"])]
    assert job_chain(*rows)[-2:] == [(None, 2, 10, "self"), ("get", 10, 12, "wait")]


def test_result_that_is_fetched_after_its_run() -> None:
    rows = [submit("s", 0, 2), run("r", 3, 8, "s", task="a"), wait("get", 2, 12, None, ["a"])]
    assert job_chain(*rows)[-2:] == [("r", 3, 8, "self"), ("get", 8, 12, "fetch")]


def test_path_begins_at_the_drivers_end_whatever_runs_on() -> None:
    rows = [span("driver", 0, 10, name="ray.driver"), submit("s", 0, 2, "driver"), run("r", 4, 30, "s")]
    assert job_chain(*rows) == [("s", 0, 2, "submit"), ("driver", 2, 10, "self")]


def test_task_that_waits_for_itself() -> None:
    rows = [submit("s", 0, 2), run("r", 3, 10, "s", task="a"), wait("get", 5, 10, "r", ["a"])]
    spans = [*rows, wait("main", 2, 12, None, ["a"])]
    assert job_chain(*spans)[-3:] == [("r", 3, 5, "self"), ("get", 5, 10, "wait"), ("main", 10, 12, "fetch")]


def test_circle_is_cut_above_the_span_that_started_first() -> None:
    rows = [span("a", 2, 6, "b"), span("b", 0, 9, "a")]
    assert job_chain(*rows) == [("b", 0, 2, "self"), ("a", 2, 6, "self"), ("b", 6, 9, "self")]


def test_span_without_an_end_gets_the_last_time_of_its_process() -> None:
    rows = [span("open", 0, None), span("last", 4, 9, pid=1), span("elsewhere", 1, 20, pid=2)]
    assert job_chain(*rows) == [(None, 0, 1, "self"), ("elsewhere", 1, 20, "self")]
    assert job_chain(*rows[:2]) == [("open", 0, 9, "self")]


def test_span_of_a_thread_is_adopted_by_its_task_or_else_by_the_driver() -> None:
    # driver  [--[one]--[get]-]
    # r                [--[two]]
    rows = [
        span("driver", 0, 30, name="ray.driver"),
        span("one", 2, 4),
        submit("s", 5, 6, "driver"),
        wait("get", 6, 20, "driver", ["a"]),
        run("r", 8, 20, "s", task="a", pid=7),
        span("two", 10, 19, pid=7, task_id="a"),
    ]
    assert job_chain(*rows) == [
        ("driver", 0, 2, "self"), ("one", 2, 4, "self"), ("driver", 4, 5, "self"), ("s", 5, 6, "submit"),
        ("r", 6, 8, "queue"), ("r", 8, 10, "self"), ("two", 10, 19, "self"), ("r", 19, 20, "self"),
        ("driver", 20, 30, "self"),
    ]  # fmt: skip


def test_span_that_starts_after_its_task_is_not_adopted() -> None:
    # r      [----]
    # late         [---]      in the same process, of the same task
    rows = [run("r", 0, 8, None, task="a", pid=7), span("late", 9, 12, pid=7, task_id="a")]
    assert job_chain(*rows) == [(None, 0, 9, "self"), ("late", 9, 12, "self")]


def test_run_of_another_job_is_not_entered() -> None:
    other = [submit("x", 0, 1, job_id="02"), run("r", 3, 8, "x", task="a", job_id="02")]
    rows = [submit("s", 0, 2), *other, wait("get", 2, 9, None, ["a"])]
    assert job_chain(*rows) == [("s", 0, 2, "submit"), ("get", 2, 9, "wait")]


def test_dependency_of_another_job_leaves_the_queue() -> None:
    rows = [
        run("dep", 0, 6, None, task="d", job_id="02"),
        submit("s", 0, 2, dependency_task_ids=["d"]),
        run("r", 8, 10, "s", task="a"),
    ]
    assert job_chain(*rows, wait("get", 2, 10, None, ["a"]))[:2] == [("s", 0, 2, "submit"), ("r", 2, 8, "queue")]


def test_slot_is_followed_on_the_same_process_only_and_not_for_long() -> None:
    # driver  [s][get          ]
    # held      [------]           on the process that r then got
    # r                  [-----]
    def path_when_r_starts_at(begin: int, queues: Queues = "follow") -> list[Link]:
        rows = [
            submit("s", 0, 2),
            run("held", 1, 8, None, task="h", worker_id="w"),
            run("r", begin, begin + 5, "s", task="a", worker_id="w"),
            wait("get", 2, begin + 5, None, ["a"]),
        ]
        return job_chain(*rows, queues=queues)

    late = 8 + 100 * MILLISECOND
    assert ("held", 1, 8, "self") in path_when_r_starts_at(late)
    assert ("held", 1, 8, "self") not in path_when_r_starts_at(late + 1)
    assert ("held", 1, 8, "self") not in path_when_r_starts_at(late, "show")


@pytest.mark.parametrize(
    ("is_concurrent", "other_run", "is_followed"),
    [(False, (20, 25), True), (True, (20, 25), False), (False, (5, 10), False)],
    ids=["one at a time", "concurrent", "overlapping"],
)
def test_actor_is_followed_only_where_its_runs_never_overlap(
    is_concurrent: bool, other_run: tuple[int, int], is_followed: bool
) -> None:
    method: dict[str, Any] = {"actor_id": "x", "function": "A.m", "worker_id": "w", "concurrent": is_concurrent}
    rows = [
        submit("s1", 0, 1),
        submit("s2", 1, 2),
        run("m1", 2, 8, "s1", task="a", **method),
        run("m2", 11, 14, "s2", task="b", **method),
        run("m3", *other_run, None, task="c", **method),
        wait("get", 2, 14, None, ["b"]),
        span("rest", 14, 30),
    ]
    assert (("m1", 2, 8, "self") in job_chain(*rows)) == is_followed


def test_dependency_that_was_there_when_the_submit_ended_held_nothing_up() -> None:
    rows = [
        run("dep", 0, 3, None, task="d"),
        submit("s", 1, 3, dependency_task_ids=["d"]),
        run("r", 5, 9, "s", task="a"),
        wait("get", 3, 9, None, ["a"]),
    ]
    assert job_chain(*rows)[-3:] == [("s", 1, 3, "submit"), ("r", 3, 5, "queue"), ("r", 5, 9, "self")]


def test_restarted_actor_comes_from_the_last_run_on_it() -> None:
    actor = {"actor_id": "x", "worker_id": "w"}
    rows = [
        submit("new", 0, 1, function="A.__init__"),
        run("init1", 1, 2, "new", task="n", function="A.__init__", **actor),
        submit("s", 1, 3),
        run("killed", 4, 6, "s", task="m", function="A.m", **actor),
        run("init2", 8, 10, "new", task="n", function="A.__init__", **actor),
        run("again", 11, 14, "s", task="m", function="A.m", **actor),
        wait("get", 3, 14, None, ["m"]),
    ]
    path = critical_path(table(*rows, recorded=True), scope_id="01", queues="show")
    assert chain(path) == [
        ("new", 0, 1, "submit"), ("s", 1, 3, "submit"), ("killed", 3, 4, "queue"), ("killed", 4, 6, "self"),
        ("init2", 6, 8, "queue"), ("init2", 8, 10, "self"), ("again", 10, 11, "queue"), ("again", 11, 14, "self"),
    ]  # fmt: skip
    assert [part.via for part in path.segments[-4:]] == ["creation", "creation", "wait", "wait"]


def test_task_is_walked_from_its_end_to_its_submit() -> None:
    rows = [
        submit("s1", 0, 4),
        run("dep", 1, 9, "s1", task="d"),
        submit("s2", 5, 6, dependency_task_ids=["d"]),
        run("r", 10, 12, "s2", task="a"),
    ]
    path = critical_path(table(*rows, recorded=True), scope="task", scope_id="r")
    assert chain(path) == [("dep", 5, 9, "self"), ("r", 9, 10, "queue"), ("r", 10, 12, "self")]
    assert (path.start_ns, path.end_ns) == (5, 12)


# Inference, worked out by hand


def unrecorded(*, claimed_by: str | None) -> list[dict[str, Any]]:
    """A task that submits another, which ends first or outlives it, in a driver of which nothing is known."""
    # s    [-]
    # outer   [------------]
    # s2        [-]
    # inner         [---]
    rows = [submit("s", 0, 2), run("outer", 3, 20, "s"), submit("s2", 5, 6, "outer")]
    rows.append(run("inner", 8, 15, "s2", task="i"))
    return rows if claimed_by is None else [*rows, submit("s3", 5, 6, claimed_by, dependency_task_ids=["i"])]


def test_run_that_nobody_claims_joins_the_ancestor_that_had_not_ended() -> None:
    path = critical_path(table(*unrecorded(claimed_by=None)), scope_id="01")
    assert chain(path) == [
        ("s", 0, 2, "submit"), ("outer", 2, 3, "queue"), ("outer", 3, 5, "self"), ("s2", 5, 6, "submit"),
        ("inner", 6, 8, "queue"), ("inner", 8, 15, "self"), ("outer", 15, 20, "self"),
    ]  # fmt: skip
    assert [(part.via, part.inferred) for part in path.segments] == [
        ("submit", False), ("join", False), ("join", False), ("submit", False),
        ("inferred", True), ("inferred", True), ("inferred", True),
    ]  # fmt: skip


def test_nothing_is_inferred_of_a_claimed_run_or_where_it_is_switched_off() -> None:
    claimed = job_chain(*unrecorded(claimed_by="outer"), recorded=False)
    assert claimed[-2:] == [("s3", 5, 6, "submit"), ("outer", 6, 20, "self")]
    switched_off = critical_path(table(*unrecorded(claimed_by=None)), scope_id="01", infer=False)
    assert chain(switched_off) == [("s", 0, 2, "submit"), (None, 2, 20, "self")]


@pytest.mark.parametrize("is_concurrent", [True, False])
def test_what_an_async_method_awaited_is_inferred_even_where_waits_are_recorded(is_concurrent: bool) -> None:
    rows = unrecorded(claimed_by=None)
    rows[1] |= {"actor_id": "x", "function": "A.m", "concurrent": is_concurrent, "task_id": "m"}
    path = job_chain(*rows, wait("get", 2, 20, None, ["m"]))
    assert (("inner", 8, 15, "self") in path) == is_concurrent


def test_run_joins_the_scope_where_no_ancestor_was_left() -> None:
    rows = [submit("s", 0, 2), run("outer", 3, 7, "s"), submit("s2", 5, 6, "outer"), run("inner", 8, 15, "s2")]
    path = critical_path(table(*rows), scope_id="01", queues="show")
    assert chain(path)[-2:] == [("inner", 6, 8, "queue"), ("inner", 8, 15, "self")]


@pytest.mark.parametrize(("gap", "is_followed"), [(100 * MILLISECOND, True), (100 * MILLISECOND + 1, False)])
def test_task_is_inferred_to_have_waited_for_what_ended_shortly_before(gap: int, is_followed: bool) -> None:
    rows = [submit("s1", 0, 1), submit("s2", 1, 2), run("first", 3, 9, "s1"), run("next", 9 + gap, 300 + gap, "s2")]
    path = critical_path(table(*rows), scope_id="01")
    assert (("first", 3, 9, "self") in chain(path)) == is_followed


def test_who_held_the_slot_is_not_followed_where_nothing_was_recorded_or_inferred() -> None:
    rows = [submit("s", 0, 2), run("held", 1, 8, None, worker_id="w"), run("r", 9, 12, "s", task="a", worker_id="w")]
    assert ("r", 2, 9, "queue") in job_chain(*rows, wait("get", 2, 12, None, ["a"]), recorded=False, infer=False)
    assert ("r", 8, 9, "queue") in job_chain(*rows, wait("get", 2, 12, None, ["a"]), recorded=True, infer=False)


# Ties


def test_submit_wins_over_a_run_that_ended_at_the_same_time() -> None:
    rows = [submit("s", 0, 2), run("r", 3, 9, "s"), submit("late", 5, 9)]
    assert job_chain(*rows, recorded=False)[-1] == ("late", 5, 9, "submit")


def test_of_runs_that_end_together_the_one_that_started_first_counts() -> None:
    rows = [
        submit("s1", 0, 1),
        submit("s2", 1, 2),
        run("a", 3, 9, "s1", task="a"),
        run("b", 4, 9, "s2", task="b"),
        wait("get", 2, 9, None, ["a", "b"]),
    ]
    assert job_chain(*rows)[-1] == ("a", 3, 9, "self")


def test_of_equals_the_greater_id_counts() -> None:
    assert job_chain(span("a", 0, 9), span("b", 0, 9)) == [("b", 0, 9, "self")]
