"""Who waits for whom in what had not ended."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

import raytrace_analyze as rt
from raytrace_analyze.cli import app
from raytrace_analyze.table.events.attempts import with_event_columns
from tests.simulated_events import event_table
from tests.tables import Row, run, span, submit, table, wait

ACTOR = {name: f"{name}{'0' * 23}01000000" for name in "ab"}
"""Ids as Ray makes them: 32 digits."""


def method(number: int, actor: str) -> str:
    """The id of a method's call: it holds that of its actor."""
    return f"{number:016x}{ACTOR[actor]}"


def task(number: int) -> str:
    return f"{number:016x}{'f' * 24}01000000"


def open_wait(span_id: str, start: int, parent: str, asked: list[str] | None, **columns: Any) -> Row:
    told = {} if asked is None else {"attributes": json.dumps({"raytrace.awaited_task_ids": asked})}
    return wait(span_id, start, None, parent, [], **told, **columns)  # type: ignore[arg-type]


def driver(**attributes: Any) -> Row:
    return span("d", 0, None, category="driver", name="ray.driver", attributes=json.dumps(attributes))


def two_that_wait_for_each_other(*, recorded: bool = True) -> pl.DataFrame:
    """
    d      |sA|sB|== get A.ask, B.ask ==...
    A.ask        |sb|== get B.answer ==...         B.answer cannot start: B runs ask
    B.ask        |sa|== get A.answer ==...         A.answer cannot start: A runs ask
    """
    a, b = {"actor_id": ACTOR["a"], "function": "A.ask"}, {"actor_id": ACTOR["b"], "function": "B.ask"}
    awaited = (lambda *asked: list(asked)) if recorded else (lambda *_: None)
    return table(
        driver(),
        submit("sA", 1, 2, "d", submitted_task_id=method(1, "a"), **a),
        submit("sB", 3, 4, "d", submitted_task_id=method(2, "b"), **b),
        open_wait("w", 5, "d", awaited(method(1, "a"), method(2, "b"))),
        run("A", 10, None, "sA", method(1, "a"), **a),
        run("B", 10, None, "sB", method(2, "b"), **b),
        submit("sb", 11, 12, "A", submitted_task_id=method(3, "b"), function="B.answer"),
        submit("sa", 11, 12, "B", submitted_task_id=method(4, "a"), function="A.answer"),
        open_wait("wA", 13, "A", awaited(method(3, "b"))),
        open_wait("wB", 13, "B", awaited(method(4, "a"))),
        recorded=True,
    )


@pytest.mark.parametrize("recorded", [True, False])
def test_two_actors_that_wait_for_each_other_are_a_circle(recorded: bool) -> None:
    found = rt.hang(two_that_wait_for_each_other(recorded=recorded))
    assert found.is_hung
    (circle,) = found.circles
    assert set(circle) == {method(1, "a"), method(2, "b"), method(3, "b"), method(4, "a")}
    certain = found.waits.filter(pl.col("circle").is_not_null(), reason="result")["certain"]
    assert certain.to_list() == [recorded] * 2
    assert found.unknown_waits == (0 if recorded else 3)


def stopped_from_outside(hung: pl.DataFrame, stopped_by: str) -> pl.DataFrame:
    """The same spans where somebody stopped the program: what was open ended then."""
    late = pl.when(pl.col("span_id").is_in(["d", "w"])).then(100).otherwise(130)
    return hung.with_columns(
        end=pl.col("end").fill_null(late.cast(hung["end"].dtype)),
        status=pl.when(pl.col("end").is_null()).then(pl.lit("ERROR", hung["status"].dtype)).otherwise("status"),
        status_message=pl.when(pl.col("end").is_null()).then(pl.lit(stopped_by)).otherwise("status_message"),
    )


@pytest.mark.parametrize("stopped_by", ["KeyboardInterrupt: ", "SystemExit: 15"])
def test_what_was_open_when_somebody_stopped_the_program_hangs(stopped_by: str) -> None:
    hung = two_that_wait_for_each_other()
    stopped = stopped_from_outside(hung, stopped_by)
    assert rt.hang(stopped).circles == rt.hang(hung).circles
    assert rt.hang(stopped).is_hung


def test_a_program_that_failed_by_itself_hangs_nowhere() -> None:
    spans = table(
        span("d", 0, 100, category="driver", name="ray.driver", status="ERROR", status_message="ValueError: 1"),
        submit("s", 1, 2, "d", submitted_task_id=task(1)),
        run("r", 10, 200, "s", task(1)),
        wait("w", 3, 90, "d", [], status="ERROR", status_message="ValueError: 1"),
        recorded=True,
    )
    assert not rt.hang(spans).open_spans


def test_the_circle_is_told_in_words(tmp_path: Any) -> None:
    rt.write_table(two_that_wait_for_each_other(), tmp_path / "spans.parquet")
    done = CliRunner().invoke(app, ["hang", str(tmp_path / "spans.parquet")])
    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    assert "they wait for each other" in said
    for part in ("`A.ask` on actor a00000", "`B.answer` on actor b00000 cannot start: its actor runs `B.ask`"):
        assert part in said


def test_the_one_that_everybody_waits_for() -> None:
    """
    d     |s1|s2|s3|== get 2, 3 ==...
    1       |---- runs, idle in socket.recv ...
    2, 3    take the result of 1
    """
    idle = json.dumps({"stretches": [{"start_ns": 5, "end_ns": 9, "in": "socket.recv", "at": "etl.py:42"}]})
    spans = table(
        driver(),
        submit("s1", 1, 2, "d", submitted_task_id=task(1), function="load"),
        submit("s2", 2, 3, "d", submitted_task_id=task(2), dependency_task_ids=[task(1)], function="use"),
        submit("s3", 3, 4, "d", submitted_task_id=task(3), dependency_task_ids=[task(1)], function="use"),
        open_wait("w", 5, "d", [task(2), task(3)]),
        run("r1", 4, None, "s1", task(1), function="load", attributes=json.dumps({"raytrace.idle": idle})),
        recorded=True,
    )
    found = rt.hang(spans)
    assert found.circles == ()
    (blocker,) = found.blockers
    assert (blocker.key, blocker.waiters, blocker.idle_in) == (task(1), 3, "socket.recv at etl.py:42")


def open_await(
    span_id: str, start: int, parent: str, awaited: str, place: str = "lock.py:7", held_by: tuple[str, ...] = ()
) -> Row:
    told: dict[str, Any] = {"raytrace.awaited": awaited, "raytrace.call_site": place}
    if held_by:
        told["raytrace.held_by"] = held_by
    return wait(span_id, start, None, parent, [], attributes=json.dumps(told))


def in_words(spans: pl.DataFrame, tmp_path: Any) -> str:
    rt.write_table(spans, tmp_path / "spans.parquet")
    return " ".join(CliRunner().invoke(app, ["hang", str(tmp_path / "spans.parquet")]).output.split())


def test_an_event_that_nobody_sets_is_named_with_its_place(tmp_path: Any) -> None:
    gate = {"actor_id": ACTOR["a"], "function": "Gate.enter"}
    spans = table(
        driver(),
        submit("s", 1, 2, "d", submitted_task_id=method(1, "a"), **gate),
        open_wait("w", 5, "d", [method(1, "a")]),
        run("r", 6, None, "s", method(1, "a"), **gate),
        open_await("e", 7, "r", "asyncio.Event.wait"),
        recorded=True,
    )
    found = rt.hang(spans)
    (blocker,) = found.blockers
    assert (blocker.function, blocker.idle_in) == ("Gate.enter", "asyncio.Event.wait at lock.py:7")
    assert found.unknown_waits == 0
    assert "waits in asyncio.Event.wait at lock.py:7, which nothing let go on" in in_words(spans, tmp_path)


def test_a_lock_may_be_held_by_another_call_that_goes_on_there(tmp_path: Path) -> None:
    """
    A.transfer  |holds A's lock|== get B.deposit ==...        A.deposit  waits for A's lock
    B.transfer  |holds B's lock|== get A.deposit ==...        B.deposit  waits for B's lock
    """
    rows = [driver(), open_wait("w", 9, "d", [method(1, "a"), method(1, "b")])]
    for own, other in ("ab", "ba"):
        moves, puts = {"function": "Account.transfer"}, {"function": "Account.deposit"}
        rows += [
            # Whoever called the same method before gave the lock back.
            submit(f"s0{own}", 1, 2, "d", submitted_task_id=method(0, own), **puts),
            run(f"r0{own}", 2, 3, f"s0{own}", method(0, own), actor_id=ACTOR[own], **puts),
            submit(f"s1{own}", 4, 5, "d", submitted_task_id=method(1, own), **moves),
            run(f"r1{own}", 6, None, f"s1{own}", method(1, own), actor_id=ACTOR[own], **moves),
            submit(f"s2{own}", 10, 11, f"r1{own}", submitted_task_id=method(2, other), **puts),
            open_wait(f"w1{own}", 12, f"r1{own}", [method(2, other)]),
            run(f"r2{own}", 13, None, f"s2{own}", method(2, other), actor_id=ACTOR[other], **puts),
            open_await(f"a2{own}", 14, f"r2{own}", "asyncio.Lock.acquire"),
        ]
    (circle,) = rt.hang(table(*rows, recorded=True)).circles
    assert set(circle) == {method(number, name) for number in (1, 2) for name in "ab"}
    said = in_words(table(*rows, recorded=True), tmp_path)
    assert "`Account.deposit` on actor a00000 waits for what `Account.transfer` on actor a00000 took there" in said


def test_who_needs_what_a_call_holds_that_waits_for_somebody_cannot_let_it_go_on(tmp_path: Path) -> None:
    """
    Store.change   |has the semaphore|== waits for the condition ==...
    Store.notify                      |== waits for the semaphore ==...
    """
    rows = [driver(), open_wait("w", 9, "d", [method(1, "a"), method(2, "a")])]
    for number, name in enumerate(("Store.change", "Store.notify"), 1):
        rows += [
            submit(f"s{number}", 4, 5, "d", submitted_task_id=method(number, "a"), function=name),
            run(f"r{number}", 5 + number, None, f"s{number}", method(number, "a"), actor_id=ACTOR["a"], function=name),
        ]
    rows += [
        open_await("c", 7, "r1", "asyncio.Condition.wait"),
        open_await("l", 8, "r2", "asyncio.Semaphore.acquire", held_by=("r1",)),
    ]
    spans = table(*rows, recorded=True)
    (blocker,) = rt.hang(spans).blockers
    assert (blocker.function, blocker.needed_by) == ("Store.change", ("Store.notify",))
    said = in_words(spans, tmp_path)
    assert "which nothing let go on; `Store.notify` waits for what it holds: if that was to let it go on, they" in said


def test_what_began_only_after_somebody_had_stopped_the_program_had_not_come() -> None:
    """
    d     |s|== get f and g ======x          stopped, with what f gave
    f        [==]
    g                               [=]      its process had taken long to start
    """
    told = json.dumps({"raytrace.awaited_count": 2, "raytrace.awaited_task_ids": [task(2)]})
    stopped = {"status": "ERROR", "status_message": "SystemExit: 15"}
    spans = table(
        {**driver(), "end": 60, **stopped},
        submit("s", 1, 2, "d", submitted_task_id=task(1), function="f"),
        submit("t", 2, 3, "d", submitted_task_id=task(2), function="g"),
        run("r", 4, 10, "s", task(1), function="f"),
        wait("w", 5, 59, "d", [task(1)], attributes=told, **stopped),
        run("u", 70, 80, "t", task(2), function="g"),
        recorded=True,
    )
    (blocker,) = rt.hang(spans).blockers
    assert (blocker.function, blocker.state) == ("g", "pending")
    waits = rt.critical_path(spans, job="01").segments.filter(span_id="w")
    assert set(waits["category"]) == {"wait"}


@pytest.mark.parametrize("waits_in", ["await", "ray.get"])
def test_a_task_that_waits_for_a_future_keeps_its_slot(waits_in: str) -> None:
    """
    outer   == inner.remote().future().result() ==...      it has the only slot
    inner   never started
    """
    told = json.dumps({"raytrace.awaited_count": 1, "raytrace.awaited_task_ids": [task(2)]})
    spans = table(
        driver(**{"raytrace.cluster_resources": '{"CPU":1}'}),
        submit("s", 1, 2, "d", submitted_task_id=task(1), function="outer"),
        open_wait("w", 3, "d", [task(1)]),
        run("r", 4, None, "s", task(1), function="outer"),
        submit("t", 5, 6, "r", submitted_task_id=task(2), function="inner"),
        wait("a", 7, None, "r", [], name=waits_in, attributes=told),
        recorded=True,
    )
    circles = [{task(1), task(2)}] if waits_in == "await" else []
    assert [set(circle) for circle in rt.hang(spans).circles] == circles


def two_in_one_actor(*, one_place: bool, third: bool = False, held_by: bool = False) -> pl.DataFrame:
    """
    Bank.to_b   |holds a|== wants b ==...          an earlier call of it had both, and gave them back
    Bank.to_a   |holds b|== wants a ==...
    """
    bank = ACTOR["a"]
    rows = [
        driver(),
        submit("s0", 1, 2, "d", submitted_task_id=method(0, "a"), function="Bank.to_b"),
        run("r0", 2, 3, "s0", method(0, "a"), actor_id=bank, function="Bank.to_b"),
        open_wait("w", 9, "d", [method(1, "a"), method(2, "a")]),
    ]
    for number, name in enumerate(("Bank.to_b", "Bank.to_a", *(("Bank.to_a",) if third else ())), 1):
        holder = {1: "r2", 2: "r1", 3: "r1"}[number]
        place = "bank.py:7" if one_place else f"bank.py:{number}"
        rows += [
            submit(f"s{number}", 4, 5, "d", submitted_task_id=method(number, "a"), function=name),
            run(f"r{number}", 5 + number, None, f"s{number}", method(number, "a"), actor_id=bank, function=name),
            open_await(f"a{number}", 20, f"r{number}", "asyncio.Lock.acquire", place, (holder,) if held_by else ()),
        ]
    return table(*rows, recorded=True)


def test_two_calls_of_an_actor_that_hold_what_the_other_wants_wait_for_each_other() -> None:
    found = rt.hang(two_in_one_actor(one_place=False))
    assert [set(circle) for circle in found.circles] == [{method(1, "a"), method(2, "a")}]
    assert set(found.waits.filter(reason="held")["certain"]) == {False}


@pytest.mark.parametrize("one_place", [True, False])
@pytest.mark.parametrize("third", [True, False])
def test_whose_lock_is_recorded_is_in_no_doubt(one_place: bool, third: bool, tmp_path: Path) -> None:
    spans = two_in_one_actor(one_place=one_place, third=third, held_by=True)
    found = rt.hang(spans)
    assert [set(circle) for circle in found.circles] == [{method(1, "a"), method(2, "a")}]
    assert set(found.waits.filter(reason="held")["certain"]) == {True}
    said = in_words(spans, tmp_path)
    assert "`Bank.to_b` on actor a00000 waits for what `Bank.to_a` on actor a00000 took there" in said
    assert "taken from what is open" not in said


def test_a_call_that_takes_a_lock_twice_waits_for_itself(tmp_path: Path) -> None:
    spans = table(
        driver(),
        submit("s", 4, 5, "d", submitted_task_id=method(1, "a"), function="Cache.clear"),
        open_wait("w", 5, "d", [method(1, "a")]),
        run("r", 6, None, "s", method(1, "a"), actor_id=ACTOR["a"], function="Cache.clear"),
        open_await("e", 7, "r", "asyncio.Lock.acquire", held_by=("r",)),
        recorded=True,
    )
    assert rt.hang(spans).circles == ((method(1, "a"),),)
    assert "it waits for itself" in in_words(spans, tmp_path)


@pytest.mark.parametrize("is_over", [True, False])
def test_a_lock_that_a_call_took_and_kept_is_held_by_who_made_it(is_over: bool, tmp_path: Path) -> None:
    """
    take    |==lock==|........        `Locks.lock` took the lock for it
    want        |==lock==...          `Locks.try_lock` waits for it
    """
    locks = {"actor_id": ACTOR["a"]}
    spans = table(
        driver(),
        submit("s1", 1, 2, "d", submitted_task_id=task(1), function="take"),
        run("r1", 2, 15 if is_over else None, "s1", task(1), function="take"),
        submit("t1", 3, 4, "r1", submitted_task_id=method(1, "a"), function="Locks.lock"),
        run("u1", 5, 6, "t1", method(1, "a"), function="Locks.lock", **locks),
        submit("s2", 1, 2, "d", submitted_task_id=task(2), function="want"),
        run("r2", 7, None, "s2", task(2), function="want"),
        submit("t2", 8, 9, "r2", submitted_task_id=method(2, "a"), function="Locks.try_lock"),
        run("u2", 10, None, "t2", method(2, "a"), function="Locks.try_lock", **locks),
        open_await("a", 11, "u2", "asyncio.Lock.acquire", held_by=("u1",)),
        open_wait("x", 11, "r2", [method(2, "a")]),
        open_wait("w", 9, "d", [task(1), task(2)]),
        recorded=True,
    )
    said = in_words(spans, tmp_path)
    assert ("which waits for what `take` took there, which ended without giving it back" in said) == is_over
    assert ("`Locks.try_lock` on actor a00000 waits for what `take` (000000) took there" in said) == (not is_over)


@pytest.mark.parametrize("producer", ["failed", "over", "open"])
def test_who_put_the_last_item_is_named_where_it_is_over(producer: str, tmp_path: Path) -> None:
    """
    consume   |==get q==|...== get q ==...     waits for an item
    produce   |==put q==|x                     which was to put more
    """
    on_queue = {"actor_id": ACTOR["a"]}
    ended = {"status": "ERROR", "status_message": "ValueError: source gone\n..."} if producer == "failed" else {}
    spans = table(
        driver(),
        submit("sc", 1, 2, "d", submitted_task_id=task(1), function="consume"),
        run("c", 3, None, "sc", task(1), function="consume"),
        submit("sp", 1, 2, "d", submitted_task_id=task(2), function="produce"),
        run("p", 3, None if producer == "open" else 20, "sp", task(2), function="produce", **ended),
        submit("su", 5, 6, "p", submitted_task_id=method(1, "a"), function="Q.put"),
        run("u", 7, 8, "su", method(1, "a"), function="Q.put", **on_queue),
        submit("sg", 9, 10, "c", submitted_task_id=method(2, "a"), function="Q.get"),
        run("g", 11, None, "sg", method(2, "a"), function="Q.get", **on_queue),
        open_await("e", 12, "g", "asyncio.Queue.get"),
        open_wait("w", 12, "c", [method(2, "a")]),
        open_wait("v", 12, "d", [task(1)]),
        recorded=True,
    )
    said = in_words(spans, tmp_path)
    assert "`Q.get` on actor a00000, which waits in asyncio.Queue.get at lock.py:7" in said
    last = {"failed": "failed (ValueError: source gone)", "over": "is over"}.get(producer)
    assert ("was called there last" in said) == (last is not None)
    assert last is None or f": `Q.put` was called there last by `produce`, which {last}." in said


@pytest.mark.parametrize("holder", ["open", "over", "gave back"])
def test_locks_that_actors_keep_have_holders(holder: str, tmp_path: Any) -> None:
    """
    P    |==acquire a==|........|== get b.acquire ==...      which Q took
    Q      |==acquire b==|......|== get a.acquire ==...      which P took
    """
    rows = [driver()]
    for number, flow in enumerate("PQ"):
        own, other = ("a", "b") if flow == "P" else ("b", "a")
        function = {"function": "Lock.acquire"}
        rows += [
            submit(f"s{flow}", 1 + number, 3, "d", submitted_task_id=task(number), function="transfer"),
            run(flow, 5, None, f"s{flow}", task(number), function="transfer"),
            submit(f"t{flow}", 6, 7, flow, submitted_task_id=method(10 + number, own), **function),
            run(f"u{flow}", 8, 9, f"t{flow}", method(10 + number, own), actor_id=ACTOR[own], **function),
            submit(f"v{flow}", 20, 21, flow, submitted_task_id=method(20 + number, other), **function),
            run(f"x{flow}", 22, None, f"v{flow}", method(20 + number, other), actor_id=ACTOR[other], **function),
            open_await(f"y{flow}", 23, f"x{flow}", "asyncio.Lock.acquire"),
            open_wait(f"z{flow}", 24, flow, [method(20 + number, other)]),
        ]
    if holder == "over":
        rows[2] = run("P", 5, 19, "sP", task(0), function="transfer")
        rows = [row for row in rows if row["span_id"] not in ("vP", "xP", "yP", "zP")]
    if holder == "gave back":
        release = {"function": "Lock.release"}
        rows += [
            submit("g", 12, 13, "P", submitted_task_id=method(30, "a"), **release),
            run("h", 14, 15, "g", method(30, "a"), actor_id=ACTOR["a"], **release),
        ]
    spans = table(*rows, recorded=True)
    found, text = rt.hang(spans), in_words(spans, tmp_path)
    if holder == "open":
        (circle,) = found.circles
        assert set(circle) == {task(0), task(1), method(20, "b"), method(21, "a")}
        assert set(found.waits.filter(reason="held")["certain"]) == {False}
        assert "took there and has not given back" in text
        return
    assert found.circles == ()
    waiting = next(blocker for blocker in found.blockers if blocker.key == method(21, "a"))
    assert waiting.held_by == ("transfer" if holder == "over" else None)
    assert ("which ended without giving it back" in text) == (holder == "over")


def test_an_actor_that_keeps_several_locks_in_futures_has_their_holders(tmp_path: Path) -> None:
    """
    P    |==lock A==|........|== get lock B ==...      which Q took, of the same actor
    Q      |==lock B==|......|== get lock A ==...      which P took
    """
    rows = [driver()]
    about = {"actor_id": ACTOR["a"], "function": "Locks.lock"}
    for number, flow in enumerate("PQ"):
        rows += [
            submit(f"s{flow}", 1 + number, 3, "d", submitted_task_id=task(number), function="transfer"),
            run(flow, 5, None, f"s{flow}", task(number), function="transfer"),
            submit(f"t{flow}", 6, 7, flow, submitted_task_id=method(10 + number, "a"), function="Locks.lock"),
            run(f"u{flow}", 8 + number, 9 + number, f"t{flow}", method(10 + number, "a"), **about),
            submit(f"v{flow}", 20, 21, flow, submitted_task_id=method(20 + number, "a"), function="Locks.lock"),
            run(f"x{flow}", 22 + number, None, f"v{flow}", method(20 + number, "a"), **about),
            open_await(f"y{flow}", 24, f"x{flow}", "asyncio.Future"),
            open_wait(f"z{flow}", 24, flow, [method(20 + number, "a")]),
        ]
    (circle,) = rt.hang(table(*rows, recorded=True)).circles
    assert set(circle) == {task(0), task(1), method(20, "a"), method(21, "a")}
    # What is no lock by its name may be let go by anybody.
    others = [{**row, **({"function": "Box.get"} if row.get("function") == "Locks.lock" else {})} for row in rows]
    assert not rt.hang(table(*others, recorded=True)).is_hung


def test_who_has_not_come_to_a_barrier_is_waited_for_there(tmp_path: Path) -> None:
    """
    P, Q   |== get meet.wait ==...     each holds a CPU
    R      cannot start: its actor has no slot
    """
    needs = {"attributes": json.dumps({"raytrace.resources": '{"CPU":1}'})}
    rows = [driver()]
    for number, name in enumerate("PQR", 1):
        actor = f"{name.lower()}{'0' * 23}01000000"
        call, made = f"{number:016x}{actor}", f"{'f' * 16}{actor}"
        rows += [
            submit(f"m{name}", 1, 2, "d", submitted_task_id=made, function="Party.__init__", **needs),
            submit(f"s{name}", 3, 4, "d", submitted_task_id=call, function="Party.run"),
        ]
        if name == "R":
            continue
        about = {"actor_id": ACTOR["b"], "function": "Meet.wait"}
        rows += [
            run(f"i{name}", 4, 5, f"m{name}", made, actor_id=actor, function="Party.__init__"),
            run(name, 6, None, f"s{name}", call, actor_id=actor, function="Party.run"),
            submit(f"t{name}", 7, 8, name, submitted_task_id=method(number, "b"), function="Meet.wait"),
            run(f"u{name}", 9, None, f"t{name}", method(number, "b"), **about),
            open_await(f"y{name}", 10, f"u{name}", "threading.Barrier.wait"),
            open_wait(f"z{name}", 11, name, [method(number, "b")]),
        ]
    spans = table(*rows, recorded=True)
    assert rt.hang(spans).is_hung
    said = in_words(spans, tmp_path)
    assert "`Meet.wait` on actor b00000 waits at a barrier, where `Party.run` on actor r00000 has not come" in said
    assert "`Party.__init__` on actor r00000 has no free slot" in said and "they wait for each other" in said


def test_slots_held_by_actors_that_wait_for_tasks_without_a_slot() -> None:
    """
    d     |c: A.__init__, holds the only CPU|s|== get A.run ==...
    A.run     |s1|== get 1 ==...        1 has no slot: A holds it
    """
    held = {"attributes": json.dumps({"raytrace.resources": '{"CPU":1}'})}
    a = {"actor_id": ACTOR["a"], "function": "A.run"}
    spans = table(
        driver(**{"raytrace.cluster_resources": '{"CPU":1}'}),
        submit("c", 1, 2, "d", submitted_task_id=method(9, "a"), function="A.__init__", **held),
        run("ca", 2, 3, "c", method(9, "a"), actor_id=ACTOR["a"], function="A.__init__"),
        submit("s", 4, 5, "d", submitted_task_id=method(1, "a"), **a),
        open_wait("w", 5, "d", [method(1, "a")]),
        run("A", 6, None, "s", method(1, "a"), **a),
        submit("s1", 7, 8, "A", submitted_task_id=task(1), function="work"),
        open_wait("wA", 8, "A", [task(1)]),
        recorded=True,
    )
    (circle,) = rt.hang(spans).circles
    assert set(circle) == {method(1, "a"), task(1)}


@pytest.mark.parametrize("asked", [{"CPU": 64}, {"memory": 64_000_000_000}])
def test_a_demand_that_no_node_can_meet(asked: dict[str, int]) -> None:
    big = {"attributes": json.dumps({"raytrace.resources": json.dumps(asked)})}
    spans = table(
        driver(**{"raytrace.cluster_resources": '{"CPU":4,"memory":16000000000.0}'}),
        submit("s", 1, 2, "d", submitted_task_id=task(1), function="big", **big),
        open_wait("w", 3, "d", [task(1)]),
        recorded=True,
    )
    (blocker,) = rt.hang(spans).blockers
    assert (blocker.key, blocker.state, json.loads(blocker.demand or "")) == (task(1), "pending", asked)


def test_what_says_on_which_node_to_run_is_neither_missing_nor_held(tmp_path: Path) -> None:
    # The record of the cluster leaves out what each node has for itself; a thousandth of that is in no one's way.
    there = {"attributes": json.dumps({"raytrace.resources": '{"node:__internal_head__":0.001}'})}
    spans = table(
        driver(**{"raytrace.cluster_resources": '{"CPU":4}'}),
        submit("s1", 1, 2, "d", submitted_task_id=task(1), function="first", **there),
        run("r1", 3, None, "s1", task(1), function="first"),
        submit("s2", 1, 2, "d", submitted_task_id=task(2), function="second", **there),
        open_wait("w", 3, "d", [task(2)]),
        recorded=True,
    )
    said = in_words(spans, tmp_path)
    assert "no node of the cluster" not in said
    assert "`first`" not in said


@pytest.mark.parametrize("stopped_by", ["", "SIGTERM", "ValueError: 1"])
def test_what_nobody_waits_for_and_cannot_start_is_named_beside_a_driver_that_sleeps(
    stopped_by: str, tmp_path: Path
) -> None:
    # The driver is stopped outside of all waits, which is as good as in one; a program that fails has not hung.
    big = {"attributes": json.dumps({"raytrace.resources": '{"CPU":64}'})}
    idle = json.dumps({"stretches": [{"start_ns": 1, "end_ns": 9, "in": "time.sleep", "at": "etl.py:9"}]})
    ended = {"end": 100, "status": "ERROR", "status_message": stopped_by} if stopped_by else {"end": None}
    about = json.dumps({"raytrace.cluster_resources": '{"CPU":4}', "raytrace.idle": idle})
    spans = table(
        span("d", 0, ended.pop("end"), category="driver", name="ray.driver", attributes=about, **ended),
        submit("s", 1, 2, "d", submitted_task_id=task(1), function="big", **big),
        recorded=True,
    )
    said = in_words(spans, tmp_path)
    hung = stopped_by != "ValueError: 1"
    assert ("cannot start: no node of the cluster has what it asks for" in said) is hung
    assert ("was still running, idle in time.sleep at etl.py:9" in said) is hung


def test_a_task_of_which_only_a_wait_is_left_has_begun(tmp_path: Path) -> None:
    spans = table(
        driver(),
        submit("s", 1, 2, "d", submitted_task_id=task(1), function="consume"),
        submit("t", 3, 4, "gone", submitted_task_id=task(2), function="load", task_id=task(1)),
        open_wait("v", 5, "gone", [task(2)], task_id=task(1)),
        run("r", 6, None, "t", task(2), function="load"),
        open_wait("w", 5, "d", [task(1)]),
        recorded=True,
    )
    said = event_table([{"session": "s", "job_id": "j1", "task_id": task(1), "attempt": 0, "running": 3}])
    waits = rt.hang(rt.with_task_events(spans, said)).waits.select("waiter", "waited_for", "reason").rows()
    assert set(waits) == {("driver 01", task(1), "result"), (task(1), task(2), "result")}
    assert "`consume` (000000) waits for the result of `load`" in in_words(spans, tmp_path)


def test_waits_that_are_told_alike_are_told_once(tmp_path: Path) -> None:
    rows = [driver(), open_wait("w", 5, "d", [method(1, "a"), method(2, "a")])]
    for number in (1, 2):
        about = {"function": "Hub.outer", "actor_id": ACTOR["a"]}
        rows.append(submit(f"s{number}", 1, 2, "d", submitted_task_id=method(number, "a"), function="Hub.outer"))
        rows.append(run(f"r{number}", 10, None, f"s{number}", method(number, "a"), **about))
    said = in_words(table(*rows, recorded=True), tmp_path)
    assert said.count("the driver of job 01 waits for the result of `Hub.outer`") == 1
    assert "`Hub.outer` on actor a00000, 2 times" in said


def test_what_ray_gave_to_a_process_that_never_began_it_is_no_riddle(tmp_path: Path) -> None:
    """
    d    |s|== get load ==...
    load    given to process 7, which imports for ever
    """
    spans = table(
        driver(**{"raytrace.cluster_resources": '{"CPU":1}'}),
        submit("s", 2, 3, "d", submitted_task_id=task(1), function="load"),
        submit("t", 3, 4, "d", submitted_task_id=task(2), function="held"),
        run("r", 5, 6 * 10**9, "t", task(2), function="held"),
        open_wait("w", 3, "d", [task(1)]),
        recorded=True,
    )
    about = {"session": spans["session"][0], "job_id": "j1", "task_id": task(1), "attempt": 0, "name": "load"}
    given = rt.with_task_events(spans, event_table([{**about, "pending_args_avail": 3, "running": 10**9, "pid": 7}]))
    (blocker,) = rt.hang(given).blockers
    assert blocker.given is not None and (blocker.given.pid, blocker.given.ago_ns) == (7, 5 * 10**9)
    said = in_words(given, tmp_path)
    assert (
        "`load` (000000), which was given to process 7 5.00 s before the record ends, and had not begun there" in said
    )
    # What waits in line Ray gave nobody.
    waiting = rt.with_task_events(spans, event_table([{**about, "pending_args_avail": 3}]))
    assert rt.hang(waiting).blockers[0].given is None


@pytest.mark.parametrize("of", ["task", "actor"])
@pytest.mark.parametrize("error", ["NODE_DIED", "OUT_OF_MEMORY"])
def test_what_is_tried_again_and_never_starts_is_waited_for(of: str, error: str, tmp_path: Path) -> None:
    """
    d     |s|== get work ==...
    work     [==] failed: its node died, say; another attempt waits to start, as Ray says
    """
    disk = {"attributes": json.dumps({"raytrace.resources": '{"disk":0.5}'})}
    key = task(1) if of == "task" else method(1, "a")
    on = {} if of == "task" else {"actor_id": ACTOR["a"]}
    died = {"status": "ERROR", "status_message": f"{error}: as Ray says"}
    creation = {"submitted_task_id": f"{'f' * 16}{ACTOR['a']}", "function": "A.__init__", **disk}
    spans = table(
        driver(**{"raytrace.cluster_resources": '{"CPU":4,"disk":1}'}),
        *([submit("c", 0, 1, "d", **creation)] if on else []),
        *([run("i", 1, 2, "c", creation["submitted_task_id"], function="A.__init__", **on)] if on else []),
        submit("s", 2, 3, "d", submitted_task_id=key, function="work", **({} if on else disk)),
        run("r", 4, 9, "s", key, function="work", attempt=0, **died, **on),
        open_wait("w", 3, "d", [key]),
        recorded=True,
    )
    again = {"session": spans["session"][0], "job_id": "j1", "task_id": key, "attempt": 1, "pending_args_avail": 9}
    found = rt.with_task_events(spans, event_table([{**again, "name": "work"}]))
    (blocker,) = rt.hang(found).blockers
    assert (blocker.key, blocker.state) == (key, "pending")
    assert blocker.tried is not None
    assert (blocker.tried.attempts, blocker.tried.failed_with) == (1, error)
    who = "it" if of == "task" else "its actor"
    why = f'; {who} asks for {{"disk":0.5}}' if error == "NODE_DIED" else ": Ray's memory monitor ended them"
    assert f"has not started again after 1 attempt that failed ({error}){why}" in in_words(found, tmp_path)


@pytest.mark.parametrize("holder", ["task", "actor", "idle actor", "nobody"])
def test_resources_besides_cpus_are_held_until_the_end(holder: str, tmp_path: Any) -> None:
    gpu = {"attributes": json.dumps({"raytrace.resources": json.dumps({"gpu": 1})})}
    parent = task(1) if holder == "task" else method(1, "a")
    creation = {"submitted_task_id": f"{'f' * 16}{ACTOR['a']}", "function": "Model.__init__", **gpu}
    about = {"function": "parent"} if holder == "task" else {"function": "Model.ask", "actor_id": ACTOR["a"]}
    rows = [
        driver(**{"raytrace.cluster_resources": json.dumps({"CPU": 4, "gpu": 0 if holder == "nobody" else 1})}),
        submit("s", 2, 3, "d", submitted_task_id=parent, **(gpu if holder == "task" else {}), **about),
        run("p", 4, None, "s", parent, **about),
        submit("c", 5, 6, "p", submitted_task_id=task(2), function="child", **gpu),
        open_wait("w", 7, "p", [task(2)]),
        open_wait("v", 8, "d", [parent]),
    ]
    if holder != "task":
        rows += [submit("m", 0, 1, "d", **creation), run("i", 1, 2, "m", creation["submitted_task_id"], **about)]
    if holder == "idle actor":
        rows[1:3] = [submit("s", 2, 3, "d", submitted_task_id=task(1)), run("p", 4, None, "s", task(1))]
        rows[-3] = open_wait("v", 8, "d", [task(1)])
    found, text = rt.hang(table(*rows, recorded=True)), in_words(table(*rows, recorded=True), tmp_path)
    assert len(found.circles) == (holder in ("task", "actor"))
    assert ("no node of the cluster has what it asks for" in text) == (holder == "nobody")
    assert ("actors of `Model` hold what it asks for" in text) == (holder == "idle actor")


@pytest.mark.parametrize(
    ("ended", "let_go", "hold"), [(False, None, True), (True, None, False), (False, 6, False), (False, 50, True)]
)
def test_cpus_that_actors_hold_which_do_nothing(ended: bool, let_go: int | None, hold: bool, tmp_path: Any) -> None:
    cpus = {"attributes": json.dumps({"raytrace.resources": json.dumps({"CPU": 2})})}
    creations = [f"{'f' * 16}{ACTOR[name]}" for name in "ab"]
    rows = [
        driver(**{"raytrace.cluster_resources": json.dumps({"CPU": 2})}),
        submit("s", 0, 1, "d", submitted_task_id=creations[0], function="Trainer.__init__", **cpus),
        run("i", 2, 3, "s", creations[0], function="Trainer.__init__", actor_id=ACTOR["a"]),
        submit("t", 4, 5, "d", submitted_task_id=creations[1], function="Embed.__init__", **cpus),
        submit("m", 5, 6, "d", submitted_task_id=method(1, "b"), function="Embed.call"),
        open_wait("w", 7, "d", [method(1, "b")]),
    ]
    if ended:
        rows.append(span("k", 3, 4, "d", name="ray.kill", actor_id=ACTOR["a"]))
    spans = with_event_columns(table(*rows, recorded=True))
    over = pl.when(pl.col("span_id") == "i").then(let_go).cast(spans.schema["start"])
    text = in_words(spans.with_columns(state_actor_let_go=over), tmp_path)
    # What was over only when the program was stopped held them until then.
    assert ("actors of `Trainer` hold what it asks for" in text) == hold


def test_rays_own_actors_do_not_come_before_those_of_the_program() -> None:
    creations = [f"{'f' * 16}{ACTOR[name]}" for name in "ab"]
    rows = [
        driver(),
        submit("s", 0, 1, "d", submitted_task_id=creations[0], function="_StatsActor.__init__"),
        submit("u", 1, 2, "d", submitted_task_id=method(1, "a"), function="_StatsActor.update"),
        submit("v", 1, 2, "d", submitted_task_id=method(2, "a"), function="_StatsActor.update"),
        submit("t", 4, 5, "d", submitted_task_id=creations[1], function="Embed.__init__"),
        submit("m", 5, 6, "d", submitted_task_id=method(1, "b"), function="Embed.call"),
    ]
    found = rt.hang(table(*rows, recorded=True))
    assert [blocker.function for blocker in found.blockers] == ["Embed.__init__", "_StatsActor.__init__"]


def test_what_came_as_an_error_when_the_program_was_stopped_was_asked_for() -> None:
    spans = table(
        span("d", 0, 100, category="driver", name="ray.driver"),
        submit("s", 1, 2, "d", submitted_task_id=task(1), function="f"),
        submit("o", 1, 2, "d", submitted_task_id=task(3), function="other"),
        run("r", 3, 90, "s", task(1), function="f"),
        run("q", 3, 90, "o", task(3), function="other"),
        submit("t", 4, 5, "r", submitted_task_id=task(2), function="g"),
        run("g", 6, 90, "t", task(2), function="g"),
        wait("w", 7, 90, "r", [task(2)]),
        wait("v", 8, 80, "d", [], status="ERROR", status_message="KeyboardInterrupt: "),
        recorded=True,
    )
    waits = rt.hang(spans).waits.filter(waiter=task(1))
    assert waits.select("waited_for", "certain").rows() == [(task(2), True)]


def test_what_failed_as_the_program_ended_under_a_thread_that_waits_was_open() -> None:
    # driver    [s][join a thread .......................]x
    # thread       [get r ..................................   never ended
    # r             [s][get g ...................................]x   as g's process was gone
    # g                 [await asyncio.Queue.get ...........
    awaited = json.dumps({"raytrace.awaited": "asyncio.Queue.get", "raytrace.call_site": "q.py:7"})
    asked = json.dumps({"raytrace.awaited_task_ids": [task(1)]})
    spans = table(
        span("d", 0, 100, category="driver", name="ray.driver"),
        submit("s", 1, 2, "d", submitted_task_id=task(1), function="consume"),
        wait("w", 3, None, "d", [], attributes=asked),
        run("r", 10, 130, "s", task(1), function="consume", status="ERROR"),
        submit("t", 11, 12, "r", submitted_task_id=method(2, "a"), function="Queue.get", task_id=task(1)),
        wait("v", 13, 129, "r", [method(2, "a")], status="ERROR", task_id=task(1)),
        run("g", 14, None, "t", method(2, "a"), function="Queue.get", actor_id="a" * 32),
        wait("u", 15, None, "g", [], name="await", attributes=awaited, task_id=method(2, "a")),
        recorded=True,
    )
    found = rt.hang(spans)
    assert found.waits["waited_for"].to_list() == [task(1), method(2, "a")]
    (blocker,) = found.blockers
    assert (blocker.function, blocker.waiters, blocker.idle_in) == ("Queue.get", 2, "asyncio.Queue.get at q.py:7")


def test_where_everything_ended_nothing_hangs() -> None:
    spans = table(
        span("d", 0, 10, category="driver", name="ray.driver"),
        submit("s", 1, 2, "d", submitted_task_id=task(1)),
        recorded=True,
    )
    found = rt.hang(spans)
    assert (found.is_hung, found.open_spans, found.waits.height, found.blockers) == (False, 0, 0, ())


def test_a_task_that_never_started_has_a_story() -> None:
    story = rt.tell_story(two_that_wait_for_each_other(), "A.answer")
    assert (story.function, story.task_id, story.run_ns) == ("A.answer", method(4, "a"), 0)
    submitted, waiting = story.steps.to_dicts()
    assert submitted["step"] == "submit"
    assert (waiting["cause"], waiting["holder_function"]) == ("actor-busy", "A.ask")
    assert "for its actor, which runs `A.ask`" in waiting["sentence"]
    with pytest.raises(rt.UsageError, match=r"A\.nothing"):
        rt.tell_story(two_that_wait_for_each_other(), "A.nothing")


def test_a_task_whose_placement_group_never_came_waits_for_that(tmp_path: Path) -> None:
    group = {"raytrace.resources": '{"CPU": 1}', "raytrace.placement_group_id": "5e1f0a"}
    rows = [
        driver(**{"raytrace.cluster_resources": '{"CPU": 4}'}),
        submit("s1", 1, 2, "d", submitted_task_id=task(1), function="inside", attributes=json.dumps(group)),
        submit("s2", 2, 3, "d", submitted_task_id=task(2), function="busy"),
        run("r2", 10, None, "s2", task(2), function="busy"),
        open_wait("w", 5, "d", [task(1)]),
    ]
    spans = table(*rows, recorded=True)
    # A slot, which somebody holds, is not what it waits for.
    assert rt.hang(spans).waits["reason"].to_list() == ["result"]
    assert "`inside` (000000), which cannot start: its placement group never came to be" in in_words(spans, tmp_path)
    for asked, said in (
        ("3", "never came to be, as far as is recorded (it asks for 3 CPU)"),
        ("8", "asks for more than the cluster has (8 CPU)"),
    ):
        told = json.dumps({**group, "raytrace.placement_group_resources": f'{{"CPU": {asked}}}'})
        rows[1] = {**rows[1], "attributes": told}
        assert f"its placement group {said}" in in_words(table(*rows, recorded=True), tmp_path)
    other = submit("s3", 3, 4, "d", submitted_task_id=task(3), function="first", attributes=json.dumps(group))
    came = table(*rows, other, run("r3", 10, 20, "s3", task(3), function="first"), recorded=True)
    assert rt.hang(came).waits["reason"].to_list() == ["slot", "result"]


def test_what_waited_in_vain_for_its_placement_group_is_told_though_the_program_went_on() -> None:
    # d |s|= get, timed out =|.....|      inside (in a group that never came to be) is known to Ray
    group = {"raytrace.resources": '{"CPU": 1}', "raytrace.placement_group_id": "5e1f0a"}
    late = json.dumps({"raytrace.timed_out": True, "raytrace.awaited_task_ids": [task(1)]})
    spans = table(
        span("d", 0, 900, category="driver", name="ray.driver"),
        submit("s1", 1, 2, "d", submitted_task_id=task(1), function="inside", attributes=json.dumps(group)),
        wait("w", 5, 500, "d", [], attributes=late),
        recorded=True,
    )
    about = {"session": "s", "job_id": "01", "task_id": task(1), "name": "inside", "attempt": 0}
    known = rt.with_task_events(spans, event_table([about | {"pending_args_avail": 2, "pending_node_assignment": 3}]))
    story = rt.tell_story(known, "inside")
    last = story.steps.row(-1, named=True)
    assert (last["cause"], last["step"]) == ("placement", "queue")
    assert "for its placement group, which never came to be" in last["sentence"]
    assert rt.hang(known).blockers == ()


def test_a_cancelled_task_that_never_started_waits_for_nothing() -> None:
    rows = [
        driver(**{"raytrace.cluster_resources": '{"CPU":1}'}),
        submit("s1", 1, 2, "d", submitted_task_id=task(1), function="holds"),
        run("r1", 3, None, "s1", task(1), function="holds"),
        submit("s2", 4, 5, "d", submitted_task_id=task(2), function="cancelled"),
        span("c", 50, 50, "d", name="ray.cancel", attributes=json.dumps({"raytrace.target_task_id": task(2)})),
    ]
    about = {"session": "s", "job_id": "01", "task_id": task(2), "name": "cancelled", "attempt": 0}
    seen = about | {"pending_args_avail": 5, "pending_node_assignment": 6}
    spans = table(*rows, recorded=True)
    waiting = rt.hang(rt.with_task_events(spans, event_table([seen])))
    assert waiting.waits["waiter_function"].to_list() == ["cancelled"]
    over = {"failed": 60, "error_type": "TASK_CANCELLED"}
    assert rt.hang(rt.with_task_events(spans, event_table([seen | over]))).waits.is_empty()


def resources(**amounts: float) -> str:
    return json.dumps({"raytrace.resources": json.dumps(amounts)})


def in_group(group: str, cpus: int) -> str:
    about = {"raytrace.placement_group_id": group, "raytrace.placement_group_resources": json.dumps({"CPU": cpus})}
    return json.dumps({"raytrace.resources": json.dumps({"CPU": 1}), **about})


KEPT = "a placement group (2 CPU), in which `first` ran, keeps what it asks for, and was not removed"


@pytest.mark.parametrize("asking", ["group", "wait", "task", "actor"])
@pytest.mark.parametrize("keeper", ["group", "removed", "actors", "task", "call in a group", "task that waits"])
def test_who_keeps_what_has_no_room(asking: str, keeper: str, tmp_path: Path) -> None:
    """
    d     [first]|s2|== get second ==...        there are 2 CPUs, and somebody has both
    """
    asked = {"group": in_group("2b", 2), "task": resources(CPU=2), "actor": resources(CPU=2)}.get(asking)
    creations = [f"{'f' * 16}{ACTOR[name]}" for name in "ab"]
    key = creations[1] if asking == "actor" else task(2)
    second = {"function": "B.__init__" if asking == "actor" else "second"}
    rows: list[Row] = [driver(**{"raytrace.cluster_resources": '{"CPU": 2}'})]
    if asked is None:
        group = {"raytrace.awaited": "placement group (2 CPU)", "raytrace.call_site": "etl.py:7"}
        rows.append(wait("w", 50, None, "d", [], attributes=json.dumps(group)))
    else:
        rows += [
            submit("s2", 48, 49, "d", submitted_task_id=key, attributes=asked, **second),
            open_wait("w", 50, "d", [key]),
        ]
    if keeper in ("group", "removed"):
        rows += [
            submit("s1", 1, 2, "d", submitted_task_id=task(1), function="first", attributes=in_group("1a", 2)),
            run("r1", 3, 9, "s1", task(1), function="first"),
        ]
    if keeper == "removed":
        rows.append(
            span("x", 20, 20, "d", name="placement_group.remove", attributes='{"raytrace.placement_group_id": "1a"}')
        )
    if keeper in ("actors", "call in a group"):
        told = resources(CPU=2) if keeper == "actors" else in_group("1a", 2)
        of_actor = {"actor_id": ACTOR["a"]}
        rows += [
            submit("c", 1, 2, "d", submitted_task_id=creations[0], function="A.__init__", attributes=told),
            run("i", 2, 3, "c", creations[0], function="A.__init__", **of_actor),
            submit("m", 4, 5, "d", submitted_task_id=method(7, "a"), function="A.fit"),
            run("f", 6, None if keeper == "call in a group" else 9, "m", method(7, "a"), function="A.fit", **of_actor),
        ]
    if keeper.startswith("task"):
        rows += [
            submit("s1", 1, 2, "d", submitted_task_id=task(1), function="first", attributes=resources(CPU=1)),
            run("r1", 3, None, "s1", task(1), function="first"),
        ]
        if keeper == "task that waits":  # it gives its CPU back
            rows.append(open_wait("v", 9, "r1", []))
    spans = table(*rows, recorded=True)
    found, text = rt.hang(spans), in_words(spans, tmp_path)
    assert (KEPT in text) == (keeper == "group")
    assert ("actors of `A` hold what it asks for, and do nothing" in text) == (keeper == "actors")
    holders = found.waits.filter(pl.col("reason").is_in(["resource", "placement", "slot"]))
    runs = {"task": task(1), "call in a group": method(7, "a")}
    assert holders["waited_for"].to_list() == ([runs[keeper]] if keeper in runs else [])
    assert not holders["certain"].any()
    if asked is not None:
        (step,) = rt.tell_story(spans, key).steps.filter(step="queue").to_dicts()
        assert (KEPT in step["sentence"]) == (keeper == "group")
        assert step["holder_function"] == {"task": "first", "call in a group": "A.fit"}.get(keeper)


@pytest.mark.parametrize("taken_by", ["driver", "nobody yet", "one that ended"])
def test_a_generator_that_is_held_back_waits_for_its_consumer(taken_by: str, tmp_path: Path) -> None:
    """
    d          |s|[next]|== get produce ==...
    produce      |--|held back ...
    """
    rows = [
        driver(),
        submit("s", 1, 2, "d", submitted_task_id=task(1), function="produce"),
        run("r", 3, None, "s", task(1), function="produce"),
        wait("h", 6, None, "r", [], name="back-pressure", attributes='{"raytrace.awaited": "consumer"}'),
        open_wait("w", 9, "d", [task(1)]),
    ]
    if taken_by != "nobody yet":
        taker = "d" if taken_by == "driver" else "q"
        rows.append(wait("n", 3, 5, taker, [task(1)], name="ray.next"))
    if taken_by == "one that ended":
        rows += [submit("t", 1, 2, "d", submitted_task_id=task(2)), run("q", 2, 8, "t", task(2))]
    spans = table(*rows, recorded=True)
    found, text = rt.hang(spans), in_words(spans, tmp_path)
    if taken_by == "one that ended":
        assert not found.circles
        assert "`produce` (000000), which waits for its items to be taken, which never came" not in text
        assert "`produce` (000000), which is held back until its items are taken, and nobody takes them" in text
        return
    (circle,) = found.circles
    assert set(circle) == {task(1), "driver 01"}
    assert found.waits.filter(reason="consumer")["certain"].to_list() == [taken_by == "driver"]
    assert "`produce` (000000) is held back until the driver of job 01 takes its next item" in text


def test_a_step_of_a_compiled_graph_is_named_and_not_the_call_that_runs_it(tmp_path: Path) -> None:
    loop = {"actor_id": ACTOR["a"], "function": "A.__ray_call__", "pid": 2}
    told = {"raytrace.awaited": "compiled graph", "raytrace.awaited_task_ids": ["57e9"]}
    spans = table(
        driver(),
        submit("s1", 1, 2, "d", submitted_task_id=method(1, "a"), function="A.__ray_call__"),
        run("r1", 3, None, "s1", method(1, "a"), **loop),
        wait("w1", 4, None, "r1", [], name="await", attributes='{"raytrace.awaited": "compiled graph to end"}', pid=2,
             task_id=method(1, "a")),
        submit("s2", 5, 6, "d", submitted_task_id="57e9", function="A.step"),
        run("r2", 7, None, "s2", "57e9", **{**loop, "function": "A.step"}),
        wait("w2", 8, None, "d", [], attributes=json.dumps(told)),
        recorded=True,
    )  # fmt: skip
    said = in_words(spans, tmp_path)
    assert "1 other waits for `A.step` on actor" in said
    assert "__ray_call__" not in said


def test_who_waits_for_no_task_is_named_also_where_nobody_waits_for_it(tmp_path: Path) -> None:
    group = {"raytrace.awaited": "placement group (3 CPU)", "raytrace.call_site": "etl.py:7"}
    waits = wait("w", 5, None, "d", [], attributes=json.dumps(group))
    spans = table(driver(), waits, recorded=True)
    said = "The driver of job 01 waits for a placement group (3 CPU) at etl.py:7, which never came."
    assert said in in_words(spans, tmp_path)
    (blocker,) = rt.hang(spans).blockers
    assert (blocker.waiters, blocker.state) == (0, "waits")
    # A driver that looks for a file.
    idle = json.dumps({"stretches": [{"start_ns": 1, "end_ns": 9, "in": "time.sleep", "at": "etl.py:9"}]})
    said = "The driver of job 01 was still running, idle in time.sleep at etl.py:9."
    assert said in in_words(table(driver(**{"raytrace.idle": idle}), recorded=True), tmp_path)
    # In a call that comes back by itself.
    looks = idle.replace("time.sleep", "ray.experimental.internal_kv._internal_kv_get")
    said = "idle in ray.experimental.internal_kv._internal_kv_get at etl.py:9."
    assert said in in_words(table(driver(**{"raytrace.idle": looks}), recorded=True), tmp_path)
    # One that did something long after is elsewhere by now.
    spans = table(driver(**{"raytrace.idle": idle}), submit("s", 2_000_000_000, 2_000_000_001, "d"), recorded=True)
    assert "idle in time.sleep" not in in_words(spans, tmp_path)
    # One that waits for a task does not wait where it slept before.
    rows = [driver(**{"raytrace.idle": idle}), submit("s", 1, 2, "d", submitted_task_id=task(1))]
    rows += [run("r", 3, None, "s", task(1)), open_wait("w", 5, "d", [task(1)])]
    assert [one.key for one in rt.hang(table(*rows, recorded=True)).blockers] == [task(1)]


def test_several_calls_that_wait_in_one_place_are_told_once_and_a_sleep_lets_nobody_go_on(tmp_path: Path) -> None:
    idle = {"stretches": [{"start_ns": 1, "end_ns": 9, "in": "asyncio.Event.wait", "at": "gate.py:7"}]}
    about = {
        "function": "Gate.wait",
        "actor_id": ACTOR["a"],
        "attributes": json.dumps({"raytrace.idle": json.dumps(idle)}),
    }
    rows = [driver(), open_wait("w", 5, "d", [method(1, "a"), method(2, "a")])]
    for number in (1, 2):
        rows.append(submit(f"s{number}", 1, 2, "d", submitted_task_id=method(number, "a"), function="Gate.wait"))
        rows.append(run(f"r{number}", 10, None, f"s{number}", method(number, "a"), **about))
    assert in_words(table(*rows, recorded=True), tmp_path).count("which nothing let go on") == 1
    asleep = {"stretches": [{"start_ns": 1, "end_ns": 9, "in": "time.sleep", "at": "gate.py:7"}]}
    for row in rows:
        if row["span_id"].startswith("r"):
            row["attributes"] = json.dumps({"raytrace.idle": json.dumps(asleep)})
    assert "which was still running, idle in time.sleep at gate.py:7" in in_words(table(*rows, recorded=True), tmp_path)


def test_a_request_of_serve_that_no_replica_takes_waits_for_what_its_replica_runs() -> None:
    """The driver asks by a handle; the one replica that there is has a request that does not end."""
    told = {"app": "default", "deployment": "Stuck", "request_id": "4b1d"}

    def stuck(deployment: str, pid: int = 1, ended: int | None = None) -> pl.DataFrame:
        about = json.dumps({**told, "deployment": deployment})
        busy = {"function": "ServeReplica:default:Stuck.handle_request_with_rejection", "actor_id": "a7"}
        return table(
            span("d", 0, None, category="driver", name="ray.driver"),
            submit("s", 10, 11, "d", submitted_task_id="first", **busy),
            run("r", 20, None, "s", "first", **busy),
            span("q", 30, ended, name=f"route_to_replica {deployment} __call__", attributes=about, pid=pid),
            recorded=True,
        )

    found = rt.hang(stuck("Stuck"))
    assert found.waits.select("waiter", "waited_for", "reason", "certain").rows() == [
        ("driver 01", "first", "replica", False),
    ]
    assert found.blockers[0].function == "ServeReplica:default:Stuck.handle_request_with_rejection"
    # One at a proxy is not the driver's.
    assert rt.hang(stuck("Stuck", pid=9)).waits.get_column("waiter").to_list() == ["4b1d"]
    assert rt.hang(stuck("Other")).waits.is_empty()
    assert rt.hang(stuck("Stuck", ended=40)).waits.is_empty()


def test_who_has_placement_groups_and_waits_for_more_waits_for_the_others_who_do(tmp_path: Path) -> None:
    """
    d     |s|s|== get a, b ==...           2 CPUs
    a         |wait: 1 CPU|   |wait: 1 CPU more ...
    b         |wait: 1 CPU|   |wait: 1 CPU more ...
    """
    rows: list[Row] = [driver(**{"raytrace.cluster_resources": '{"CPU": 2}'}), open_wait("w", 9, "d", [])]
    for number, name in enumerate("ab"):
        about = {"raytrace.awaited": "placement group (1 CPU)"}
        first = json.dumps({**about, "raytrace.placement_group_id": f"{name}1"})
        rows += [
            submit(f"s{name}", 1 + number, 2 + number, "d", submitted_task_id=task(number), function=name),
            run(name, 5, None, f"s{name}", task(number), function=name),
            wait(f"w{name}", 6, 8, name, [], task_id=task(number), attributes=first),
            wait(f"v{name}", 20, None, name, [], task_id=task(number), attributes=json.dumps(about)),
        ]
    spans = table(*rows, recorded=True)
    (circle,) = rt.hang(spans).circles
    assert set(circle) == {task(0), task(1)}
    assert "waits for a placement group: `b`" in in_words(spans, tmp_path)
