"""Advice on what the sampler and the task events tell: idle drivers and tasks, locks, threads, polls, a full store."""

import json
from typing import Any

import polars as pl
import pytest

import raytrace_analyze as rt
from raytrace_analyze.schema import TIME
from raytrace_analyze.table.events.attempts import with_event_columns
from raytrace_analyze.verdict.remedies import advice_and_faster
from raytrace_analyze.views.advice_view import answer_text
from raytrace_analyze.views.what_if_view import ranking_text
from tests.tables import Row, run, span, submit, table, wait
from tests.test_activity import sampled

MS = 1_000_000


def findings(spans: pl.DataFrame, **options: Any) -> dict[str, dict[str, Any]]:
    return {row["pattern"]: row for row in rt.advise(spans, **options).iter_rows(named=True)}


def with_driver(attributes: str) -> pl.DataFrame:
    """
    d  [s][get of r..][ own: 600 ms ..................]
    r     [==========]
    """
    return table(
        span("driver", 0, 1000 * MS, name="ray.driver", attributes=attributes),
        submit("s", 0, 5 * MS, "driver", submitted_task_id="T"),
        run("r", 10 * MS, 390 * MS, "s", "T"),
        wait("get", 5 * MS, 400 * MS, "driver", ["T"]),
        recorded=True,
    )


def test_a_driver_that_sleeps_is_not_called_its_own_code() -> None:
    naps = [(400 + 200 * nap, 595 + 200 * nap, "time.sleep", "/p/train.py:41") for nap in range(3)]
    found = findings(with_driver(sampled(35, *naps)))
    assert "driver-code" not in found
    idle = found["driver-idle"]
    assert "sleeps at train.py:41, 3 times, 195 ms at most" in idle["what"]
    assert (idle["file"], idle["line"], idle["certain"]) == ("/p/train.py", 41, False)
    assert idle["saved_ns"] == 3 * 195 * MS


def test_a_driver_that_sleeps_before_it_makes_a_failed_attempt_again_backs_off() -> None:
    """
    d  [s][get][ sleeps ][s][get][ sleeps ][s][get]
    r    [fails]           [fails]           [ok]
    """
    naps = [(100, 395, "time.sleep", "/p/fetch.py:9"), (500, 795, "time.sleep", "/p/fetch.py:9")]

    def attempts(status: str) -> pl.DataFrame:
        rows = [span("driver", 0, 900 * MS, name="ray.driver", attributes=sampled(20, *naps))]
        for at, ended in ((0, status), (400, status), (800, "OK")):
            rows += [
                submit(f"s{at}", at * MS, (at + 5) * MS, "driver", submitted_task_id=f"T{at}"),
                run(f"r{at}", (at + 10) * MS, (at + 90) * MS, f"s{at}", f"T{at}", function="fetch", status=ended),
                wait(f"w{at}", (at + 5) * MS, (at + 95) * MS, "driver", [f"T{at}"]),
            ]
        return table(*rows, recorded=True)

    found = findings(attempts("ERROR"))["driver-idle"]
    assert "sleeps at fetch.py:9, 2 times" in found["what"]
    assert "after an attempt at `fetch` had failed" in found["what"]
    assert found["saved_ns"] == 2 * 295 * MS
    assert "failed" not in findings(attempts("OK"))["driver-idle"]["what"]


def test_one_long_sleep_in_pieces_is_one_time() -> None:
    naps = [(400 + 200 * nap, 600 + 200 * nap, "time.sleep", "/p/train.py:41") for nap in range(3)]
    idle = findings(with_driver(sampled(20, *naps)))["driver-idle"]
    assert "sleeps at train.py:41, 600 ms, while" in idle["what"]
    assert idle["saved_ns"] == 600 * MS


def test_a_driver_that_works_is_to_move_only_what_is_on_the_cpu() -> None:
    found = findings(with_driver(sampled(420, (400, 600, "socket.recv", "/p/train.py:7"))))
    assert found["driver-code"]["saved_ns"] == 400 * MS
    assert "works" in found["driver-code"]["what"]
    assert found["driver-idle"]["saved_ns"] == 200 * MS
    assert "is idle in socket.recv at train.py:7" in found["driver-idle"]["what"]


def test_a_driver_that_works_is_told_where_it_was_seen_and_whether_it_imports() -> None:
    top = (
        "cpu;<module> (/x/ray_programs/traced_run.py:57);main (/x/ray_programs/traced_run.py:28);<module> (/p/fit.py:3)"
    )
    imports = f"{top};<module> (/p/models.py:2);<module> (/lib/numpy/__init__.py:9) 15\n{top} 5"
    works = f"{top};prepare (/p/fit.py:12) 20\n{top};<module> (/p/models.py:2) 9"
    in_a_package = f"{top};prepare (/p/fit.py:14);full (/v/lib/python3.11/site-packages/numpy/_core/numeric.py:386) 9"

    def told(stacks: str) -> dict[str, dict[str, Any]]:
        told = json.loads(sampled(590)) | {"raytrace.stacks": stacks}
        return findings(with_driver(json.dumps(told)))

    imported = told(imports)
    assert "imports modules" in imported["driver-imports"]["what"]
    assert imported["driver-imports"]["file"] != "/lib/numpy/__init__.py"
    # What it does besides that could be moved; without which modules the program can do nobody knows.
    assert imported["driver-imports"]["saved_ns"] == 0 and not imported["driver-imports"]["certain"]
    assert 0 < imported["driver-code"]["saved_ns"] < 200 * MS
    worked = told(works)["driver-code"]
    assert "import" not in worked["what"] and "seen most often at fit.py:12" in worked["what"]
    assert "seen most often at fit.py:14" in told(in_a_package)["driver-code"]["what"]


def test_a_driver_that_works_is_told_the_line_where_it_did_so_while_it_was_waited_for() -> None:
    """It polls in another line most of the time, which nobody waits for; what Ray's modules import has no frames."""

    def told(*busy: list[Any], cpu_ms: int = 590) -> dict[str, dict[str, Any]]:
        stacks = "cpu;<module> (/p/fit.py:18) 45\ncpu;<module> (/p/fit.py:4) 28"
        told = json.loads(sampled(cpu_ms)) | {"raytrace.stacks": stacks, "raytrace.busy": json.dumps(busy)}
        return findings(with_driver(json.dumps(told)))

    polls = [10 * MS, 390 * MS, 100 * MS, "/p/fit.py:18", 0]
    found = told(polls, [410 * MS, 990 * MS, 570 * MS, "/p/fit.py:4", 560 * MS])
    imported = found["driver-imports"]
    assert "imports modules" in imported["what"] and "seen most often at fit.py:4" in imported["what"]
    assert (imported["file"], imported["line"]) == ("/p/fit.py", 4)
    # It got the CPU late for a moment in between.
    halves = [
        [410 * MS, 600 * MS, 190 * MS, "/p/fit.py:4", 190 * MS],
        [800 * MS, 995 * MS, 195 * MS, "/p/fit.py:4", 195 * MS],
    ]
    assert set(told(polls, *halves, cpu_ms=900)) & {"driver-code", "driver-imports"} == {"driver-imports"}
    halves[1][3] = "/p/fit.py:9"
    assert set(told(polls, *halves, cpu_ms=900)) & {"driver-code", "driver-imports"} == {
        "driver-code",
        "driver-imports",
    }
    worked = told(polls, [410 * MS, 990 * MS, 570 * MS, "/p/fit.py:9", 100 * MS])["driver-code"]
    assert "import" not in worked["what"] and worked["line"] == 9


def test_a_summary_does_not_ask_for_less_imports_first() -> None:
    """A job of Ray's libraries imports these for long: what else could be mended is said, and no faster driver."""
    busy = [[405 * MS, 995 * MS, 585 * MS, "/p/fit.py:4", 580 * MS]]
    spans = with_driver(sampled(590, **{"raytrace.busy": json.dumps(busy)}))
    assert [(each.pattern, each.function) for each in rt.summary(spans).remedies] == [(None, "f")]
    assert ranking_text(rt.what_if(spans)).startswith("Make `f` twice as fast")
    alone = spans.with_columns(end=pl.when(pl.col("span_id") == "r").then(pl.col("start")).otherwise("end"))
    (look,) = rt.summary(alone).remedies
    assert (look.kind, look.pattern, look.saved_ns) == ("look", "driver-imports", 0)


@pytest.mark.parametrize(("until_ms", "is_told"), [(540, True), (950, False)])
def test_what_is_not_known_of_a_driver_is_not_told_beside_much_that_is(until_ms: int, is_told: bool) -> None:
    stretch = {"start_ns": 400 * MS, "end_ns": until_ms * MS, "in": "time.sleep", "at": "/p/train.py:41"}
    told = json.dumps(
        {"raytrace.cpu_ns": 10 * MS, "raytrace.idle": json.dumps({"stretches": [stretch], "left_out_ns": 0})}
    )
    found = findings(with_driver(told))
    assert "driver-idle" in found and ("driver-code" in found) == is_told


@pytest.mark.parametrize(("faster_ms", "comes_first"), [(190, True), (110, False)])
def test_what_saves_clearly_more_comes_first(faster_ms: int, comes_first: bool) -> None:
    """`f` twice as fast saves that much; the driver's own code, which a pattern tells of, saves 100 ms."""
    end = (10 + 2 * faster_ms) * MS
    spans = table(
        span("driver", 0, end + 110 * MS, name="ray.driver", attributes=sampled(105)),
        submit("s", 0, 5 * MS, "driver", submitted_task_id="T"),
        run("r", 10 * MS, end, "s", "T"),
        wait("get", 5 * MS, end + 10 * MS, "driver", ["T"]),
        recorded=True,
    )
    patterns = [each.pattern for each in rt.summary(spans).remedies]
    assert patterns == ([None, "driver-code"] if comes_first else ["driver-code", None])
    advice, faster = advice_and_faster(spans)
    said = answer_text(advice, faster)
    assert said.startswith("Make `f` twice as fast first and the job takes" if comes_first else "Mend this first")
    assert ("of the patterns that are looked for, the driver's own code saves most: 1" in said) == comes_first


def test_how_often_a_driver_was_idle_is_told_only_where_each_time_is_known() -> None:
    """Looks are too far apart to tell sleeps from each other that follow each other at once."""
    naps = [{"start_ns": 400 * MS, "end_ns": 990 * MS, "in": "time.sleep", "at": "/p/train.py:41", "busy_ns": 2 * MS}]
    told = {"raytrace.cpu_ns": 10 * MS, "raytrace.idle": json.dumps({"stretches": naps, "left_out_ns": 0})}
    assert "sleeps at train.py:41, 590 ms, while" in findings(with_driver(json.dumps(told)))["driver-idle"]["what"]
    del naps[0]["busy_ns"]
    told["raytrace.idle"] = json.dumps({"stretches": naps, "left_out_ns": 0})
    puts = (span(f"x{at}", at * MS, (at + 5) * MS, "driver", name="ray.put", category="put") for at in (500, 600))
    # Calls in between cut what is one time in pieces.
    found = findings(pl.concat([with_driver(json.dumps(told)), table(*puts, recorded=True)]))["driver-idle"]
    assert "sleeps at train.py:41, 580 ms, while" in found["what"]


def test_no_saving_is_claimed_for_what_is_not_known() -> None:
    found = findings(with_driver("{}"))
    assert found["driver-code"]["saved_ns"] == 0
    assert "not known" in found["driver-code"]["what"]
    summary = rt.summary(with_driver("{}"))
    assert all(remedy.saved_ns == 0 for remedy in summary.remedies if remedy.function == "(driver)")


def tasks(count: int, attributes: str, at_a_time: int = 1, resources: str = '{"CPU": 1}') -> pl.DataFrame:
    """So many runs of 200 ms, `at_a_time` of them side by side, for as many slots."""
    cluster = json.dumps({"raytrace.cluster_resources": json.dumps({"CPU": at_a_time})})
    end = 10 + 210 * -(-count // at_a_time)
    rows: list[Row] = [span("driver", 0, (end + 5) * MS, name="ray.driver", attributes=cluster)]
    asked = json.dumps({"raytrace.resources": resources})
    for number in range(count):
        began = 10 + 210 * (number // at_a_time)
        at, task, worker = number * MS // 10, f"T{number}", f"w{number % at_a_time}"
        of_run = {"attributes": attributes, "worker_id": worker}
        rows += [
            submit(f"s{number}", at, at + MS // 10, "driver", submitted_task_id=task, attributes=asked),
            run(f"r{number}", began * MS, (began + 200) * MS, f"s{number}", task, **of_run),
        ]
    rows.append(wait("get", 5 * MS, end * MS, "driver", [f"T{number}" for number in range(count)]))
    return table(*rows, recorded=True)


def idle_run(what: str, cpu_ms: int = 2) -> str:
    """Attributes of a run that is idle for all of its 200 ms; the stretch is laid over everything."""
    return sampled(cpu_ms, (0, 10_000, what, "/p/etl.py:42"))


def test_tasks_that_wait_for_the_network_could_hold_fewer_cpus() -> None:
    found = findings(tasks(6, idle_run("socket.recv"), at_a_time=2))["idle-tasks"]
    assert "holds 1 CPU and is idle" in found["what"]
    assert "socket.recv at etl.py:42" in found["what"]
    # All six side by side in place of three rounds of two.
    assert found["saved_ns"] == pytest.approx(2 * 210 * MS, rel=0.1)
    assert "idle-tasks" not in findings(tasks(6, sampled(190), at_a_time=2))
    # What it waits for works itself: a process that it started, threads of its own.
    assert "idle-tasks" not in findings(tasks(6, idle_run("subprocess.run"), at_a_time=2))
    threads = json.loads(idle_run("Future.result")) | {"raytrace.process_cpu_ns": 150 * MS}
    assert "idle-tasks" not in findings(tasks(6, json.dumps(threads), at_a_time=2))
    assert "idle-tasks" not in findings(tasks(2, idle_run("socket.recv"), at_a_time=2))


def test_a_lock_that_several_runs_wait_for() -> None:
    found = findings(tasks(4, idle_run("fcntl.flock"), at_a_time=2))["lock"]
    assert "4 runs of `f` are idle in fcntl.flock at etl.py:42" in found["what"]
    assert found["saved_ns"] == 0


def test_a_task_of_one_cpu_that_uses_four() -> None:
    four = json.dumps({"raytrace.cpu_ns": 200 * MS, "raytrace.process_cpu_ns": 760 * MS})
    found = findings(tasks(2, four, at_a_time=2))["more-threads"]
    assert "asks for 1 CPU and uses 3.8 on average" in found["what"]
    assert "num_cpus=4" in found["remedy"]
    assert "more-threads" not in findings(tasks(2, four, at_a_time=2, resources='{"CPU": 4}'))


def polls(asked: int) -> pl.DataFrame:
    told = json.dumps({"raytrace.awaited_count": asked, "raytrace.call_site": "/p/main.py:9"})
    rows: list[Row] = [span("driver", 0, 1100 * MS, name="ray.driver")]
    for number in range(20):
        at = 50 * number
        rows += [
            submit(f"s{number}", number * MS // 10, (number + 1) * MS // 10, "driver", submitted_task_id=f"T{number}"),
            run(f"r{number}", 5 * MS, (at + 10) * MS, f"s{number}", f"T{number}"),
            wait(
                f"w{number}", (at + 5) * MS, (at + 50) * MS, "driver", [f"T{number}"], name="ray.wait", attributes=told
            ),
        ]
    return table(*rows, recorded=True)


def test_a_loop_of_ray_wait_over_thousands_of_references() -> None:
    found = findings(polls(5000))["wait-for-many"]
    assert "(main.py:9) is called 20 times with up to 5,000 references" in found["what"]
    assert found["saved_ns"] > 0
    assert "wait-for-many" not in findings(polls(50))


def test_a_put_that_waits_for_room_in_the_object_store_is_no_idle_driver() -> None:
    # driver [s][get ][ put ~~~~~~~~~~~~~~~~~~ ]
    about = json.loads(sampled(35, (420, 980, "ray._private.worker.put", "/p/train.py:9")))
    put = {"raytrace.put_bytes": 10**7, "raytrace.call_site": "/p/train.py:9"}
    spans = with_driver(json.dumps(about))
    put_span = span("put", 410 * MS, 990 * MS, "driver", name="ray.put", attributes=json.dumps(put))
    spans = pl.concat([spans, table(put_span, recorded=True)], how="diagonal_relaxed")
    found = findings(spans)
    assert "driver-idle" not in found
    full = found["store-full"]
    assert "1 call of `ray.put` at train.py:9 waited 560 ms in all" in full["what"]
    assert (full["function"], full["line"], full["certain"]) == ("(driver)", 9, False)
    assert full["saved_ns"] == 560 * MS
    (note,) = rt.what_if(spans).notes
    assert "the driver waits" in note and "in `ray.put` for room in the object store" in note
    # The driver is no faster there.
    assert rt.what_if(spans, speedup={"(driver)": 2}).saved_ns < 100 * MS


def test_a_put_that_takes_no_longer_than_to_copy_what_it_puts_waits_for_no_room() -> None:
    # Ray has threads for that; the driver's own is idle meanwhile.
    about = sampled(35, (420, 980, "ray._private.worker.put", "/p/train.py:9"))
    put = {"raytrace.put_bytes": 10**9, "raytrace.call_site": "/p/train.py:9"}
    put_span = span("put", 410 * MS, 990 * MS, "driver", name="ray.put", attributes=json.dumps(put))
    spans = pl.concat([with_driver(about), table(put_span, recorded=True)], how="diagonal_relaxed")
    assert {"driver-idle", "store-full"}.isdisjoint(findings(spans))
    putting = rt.critical_path(spans).segments.filter(span_id=put_span["span_id"])
    assert putting.get_column("activity").unique().to_list() == ["unknown"]
    assert not any("room" in note for note in rt.what_if(spans).notes)


def test_a_full_object_store() -> None:
    spans = with_event_columns(
        table(
            span("driver", 0, 410 * MS, name="ray.driver"),
            submit("s", 0, MS, "driver", submitted_task_id="T"),
            run("r", 200 * MS, 400 * MS, "s", "T"),
            wait("get", 2 * MS, 405 * MS, "driver", ["T"]),
            recorded=True,
        )
    )
    assert "store-full" not in findings(spans)
    is_run = pl.col("span_id") == "r"
    at_ms = {
        "pending_node_assignment": 2,
        "pending_obj_store_mem_avail": 40,
        "submitted_to_worker": 190,
        "running": 199,
    }
    states = {f"state_{state}": pl.when(is_run).then(at * MS).cast(TIME) for state, at in at_ms.items()}
    found = findings(spans.with_columns(**states))["store-full"]
    assert "1 run waited for room in the object store, 150 ms in all" in found["what"]
    assert found["saved_ns"] > 0


def test_results_that_there_is_no_room_for_keep_their_slots() -> None:
    # r0 r1 [==]  stored until 900      r2, for the only slot, only then
    rows = [
        span("driver", 0, 1200 * MS, name="ray.driver"),
        *(submit(f"s{n}", n * MS, (n + 1) * MS, "driver", submitted_task_id=f"T{n}") for n in range(3)),
        run("r0", 4 * MS, 8 * MS, "s0", "T0", worker_id="w1", pid=7),
        run("r1", 10 * MS, 100 * MS, "s1", "T1", worker_id="w1", pid=7),
        run("r2", 910 * MS, 1000 * MS, "s2", "T2"),
        wait("get", 5 * MS, 1010 * MS, "driver", ["T1", "T2"]),
    ]
    spans = with_event_columns(table(*rows, recorded=True))
    assert "store-full" not in findings(spans)
    stored = pl.when(pl.col("span_id") == "r1").then(900 * MS).cast(TIME)
    found = findings(spans.with_columns(profile_store_outputs_end=stored))["store-full"]
    assert "took 800 ms to be stored" in found["what"] and "no slot was free" in found["what"]
    waited = rt.queue_causes(spans.with_columns(profile_store_outputs_end=stored)).filter(span_id="r2")
    causes = dict(waited.group_by("cause").agg(pl.col("duration_ns").sum()).iter_rows())
    assert causes["no-slot"] <= 100 * MS and causes["store-full"] == 800 * MS
    # A process that began with it had to load what it stores results with.
    alone = with_event_columns(table(*(row for row in rows if row["span_id"] not in ("s0", "r0")), recorded=True))
    alone = alone.with_columns(profile_store_outputs_end=stored)
    assert "store-full" not in findings(alone)
    assert "store-full" not in rt.queue_causes(alone).get_column("cause").to_list()


@pytest.mark.parametrize("of_actor", [True, False])
def test_tasks_that_wait_for_calls_of_an_actor_cannot_let_their_callers_wait(of_actor: bool) -> None:
    # c1 [=][get of a queue's item ............][=]
    # c2     .... its process starts ....[====]
    queue = {"function": "Queue.get", "actor_id": "Q"} if of_actor else {"function": "part"}
    spans = table(
        span("driver", 0, 1200 * MS, name="ray.driver"),
        submit("s1", 1 * MS, 2 * MS, "driver", submitted_task_id="C1", function="consume"),
        submit("s2", 2 * MS, 3 * MS, "driver", submitted_task_id="C2", function="consume"),
        run("c1", 10 * MS, 950 * MS, "s1", "C1", function="consume"),
        submit("q", 20 * MS, 21 * MS, "c1", submitted_task_id="G", **queue),
        run("g", 25 * MS, 900 * MS, "q", "G", **queue),
        wait("item", 22 * MS, 905 * MS, "c1", ["G"]),
        run("c2", 700 * MS, 1100 * MS, "s2", "C2", function="consume"),
        wait("get", 5 * MS, 1110 * MS, "driver", ["C1", "C2"]),
        recorded=True,
    )
    found = findings(spans)["nested-get"]
    assert found["certain"] != of_actor
    assert ("calls of actors" in found["what"]) == of_actor
    assert ("let the caller wait" in found["remedy"]) != of_actor


def test_the_process_of_a_task_that_waits_would_serve_one_run_after_the_other_from_then_on() -> None:
    # c [============][get of p and q ..............................][=]
    # p        |s|   ... its process starts ...  [======]                 in c's process from 400 to 700
    # q        |s|   ... its process starts ...       [======]            and there from 700 on, 300 earlier than it was
    cluster = {"attributes": json.dumps({"raytrace.cluster_resources": json.dumps({"CPU": 2})})}
    spans = table(
        span("driver", 0, 1400 * MS, name="ray.driver", category="driver", **cluster),
        submit("s", 0, 1 * MS, "driver", submitted_task_id="C", function="call"),
        run("c", 2 * MS, 1380 * MS, "s", "C", function="call", worker_id="1"),
        submit("sp", 298 * MS, 299 * MS, "c", submitted_task_id="P", function="part"),
        submit("sq", 299 * MS, 300 * MS, "c", submitted_task_id="Q", function="part"),
        run("p", 900 * MS, 1200 * MS, "sp", "P", function="part", worker_id="2"),
        run("q", 1000 * MS, 1300 * MS, "sq", "Q", function="part", worker_id="3"),
        wait("parts", 400 * MS, 1301 * MS, "c", ["P", "Q"]),
        wait("get", 2 * MS, 1381 * MS, "driver", ["C"]),
        recorded=True,
    )
    found = findings(spans)["nested-get"]
    assert 290 * MS <= found["saved_ns"] <= 310 * MS
    assert "1 more process had to be started" in found["what"]


def process_per_run(workers: list[str], every_ms: int = 200) -> pl.DataFrame:
    """
    d  |s0|... starts ...|0||s1|... starts ...|1|...        a task after the other, each in a process of its own
    """
    rows: list[Row] = []
    for number, worker in enumerate(workers):
        at, task = every_ms * number, f"T{number}"
        rows += [
            submit(f"s{number}", at * MS, (at + 2) * MS, "driver", submitted_task_id=task, function="infer"),
            run(f"r{number}", (at + 150) * MS, (at + 180) * MS, f"s{number}", task, function="infer", worker_id=worker),
            wait(f"w{number}", (at + 3) * MS, (at + 190) * MS, "driver", [task]),
        ]
    return table(span("driver", 0, every_ms * len(workers) * MS, name="ray.driver"), *rows, recorded=True)


def test_tasks_that_wait_for_a_gpu_start_sooner_where_they_need_no_new_process() -> None:
    # infer  ... starts ...[==]... starts ...[==]... starts ...[==]      one at a time: there is one GPU
    rows: list[Row] = []
    asked = json.dumps({"raytrace.resources": '{"CPU":1,"GPU":1}'})
    for number in range(4):
        of = {"function": "infer", "submitted_task_id": f"T{number}"}
        began = (150 + 200 * number) * MS
        rows += [
            submit(f"s{number}", number * MS, (number + 1) * MS, "driver", attributes=asked, **of),
            run(
                f"r{number}",
                began,
                began + 50 * MS,
                f"s{number}",
                f"T{number}",
                function="infer",
                worker_id=str(number),
            ),
        ]
    rows.append(wait("get", 5 * MS, 810 * MS, "driver", [f"T{number}" for number in range(4)]))
    told = json.dumps({"raytrace.cluster_resources": '{"CPU":4,"GPU":1}'})
    spans = table(span("driver", 0, 820 * MS, name="ray.driver", attributes=told), *rows, recorded=True)
    assert findings(spans)["process-per-run"]["saved_ns"] > 400 * MS


def test_a_process_for_each_run_is_no_first_runs_alone() -> None:
    spans = process_per_run(["a", "b", "c", "d", "e"])
    found = findings(spans)
    assert "4 of 5 runs of `infer` got a new worker process each" in found["process-per-run"]["what"]
    assert found["process-per-run"]["saved_ns"] > 4 * 120 * MS and not found["process-per-run"]["first_run_only"]
    assert "max_calls=0" in found["process-per-run"]["remedy"]
    assert found["cold-workers"]["saved_ns"] < 150 * MS  # the first one's
    assert rt.summary(spans).start_up_ns < 150 * MS
    seldom = findings(process_per_run(["a", "b"], 3_000))["process-per-run"]
    assert "1 of 2 runs of `infer` got a new worker process, though" in seldom["what"]
    assert "Ray ends those that are idle for a second or more" in seldom["remedy"]
    shared = findings(process_per_run(["a", "b", "a", "b", "a"]))
    assert "process-per-run" not in shared and "cold-workers" in shared


def actors(one_by_one: bool) -> pl.DataFrame:
    """
    d  |c0|~~ start: 150 ms ~~|init|call|  |c1|~~ start ~~|init|call|  ...      four actors, a process each
    """
    rows: list[Row] = []
    for number in range(4):
        at, actor = (300 * number if one_by_one else 4 * number), {"actor_id": f"a{number}", "worker_id": f"w{number}"}
        made, called = f"M{number}", f"C{number}"
        rows += [
            submit(f"m{number}", at * MS, (at + 2) * MS, "driver", submitted_task_id=made, function="A.__init__"),
            run(f"i{number}", (at + 150) * MS, (at + 152) * MS, f"m{number}", made, function="A.__init__", **actor),
            submit(f"c{number}", (at + 2) * MS, (at + 3) * MS, "driver", submitted_task_id=called, function="A.work"),
            run(f"r{number}", (at + 154) * MS, (at + 250) * MS, f"c{number}", called, function="A.work", **actor),
            wait(f"w{number}", (at + 14) * MS, (at + 255) * MS, "driver", [called]),
        ]
    return table(span("driver", 0, 1200 * MS, name="ray.driver"), *rows, recorded=True)


def test_a_process_for_each_actor_of_many_in_turn_is_no_first_runs_alone() -> None:
    found = findings(actors(one_by_one=True))
    assert "3 of 4 actors `A` were created after others of them had done their last" in found["process-per-run"]["what"]
    assert found["process-per-run"]["saved_ns"] > 3 * 130 * MS and not found["process-per-run"]["first_run_only"]
    together = findings(actors(one_by_one=False))
    assert "process-per-run" not in together and "cold-workers" in together


def small(name: str = "f") -> pl.DataFrame:
    """
    d  |s0|s1|s2 ...|.............. get ..........................|
    w                |..... starting: 3 s .....|r0|.|r1|.|r2| ...      60 runs of 2 ms, 5 ms apart, in one process
    """
    rows: list[Row] = [span("driver", 0, 3700 * MS, name="ray.driver")]
    for number in range(60):
        at, task = (3200 + 7 * number) * MS, f"T{number}"
        rows += [
            submit(f"s{number}", 3 * number * MS, (3 * number + 3) * MS, "driver", submitted_task_id=task),
            run(f"r{number}", at, at + 2 * MS, f"s{number}", task, name=f"{name} ray.remote_worker", worker_id="w"),
        ]
    rows.append(wait("get", 190 * MS, 3690 * MS, "driver", [f"T{number}" for number in range(60)]))
    return table(*rows, recorded=True)


def test_larger_tasks_wait_for_their_process_as_well() -> None:
    found = findings(small(), at_least=0.001, had_slots=1)
    assert found["cold-workers"]["saved_ns"] > 2500 * MS
    assert 0 < found["small-tasks"]["saved_ns"] < 60 * (3 + 5) * MS
    assert "of the items at a time" in found["small-tasks"]["remedy"]


def test_tasks_of_an_operator_are_as_many_as_its_blocks() -> None:
    found = findings(small("ray.data._internal.execution.reduce"), at_least=0.001, had_slots=1)
    assert "fewer blocks" in found["small-tasks"]["remedy"]


def test_a_function_that_carries_much_data_is_no_first_runs_alone() -> None:
    """
    d  |========s0========|s1|..............|g|     exporting it takes 300 ms, loading it 400 in each of two processes
    0                      |... load ...|-|
    1                         |... load ...|-|
    """

    def job(size: int) -> pl.DataFrame:
        rows: list[Row] = [span("driver", 0, 800 * MS, name="ray.driver")]
        for number, (at, over) in enumerate([(0, 300), (300, 302)]):
            told = {"raytrace.call_site": "job.py:7"} | ({"raytrace.code_bytes": size} if number == 0 else {})
            named = {"submitted_task_id": f"T{number}", "function": "look_up", "attributes": json.dumps(told)}
            of_run = {"function": "look_up", "worker_id": f"w{number}"}
            rows += [
                submit(f"s{number}", at * MS, over * MS, "driver", **named),
                run(f"r{number}", (over + 410) * MS, (over + 430) * MS, f"s{number}", f"T{number}", **of_run),
            ]
        rows.append(wait("get", 303 * MS, 790 * MS, "driver", ["T0", "T1"]))
        spans = with_event_columns(table(*rows, recorded=True))
        is_run, loaded = pl.col("span_id").is_in(["r0", "r1"]), pl.col("start").cast(pl.Int64)
        at_ms = {
            "state_submitted_to_worker": 406,
            "state_running": 405,
            "profile_deserialize_arguments_start": 404,
            "profile_deserialize_arguments_end": 3,
            "profile_execute_start": 2,
        }
        states = {name: pl.when(is_run).then(loaded - at * MS).cast(TIME) for name, at in at_ms.items()}
        return spans.with_columns(**states)

    found = findings(job(24_000_000))
    much = found["large-code"]
    assert "`look_up` takes 24.0 MB when pickled" in much["what"] and (much["file"], much["line"]) == ("job.py", 7)
    assert much["saved_ns"] > 600 * MS and not much["first_run_only"]
    assert "cold-workers" not in found
    assert "large-code" not in findings(job(90_000)) and "cold-workers" in findings(job(90_000))


def one_after_another(submit_ms: int, run_ms: int) -> pl.DataFrame:
    """
    d  [=s=]|get|[=s=]|get|...          a driver calls an actor and waits for it, eight times
    m        [===]     [===]
    """
    actor = {"function": "Model.fit", "actor_id": "m", "pid": 9, "worker_id": "wm"}
    rows: list[Row] = []
    at = 5
    for number in range(8):
        task, site = f"T{number}", json.dumps({"raytrace.call_site": "/p/fit.py:8"})
        called, done = at + submit_ms, at + submit_ms + 2 + run_ms
        about = {"submitted_task_id": task, "attributes": site, **actor}
        rows += [
            submit(f"s{number}", at * MS, called * MS, "driver", **about),
            run(f"r{number}", (called + 2) * MS, done * MS, f"s{number}", task, **actor),
            wait(f"w{number}", called * MS, (done + 1) * MS, "driver", [task], attributes=site),
        ]
        at = done + 2
    return table(span("driver", 0, (at + 5) * MS, name="ray.driver"), *rows, recorded=True)


def test_calls_of_one_actor_that_take_long_to_submit_need_not_wait_for_each_other() -> None:
    found = findings(one_after_another(100, 50))
    assert found["get-in-loop"]["saved_ns"] > 6 * 50 * MS
    assert "actor-bottleneck" not in found
    quick = findings(one_after_another(1, 100))
    assert "would save next to nothing" in quick["actor-bottleneck"]["what"]
    assert "get-in-loop" not in quick
    some = findings(one_after_another(30, 100))["actor-bottleneck"]
    assert "would save 2" in some["what"] and some["saved_ns"] > 400 * MS


def lock_rows() -> list[dict[str, object]]:
    """
    a  [take |....work....| give]          m: take, given back when a calls give
    b  [take ~~~~~~~~~~~~~~~~~~~~~ |..work..| give]
    """
    actor = {"actor_id": "m", "pid": 9, "worker_id": "wm", "concurrent": True}
    loop = json.dumps({"raytrace.on_event_loop": True, "raytrace.max_concurrency": 1000})
    take, give = {"function": "Lock.take", **actor}, {"function": "Lock.give", **actor}
    about = {"attributes": loop}
    awaited = '{"raytrace.awaited": "asyncio.Lock.acquire", "raytrace.call_site": "lock.py:7"}'
    rows = [span("driver", 0, 1000 * MS, category="driver", name="ray.driver")]
    for name, start, took, over in (("a", 10, 30, 400), ("b", 12, 402, 800)):
        own = {"function": "update"}
        call = {"submitted_task_id": f"K{name}", "function": "Lock.take"}
        back = {"submitted_task_id": f"G{name}", "function": "Lock.give"}
        rows += [
            submit(f"s{name}", 1 * MS, 2 * MS, "driver", submitted_task_id=f"T{name}", **own),
            run(name, start * MS, (over + 20) * MS, f"s{name}", f"T{name}", **own),
            submit(f"t{name}", (start + 1) * MS, (start + 2) * MS, name, **call),
            run(f"k{name}", (start + 4) * MS, (took + 1) * MS, f"t{name}", f"K{name}", **take, **about),
            wait(f"w{name}", (start + 3) * MS, (took + 2) * MS, name, [f"K{name}"]),
            submit(f"g{name}", (over - 8) * MS, (over - 7) * MS, name, **back),
            run(f"v{name}", (over - 2) * MS, over * MS, f"g{name}", f"G{name}", **give, **about),
            wait(f"x{name}", (over - 6) * MS, (over + 1) * MS, name, [f"G{name}"]),
        ]
    for name, start, end in (("a", 15, 30), ("b", 17, 402)):
        rows.append(wait(f"y{name}", start * MS, end * MS, f"k{name}", [], name="await", attributes=awaited))
    return [*rows, wait("get", 3 * MS, 900 * MS, "driver", ["Ta", "Tb"])]


def test_a_lock_that_an_actor_keeps() -> None:
    found = findings(table(*lock_rows(), recorded=True))["lock"]
    assert found["function"] == "Lock.take" and (found["file"], found["line"]) == ("lock.py", 7)
    assert "`update` held it" in found["what"] and "until it called `Lock.give`" in found["what"]
    assert found["saved_ns"] > 300 * MS


def test_a_lock_that_threads_of_an_actor_wait_for_is_told_once() -> None:
    """
    a  [==== holds it ====]
    b  [~~~~ waits ~~~~~~~][==== holds it ====]
    c  [~~~~ waits ~~~~~~~~~~~~~~~~~~~~~~~~~~~][==== holds it ====]
    """
    what = "threading.Semaphore.acquire"
    told = {"raytrace.max_concurrency": 3, "raytrace.on_event_loop": False}
    about = {"function": "Pool.use", "actor_id": "m", "pid": 9, "worker_id": "wm", "concurrent": True}
    waits = json.dumps({"raytrace.awaited": what, "raytrace.sampled_times": True, "raytrace.call_site": "lock.py:7"})
    rows: list[Row] = [span("driver", 0, 1000 * MS, name="ray.driver")]
    for number, name in enumerate("abc"):
        start, held = 10 * MS, (10 + 300 * number) * MS
        idle = json.loads(sampled(2, (10, 10 + 300 * number, what, "/p/lock.py:7"))) | told
        rows += [
            submit(f"s{name}", number * MS, (number + 1) * MS, "driver", submitted_task_id=f"T{name}", **about),
            run(name, start, held + 300 * MS, f"s{name}", f"T{name}", attributes=json.dumps(idle), **about),
        ]
        if number:
            pause = {"name": "await", "attributes": waits, "pid": 9, "actor_id": "m", "task_id": f"T{name}"}
            rows.append(wait(f"w{name}", start, held, name, [], **pause))
    spans = table(*rows, wait("get", 5 * MS, 920 * MS, "driver", ["Ta", "Tb", "Tc"]), recorded=True)
    (found,) = rt.advise(spans).filter(pattern="lock").iter_rows(named=True)
    assert found["saved_ns"] > 500 * MS


def test_who_held_an_actors_lock_is_not_told_where_nobody_knows_who_gave_it_back() -> None:
    rows = [row for row in lock_rows() if row["span_id"] != "ga"]
    found = findings(table(*rows, recorded=True))["lock"]
    assert "until `Lock.give` gave it back" in found["what"]
    assert "driver" not in found["what"] and "update" not in found["what"]


def tried_lock(*, meets: bool = False) -> pl.DataFrame:
    """
    a  [try][........ holds it ........][give]            a lock that is tried until it is free; `meets`: a barrier,
    b  [try]~~~[try]~~~[try]~~~[try]~~~~~~~~~~~[try][work][give]      that b calls first, to say that it is there
    """
    actor = {"actor_id": "m", "pid": 9, "worker_id": "wm"}
    sleeps = [(at + 11, at + 99, "time.sleep", "/p/lock.py:8") for at in range(110, 610, 100)]
    place = json.dumps({"raytrace.call_site": "lock.py:7"})
    rows = [span("driver", 0, 1000 * MS, name="ray.driver")]
    tries = [("b", at, "try") for at in range(110, 711, 100)]
    calls = [("a", 30, "try"), ("a", 620, "give"), *tries, ("b", 900, "give")]
    if meets:
        calls = [("b", 60, "give"), *calls[:-1]]
    for name, end, about in (("a", 640, {}), ("b", 950, {"attributes": sampled(20, *sleeps)})):
        rows += [
            submit(f"s{name}", 1 * MS, 2 * MS, "driver", submitted_task_id=f"T{name}", function="update"),
            run(name, 10 * MS, end * MS, f"s{name}", f"T{name}", function="update", **about),
        ]
    for name, at, method in calls:
        call, task = {"function": f"Lock.{method}"}, f"{name}{method}{at}"
        rows += [
            submit(f"s{task}", at * MS, (at + 1) * MS, name, submitted_task_id=task, **call),
            run(f"r{task}", (at + 3) * MS, (at + 8) * MS, f"s{task}", task, **call, **actor),
            wait(f"w{task}", (at + 1) * MS, (at + 10) * MS, name, [task], attributes=place),
        ]
    return table(*rows, wait("get", 3 * MS, 960 * MS, "driver", ["Ta", "Tb"]), recorded=True)


def test_a_lock_that_is_tried_until_it_is_free() -> None:
    found = findings(tried_lock())["lock"]
    assert found["function"] == "Lock.try" and (found["file"], found["line"]) == ("lock.py", 7)
    assert "`update` calls `Lock.try` again and again" in found["what"] and "6 times in vain" in found["what"]
    assert "until another run of it has called `Lock.give`" in found["what"]
    assert found["saved_ns"] > 0
    assert "lock" not in findings(tried_lock(meets=True))


def rate_limiter(*, at_a_rate: bool = True, alike: bool = False) -> pl.DataFrame:
    """
    a  [take][~~ take ~~~~~~~~~~][~~ take ..     `a` and `b` call in a loop; one call goes on every 100 ms
    b  [~~ take ~~][~~ take ~~~~~~~~~~]..
    `alike`: one of them alone, whose calls all sleep as long
    """
    about = {"actor_id": "m", "pid": 9, "worker_id": "wm", "function": "Bucket.take"}
    awaited = json.dumps({"raytrace.awaited": "asyncio.sleep", "raytrace.call_site": "bucket.py:9"})
    on_loop = json.dumps({"raytrace.max_concurrency": 1000, "raytrace.on_event_loop": True})
    rows = [span("driver", 0, 1300 * MS, name="ray.driver")]
    ends = {"a": 20, "b": 20}
    callers = "a" if alike else "ab"
    for number in range(10):
        name = callers[number % len(callers)]
        at = ends[name]
        end = (120 if alike else 20) + 100 * number + (0 if at_a_rate else (0, 70, 30, 90, 50)[number % 5])
        ends[name] = end + 10
        rows += [
            submit(f"s{number}", at * MS, (at + 1) * MS, name, submitted_task_id=f"K{number}", function="Bucket.take"),
            run(f"k{number}", (at + 2) * MS, (end + 4) * MS, f"s{number}", f"K{number}", attributes=on_loop, **about),
            wait(
                f"w{number}",
                (at + 1) * MS,
                (end + 6) * MS,
                name,
                [f"K{number}"],
                attributes=json.dumps({"raytrace.call_site": "fetch.py:3"}),
            ),
            wait(f"y{number}", (at + 3) * MS, (end + 3) * MS, f"k{number}", [], name="await", attributes=awaited),
        ]
    for name in callers:
        rows += [
            submit(f"t{name}", 1 * MS, 2 * MS, "driver", submitted_task_id=f"T{name}", function="fetch"),
            run(name, 10 * MS, (ends[name] + 10) * MS, f"t{name}", f"T{name}", function="fetch"),
        ]
    return table(*rows, wait("get", 3 * MS, 1250 * MS, "driver", [f"T{name}" for name in callers]), recorded=True)


def test_calls_that_an_actor_lets_go_on_at_a_rate() -> None:
    found = findings(rate_limiter())
    paced = found["paced-calls"]
    assert (paced["function"], paced["file"], paced["line"]) == ("Bucket.take", "bucket.py", 9)
    assert "it lets one go on every 100 ms" in paced["what"]
    assert paced["saved_ns"] > 700 * MS and not paced["certain"]
    # Whoever submits all of them at once waits as long.
    assert not {"get-in-loop", "actor-bottleneck"} & found.keys()
    for other in (rate_limiter(at_a_rate=False), rate_limiter(alike=True)):
        assert "paced-calls" not in findings(other)
        assert {"get-in-loop", "actor-bottleneck"} & findings(other).keys()


def test_cold_starts_never_tell_actors_to_be_reused() -> None:
    from raytrace_analyze.wording.advice.runs import cold_workers

    assert "reuse" not in cold_workers("A.__init__", 2, starting_ns=1, loading_ns=1, is_actor=True).remedy
    assert "reuse" in cold_workers("f", 2, starting_ns=1, loading_ns=1, is_actor=False).remedy


def test_cold_workers_are_named_by_what_was_waited_for() -> None:
    """
    d  [s][s2][get of f......................]      nobody waits for Ray's own actor, whose process starts for longer
    f            ..........[====]
    stats        .................[=]
    """
    spans = table(
        span("driver", 0, 1000 * MS, name="ray.driver"),
        submit("s", 0, 5 * MS, "driver", submitted_task_id="T"),
        submit("s2", 5 * MS, 10 * MS, "driver", submitted_task_id="U", function="_StatsActor.__init__"),
        run("f", 500 * MS, 900 * MS, "s", "T", worker_id="w1"),
        run("u", 800 * MS, 810 * MS, "s2", "U", function="_StatsActor.__init__", actor_id="a", worker_id="w2"),
        wait("get", 10 * MS, 910 * MS, "driver", ["T"]),
        recorded=True,
    )
    cold = findings(spans)["cold-workers"]
    assert cold["function"] == "f" and "actors first" not in cold["remedy"]
    assert "(0 s" not in cold["what"]


def test_what_the_summary_says_second_is_not_what_it_says_first() -> None:
    """The driver imports for half of the time: that it could be made faster is no second thing to do."""
    spans = with_driver(sampled(590, **{"raytrace.busy": json.dumps([[405 * MS, 995 * MS, 580 * MS]])}))
    first, second = rt.summary(spans).remedies
    assert (first.pattern, first.function) == ("driver-code", "(driver)")
    assert (second.pattern, second.function) == (None, "f")


def test_a_driver_that_may_wait_is_left_aside_where_what_if_says_that_nothing_helps() -> None:
    # It sleeps for most of its time, which a faster driver would do, too, or not.
    spans = with_driver(sampled(20, (400, 1000, "time.sleep", "/p/train.py:41")))
    at_once = pl.col("start") + pl.duration(microseconds=9)
    tiny = spans.with_columns(end=pl.when(pl.col("span_id") == "r").then(at_once).otherwise("end"))
    assert "the driver aside, would make it much shorter" in ranking_text(rt.what_if(tiny))


def loops_on_an_actor(awaited: str, clients: int) -> pl.DataFrame:
    """
    client  |s1|== get 1 ==|s2|== get 2 ==|...      each of six calls awaits something for 200 ms, one after another;
    ask 1      [==await===]                          several clients do so at the same time
    """
    told = {"attributes": json.dumps({"raytrace.on_event_loop": True, "raytrace.max_concurrency": 1000})}
    on_actor = {"actor_id": "m", "pid": 9, "worker_id": "wm", "concurrent": True, "function": "Api.ask"}
    suspended = {"name": "await", "attributes": json.dumps({"raytrace.awaited": awaited})}
    tasks = [f"C{client}" for client in range(clients)]
    rows: list[Row] = [span("driver", 0, 1600 * MS, category="driver", name="ray.driver")]
    rows.append(wait("all", 10 * MS, 1590 * MS, "driver", tasks))
    for client, task in enumerate(tasks):
        rows.append(submit(f"s{task}", client * MS, (client + 1) * MS, "driver", submitted_task_id=task))
        rows.append(run(task, 20 * MS, 1580 * MS, f"s{task}", task, function="client", pid=20 + client))
        for number in range(6):
            at, call = (30 + 240 * number + client) * MS, f"{client}-{number}"
            rows += [
                submit(f"s{call}", at, at + MS, task, submitted_task_id=call, function="Api.ask"),
                wait(f"w{call}", at + 2 * MS, at + 220 * MS, task, [call]),
                run(call, at + 10 * MS, at + 212 * MS, f"s{call}", call, **on_actor, **told),
                wait(f"a{call}", at + 11 * MS, at + 211 * MS, call, [], **suspended),
            ]
    return table(*rows, recorded=True)


@pytest.mark.parametrize(
    ("awaited", "clients", "saves", "said"),
    [
        ("asyncio.sleep", 1, 900, ""),  # any number of calls sleep at once
        ("aiohttp.ClientSession.get", 1, 900, "(at most this is saved: what they wait for may not serve all at once)"),
        ("asyncio.Future", 1, 0, ""),  # what gives them their results may do so one at a time
        ("asyncio.Event.wait", 1, 0, ""),
        ("asyncio.Future", 2, 0, ""),
        ("asyncio.sleep", 2, 900, ""),
    ],
)
def test_calls_of_an_asynchronous_actor_overlap_as_far_as_is_known(
    awaited: str, clients: int, saves: int, said: str
) -> None:
    found = findings(loops_on_an_actor(awaited, clients)).get("get-in-loop")
    saved = found["saved_ns"] if found else 0
    # What is left of each call but its wait is 40 ms, which is passed over in between.
    assert saves * MS <= saved <= (saves or 250) * MS * 1.5
    if saves and found:
        assert said in found["remedy"] and ("at most" in found["remedy"]) == bool(said)


@pytest.mark.parametrize("hogs_job", ["j2", "01"])
@pytest.mark.parametrize("of_actor", [False, True])
def test_another_job_that_has_the_slot_is_named(hogs_job: str, of_actor: bool) -> None:
    # d1   [s][get .......................]         one CPU, or one actor of both jobs
    # mine    ............[=====]
    # hog    [===========]                          of the other driver, or of this one
    on = {"actor_id": "m", "worker_id": "wm", "pid": 9} if of_actor else {}
    cpus = json.dumps({"raytrace.cluster_resources": json.dumps({"CPU": 1})})
    hogs = "d2" if hogs_job == "j2" else "d1"
    rows: list[Row] = [
        span("d1", 0, 1000 * MS, category="driver", name="ray.driver", attributes=cpus),
        span("d2", 0, 900 * MS, category="driver", name="ray.driver", job_id="j2", pid=3, attributes=cpus),
        submit("sh", 2 * MS, 3 * MS, hogs, submitted_task_id="H", job_id=hogs_job, function="hog"),
        run("h", 10 * MS, 590 * MS, "sh", "H", job_id=hogs_job, function="hog", **{"pid": 7, "worker_id": "w7", **on}),
        submit("s", 100 * MS, 101 * MS, "d1", submitted_task_id="T", function="mine"),
        run("r", 600 * MS, 800 * MS, "s", "T", function="mine", **{"pid": 7, "worker_id": "w7", **on}),
        wait("get", 102 * MS, 810 * MS, "d1", ["T"]),
    ]
    found = findings(table(*rows, recorded=True), job="01").get("other-jobs")
    assert (found is not None) == (hogs_job == "j2")
    if found is not None:
        assert "`hog` of job j2" in found["what"] and ("an actor" in found["what"]) == of_actor
        assert 450 * MS < found["saved_ns"] < 500 * MS


HOG: Row = {"job_id": "j2", "function": "Hog.__init__", "actor_id": "h", "worker_id": "wh", "pid": 9}


def another_jobs_actor(until: int, cluster: str) -> list[Row]:
    """A driver of job j2, so long (ns), and its actor, made in the beginning with one CPU."""
    one_cpu = json.dumps({"raytrace.resources": json.dumps({"CPU": 1})})
    return [
        span("d2", 0, until, category="driver", name="ray.driver", job_id="j2", pid=3, attributes=cluster),
        submit("sh", 2 * MS, 3 * MS, "d2", job_id="j2", function="Hog.__init__", attributes=one_cpu),
        run("h", 10 * MS, 12 * MS, "sh", "H", **HOG),
    ]


@pytest.mark.parametrize(("asks", "waits"), [("CPU", True), ("GPU", False)])
def test_an_actor_of_another_job_that_has_the_resources_is_named(asks: str, waits: bool) -> None:
    # d1   [s][get .......................]         one CPU and one GPU
    # mine    ............[=====]
    # Hog  [_____[=]______]                         an actor of the other driver: it has its CPU all the while
    cpus = json.dumps({"raytrace.cluster_resources": json.dumps({"CPU": 1, "GPU": 1})})
    asked = json.dumps({"raytrace.resources": json.dumps({asks: 1})})
    rows: list[Row] = [
        span("d1", 0, 1000 * MS, category="driver", name="ray.driver", attributes=cpus),
        *another_jobs_actor(900 * MS, cpus),
        submit("sc", 550 * MS, 551 * MS, "d2", submitted_task_id="C", job_id="j2", function="Hog.call"),
        run("c", 560 * MS, 590 * MS, "sc", "C", **{**HOG, "function": "Hog.call"}),
        submit("s", 100 * MS, 101 * MS, "d1", submitted_task_id="T", function="mine", attributes=asked),
        run("r", 600 * MS, 800 * MS, "s", "T", function="mine", pid=7, worker_id="w7"),
        wait("get", 102 * MS, 810 * MS, "d1", ["T"]),
    ]
    found = findings(table(*rows, recorded=True), job="01").get("other-jobs")
    assert (found is not None) == waits
    if found is not None:
        assert "waited for slots that other jobs had" in found["what"]
        assert "`Hog.__init__` of job j2" in found["what"]
        assert 450 * MS < found["saved_ns"] < 500 * MS


def test_an_actor_that_nobody_says_is_over_is_there_until_its_job_ends() -> None:
    # d1   [s][get .......................]         one CPU
    # mine    ............[=====]
    # Hog  [=]                                      the other driver's actor, which does nothing any more
    # d2   [==============]
    cpus = json.dumps({"raytrace.cluster_resources": json.dumps({"CPU": 1})})
    rows: list[Row] = [
        span("d1", 0, 1000 * MS, category="driver", name="ray.driver", attributes=cpus),
        *another_jobs_actor(590 * MS, cpus),
        submit("s", 100 * MS, 101 * MS, "d1", submitted_task_id="T", function="mine"),
        run("r", 600 * MS, 800 * MS, "s", "T", function="mine", pid=7, worker_id="w7"),
        wait("get", 102 * MS, 810 * MS, "d1", ["T"]),
    ]
    bare = table(*rows, recorded=True)
    finished = pl.when(pl.col("span_id") == "h").then(pl.col("end")).alias("state_finished")
    assert "other-jobs" not in findings(bare, job="01")
    found = findings(bare.with_columns(finished), job="01")["other-jobs"]
    assert "`Hog.__init__` of job j2" in found["what"]
    assert 450 * MS < found["saved_ns"] < 500 * MS
