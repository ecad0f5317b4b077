"""What Ray itself needs is milliseconds: longer waits have a cause of their own, or are said to be unknown."""

import json
from typing import Any

import polars as pl
import pytest

from raytrace_analyze import advise, critical_path, queue_causes, summary, what_if
from raytrace_analyze.schema import TIME
from tests.tables import Row, chain, run, span, submit, table, wait
from tests.test_agreement import check_agreement

MS = 1_000_000


def job(*rows: Row, **stamps: dict[str, Any]) -> pl.DataFrame:
    """A driver with these spans, and by span what Ray's task events say of it: times in ms, or words."""
    spans = table(span("driver", 0, 3000 * MS, name="ray.driver"), *rows, recorded=True)
    for span_id, told in stamps.items():
        for column, value in told.items():
            is_time = spans.schema[column] == TIME
            said = pl.lit(value * MS).cast(TIME) if is_time else pl.lit(value)
            spans = spans.with_columns(
                pl.when(pl.col("span_id") == span_id).then(said).otherwise(pl.col(column)).alias(column)
            )
    return spans


def stamped(ready: int, submitted: int, **more: Any) -> dict[str, Any]:
    return {"state_pending_node_assignment": ready, "state_submitted_to_worker": submitted, **more}


def task(number: int, start: int, end: int, worker: str, **columns: Any) -> list[Row]:
    needs = columns.pop("needs", [])
    return [
        submit(f"s{number}", 10 * number * MS, (10 * number + 1) * MS, "driver", submitted_task_id=f"T{number}",
               dependency_task_ids=needs),
        run(f"r{number}", start * MS, end * MS, f"s{number}", f"T{number}", worker_id=worker, **columns),
    ]  # fmt: skip


def causes(spans: pl.DataFrame, span_id: str) -> list[tuple[str, int]]:
    """What a run waited for, and for how many ms; what took less than 5 left out."""
    rows = queue_causes(spans).filter(pl.col("span_id") == span_id)
    return [(cause, took) for cause, took in rows.select("cause", pl.col("duration_ns") // MS).iter_rows() if took >= 5]


def test_a_free_slot_is_not_waited_for_whoever_used_the_process() -> None:
    # node: two slots, both in use at first
    # r1 [=====]  r3 [...................]   another process, idle since; its slot is free
    # r2 [===================]  r4 starts in the process of r2 when that ends, and had room all the while
    spans = job(
        *task(1, 40, 100, "w1"),
        *task(2, 40, 900, "w2"),
        *task(20, 901, 1000, "w2"),
        r1=stamped(11, 39),
        r2=stamped(21, 39),
        r20=stamped(202, 900),
    )
    assert causes(spans, "r20") == [("unknown", 700)]
    assert "room" in queue_causes(spans).filter(span_id="r20", cause="unknown")["sentence"].item()


def test_arguments_that_come_late_though_slots_are_free_are_restored() -> None:
    spans = job(
        *task(1, 40, 100, "w1"),
        *task(2, 110, 150, "w1"),
        *task(20, 901, 1000, "w1", needs=["T1"]),
        r1=stamped(11, 39),
        r2=stamped(21, 105),
        r20=stamped(202, 900),
    )
    assert causes(spans, "r20") == [("restore", 698)]


def test_advice_says_what_restoring_arguments_cost() -> None:
    # r1 [==]   r2 [=]    r20 [.............==]   its argument came late, though a slot was free
    def spans(needs: list[str]) -> pl.DataFrame:
        return job(
            *task(1, 40, 100, "w1"),
            *task(2, 110, 150, "w1"),
            *task(20, 901, 1000, "w1", needs=needs, function="total"),
            wait("get", 203 * MS, 1002 * MS, "driver", ["T20"]),
            r1=stamped(11, 39),
            r2=stamped(21, 105),
            r20=stamped(202, 900),
        )

    found = advise(spans(["T1"])).filter(pattern="arguments-restored").row(0, named=True)
    assert found["function"] == "total" and "restored from disk: 698 ms in all" in found["what"]
    assert found["saved_ns"] == pytest.approx(698 * MS, abs=2 * MS)
    assert found["cost_ns"] >= 698 * MS
    assert advise(spans([])).filter(pattern="arguments-restored").is_empty()


@pytest.mark.parametrize(
    ("granted", "waited"), [(702, [("restore", 298), ("no-slot", 200)]), (950, [("restore", 748)])]
)
def test_arguments_come_before_a_slot_is_asked_for(granted: int, waited: list[tuple[str, int]]) -> None:
    # one slot  [r1==]..................[r2======]..........        r20 asks for it at 202, and gets it at 702, or 950
    # at 300 it was free, so that the arguments were not there; from 500 on it was not free
    spans = job(
        *task(1, 40, 100, "w1"),
        *task(2, 501, 700, "w1"),
        *task(20, granted + 1, granted + 50, "w1", needs=["T1"]),
        r1=stamped(11, 39),
        r2=stamped(490, 500),
        r20=stamped(202, granted),
    )
    assert causes(spans, "r20") == waited


def test_what_if_lets_others_have_the_slot_while_arguments_are_restored() -> None:
    # one slot  r1 [==]      r30 [==]             r20 [==]      r20 was submitted first, and its argument came late
    spans = job(
        *task(1, 40, 100, "w1"),
        *task(20, 901, 1000, "w1", needs=["T1"]),
        *task(30, 303, 400, "w1"),
        wait("w", 302 * MS, 1001 * MS, "driver", ["T20", "T30"]),
        r1=stamped(11, 39),
        r20=stamped(202, 900),
        r30=stamped(301, 302),
    )
    assert what_if(spans, slots=1).saved_ns == 0


def test_a_slot_that_a_process_starts_in_is_not_free() -> None:
    # r2 begins with a new process, which has the slot from 100 on, though it is sent there at 600
    spans = job(
        *task(1, 40, 100, "w1"),
        *task(2, 601, 800, "w2"),
        *task(20, 806, 900, "w2", needs=["T1"]),
        r1=stamped(11, 39),
        r2=stamped(21, 600),
        r20=stamped(202, 805),
    )
    assert "restore" not in dict(causes(spans, "r20"))


def test_objects_that_somebody_put_are_restored_as_results_are() -> None:
    spans = job(
        *task(1, 40, 100, "w1"),
        *task(20, 901, 1000, "w1"),
        r1=stamped(11, 39),
        r20=stamped(202, 900),
        s20={"attributes": '{"raytrace.put_arguments": 1}'},
    )
    assert causes(spans, "r20") == [("restore", 698)]


@pytest.mark.parametrize(
    ("state", "cause"), [("state_pending_obj_store_mem_avail", "store-full"), ("state_pending_args_fetch", "restore")]
)
def test_ray_says_that_the_store_is_full_or_arguments_are_fetched(state: str, cause: str) -> None:
    spans = job(
        *task(1, 40, 100, "w1"), *task(20, 901, 1000, "w1"), r1=stamped(11, 39), r20=stamped(202, 900, **{state: 240})
    )
    assert causes(spans, "r20") == [("dispatch", 39), (cause, 660)]


def test_the_first_run_of_a_placement_group_waited_for_it() -> None:
    # train  [=================]      holds what the group of r20 needs
    # r20                       [==]  the first in its group;  r30 [==] waits for that, then for r20
    group = '{"CPU_group_0_5e1f0a7b9c3d4e5f60718293a4b5c6d7e8f9": 1.0}'
    spans = job(
        *task(1, 40, 890, "w1"),
        *task(20, 901, 1000, "w2"),
        *task(30, 1002, 1100, "w2"),
        r1=stamped(11, 39),
        r20=stamped(202, 900, required_resources=group),
        r30=stamped(302, 1001, required_resources=group),
    )
    assert causes(spans, "r20") == [("placement", 698)]
    assert queue_causes(spans).filter(span_id="r20", cause="placement")["holder_span_id"].item() == "r1"
    assert causes(spans, "r30") == [("placement", 598), ("no-slot", 100)]


GROUP, OTHER = "5e1f0a7b9c3d4e5f60718293a4b5c6d7e8f9", "9f8e7d6c5b4a39281706f5e4d3c2b1a0a5b6"


def in_group(group: str, ready: int, submitted: int) -> dict[str, Any]:
    return stamped(ready, submitted, required_resources=json.dumps({f"CPU_group_0_{group}": 1.0}))


def test_all_that_run_in_a_placement_group_wait_until_the_driver_removes_another_one() -> None:
    # r1             [====]                             in the group before, which the driver removes at 600
    # driver  [s1][get    ][s20][s30]~~~~~~~[remove][get]
    # r20, r30                                   [==]   both in the group that had no room until then
    spans = job(
        *task(1, 40, 150, "w1"),
        wait("get1", 31 * MS, 151 * MS, "driver", ["T1"]),
        *task(20, 901, 1000, "w1"),
        *task(30, 902, 1100, "w2"),
        *task(2, 40, 90, "w2"),
        span("gone", 600 * MS, 600 * MS, "driver", name="placement_group.remove"),
        wait("get2", 601 * MS, 1101 * MS, "driver", ["T20", "T30"]),
        r1=in_group(OTHER, 11, 39),
        r2=stamped(21, 39),
        r20=in_group(GROUP, 202, 900),
        r30=in_group(GROUP, 302, 901),
    )
    assert causes(spans, "r20") == [("placement", 698)]
    # The second one of the group got its worker a moment later.
    assert causes(spans, "r30") == [("placement", 598)]
    told = queue_causes(spans).filter(span_id="r30", cause="placement")["sentence"].item()
    assert told.endswith("for its placement group: the driver removed another one late")
    # What the driver did until it removed that group decides, not how the task's process was found.
    path = critical_path(spans)
    assert ("driver", 301 * MS, 600 * MS, "self") in chain(path.segments)
    assert ("r30", 600 * MS, 902 * MS, "queue") in chain(path.segments)
    assert ("r1", 40 * MS, 150 * MS, "self") in chain(path.segments)
    check_agreement(spans)


def test_a_new_process_is_not_called_a_placement_group_that_was_there_already() -> None:
    # driver  [group is there][s20][get ....................]
    # r20                          ~ process starts ~[======]
    there = json.dumps({"raytrace.awaited": "placement group (1 CPU)", "raytrace.placement_group_id": GROUP})
    spans = job(
        *task(1, 40, 700, "w1"),
        wait("ready", 31 * MS, 199 * MS, "driver", [], attributes=there),
        *task(20, 901, 1000, "w2"),
        r1=stamped(11, 39),
        r20=in_group(GROUP, 202, 900),
    )
    assert [cause for cause, _ in causes(spans, "r20")] == ["worker-start"]


def test_a_placement_group_that_nobody_made_room_for_was_there_at_once() -> None:
    spans = job(*task(1, 40, 100, "w1"), *task(20, 901, 1000, "w2"), r1=stamped(11, 39), r20=in_group(GROUP, 202, 900))
    assert [cause for cause, _ in causes(spans, "r20")] == ["worker-start"]


def test_a_slot_is_held_until_results_are_stored() -> None:
    # r0 r1 [====]~~~~~ stored ~~~~~]
    # r2                          [====]   one slot: had to wait until then
    spans = job(
        *task(0, 20, 38, "w1"),
        *task(1, 40, 200, "w1"),
        *task(2, 905, 1000, "w1"),
        wait("get", 30 * MS, 1005 * MS, "driver", ["T2"]),
        r0=stamped(1, 19),
        r1=stamped(11, 39, profile_store_outputs_end=900),
        r2=stamped(21, 901),
    )
    # Until the run ends it is its slot that is waited for, then the results that there is no room for.
    assert causes(spans, "r2")[:2] == [("no-slot", 179), ("store-full", 700)]
    assert ("r1", 40 * MS, 200 * MS, "self") in chain(critical_path(spans).segments)


@pytest.mark.parametrize("others", [False, True])
def test_a_first_result_is_stored_once_its_process_has_loaded_what_it_stores_with(others: bool) -> None:
    # driver  [get ......................]
    # r0        [====]~~ loads, and stores ~~]     the first run of its process; where others took long, too, there
    # r1        [====]~~~~~                        may have been no room
    spans = job(
        *task(0, 20, 38, "w0"),
        *task(1, 40, 100, "w1"),
        *task(2, 110, 150, "w0"),
        wait("get", 30 * MS, 910 * MS, "driver", ["T1"]),
        r0=stamped(1, 19, profile_store_outputs_end=39),
        r1=stamped(11, 39, profile_store_outputs_end=900),
        r2=stamped(50, 109, profile_store_outputs_end=850 if others else 151),
    )
    path = critical_path(spans)
    (piece,) = path.segments.filter(span_id="get").to_dicts()
    assert (piece["category"], piece["cause"]) == ("fetch", None if others else "function-load")
    spent = dict(summary(spans).time.select("spent_on", "total_ns").iter_rows())
    assert (spent.get("start-up", 0) > 800 * MS) != others


@pytest.mark.parametrize("late", ["r1", "r2"])
def test_so_is_the_first_result_of_an_actor(late: str) -> None:
    # driver  [get ......................]
    # r0       [] creates it
    # r1          [====]~~ loads, and stores ~~]     the first call of its process; r2 is another
    actor = {"actor_id": "A", "pid": 7}
    spans = job(
        *task(0, 20, 38, "w", function="A.__init__", **actor),
        *task(1, 40, 100, "w", function="A.load", **actor),
        *task(2, 110, 150, "w", function="A.load", **actor),
        wait("get", 30 * MS, 910 * MS, "driver", ["T1" if late == "r1" else "T2"]),
        r0=stamped(1, 19, profile_store_outputs_end=39),
        r1=stamped(11, 39, profile_store_outputs_end=400 if late == "r1" else 101),
        r2=stamped(50, 109, profile_store_outputs_end=400 if late == "r2" else 151),
    )
    spans = spans.with_columns(
        end=pl.when(pl.col("span_id") == "get").then(pl.lit(402 * MS).cast(TIME)).otherwise("end")
    )
    (piece,) = critical_path(spans).segments.filter(span_id="get").to_dicts()
    assert (piece["category"], piece["cause"]) == ("fetch", "function-load" if late == "r1" else None)


def test_a_call_that_waits_though_its_actor_is_free_waits_for_nobody_knows_what() -> None:
    actor = {"actor_id": "A", "worker_id": "w", "attributes": '{"raytrace.max_concurrency": 1}'}
    spans = job(
        submit("s1", 10 * MS, 11 * MS, "driver", submitted_task_id="T1"),
        run("r1", 20 * MS, 100 * MS, "s1", "T1", **actor),
        submit("s2", 200 * MS, 201 * MS, "driver", submitted_task_id="T2"),
        run("r2", 900 * MS, 950 * MS, "s2", "T2", **actor),
    )
    assert causes(spans, "r2") == [("unknown", 699)]
    assert "turn free" in queue_causes(spans).filter(span_id="r2")["sentence"].item()


def test_a_retry_waits_for_the_next_time_that_ray_looks_for_what_is_to_be_made_again() -> None:
    # T  [==500==x]~200~[==500==x]~~~~500~~~~[==500==]    each second somebody looks for what failed
    attempts = [(40, 540, 30), (742, 1242, 740), (1743, 2243, 1741)]
    rows = [submit("s", 10 * MS, 11 * MS, "driver", submitted_task_id="T", function="flaky")]
    for number, (start, end, _) in enumerate(attempts):
        failed = {"status": "ERROR"} if number < 2 else {}
        about = {"attempt": number, "function": "flaky", "worker_id": "w1", **failed}
        rows.append(run(f"r{number}", start * MS, end * MS, "s", "T", **about))
    rows.append(wait("get", 12 * MS, 2245 * MS, "driver", ["T"]))
    stamps = {f"r{number}": stamped(ready, ready + 1) for number, (*_, ready) in enumerate(attempts)}
    spans = job(*rows, **stamps)
    as_it_was = what_if(spans).observed_ns
    # The first retry comes as much sooner as the first attempt failed, the second a second after it, as before.
    assert what_if(spans, speedup={"flaky": 2}).predicted_ns == pytest.approx(as_it_was - 500 * MS, abs=2 * MS)
    assert what_if(spans, speedup={"flaky": 1e9}).predicted_ns == pytest.approx(as_it_was - 1000 * MS, abs=2 * MS)
    # One that takes longer is made again at a later time.
    assert what_if(spans, speedup={"flaky": 0.45}).predicted_ns == pytest.approx(as_it_was + 2222 * MS, abs=5 * MS)
    found = advise(spans).filter(pattern="retries").row(0, named=True)
    assert found["saved_ns"] == pytest.approx(1700 * MS, abs=10 * MS)
