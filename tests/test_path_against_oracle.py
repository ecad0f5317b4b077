"""Two independent readings of one definition, the engine by columns and the plain oracle, agree in every segment."""

from collections.abc import Sequence
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings

from raytrace_analyze import CriticalPath, critical_path
from tests import oracle
from tests.random_actors import random_actors
from tests.random_questions import random_questions
from tests.random_spans import random_spans, random_table, scopes
from tests.random_wakers import random_room, random_wakers
from tests.simulator import simulate
from tests.sizes import counted, first
from tests.tables import whole

MODES = [(queues, infer) for queues in ("follow", "show") for infer in (True, False)]


def ours(spans: pl.DataFrame, scope: str, session: str | None, scope_id: str, **options: Any) -> CriticalPath:
    named = f"{session}/{scope_id}" if scope == "job" else scope_id
    # The oracle knows no clocks.
    return critical_path(spans, **{scope: named}, **options, clock_correct=False)


CHAIN = ("start_ns", "end_ns", "category", "span_id")
MARKS = ("via", "inferred")
JOB = {"scope": "job", "session": "s1", "scope_id": "j1"}


def assert_equal(
    spans: pl.DataFrame, scope: dict[str, Any], queues: str, infer: bool, columns: tuple[str, ...] = CHAIN
) -> None:
    expected = oracle.critical_path(spans, queues=queues, infer=infer, **scope)
    found = ours(spans, queues=queues, infer=infer, **scope)
    assert (found.start_ns, found.end_ns) == (expected.start_ns, expected.end_ns)
    segments = list(whole(found.segments).select(columns).iter_rows())
    assert own_time_whole(segments) == own_time_whole(
        [tuple(getattr(part, name) for name in columns) for part in expected.segments]
    )


def own_time_whole(segments: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Put the pieces of a span's own time together that only differ in what the thread did (`activity`)."""
    joined: list[tuple[Any, ...]] = []
    for start, end, *about in segments:
        if joined and about[0] == "self" and list(joined[-1][2:]) == about:
            joined[-1] = (joined[-1][0], end, *about)
        else:
            joined.append((start, end, *about))
    return joined


def check_random_tables(seeds: range) -> None:
    for seed in seeds:
        spans = random_table(seed, 20)
        for scope in scopes(spans):
            for queues, infer in MODES:
                assert_equal(spans, scope, queues, infer)


def check_programs(seeds: range) -> None:
    for seed in seeds:
        program = simulate(seed)
        scope = {"scope": "job", "session": program.session, "scope_id": program.job_id}
        for queues, infer in MODES:
            assert_equal(program.spans, scope, queues, infer, CHAIN + MARKS)
            assert_equal(program.stock_spans, scope, queues, infer, CHAIN + MARKS)
        for queues, chain in program.true_chain.items():
            path = critical_path(program.spans, queues=queues)
            assert list(whole(path.segments).select("start_ns", "end_ns", "span_id", "category").iter_rows()) == chain
            assert path.makespan_ns == program.makespan_ns


def test_on_nonsense() -> None:
    check_random_tables(range(4))


def test_on_simulated_programs_and_their_known_truth() -> None:
    check_programs(range(5))


@pytest.mark.parametrize("seeds", first(1, ((6, 8, 13, 19, 21, 29, 102, 506), (*range(30), 102, 286, 363, 370, 506))))
def test_on_asynchronous_actors_and_idle_threads(seeds: Sequence[int]) -> None:
    """Each rule is reached: what lets go on, deliveries and polls that were waited for, on the path."""
    ways, lengthened = set(), {"ray.delivery": 0, "ray.wait": 0}
    for seed in seeds:
        spans = random_actors(seed)
        moved = {span.span_id: span.name for span in oracle.prepare(spans) if span.is_idle_wait}
        for scope in scopes(spans)[: None if seed < 10 or seed > 100 else 2]:
            assert_equal(spans, scope, "follow", True, CHAIN + MARKS)
            path = oracle.critical_path(spans, **scope).segments
            ways |= {part.via for part in path}
            for part in path:
                if part.span_id in moved:
                    lengthened[moved[part.span_id]] += 1
    assert {"consumer", "cancel", "actor"} <= ways
    assert all(lengthened.values())


@counted(40, 120)
def test_on_methods_that_let_each_other_go_on(count: int) -> None:
    let_go = {True: 0, False: 0}
    for seed in range(count):
        spans = random_wakers(seed)
        assert_equal(spans, JOB, "follow", True, CHAIN + MARKS)
        path = oracle.critical_path(spans, **JOB).segments
        let_go["sampled_times" in spans.filter(span_id="a0")["attributes"][0]] += any(
            one.via == "waker" for one in path
        )
    assert all(let_go.values())


@counted(30, 80)
def test_on_placement_groups_that_somebody_made_room_for(count: int) -> None:
    led = 0
    for seed in range(count):
        spans = random_room(seed)
        assert_equal(spans, JOB, "follow", True, CHAIN + MARKS)
        led += any(one.via == "wait" for one in oracle.critical_path(spans, **JOB).segments)
    assert count / 4 < led < count


@counted(40, 120)
def test_on_questions_until_the_answer_changes(count: int) -> None:
    """Some of the loops are taken to have waited for who changed the answer, and some are not."""
    waited_for = 0
    for seed in range(count):
        spans = random_questions(seed)
        assert_equal(spans, JOB, "follow", True, CHAIN + MARKS)
        waited_for += any(span.is_idle_wait for span in oracle.prepare(spans))
    assert count / 10 < waited_for < count * 2 / 3


@counted(5, 12)
def test_siblings_that_overlap_a_little_on_nonsense(count: int) -> None:
    differs = 0
    for seed in range(count):
        spans = random_table(seed, 20)
        for scope in scopes(spans):
            expected = oracle.critical_path(spans, **scope, overlap_tolerance=0.3)
            found = ours(spans, **scope, overlap_tolerance=0.3)
            segments = list(whole(found.segments).select(CHAIN).iter_rows())
            assert segments == [tuple(getattr(part, name) for name in CHAIN) for part in expected.segments]
            differs += expected != oracle.critical_path(spans, **scope)
    assert differs


@given(random_spans())
@settings(max_examples=6, deadline=None)
def test_on_nonsense_that_shrinks(spans: pl.DataFrame) -> None:
    for scope in scopes(spans):
        for queues, infer in MODES:
            assert_equal(spans, scope, queues, infer)


@pytest.mark.slow
def test_on_much_nonsense() -> None:
    check_random_tables(range(4, 1000))


@pytest.mark.slow
def test_on_many_programs() -> None:
    check_programs(range(5, 1000))
