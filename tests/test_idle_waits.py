"""A thread that is idle until a result is there waits for it: deliveries by callback, and polls between other calls."""

import json
from itertools import pairwise
from typing import Any

import polars as pl
import pytest

from raytrace_analyze import advise, critical_path, what_if
from tests.tables import run, span, submit, table, wait

MS = 1_000_000


def idle(*stretches: tuple[int, int], loops: bool = False) -> str:
    """Attributes of a driver whose thread was idle in these stretches (ms)."""
    told = [
        {"start_ns": start * MS, "end_ns": end * MS, "in": "time.sleep", "at": "fit.py:7", "loops": loops}
        for start, end in stretches
    ]
    return json.dumps({"raytrace.cpu_ns": MS, "raytrace.idle": json.dumps({"stretches": told})})


def job(attributes: str, *more: dict[str, Any], run_end: int = 800) -> pl.DataFrame:
    return table(
        span("driver", 0, 1000 * MS, name="ray.driver", attributes=attributes),
        submit("s", 5 * MS, 10 * MS, "driver", submitted_task_id="T"),
        run("r", 20 * MS, run_end * MS, "s", "T"),
        *more,
        recorded=True,
    )


def delivery(at: int, parent: str = "driver") -> dict[str, Any]:
    return wait("delivery", at * MS, at * MS, parent, ["T"], name="ray.delivery")


def poll(span_id: str, start: int, ready: list[str], parent: str = "driver") -> dict[str, Any]:
    late = json.dumps({"raytrace.timed_out": True, "raytrace.awaited_task_ids": ["T"]})
    attributes = "{}" if ready else late
    end = (start + 50) * MS
    return wait(span_id, start * MS, end, parent, ready, name="ray.wait", attributes=attributes)


def shares(spans: pl.DataFrame) -> dict[str, int]:
    """How much of the path each span has, in ms."""
    path = critical_path(spans)
    assert path.segments["duration_ns"].sum() == path.makespan_ns
    found = path.segments.group_by("span_id").agg(pl.col("duration_ns").sum() // MS)
    return {str(span_id): took for span_id, took in found.iter_rows()}


def test_a_driver_that_is_idle_until_a_delivery_waits_for_the_run() -> None:
    # driver [s]~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~[===]
    # r         [===========================]     ^ delivery at 820
    #          20                          800              1000 ms
    found = shares(job(idle((30, 815)), delivery(820)))
    assert found["r"] == 780 + 10  # it runs, and waits to start
    assert found["delivery"] == 20
    path = critical_path(job(idle((30, 815)), delivery(820))).segments
    assert path.filter(span_id="delivery")["category"].to_list() == ["fetch"]


def test_a_driver_that_works_until_a_delivery_does_not_wait_for_it() -> None:
    # driver [s]==============~~~~================[===]
    # r         [===========================]     ^ delivery at 820
    assert "r" not in shares(job(idle((300, 500)), delivery(820)))


def test_a_thread_that_did_little_and_was_seen_idle_nowhere_waits_for_no_delivery() -> None:
    # driver [s]                                  [===]   nobody saw what it did, but it had next to no CPU
    # r         [===========================]     ^ delivery at 820
    assert "r" not in shares(job(idle(), delivery(820)))


def test_a_driver_that_sleeps_on_after_a_delivery_does_not_wait_for_it() -> None:
    # driver [s]~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~[===]
    # r         [======]  ^ delivery at 320; nothing happens then
    assert "r" not in shares(job(idle((30, 900)), delivery(320), run_end=300))


def test_a_loop_that_looks_again_may_sleep_on_for_a_while() -> None:
    # driver [s]~~~~.~~~~.~~~~.~~~~.~~~~.~~~~.[===]     looks every now and then: the last time at 900
    # r         [===================]  ^ delivery at 600
    spans = job(idle((30, 900), loops=True), delivery(600), run_end=590)
    assert shares(spans)["r"] == 570 + 10
    assert "r" not in shares(job(idle((30, 900)), delivery(600), run_end=590))


def test_what_a_callback_submits_follows_from_the_delivery() -> None:
    # driver [s]~~~~~~~~~~~~~~~~~~~~[s2]~~~~~~~~~~~~~~~~~~[get][]
    # r         [============]      ^ delivery at 500: its callback submits the second
    # r2                                [==============]
    spans = job(
        idle((30, 900)),
        delivery(500),
        submit("s2", 505 * MS, 510 * MS, "driver", submitted_task_id="T2"),
        run("r2", 520 * MS, 890 * MS, "s2", "T2"),
        wait("get", 880 * MS, 900 * MS, "driver", ["T2"]),
        run_end=490,
    )
    found = shares(spans)
    assert found["r"] == 470 + 10
    assert found["r2"] == 370 + 10


def test_nobody_waits_for_what_serve_asks_its_controller_for_by_itself() -> None:
    # driver [s]~~~~~~~~~~~~~~~~~~~~[s2]~~~~~~~~~~~~~~~~~~~[===]     it is idle for requests by HTTP
    # poll      [============]      ^ delivery at 500: a long poll came back, and the next one is asked for
    poll = "ServeController.listen_for_change"
    spans = table(
        span("driver", 0, 1000 * MS, name="ray.driver", attributes=idle((30, 900))),
        submit("s", 5 * MS, 10 * MS, "driver", function=poll, submitted_task_id="T"),
        run("r", 20 * MS, 490 * MS, "s", "T", function=poll),
        delivery(500),
        submit("s2", 505 * MS, 510 * MS, "driver", function=poll, submitted_task_id="T2"),
        recorded=True,
    )
    assert "r" not in shares(spans)


def test_a_delivery_counts_in_the_span_that_its_thread_was_in() -> None:
    # driver [s][collect ~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~]
    # r         [===========================]     ^ delivery, recorded under the driver
    spans = job(idle((30, 815)), delivery(820), span("collect", 25 * MS, 990 * MS, "driver"))
    assert shares(spans)["r"] == 790


def test_between_polls_a_thread_is_idle_for_what_it_asked_for() -> None:
    # driver [s][poll][s2]~~~~~~~~[poll][s3]~~~~~~~~~~~~~~[poll][]
    # r         [======================================]
    #           20      100       300   400          700  900    1000 ms
    spans = job(
        idle((120, 290), (420, 890)),
        poll("first", 50, []),
        submit("s2", 105 * MS, 110 * MS, "driver", submitted_task_id="B"),
        poll("second", 300, []),
        submit("s3", 405 * MS, 410 * MS, "driver", submitted_task_id="C"),
        poll("third", 900, ["T"]),
        run_end=700,
    )
    found = shares(spans)
    assert found["r"] == 680 + 10
    assert found["driver"] == 5 + 200 + 50  # before its submit, from the end of the run to the poll that sees it, after


def test_what_is_given_up_after_a_poll_is_not_waited_for() -> None:
    # driver [s][poll]=====[s2]~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~]
    # r         [======================================]             nobody asks for it again
    spans = job(idle((120, 990)), poll("first", 50, []), run_end=700)
    found = shares(spans)
    assert found["driver"] >= 890


def test_a_poll_before_waits_that_may_have_asked_for_the_same_is_not_the_last() -> None:
    # driver [s][poll][wait for T and T2: T2 came ....]=======~~~~~~~~~~[poll][==]     it sleeps for something else
    # r2               [=============================]
    # r         [=====================================================]
    came = json.dumps({"raytrace.awaited_count": 2, "raytrace.ready_task_ids": ["T2"]})
    spans = job(
        idle((700, 815)),
        submit("s2", 12 * MS, 15 * MS, "driver", submitted_task_id="T2"),
        run("r2", 20 * MS, 490 * MS, "s2", "T2"),
        poll("p1", 20, []),
        wait("both", 80 * MS, 500 * MS, "driver", ["T2"], name="ray.wait", attributes=came),
        poll("p2", 820, ["T"]),
    )
    found = shares(spans)
    assert "r" not in found
    assert found["r2"] == 470 + 5


def asked(number: int, at: int, method: str, by: str) -> list[dict[str, Any]]:
    """A call of an actor's method from `at` on (ms): 2 ms until it runs, for 8 ms, the answer 10 ms later."""
    name = f"{method}{number}"
    call = run(f"r{name}", (at + 2) * MS, (at + 10) * MS, f"s{name}", name, actor_id="a", function=f"Status.{method}")
    return [
        submit(f"s{name}", at * MS, (at + 1) * MS, by, submitted_task_id=name),
        call,
        wait(f"w{name}", (at + 1) * MS, (at + 20) * MS, by, [name]),
    ]


def status_job(*asked_at: int, finished_at: int = 790) -> pl.DataFrame:
    questions = [row for number, at in enumerate(asked_at) for row in asked(number, at, "is_done", "driver")]
    sleeps = [(at + 20, after) for at, after in zip(asked_at, [*asked_at[1:], 1000], strict=True)]
    return job(idle(*sleeps[:-1]), *questions, *asked(0, finished_at, "finish", "r"), run_end=820)


def test_who_changes_what_a_program_asks_for_again_and_again_is_waited_for() -> None:
    # driver [s]  [ask]~~~~~~~~[ask]~~~~~~~~[ask]~~~~~~~~~~~~[ask][===]
    # r         [=========================================[finish]]
    #            100           300          500          790  900  1000 ms
    found = shares(status_job(100, 300, 500, 900))
    assert found["r"] > 750
    assert found["rfinish0"] < 10
    assert found["driver"] < 250


@pytest.mark.parametrize("explained", [True, False])
def test_what_is_asked_in_vain_does_not_hold_up_what_changes_the_answer(explained: bool) -> None:
    # r made twice as fast finishes at about 400, before questions that the actor had answered before: these are not
    # asked then, whether a queue explains the turns of its calls or (with one that starts late) not.
    spans = status_job(100, 300, 500, 700, 900)
    if not explained:
        late = pl.col("start").dt.offset_by("9ms")
        spans = spans.with_columns(start=pl.when(pl.col("span_id") == "ris_done1").then(late).otherwise("start"))
    function = spans.filter(span_id="r").item(0, "function")
    saved = what_if(spans, speedup={function: 2.0}).saved_ns
    assert 300 * MS < saved < 420 * MS


def test_a_program_that_goes_on_asking_waited_for_nobody() -> None:
    assert shares(status_job(100, 300, 500, 900, 950)).get("r", 0) == 0


def test_what_was_asked_for_twice_only_is_no_loop() -> None:
    assert shares(status_job(300, 500, 900)).get("r", 0) == 0


def queue_job(*rounds: tuple[int, ...], put_at: tuple[int, ...], lines: str = "p:1") -> pl.DataFrame:
    """A driver that asks at some times, rounds of them, and takes an item after each round; a run that puts them."""
    takes = [[*times, times[-1] + 21] for times in rounds]
    rows = [row for times in takes for at in times[:-1] for row in asked(at, at, "size", "driver")]
    for row in rows:
        if row["span_id"].startswith("ssize"):
            line = lines.split()[int(row["span_id"][5:]) // 10 % 2 % len(lines.split())]
            row["attributes"] = json.dumps({"raytrace.call_site": line})
    rows += [row for times in takes for row in asked(times[-1], times[-1], "take", "driver")]
    rows += [row for at in put_at for row in asked(at, at, "put", "r")]
    sleeps = [(one + 20, two) for times in rounds for one, two in pairwise(times)]
    return job(idle(*sleeps), *rows, run_end=940)


def test_a_loop_that_takes_what_it_has_waited_for_may_ask_in_vain_once_at_a_time() -> None:
    # driver [s] [size]~~~~~[size][take][size]~~~~~~[size][take][size]~~~~~~[size][take]
    # r         [===========[put]==============[put]===================[put]===]
    rounds, put_at = ((100, 300), (350, 550), (600, 800)), (250, 500, 750)
    found = shares(queue_job(*rounds, put_at=put_at))
    assert found["r"] > 3 * 140
    assert found["driver"] < 550
    spans = queue_job(*rounds, put_at=put_at)
    function = spans.filter(span_id="r").item(0, "function")
    assert what_if(spans, speedup={function: 2.0}).saved_ns > 150 * MS
    assert "Status.size" not in advise(spans).get_column("function").to_list()


@pytest.mark.parametrize(
    ("rounds", "put_at", "lines"),
    [
        # It asked in vain twice in all.
        (((100, 300), (350, 550)), (250, 500), "p:1"),
        # It went on without a call by another, too.
        (((100, 300), (350, 550), (600, 800)), (250, 500), "p:1"),
        # It asked again in spite of such a call.
        (((100, 300), (350, 450, 550), (600, 800)), (250, 400, 500, 750), "p:1"),
        # Another line of the program asks the second time: that is no loop.
        (((100, 310), (360, 550), (600, 810)), (250, 500, 750), "p:1 p:2"),
    ],
)
def test_other_questions_are_no_loop_that_goes_on(
    rounds: tuple[tuple[int, ...], ...], put_at: tuple[int, ...], lines: str
) -> None:
    assert shares(queue_job(*rounds, put_at=put_at, lines=lines)).get("r", 0) == 0


def test_serve_run_waits_for_the_replicas_that_it_asks_the_controller_for() -> None:
    # driver     [deploy]~~[ask]~~~~~[ask]~~~~~[ask]~~~~~[ask][=]     Serve looks once a second
    # controller            [is] [poll][is]     [is]      [is]        long polls of replicas come back meanwhile
    # replica         .....[====== the program's __init__ =====]
    controller, replica = "ServeController.", "ServeReplica:app:Model."
    on_controller = {"actor_id": "c"}
    asked = [
        row
        for number, at in enumerate((100, 300, 500, 700, 900))
        for row in (
            submit(f"s{number}", at * MS, (at + 1) * MS, "driver", function=f"{controller}get_serve_status",
                   submitted_task_id=f"Q{number}"),
            run(f"q{number}", (at + 2) * MS, (at + 3) * MS, f"s{number}", f"Q{number}",
                function=f"{controller}get_serve_status", **on_controller),
            wait(f"w{number}", (at + 1) * MS, (at + 4) * MS, "driver", [f"Q{number}"]),
        )
    ]  # fmt: skip
    sleeps = [(at + 5, at + 199) for at in (100, 300, 500, 700)]
    spans = table(
        span("driver", 0, 1000 * MS, name="ray.driver", attributes=idle(*sleeps)),
        submit("deploy", 5 * MS, 6 * MS, "driver", function=f"{controller}deploy_applications", submitted_task_id="D"),
        run("deployed", 7 * MS, 8 * MS, "deploy", "D", function=f"{controller}deploy_applications", **on_controller),
        submit("make", 20 * MS, 21 * MS, "driver", function=f"{replica}initialize_and_get_metadata",
               submitted_task_id="R"),
        run("ready", 80 * MS, 800 * MS, "make", "R", function=f"{replica}initialize_and_get_metadata", actor_id="r"),
        run("poll", 9 * MS, 450 * MS, "p", "P", function=f"{controller}listen_for_change", **on_controller),
        submit("p", 8 * MS, 8 * MS, "driver", function=f"{controller}listen_for_change", submitted_task_id="P"),
        *asked,
        recorded=True,
    )  # fmt: skip
    found = shares(spans)
    assert found["ready"] == 720 + 59
    assert "poll" not in found
