"""What is slept until something is there is no work: it ends as soon as that is there, and nothing else shortens it."""

import json
from typing import Any

import polars as pl
import pytest

from raytrace_analyze import advise, critical_path, summary, what_if
from tests.tables import Row, run, span, submit, table, wait

MS = 1_000_000


def idle(*stretches: tuple[int, int], loops: bool = False) -> dict[str, Any]:
    """Attributes of a thread that slept in these stretches (ms)."""
    told = [
        {
            "start_ns": start * MS,
            "end_ns": end * MS,
            "in": "time.sleep",
            "at": "watch.py:7",
            **({"loops": True} if loops else {}),
        }
        for start, end in stretches
    ]
    attributes = {"raytrace.cpu_ns": MS, "raytrace.idle": json.dumps({"stretches": told, "left_out_ns": 0})}
    return {"attributes": json.dumps(attributes)}


def call(number: int, at: int, start: int, end: int, function: str, **columns: Any) -> list[Row]:
    """A submit by the driver at a time, and its run (ms)."""
    about = {"function": function, **columns}
    return [
        submit(f"s{number}", at * MS, (at + 1) * MS, "driver", submitted_task_id=f"T{number}", function=function),
        run(f"r{number}", start * MS, end * MS, f"s{number}", f"T{number}", **about),
    ]


def in_vain(span_id: str, start: int, end: int, task: str) -> Row:
    late = json.dumps({"raytrace.timed_out": True, "raytrace.awaited_task_ids": [task]})
    return wait(span_id, start * MS, end * MS, "driver", [], name="ray.wait", attributes=late)


def takes(spans: pl.DataFrame, function: str, speed: float) -> int:
    """How long the job would take (ms) with a function so many times as fast."""
    return what_if(spans, speedup={function: speed}).predicted_ns // MS


def loop() -> pl.DataFrame:
    """
    driver [s][poll]~~~~[log]~~~~[poll]~~~~[log]~~~~~~~~~[poll]
    slow      [=========================================]
               20      220      420       620          800  820   ms; something else stands between the polls
    """
    driver = span("driver", 0, 1000 * MS, name="ray.driver", **idle((30, 218), (224, 418), (430, 618), (624, 815)))
    logs = [*call(2, 220, 221, 222, "log"), *call(3, 620, 621, 622, "log")]
    polls = [in_vain("p1", 20, 30, "T1"), in_vain("p2", 420, 430, "T1")]
    answer = wait("p3", 820 * MS, 822 * MS, "driver", ["T1"], name="ray.wait")
    return table(driver, *call(1, 5, 10, 800, "slow"), *logs, *polls, answer, recorded=True)


def test_a_loop_that_polls_ends_with_what_it_polls_for() -> None:
    assert takes(loop(), "slow", 1) == 1000
    # It is over after 405 instead of 800: so is the sleep, though the loop itself makes its calls nevertheless.
    assert 1000 - 395 <= takes(loop(), "slow", 2) <= 1000 - 395 + 20
    assert takes(loop(), "slow", 0.5) == 1000 + 790


def test_nobody_is_faster_in_a_sleep_between_two_polls() -> None:
    # Of 1000 it does 200 itself, 180 of them after the loop.
    assert takes(loop(), "(driver)", 2) >= 1000 - 110


def test_a_wait_that_times_out_is_as_long_as_its_time_out_unless_the_result_comes_sooner() -> None:
    # driver [s][get, timed out ][s2][get]
    # slow      [==========================......]
    # backup                         [===]
    spans = table(
        span("driver", 0, 1000 * MS, name="ray.driver"),
        *call(1, 5, 10, 900, "slow"),
        in_vain("late", 10, 400, "T1"),
        *call(2, 410, 420, 700, "backup"),
        wait("get", 420 * MS, 710 * MS, "driver", ["T2"]),
        recorded=True,
    )
    assert takes(spans, "slow", 2) == 1000  # there after 455
    assert takes(spans, "slow", 4) == 1000 - (400 - 10 - 222) + 0
    assert takes(spans, "slow", 0.5) == 1000


def test_a_librarys_polls_for_more_than_they_find_take_as_long_after_another_change() -> None:
    """Tune asks for any news every 100 ms; what it asks for in the end was there before, and it knew.

    driver [s][s2][poll ][poll ][poll finds r1]
    r1        [==]
    tiny      [=]
    """
    vain = {"name": "ray.wait", "attributes": json.dumps({"raytrace.library": "tune", "raytrace.awaited_count": 2})}
    polls = [wait(f"p{at}", at * MS, (at + 99) * MS, "driver", [], **vain) for at in (400, 500)]
    found = wait("found", 600 * MS, 601 * MS, "driver", ["T1"], **vain)
    spans = table(
        span("driver", 0, 1000 * MS, name="ray.driver"),
        *call(1, 5, 10, 350, "r1"),
        *call(2, 6, 10, 20, "tiny"),
        *polls,
        found,
        recorded=True,
    )
    assert takes(spans, "tiny", 2) == 1000


def watcher(loops: bool) -> pl.DataFrame:
    """A task that works for 100 ms, and sleeps for 600."""
    slept = idle((110, 710), loops=loops)
    rows = call(1, 5, 10, 710, "watch", **slept)
    driver = span("driver", 0, 1000 * MS, name="ray.driver")
    return table(driver, *rows, wait("get", 10 * MS, 720 * MS, "driver", ["T1"]), recorded=True)


@pytest.mark.parametrize(("told", "takes_ms"), [({"raytrace.trial": "8fc2e_00003"}, 650), ({}, 950)])
def test_sleeps_of_a_training_function_are_its_work_whatever_way_out_its_loop_has(
    told: dict[str, Any], takes_ms: int
) -> None:
    # driver [s][get ..........................]
    # loop      [~~~~~~~~~~~~~~~~~~~~~~~~~~~=====]      raises, or breaks, where something is wrong
    slept = idle((110, 710), loops=True)["attributes"]
    attributes = json.dumps({**json.loads(slept), **told})
    spans = table(
        span("driver", 0, 1000 * MS, name="ray.driver"),
        *call(1, 5, 100, 800, "loop", attributes=attributes),
        wait("get", 10 * MS, 810 * MS, "driver", ["T1"]),
        recorded=True,
    )
    assert takes(spans, "loop", 2) == takes_ms


def test_what_waits_for_a_file_is_not_made_faster() -> None:
    spans = watcher(loops=True)
    assert takes(spans, "watch", 2) == 1000 - 50
    (row,) = what_if(spans).functions.filter(function="watch").to_dicts()
    assert row["work_ns"] == row["saved_most_ns"] == 100 * MS
    (note,) = what_if(spans).notes
    assert "`watch` sleeps 600 ms" in note and "outside of Ray" in note


def test_a_loop_that_finds_what_it_looks_for_several_times_sleeps_until_each() -> None:
    # driver [s][get ....................................]
    # watch     [~~~~~~~=~~~~~~~=~~~~~~~=]      a file three times, and 20 ms of work with each
    looks = json.loads(idle((110, 310), (330, 530), (550, 700), loops=True)["attributes"])
    rows = call(1, 5, 10, 720, "watch", attributes=json.dumps(looks))
    driver = span("driver", 0, 1000 * MS, name="ray.driver")
    spans = table(driver, *rows, wait("get", 10 * MS, 730 * MS, "driver", ["T1"]), recorded=True)
    (row,) = what_if(spans).functions.filter(function="watch").to_dicts()
    assert row["work_ns"] == row["saved_most_ns"] == (710 - 550) * MS
    # Where it sleeps until something is there is not where a faster one would be faster.
    (remedy,) = summary(spans).remedies
    assert (remedy.function, remedy.idle_in, remedy.place) == ("watch", None, None)


def test_what_a_loop_off_the_path_looks_for_is_not_told() -> None:
    # driver [s][s][get long ...................]     watch looks for a file all the time, and nobody waits for it
    watch = call(1, 5, 10, 710, "watch", **idle((110, 710), loops=True))
    driver = span("driver", 0, 1000 * MS, name="ray.driver")
    rows = [*watch, *call(2, 8, 10, 900, "long"), wait("get", 10 * MS, 910 * MS, "driver", ["T2"])]
    assert not what_if(table(driver, *rows, recorded=True)).notes


def test_who_waits_for_threads_of_its_own_that_wait_for_results_looks_for_nothing_outside() -> None:
    # driver [s][s]~~~~~~~~~~~ as_completed ~~~~~~~~~~~~~[=]     and in two threads of it, a ray.get each
    driver = span("driver", 0, 1000 * MS, name="ray.driver", **idle((30, 900), loops=True))
    rows = [*call(1, 5, 40, 880, "f"), *call(2, 8, 40, 600, "f")]
    gets = [wait(f"g{each}", 20 * MS, end * MS, "driver", [f"T{each}"]) for each, end in ((1, 890), (2, 610))]
    assert not what_if(table(driver, *rows, *gets, recorded=True)).notes
    assert what_if(table(driver, *rows, gets[1], recorded=True)).notes == ()
    assert what_if(table(driver, recorded=True)).notes


def test_a_loop_that_takes_a_block_in_each_turn_spends_its_sleeps_with_it_whatever_way_out_it_has() -> None:
    # driver [next]~~~~[next]~~~~[next]~~~~[==]      the sampler tells two of its sleeps as one
    driver = span("driver", 0, 1000 * MS, name="ray.driver", **idle((110, 310), (320, 710), loops=True))
    takes_one = [
        wait(
            f"n{at}",
            at * MS,
            (at + 5) * MS,
            "driver",
            [],
            name="ray.next",
            attributes='{"raytrace.library":"ray.data"}',
        )
        for at in (100, 312, 520)
    ]
    spans = table(driver, *call(1, 5, 10, 90, "f"), *takes_one, recorded=True)
    (found,) = advise(spans).filter(pattern="driver-idle").to_dicts()
    assert "outside of Ray" not in found["what"] and found["saved_ns"] > 500 * MS
    assert not what_if(spans).notes
    assert takes(spans, "(driver)", 2) < 700


@pytest.mark.parametrize("came", [True, False])
def test_so_does_a_loop_that_takes_an_item_of_a_queue_in_each_turn(came: bool) -> None:
    # driver [get]~~~~[get]~~~~[get]~~~~[==]      `while (item := queue.get()) is not None: ...`
    driver = span("driver", 0, 1000 * MS, name="ray.driver", **idle((132, 310), (344, 510), (544, 710), loops=True))
    rows: list[Row] = [driver]
    on_loop = json.dumps({"raytrace.max_concurrency": 1000, "raytrace.on_event_loop": True})
    for number, at in enumerate((100, 312, 512), 1):
        outcome = {} if came else {"status": "ERROR", "status_message": "Empty: "}
        about = {"actor_id": "q", "worker_id": "wq", "pid": 7, "attributes": on_loop, **outcome}
        rows += call(number, at, at + 25, at + 28, "ray.util.queue._QueueActor.get", **about)
        rows.append(wait(f"w{number}", (at + 1) * MS, (at + 30) * MS, "driver", [f"T{number}"]))
    findings = advise(table(*rows, recorded=True))
    assert not {"get-in-loop", "actor-bottleneck"} & set(
        findings["pattern"]
    )  # all of them at once would have to wait for the items, too
    told = [each["what"] for each in findings.filter(pattern="driver-idle").to_dicts()]
    assert all("again and again" not in what and "outside" not in what for what in told) == came
    assert (takes(table(*rows, recorded=True), "(driver)", 2) < 750) == came


@pytest.mark.parametrize("before", [True, False])
def test_so_does_a_loop_that_takes_results_which_it_asked_for_before(before: bool) -> None:
    # driver [s1 s2 s3][get]~~~~[get]~~~~[get]~~~~[==]      `while refs: use(ray.get(refs.pop()))`
    # One that asks anew in each turn may look whether something is so.
    driver = span("driver", 0, 1000 * MS, name="ray.driver", **idle((132, 310), (344, 510), (544, 710), loops=True))
    rows: list[Row] = [driver]
    for number, at in enumerate((100, 312, 512), 1):
        asked = 10 * number if before else at
        rows += call(number, asked, asked + 5, max(asked + 6, at + 15), "f")
        rows.append(wait(f"w{number}", (at + 2) * MS, (at + 30) * MS, "driver", [f"T{number}"]))
    spans = table(*rows, recorded=True)
    (found,) = advise(spans).filter(pattern="driver-idle").to_dicts()
    assert ("outside of Ray" not in found["what"]) == before
    assert (takes(spans, "(driver)", 2) < 800) == before


def test_who_waits_for_threads_of_its_own_does_nothing_with_what_came_before() -> None:
    # driver [s1 s2][get]~~join~~[get]~~join~~[==]
    idle_in = json.loads(idle((132, 510), (544, 910))["attributes"])
    told = idle_in["raytrace.idle"].replace("time.sleep", "threading.Thread.join")
    about = {"attributes": json.dumps(idle_in | {"raytrace.idle": told})}
    rows: list[Row] = [span("driver", 0, 1000 * MS, name="ray.driver", **about)]
    for number, at in enumerate((100, 512), 1):
        rows += call(number, 10 * number, 10 * number + 5, at + 15, "f")
        rows.append(wait(f"w{number}", (at + 2) * MS, (at + 30) * MS, "driver", [f"T{number}"]))
    assert takes(table(*rows, recorded=True), "(driver)", 2) > 800


@pytest.mark.parametrize("waits_in", ["asyncio.Queue.get", "asyncio.Queue.put", None])
def test_an_asynchronous_method_spends_its_sleeps_with_what_it_takes_from_a_queue(waits_in: str | None) -> None:
    # Train.run  [get]~~~~~[get]~~~~~[get]~~~~~[==]      `while (item := await buffer.get.remote()) is not None: ...`
    # Buffer          what `get` gives is an item of a queue where it waits for one, or makes room for what is put
    on_loop = json.dumps({"raytrace.max_concurrency": 9, "raytrace.on_event_loop": True})
    train = {"actor_id": "a", "worker_id": "wa", "pid": 7, "attributes": on_loop}
    buffer = {"function": "Buffer.get", "actor_id": "b", "worker_id": "wb", "pid": 8, "attributes": on_loop}
    rows: list[Row] = [
        span("driver", 0, 1000 * MS, name="ray.driver"),
        *call(1, 5, 10, 950, "Train.run", **train),
        wait("get", 20 * MS, 955 * MS, "driver", ["T1"]),
    ]
    for number, at in enumerate((20, 320, 620), 2):
        rows += [
            submit(f"s{number}", at * MS, (at + 1) * MS, "r1", submitted_task_id=f"T{number}", function="Buffer.get"),
            run(f"r{number}", (at + 5) * MS, (at + 9) * MS, f"s{number}", f"T{number}", **buffer),
            wait(f"w{number}", (at + 2) * MS, (at + 12) * MS, "r1", [f"T{number}"], name="await"),
            wait(f"z{number}", (at + 14) * MS, (at + 298) * MS, "r1", [], name="await",
                 attributes=json.dumps({"raytrace.awaited": "asyncio.sleep", "raytrace.loops": True})),
        ]  # fmt: skip
    if waits_in == "asyncio.Queue.get":
        told = json.dumps({"raytrace.awaited": waits_in})
        rows.append(wait("i", 26 * MS, 28 * MS, "r2", [], name="await", attributes=told))
    elif waits_in:
        rows += call(9, 6, 12, 940, **{**buffer, "function": "Buffer.put"})
        told = json.dumps({"raytrace.awaited": waits_in})
        rows += [
            wait(f"p{end}", begin * MS, end * MS, "r9", [], name="await", attributes=told)
            for begin, end in ((14, 30), (32, 330), (332, 630))
        ]
        # What is put to another one says nothing of this.
        other = {"actor_id": "c", "worker_id": "wc", "pid": 9, "attributes": on_loop, "function": "Buffer.put"}
        rows += call(8, 7, 12, 940, **other)
        rows += [
            wait(f"o{at}", at * MS, (at + 40) * MS, "r8", [], name="await", attributes=told)
            for at in range(100, 900, 50)
        ]
    spans = table(*rows, recorded=True)
    saved = what_if(spans, speedup={"Train.run": 2.0}).saved_ns
    assert saved > 400 * MS if waits_in else saved < 100 * MS


def test_a_block_taken_before_a_loop_that_looks_for_a_file_is_none_of_its() -> None:
    driver = span("driver", 0, 1000 * MS, name="ray.driver", **idle((110, 310), (320, 710), loops=True))
    before = wait("n", 90 * MS, 95 * MS, "driver", [], name="ray.next")
    spans = table(driver, *call(1, 5, 10, 80, "f"), before, recorded=True)
    (found,) = advise(spans).filter(pattern="driver-idle").to_dicts()
    assert "outside of Ray" in found["what"]


def test_a_driver_that_asks_an_actor_again_and_again_is_told_so() -> None:
    # driver [get f][ask] ~~~~ [ask] ~~~~ [ask] ~~~~ ... until a thread of the actor's, of which nothing tells, is done
    driver = span("driver", 0, 720 * MS, name="ray.driver", **idle((110, 700), loops=True))
    keeper = {"actor_id": "K", "pid": 9, "worker_id": "wk"}
    asked = []
    for number in range(7):
        at = 101 + 100 * number
        asked += call(10 + number, at, at + 2, at + 3, "Keeper.is_done", **keeper)
        asked.append(wait(f"w{number}", (at + 1) * MS, (at + 6) * MS, "driver", [f"T{10 + number}"]))
    got = wait("get", 10 * MS, 95 * MS, "driver", ["T1"])
    spans = table(driver, *call(1, 5, 10, 90, "f"), got, *asked, recorded=True)
    (found,) = advise(spans).filter(pattern="driver-idle").to_dicts()
    assert "calls `Keeper.is_done` again and again" in found["what"] and "outside of Ray" not in found["what"]
    assert found["saved_ns"] == 0


def test_a_task_that_asks_an_actor_again_and_again_is_told_so() -> None:
    # driver [get f]          f [try]~~~[try]~~~ ... [try]     no span tells what changed the answer: a token bucket
    naps = [(at + 10, at + 99) for at in range(100, 800, 100)]
    rows: list[Row] = [span("driver", 0, 1000 * MS, name="ray.driver")]
    rows += [
        submit("sf", 5 * MS, 6 * MS, "driver", submitted_task_id="F", function="fetch"),
        run("f", 90 * MS, 850 * MS, "sf", "F", function="fetch", **idle(*naps, loops=True)),
        wait("get", 10 * MS, 860 * MS, "driver", ["F"]),
    ]
    about = {"actor_id": "b", "worker_id": "wb", "pid": 7, "function": "Bucket.try_take"}
    for number, at in enumerate(range(100, 801, 100)):
        rows += [
            submit(
                f"s{number}", at * MS, (at + 1) * MS, "f", submitted_task_id=f"T{number}", function="Bucket.try_take"
            ),
            run(f"r{number}", (at + 2) * MS, (at + 5) * MS, f"s{number}", f"T{number}", **about),
            wait(f"w{number}", (at + 1) * MS, (at + 9) * MS, "f", [f"T{number}"]),
        ]
    spans = table(*rows, recorded=True)
    (found,) = advise(spans).filter(pattern="asks-again").to_dicts()
    assert found["function"] == "Bucket.try_take" and found["saved_ns"] == 0
    assert "`fetch` sleeps 6" in found["what"] and "calls `Bucket.try_take` again and again" in found["what"]
    assert "asks-again" in [each.pattern for each in summary(spans).remedies]


def test_one_long_sleep_may_stand_for_anything() -> None:
    assert takes(watcher(loops=False), "watch", 2) == 1000 - 350


@pytest.mark.parametrize("call_of_others", ["ray.serve.api.run", "threading.Thread.join"])
def test_what_others_do_is_not_made_faster(call_of_others: str) -> None:
    slept = idle((110, 710))["attributes"].replace("time.sleep", call_of_others)
    driver = span("driver", 0, 1000 * MS, name="ray.driver", attributes=slept)
    get = wait("get", 10 * MS, 70 * MS, "driver", ["T1"])
    spans = table(driver, *call(1, 5, 10, 60, "f"), get, recorded=True)
    assert takes(spans, "(driver)", 2) == 1000 - 168  # half of 330 after the get, and of 5 before the submit
    (found,) = advise(spans).filter(pattern="driver-idle").to_dicts()
    assert found["saved_ns"] == 0 and "what that call waits for is not recorded" in found["what"]


def test_no_saving_is_promised_for_what_a_call_of_rays_is_idle_besides_what_it_waits_for() -> None:
    # driver [s][ray.serve.run: wait   ~~~~~~~~][==]
    slept = idle((110, 710))["attributes"].replace("time.sleep", "ray.serve.api.run")
    driver = span("driver", 0, 1000 * MS, name="ray.driver", attributes=slept)
    own = wait("w", 112 * MS, 500 * MS, "driver", ["T1"])
    (found,) = (
        advise(table(driver, *call(1, 5, 10, 495, "f"), own, recorded=True)).filter(pattern="driver-idle").to_dicts()
    )
    assert found["saved_ns"] == 0 and "what that call waits for is not recorded" in found["what"]


def test_no_saving_is_promised_for_a_driver_that_looks_for_a_file() -> None:
    def driver(loops: bool) -> pl.DataFrame:
        slept = span("driver", 0, 1000 * MS, name="ray.driver", **idle((110, 710), loops=loops))
        return table(slept, *call(1, 5, 10, 60, "f"), wait("get", 10 * MS, 70 * MS, "driver", ["T1"]), recorded=True)

    (found,) = advise(driver(loops=True)).filter(pattern="driver-idle").to_dicts()
    assert found["saved_ns"] == 0 and "outside of Ray" in found["what"]
    (found,) = advise(driver(loops=False)).filter(pattern="driver-idle").to_dicts()
    assert found["saved_ns"] == (710 - 70) * MS


@pytest.mark.parametrize(("ends", "named"), [((690,), True), ((400,), False), ((690, 600), False)])
def test_what_ended_as_a_loop_found_what_it_looked_for_may_be_that(ends: tuple[int, ...], named: bool) -> None:
    # driver [s]~~~~ looks, and looks again ~~~~~[===]      in a file, say
    # f         [=============================]             alone to end right before that, or not
    slept = span("driver", 0, 1000 * MS, name="ray.driver", **idle((110, 710), loops=True))
    calls = [row for number, end in enumerate(ends) for row in call(number, 5 + number, 10, end, "f")]
    (found,) = advise(table(slept, *calls, recorded=True)).filter(pattern="driver-idle").to_dicts()
    assert ("`f` ended right before it went on" in found["what"]) == named
    assert found["saved_ns"] == 0


def in_turns(*stretches: tuple[int, int]) -> dict[str, Any]:
    """The same of sleeps that are told one by one, since there was some CPU time between them."""
    attributes = json.loads(idle(*stretches)["attributes"])
    told = json.loads(attributes["raytrace.idle"])
    stretches = [{**one, "again": True} for one in told["stretches"]]
    attributes["raytrace.idle"] = json.dumps({**told, "stretches": stretches})
    return {"attributes": json.dumps(attributes)}


@pytest.mark.parametrize(
    ("stretches", "calls_at", "is_outside"),
    [
        (((110, 310), (340, 540), (570, 710)), (), True),
        # What it does in between takes long, or is of Ray's: the sleeps may stand for work then.
        (((110, 310), (450, 710)), (), False),
        (((110, 310), (340, 540), (570, 710)), (320, 550), False),
        (((110, 710),), (), False),
    ],
)
def test_turns_of_a_loop_that_looks_are_told_apart_by_what_a_look_takes(
    stretches: tuple[tuple[int, int], ...], calls_at: tuple[int, ...], is_outside: bool
) -> None:
    # driver [s]~~~~~=~~~~~=~~~~~[==]      looks (30 ms of CPU) whether a file is there, sleeps, looks again
    # f         [===============]
    driver = span("driver", 0, 1000 * MS, name="ray.driver", **in_turns(*stretches))
    others = [row for number, at in enumerate(calls_at, 2) for row in call(number, at, at + 1, at + 2, "g")]
    spans = table(driver, *call(1, 5, 10, 690, "f"), *others, recorded=True)
    (found,) = advise(spans).filter(pattern="driver-idle").to_dicts()
    assert ("outside of Ray" in found["what"]) == is_outside == (found["saved_ns"] == 0)
    assert ("`f` ended right before it went on" in found["what"]) == is_outside


@pytest.mark.parametrize(("polls", "is_late"), [(4, True), (None, False)])
def test_what_a_loop_that_polls_slept_on_after_the_result_was_there_is_told(polls: int | None, is_late: bool) -> None:
    # driver [s][poll~~~~~~~~~poll~~~~~~~~~poll~~~~~~~~~poll][=]     one wait, by the hook, with sleeps in between
    # build     [========================]
    #           10                       500               800  ms
    slept = idle((12, 798), loops=True)["attributes"]
    driver = span("driver", 0, 1000 * MS, name="ray.driver", attributes=slept)
    about = {} if polls is None else {"raytrace.polls": polls}
    found = wait("p", 10 * MS, 800 * MS, "driver", ["T1"], name="ray.wait", attributes=json.dumps(about))
    spans = table(driver, *call(1, 5, 10, 500, "build"), found, recorded=True)
    late = advise(spans).filter(pattern="seen-late").to_dicts()
    assert bool(late) == is_late
    segments = critical_path(spans).segments.filter(pl.col("category") == "self", pl.col("idle_in") == "time.sleep")
    assert (segments["duration_ns"].sum() >= (798 - 500) * MS) == is_late
    if late:
        assert late[0]["function"] == "(driver)" and late[0]["saved_ns"] == (798 - 500) * MS
    assert takes(spans, "build", 2) == 1000 - 245


@pytest.mark.parametrize(
    ("begins", "what", "is_named"),
    [(150, "subprocess.run", True), (50, "subprocess.run", False), (150, "time.sleep", False)],
)
def test_a_job_that_ran_while_a_driver_waited_for_a_process_may_be_that(begins: int, what: str, is_named: bool) -> None:
    # driver [s][get][subprocess.run ~~~~~~~~~][=]
    # other                [=================]          a job of its own on the same cluster
    slept = idle((110, 710))["attributes"].replace("time.sleep", what)
    driver = span("driver", 0, 1000 * MS, name="ray.driver", attributes=slept)
    told = json.dumps({"raytrace.entrypoint": "child.py"})
    other = span("other", begins * MS, 700 * MS, name="ray.driver", trace_id="t2", job_id="02000000", attributes=told)
    get = wait("get", 10 * MS, 70 * MS, "driver", ["T1"])
    spans = table(driver, *call(1, 5, 10, 60, "f"), get, other, recorded=True)
    (found,) = advise(spans, job="01").filter(pattern="driver-idle").to_dicts()
    assert ("child.py (job 02000000) began and ended meanwhile" in found["what"]) == is_named
    assert (found["saved_ns"] == 0) == is_named
