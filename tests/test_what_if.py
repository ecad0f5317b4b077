"""What a job would take after a change, as a library function and as a command."""

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

from raytrace_analyze import UsageError, WhatIf, critical_path, read_spans, what_if, write_table
from raytrace_analyze.cli import app
from raytrace_analyze.views.what_if_view import ranking_text
from tests.random_programs import Compute, Program, Submit, Task, Wait
from tests.simulator import Rerun, simulate
from tests.tables import run, span, submit, table, wait

SAMPLES = Path(__file__).parent.parent / "sample_spans"
MAP_REDUCE = SAMPLES / "map_reduce-ours" / "spans"
MILLISECOND = 1_000_000
CPUS = '{{"raytrace.cluster_resources": "{{\\"CPU\\": {}}}"}}'


def two_branches() -> pl.DataFrame:
    """
    d    |s1|s2|======= get 1, 2 =======|--|
    slow       |-----------------------|           20 to 420
    fast       |-----------|                       30 to 230
    """
    return table(
        span("d", 0, 500, category="driver", name="ray.driver"),
        submit("s1", 0, 10, "d", function="slow", submitted_task_id="1", dependency_task_ids=[]),
        submit("s2", 10, 20, "d", function="fast", submitted_task_id="2", dependency_task_ids=[]),
        run("r1", 20, 420, "s1", "1", function="slow"),
        run("r2", 30, 230, "s2", "2", function="fast"),
        wait("w", 20, 430, "d", ["1", "2"]),
        recorded=True,
    )


def predicted(spans: pl.DataFrame, **change: Any) -> WhatIf:
    answer = what_if(spans, **change)
    assert isinstance(answer, WhatIf)
    return answer


def test_another_task_becomes_critical() -> None:
    answer = predicted(two_branches(), speedup={"slow": 4})
    assert (answer.observed_ns, answer.predicted_ns, answer.saved_ns) == (500, 310, 190)
    assert (answer.saturating_speedup, answer.next_critical) == (2.0, "fast")
    assert answer.critical.select("function", "total_ns").rows() == [("fast", 210), ("(driver)", 100)]
    changed = {row["span_id"]: (row["new_start_ns"], row["new_end_ns"]) for row in answer.changed.to_dicts()}
    assert changed == {"r1": (20, 120), "w": (20, 240), "d": (0, 310)}


def test_what_a_driver_waits_until_a_callback_comes_is_not_its_work() -> None:
    spans = two_branches()
    delivery = wait("x", 231, 231, "d", ["2"], name="ray.delivery")
    more = pl.concat([spans, table(span("d", 0, 500, category="driver"), delivery, recorded=True).filter(span_id="x")])
    both = {"slow": math.inf, "fast": math.inf}
    assert predicted(more, speedup=both).saved_ns == predicted(spans, speedup=both).saved_ns == 390


def test_what_others_begin_late_beside_the_driver_holds_nothing_up() -> None:
    """As the long polls of Ray Serve, which proxies submit again and again in threads of their own.

    d    |s1|=== get 1 ===|--|
    slow       |----------|           20 to 420
    poll |p|   |p|      |p|           in another process, the last one submitted at 480
    """
    polls = [
        row
        for number, at in enumerate((5, 200, 480))
        for row in (
            submit(f"p{number}", at, at + 1, pid=9, function="ServeController.listen_for_change"),
            run(f"q{number}", at + 2, 600, f"p{number}", function="ServeController.listen_for_change", pid=10),
        )
    ]
    spans = table(
        span("d", 0, 500, category="driver", name="ray.driver"),
        submit("s1", 0, 10, "d", function="slow", submitted_task_id="1", dependency_task_ids=[]),
        run("r1", 20, 420, "s1", "1", function="slow"),
        wait("w", 20, 430, "d", ["1"]),
        *polls,
        recorded=True,
    )
    assert predicted(spans, speedup={"slow": 4}).saved_ns == 300
    assert predicted(spans, speedup={"slow": math.inf}).saved_ns == 400


def test_the_sums_of_what_is_critical_are_the_makespan() -> None:
    for capture in SAMPLES.glob("*-ours"):
        spans = read_spans(capture / "spans")
        path = critical_path(spans)
        for change in ({"slots": 1}, {"slots": 3}, {"infinite_slots": True}, {"remove_queue": True}):
            answer = predicted(spans, **change)
            assert answer.observed_ns == path.makespan_ns
            assert answer.critical["total_ns"].sum() == answer.predicted_ns


def test_more_slots_are_no_worse_here_and_no_queue_is_the_best() -> None:
    spans = read_spans(MAP_REDUCE)
    times = [predicted(spans, slots=slots).predicted_ns for slots in (1, 2, 4, 8)]
    assert times == sorted(times, reverse=True)
    infinite = predicted(spans, infinite_slots=True).predicted_ns
    assert times[-1] >= infinite >= predicted(spans, remove_queue=True).predicted_ns


def test_slots_are_found() -> None:
    assert predicted(read_spans(MAP_REDUCE), slots=1).slots == 2


def test_a_slower_function_and_the_driver() -> None:
    answer = predicted(two_branches(), speedup={"slow": 0.5, "(driver)": math.inf})
    assert answer.predicted_ns == 20 + 800 + 10
    assert answer.saturating_speedup is None


def test_a_span_within_a_task() -> None:
    spans = table(
        span("d", 0, 100, category="driver", name="ray.driver"),
        submit("s", 0, 10, "d", submitted_task_id="1", dependency_task_ids=[]),
        run("r", 10, 90, "s", "1"),
        span("p", 20, 60, "r", name="parse", function="f", pid=1114),
        wait("w", 10, 90, "d", ["1"]),
        recorded=True,
    )
    assert predicted(spans, speedup={"parse": 2}).predicted_ns == 80
    assert predicted(spans, speedup={"f": 2}).predicted_ns == 60


def test_the_ranking_is_what_each_change_predicts() -> None:
    spans = read_spans(MAP_REDUCE)
    answer = what_if(spans)
    assert answer.predicted_ns == answer.observed_ns
    ranking = answer.functions
    assert ranking["function"][0] == "__main__.map_part"
    assert ranking["saved_2x_ns"].is_sorted(descending=True)
    for row in ranking.iter_rows(named=True):
        assert predicted(spans, speedup={row["function"]: 2}).predicted_ns == row["predicted_2x_ns"]
        assert predicted(spans, speedup={row["function"]: math.inf}).predicted_ns == row["predicted_least_ns"]
        assert row["saved_2x_ns"] <= row["critical_ns"]


def test_what_rays_libraries_run_for_themselves_heads_no_ranking() -> None:
    """The controller takes most of the time, and nobody who wrote the program can make it faster."""
    controller = "ServeController.graceful_shutdown"
    spans = table(
        span("driver", 0, 100, category="driver", name="ray.driver"),
        submit("s1", 0, 1, "driver", submitted_task_id="T1", dependency_task_ids=[]),
        run("f", 1, 30, "s1", "T1"),
        wait("w1", 1, 30, "driver", ["T1"]),
        submit("s2", 30, 31, "driver", submitted_task_id="T2", dependency_task_ids=[], function=controller),
        run("c", 31, 99, "s2", "T2", function=controller),
        wait("w2", 31, 99, "driver", ["T2"]),
        recorded=True,
    )
    ranking = what_if(spans)
    assert ranking.functions.select("function", "is_rays").rows()[0] == ("f", False)
    assert ranking.functions.select("function", "is_rays").rows()[-1] == (controller, True)
    assert "graceful_shutdown" not in ranking_text(ranking)


def one_run_of(function: str) -> pl.DataFrame:
    return table(
        span("d", 0, 100, category="driver", name="ray.driver"),
        submit("s", 0, 1, "d", function=function, submitted_task_id="T", dependency_task_ids=[]),
        run("r", 10, 90, "s", "T", function=function),
        wait("get", 1, 95, "d", ["T"]),
        recorded=True,
    )


def test_what_sets_up_a_deployments_class_is_the_programs() -> None:
    set_up = "ServeReplica:app:Model.initialize_and_get_metadata"
    spans = one_run_of(set_up)
    assert what_if(spans).functions.select("function", "is_rays").rows()[0] == (set_up, False)
    said = "Model.__init__ (in its replica)"
    assert said in ranking_text(what_if(spans))
    assert what_if(spans, speedup={said: 2}).saved_ns == 40


def test_what_else_runs_on_a_replica_has_a_short_name_too() -> None:
    replica = "ray.serve._private.replica.ServeReplica:app:Model"
    for full, short in (
        (f"{replica}.__init__", "replica of Model"),
        ("ServeReplica:app:Model.handle_request_streaming", "Model.handle_request_streaming (in its replica)"),
    ):
        assert what_if(one_run_of(full), speedup={short: 2}).saved_ns == 40


def test_a_request_is_called_as_on_the_path() -> None:
    """What a replica's own method runs for a request is the deployment's method, here as there."""
    replica, method = "ServeReplica:app:Model.handle_request", "Model.__call__"
    spans = table(
        span("d", 0, 100, category="driver", name="ray.driver"),
        submit("s", 0, 1, "d", function=replica, submitted_task_id="T", dependency_task_ids=[]),
        run("r", 10, 90, "s", "T", function=replica),
        span("h", 12, 88, "r", function=method, name="replica_handle_request Model __call__"),
        wait("get", 1, 95, "d", ["T"]),
        recorded=True,
    )
    ranking = what_if(spans).functions.select("function", "runs", "critical_ns", "saved_most_ns").rows()
    assert ranking[0] == (method, 1, 76, 76)
    segments = critical_path(spans).segments.filter(category="self").group_by("function").agg(pl.sum("duration_ns"))
    assert dict(segments.rows())[method] == 76


STATISTICS = "_StatsActor.update_execution_metrics"
BY_RAY_DATA = '{"raytrace.library": "ray.data"}'


def infinitely_fast(spans: pl.DataFrame, function: str) -> int:
    """How much is won, at most, with a faster function."""
    answer = predicted(spans, speedup={function: math.inf})
    return answer.saved_ns


def test_what_a_flow_does_once_a_wait_is_over_does_not_stand_beside_that() -> None:
    # driver [s][next ..................[s2]]===]      Ray Data tells its statistics before next() comes back
    # r         [===================]    [c]
    spans = table(
        span("d", 0, 100, category="driver", name="ray.driver"),
        submit("s", 0, 2, "d", submitted_task_id="T", dependency_task_ids=[]),
        run("r", 10, 70, "s", "T"),
        wait("next", 2, 90, "d", ["T"], name="ray.next", attributes=BY_RAY_DATA),
        submit("s2", 80, 82, "d", function=STATISTICS, submitted_task_id="C", dependency_task_ids=[]),
        run("c", 85, 86, "s2", "C", function=STATISTICS, actor_id="a"),
        recorded=True,
    )
    assert predicted(spans).predicted_ns == 100
    assert infinitely_fast(spans, "f") == 60


def test_what_a_library_does_for_itself_beside_a_wait_holds_nobody_up() -> None:
    # driver [s][next ...............................][==]
    # r         [=================================]
    # c              [s2][c]                               statistics, told by another thread meanwhile
    spans = table(
        span("d", 0, 100, category="driver", name="ray.driver"),
        submit("s", 0, 2, "d", submitted_task_id="T", dependency_task_ids=[]),
        run("r", 10, 80, "s", "T"),
        wait("next", 2, 81, "d", ["T"], name="ray.next", attributes=BY_RAY_DATA),
        submit("s2", 50, 52, "d", function=STATISTICS, submitted_task_id="C", dependency_task_ids=[]),
        run("c", 55, 56, "s2", "C", function=STATISTICS, actor_id="a"),
        recorded=True,
    )
    assert infinitely_fast(spans, "f") == 70


def test_a_controller_that_asks_again_and_again_waits_for_what_it_awaits_at_once() -> None:
    # driver     [s][get ...........................................]
    # controller    [await ...............................][sleep]==]      asks how the rank is, and sleeps, meanwhile
    #                 [p][get][sleep][p][get][sleep][p][get]
    # loop            [================================]
    controller, poll = "TrainController.run", "RayTrainWorker.poll_status"
    rounds = [
        row
        for number, at in enumerate((12, 42, 72))
        for row in (
            submit(f"p{number}", at, at + 1, "c", function=poll, submitted_task_id=f"P{number}",
                   dependency_task_ids=[]),
            run(f"q{number}", at + 2, at + 3, f"p{number}", f"P{number}", function=poll, actor_id="w"),
            wait(f"w{number}", at + 1, at + 5, "c", [f"P{number}"]),
            wait(f"z{number}", at + 5, at + 28, "c", [], name="await",
                 attributes='{"raytrace.awaited": "asyncio.sleep"}'),
        )
    ]  # fmt: skip
    spans = table(
        span("d", 0, 130, category="driver", name="ray.driver"),
        submit("s", 0, 2, "d", function=controller, submitted_task_id="C", dependency_task_ids=[]),
        run("c", 4, 120, "s", "C", function=controller, actor_id="c", concurrent=True),
        submit("s2", 6, 7, "c", function="loop", submitted_task_id="L", dependency_task_ids=[]),
        run("l", 8, 90, "s2", "L", function="loop", actor_id="w", concurrent=True),
        wait("await", 10, 105, "c", ["L"], name="await", attributes='{"raytrace.library": "ray.train"}'),
        *rounds,
        wait("get", 2, 125, "d", ["C"]),
        recorded=True,
    )
    assert predicted(spans).predicted_ns == 130
    # What comes once the loop has ended takes as long as it did.
    assert infinitely_fast(spans, "loop") == 80


def test_what_ends_while_its_caller_waits_for_something_else_is_not_waited_for_afterwards() -> None:
    # controller [x][s][await ..........][wait for a placement group ..][==]      nobody asks for what x did
    # loop           [=================]
    # x          .............................[=]
    spans = table(
        span("d", 0, 100, category="driver", name="ray.driver"),
        submit("s", 0, 2, "d", function="Controller.run", submitted_task_id="C", dependency_task_ids=[]),
        run("c", 4, 95, "s", "C", function="Controller.run", actor_id="c", concurrent=True),
        submit("sx", 4, 5, "c", function="x", submitted_task_id="X", dependency_task_ids=[]),
        run("x", 58, 60, "sx", "X", function="x", actor_id="x"),
        submit("sl", 6, 7, "c", function="loop", submitted_task_id="L", dependency_task_ids=[]),
        run("l", 8, 50, "sl", "L", function="loop", actor_id="w"),
        wait("await", 7, 50, "c", ["L"], name="await"),
        wait("group", 52, 80, "c", [], name="placement_group.wait"),
        wait("get", 2, 96, "d", ["C"]),
        recorded=True,
    )
    assert infinitely_fast(spans, "loop") == 42


def test_blocks_that_are_there_are_handed_over_at_once() -> None:
    # driver [s1][s2][next ....][=][next ....][=]      Ray Data's thread looks at times, and hands over what is there
    # 1               [===]
    # 2               ....[=========]
    spans = table(
        span("d", 0, 100, category="driver", name="ray.driver"),
        submit("s1", 0, 2, "d", submitted_task_id="1", dependency_task_ids=[]),
        submit("s2", 2, 4, "d", submitted_task_id="2", dependency_task_ids=[]),
        run("r1", 10, 30, "s1", "1"),
        run("r2", 10, 60, "s2", "2"),
        wait("n1", 4, 40, "d", ["1"], name="ray.next", attributes=BY_RAY_DATA),
        wait("n2", 45, 80, "d", ["2"], name="ray.next", attributes=BY_RAY_DATA),
        recorded=True,
    )
    assert predicted(spans).predicted_ns == 100
    assert infinitely_fast(spans, "f") == 80 - 30


def test_slots_are_taken_in_another_order() -> None:
    """Two slots, a long task behind two short ones: halving the short ones lets it begin earlier, on either slot."""

    def program(*durations: int) -> Program:
        tasks = [Submit(Task(f"t{n}", (Compute(ms * MILLISECOND),))) for n, ms in enumerate(durations)]
        body = (*tasks, Wait(tuple(range(len(tasks))), len(tasks)))
        return Program(7, body, (2,), spans_know_driver=True, kills_rest=False)

    mixed = program(600, 900, 1200, 300, 300)
    base = simulate(mixed, rerun=Rerun())
    for function in ("t0", "t1", "t2", "t3"):
        really = simulate(mixed, rerun=Rerun({function: 3})).makespan_ns
        assert predicted(base.spans, speedup={function: 3}).predicted_ns == really


@pytest.mark.parametrize(
    ("asked", "saved"),
    [
        ('{"GPU": 1.0}', 150),
        ('{"CPU": 1.0, "GPU": 1.0}', 150),
        ('{"CPU": 1.0}', 50),
        ('{"CPU": 1.0, "memory": 9000000000}', 150),
        # There is enough of it for all three.
        ('{"CPU": 1.0, "memory": 3000000000}', 50),
    ],
)
def test_tasks_wait_for_gpus_or_memory_while_cpus_are_free(asked: str, saved: int) -> None:
    """
    d      |s1|s2|s3|sp|======= get ===============|
    train     |=====|                                   one at a time: there is one GPU
    train             |=====|
    train                     |=====|
    prep        |===| |====|                            beside it, on CPUs of their own
    """
    ms, demand = MILLISECOND, json.dumps({"raytrace.resources": asked})
    has = json.dumps({"raytrace.cluster_resources": json.dumps({"CPU": 8.0, "memory": 14e9})})
    rows = [span("d", 0, 320 * ms, category="driver", name="ray.driver", attributes=has)]
    for number in range(3):
        at = (10 + 102 * number) * ms
        of = {"function": "train", "submitted_task_id": str(number), "dependency_task_ids": []}
        rows += [
            submit(f"s{number}", number * ms, (number + 1) * ms, "d", attributes=demand, **of),
            run(f"r{number}", at, at + 100 * ms, f"s{number}", str(number), function="train", worker_id=f"w{number}"),
        ]
    for number, at in (("8", 12), ("9", 50)):
        of = {"function": "prep", "submitted_task_id": number, "dependency_task_ids": []}
        begun = (at - 9) * ms
        rows += [
            submit(f"s{number}", begun, begun + ms, "d", **of),
            run(f"r{number}", at * ms, (at + 60) * ms, f"s{number}", number, function="prep", worker_id=f"w{number}"),
        ]
    rows.append(wait("g", 52 * ms, 316 * ms, "d", ["0", "1", "2", "8", "9"]))
    spans = table(*rows, recorded=True)
    answer = predicted(spans, speedup={"train": 2})
    assert abs(answer.saved_ns - saved * ms) <= 2 * ms
    assert predicted(spans, slots=16).saved_ns == 0


def test_a_task_that_waits_for_a_process_waits_for_whoever_has_it() -> None:
    # Two CPUs, two processes; a task that asks for no CPU has one of these.
    # w0 [ read ~~~~~~~~~~~~~~~~ ][ heavy ]
    # w1    [ heavy ][ heavy ][ heavy ]
    ms, nothing = MILLISECOND, json.dumps({"raytrace.resources": "{}"})
    of_read = {"function": "read", "worker_id": "w0"}
    rows = [
        span("driver", 0, 1330 * ms, name="ray.driver", attributes=CPUS.format(2)),
        submit("sr", 0, ms, "driver", function="read", submitted_task_id="read", attributes=nothing),
        run("read", 10 * ms, 1000 * ms, "sr", "read", **of_read),
    ]
    for number, (worker, start) in enumerate([("w1", 110), ("w1", 420), ("w1", 730), ("w0", 1010)]):
        task, at = f"T{number}", (100 + number) * ms
        rows += [
            submit(f"s{number}", at, at + ms // 2, "driver", function="heavy", submitted_task_id=task),
            run(f"r{number}", start * ms, (start + 300) * ms, f"s{number}", task, function="heavy", worker_id=worker),
        ]
    rows.append(wait("get", 105 * ms, 1320 * ms, "driver", ["T0", "T1", "T2", "T3"]))
    spans = table(*rows, recorded=True)
    assert (what_if(spans).functions.get_column("saved_most_ns") >= 0).all()
    # Then three runs of heavy, one after another, are what takes longest.
    assert predicted(spans, speedup={"read": math.inf}).saved_ns == 280 * ms
    assert 0 < predicted(spans, speedup={"read": 1.2}).saved_ns < 280 * ms


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match="no function 'nothing' in this job; there is slow, fast"):
        what_if(two_branches(), speedup={"nothing": 2})
    with pytest.raises(UsageError, match="at least one slot"):
        what_if(two_branches(), slots=0)
    with pytest.raises(UsageError, match="combined"):
        what_if(two_branches(), slots=2, infinite_slots=True)
    with pytest.raises(UsageError, match="times as fast"):
        what_if(two_branches(), speedup={"slow": -1})
    with pytest.raises(UsageError, match="no job"):
        what_if(two_branches(), "99")


def command(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["what-if", str(MAP_REDUCE), *arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_answer_comes_first() -> None:
    first = " ".join(command("--speedup", "map_part=2").split("\n\n")[0].split())
    assert first.startswith("Make `map_part` twice as fast and the job takes ")
    assert first.endswith("nothing more is won, then `reduce_pair` is critical.")
    assert "own work" in command()
    assert command("--slots", "4").startswith("Have 4 slots and the job takes ")


def test_json_and_csv() -> None:
    document = json.loads(command("--speedup", "map_part=inf", "--speedup", "reduce_pair=2", "--format", "json"))
    assert document["schema_version"] == 1
    assert document["change"]["speedup"] == {"__main__.map_part": "inf", "__main__.reduce_pair": 2.0}
    assert document["saved_ns"] == document["observed_ns"] - document["predicted_ns"]
    assert json.loads(command("--format", "json"))["ranking"][0]["function"] == "__main__.map_part"
    rows = list(csv.DictReader(io.StringIO(command("--remove-queue", "--format", "csv"))))
    assert {"span_id", "start_ns", "new_start_ns"} <= rows[0].keys()


@pytest.mark.parametrize("given", ["map_part", "=2", "map_part=fast", "map_part=0", "map_part=nan"])
def test_a_speedup_that_cannot_be_read(given: str) -> None:
    done = CliRunner().invoke(app, ["what-if", str(MAP_REDUCE), "--speedup", given])
    assert isinstance(done.exception, UsageError)
    assert given in str(done.exception)


def test_the_command_takes_the_drivers_word_for_the_cpus_as_the_library_does(tmp_path: Path) -> None:
    """
    d  |s||s||s||s|=== get ===|        four tasks that took their slots one after the other, on four CPUs
    """
    cpus = json.dumps({"raytrace.cluster_resources": json.dumps({"CPU": 4})})
    rows = [span("d", 0, 420, category="driver", name="ray.driver", attributes=cpus)]
    for number in range(4):
        rows += [
            submit(f"s{number}", number, number + 1, "d", submitted_task_id=str(number)),
            run(f"r{number}", 10 + 100 * number, 105 + 100 * number, f"s{number}", str(number)),
        ]
    spans = table(*rows, wait("w", 5, 410, "d", [str(number) for number in range(4)]), recorded=True)
    write_table(spans, tmp_path / "spans.parquet")
    done = CliRunner().invoke(app, ["what-if", str(tmp_path / "spans.parquet"), "--infinite-slots", "--format", "json"])
    assert json.loads(done.stdout)["slots_found"] == 4


def test_what_a_library_submits_beside_a_wait_comes_after_its_submission() -> None:
    """
    d        [ own ][s][get of c.......................]
    c                   [ next: block .............]
                          [s] start_epoch, beside it
    start_epoch               [s]
    make                         [=========] block
    """
    spans = table(
        span("d", 0, 400, category="driver", name="ray.driver"),
        submit("s", 100, 102, "d", function="c", submitted_task_id="C"),
        wait("get", 102, 400, "d", ["C"]),
        run("c", 104, 398, "s", "C", function="c"),
        wait("next", 106, 396, "c", ["B"], name="ray.next"),
        submit("e", 108, 110, "c", function="SplitCoordinator.start_epoch", submitted_task_id="E"),
        run("r", 112, 130, "e", "E", function="SplitCoordinator.start_epoch"),
        submit("m", 114, 116, "r", function="make", submitted_task_id="B"),
        run("b", 200, 394, "m", "B", function="make"),
        recorded=True,
    )
    assert predicted(spans, speedup={"(driver)": 2}).predicted_ns == 350
    assert predicted(spans, speedup={"make": 2}).predicted_ns == 400 - 194 // 2


def test_a_replica_is_created_when_the_driver_asks_and_set_up_once_it_is_there() -> None:
    """
    d             [s][get][ own ][s][get ...................]      what the controller creates, it leaves running behind
    Controller.__init__  [=]
    .deploy                          [=]
    Replica.__init__                     ..[====]
    .set_up                                       [======]
    """
    controller, replica = "ServeController.", "ServeReplica:app:Model."
    spans = table(
        span("d", 0, 600, category="driver", name="ray.driver"),
        submit("s", 0, 2, "d", function=f"{controller}__init__", submitted_task_id="C"),
        wait("got", 2, 22, "d", ["C"]),
        run("c", 4, 20, "s", "C", function=f"{controller}__init__", actor_id="a"),
        submit("t", 122, 124, "d", function=f"{controller}deploy_applications", submitted_task_id="D"),
        wait("get", 124, 600, "d", ["S"]),
        run("e", 126, 130, "t", "D", function=f"{controller}deploy_applications", actor_id="a"),
        submit("n", 140, 142, "c", function=f"{replica}__init__", submitted_task_id="R"),
        run("r", 300, 340, "n", "R", function=f"{replica}__init__", actor_id="b"),
        submit("u", 348, 350, "c", function=f"{replica}initialize_and_get_metadata", submitted_task_id="S"),
        run("v", 352, 596, "u", "S", function=f"{replica}initialize_and_get_metadata", actor_id="b"),
        recorded=True,
    )
    assert predicted(spans, speedup={"(driver)": 2}).predicted_ns == 600 - 50
    assert predicted(spans, speedup={f"{replica}__init__": 2}).predicted_ns == 600 - 20
