"""Ray Train's table, on spans as the hook makes them, and on those of Ray's own tracing."""

import json
from typing import Any

import polars as pl
import pytest

import raytrace_analyze as rt
from raytrace_analyze.views.libraries.train_view import show_train
from raytrace_analyze.views.screen.console import output
from tests.tables import Row, run, span, submit, table, wait

MS = 1_000_000


def told(**about: Any) -> str:
    return json.dumps({f"raytrace.{name}": value for name, value in about.items()})


def report(rank: int, step: int, arrived: int, left: int, *, checkpoint: tuple[int, int] | None = None) -> list[Row]:
    about = told(report=step, has_checkpoint=checkpoint is not None)
    span_id = f"report{rank}-{step}"
    rows = [
        span(span_id, arrived * MS, left * MS, f"r{rank}", name="ray.train.report", ready_task_ids=[], attributes=about)
    ]
    if checkpoint is not None:
        stored = (time * MS for time in checkpoint)
        rows.append(
            span(f"c{rank}-{step}", *stored, span_id, name="ray.train.checkpoint", attributes=told(report=step))
        )
    return rows


def training(name: str = "mnist") -> pl.DataFrame:
    # rank 0  [work][report 0, waits for rank 1 ...][work][report 1 ..........][its checkpoint ][work][report 2]
    #         0     50                         200  210   240              420               700    750      800
    # rank 1  [work .....................][report 0][work .............][report 1][work][data][report 2, waits ]
    #         0                         200       210                 400       420   450   500             800
    rows: list[Row] = [span("driver", 0, 1000 * MS, name="ray.driver")]
    for rank in (0, 1):
        about = told(rank=rank, world_size=2, experiment=name)
        own = {"function": "__main__.loop", "actor_id": f"a{rank}", "attributes": about}
        rows.append(submit(f"s{rank}", 0, 0, "driver", submitted_task_id=f"T{rank}"))
        rows.append(run(f"r{rank}", 0, 900 * MS, f"s{rank}", f"T{rank}", **own))
    rows += [*report(0, 0, 50, 210), *report(1, 0, 200, 210)]
    rows += [*report(0, 1, 240, 700, checkpoint=(420, 700)), *report(1, 1, 400, 420)]
    rows += [*report(0, 2, 750, 800), *report(1, 2, 500, 800)]
    rows.append(span("b", 450 * MS, 500 * MS, "r1", name="ray.train.batch", ready_task_ids=[]))
    return table(*rows, recorded=True)


def test_what_a_report_is_held_for_after_the_ranks_met_is_waiting_and_no_work() -> None:
    # rank 0  [work][report [meets the others] held .......][work]
    #         0     50      60            100              400
    about = told(ready_task_ids=[], awaited="ray.train.report", report=0)
    rows: list[Row] = [
        span("driver", 0, 1000 * MS, name="ray.driver"),
        submit("s", 0, 0, "driver", submitted_task_id="T"),
        run("r", 0, 900 * MS, "s", "T", function="__main__.loop", actor_id="a", attributes=told(rank=0, world_size=1)),
        wait("get", 1, 900 * MS, "driver", ["T"]),
        span("w", 50 * MS, 400 * MS, "r", name="ray.train.report", ready_task_ids=[], attributes=about),
        wait("met", 60 * MS, 100 * MS, "w", []),
    ]
    spans = table(*rows, recorded=True)
    waits = rt.critical_path(spans).segments.filter(category="wait", name="ray.train.report")
    assert waits.get_column("duration_ns").sum() == (10 + 300) * MS
    idle = rt.summary(spans).idle
    assert idle is not None and (idle.function, idle.what, idle.is_wait) == ("__main__.loop", "ray.train.report", True)
    assert idle.times == 1


@pytest.mark.parametrize(("held", "found"), [(300, True), (3, False)])
def test_advise_finds_reports_that_are_held_once_the_ranks_have_met(held: int, found: bool) -> None:
    # rank 0  [work][report: waits for rank 1 | held ...][work][report ...
    # rank 1  [work .......................][report held ]
    rows: list[Row] = [span("driver", 0, 2600 * MS, name="ray.driver")]
    for rank in (0, 1):
        attributes = told(rank=rank, world_size=2, experiment="mnist")
        own = {"function": "__main__.loop", "actor_id": f"a{rank}", "attributes": attributes}
        rows += [
            submit(f"s{rank}", 0, 0, "driver", submitted_task_id=f"T{rank}"),
            run(f"r{rank}", 0, (2400 + rank) * MS, f"s{rank}", f"T{rank}", **own),
        ]
        for step in range(3):
            met = 400 + 800 * step
            about = told(ready_task_ids=[], awaited="ray.train.report", report=step)
            came = (100 if rank == 0 else 395) + 800 * step
            rows.append(
                span(f"w{rank}{step}", came * MS, (met + held) * MS, f"r{rank}", name="ray.train.report",
                     ready_task_ids=[], attributes=about)
            )  # fmt: skip
            rows.append(wait(f"g{rank}{step}", (came + 1) * MS, met * MS, f"w{rank}{step}", []))
    rows.append(wait("get", MS, 2500 * MS, "driver", ["T1"]))
    advice = {row["pattern"]: row for row in rt.advise(table(*rows, recorded=True)).to_dicts()}
    assert ("reports-held" in advice) == found
    if found:
        held_there = advice["reports-held"]
        assert (held_there["function"], held_there["saved_ns"]) == ("__main__.loop", 3 * held * MS)
        assert "6 reports of the ranks of `loop` are held" in held_there["what"] and not held_there["certain"]


def test_each_step_names_the_rank_that_came_last_and_what_it_did() -> None:
    steps = rt.train(training())
    assert steps.get_column("run").to_list() == ["mnist"] * 3
    assert steps.get_column("last_rank").to_list() == [1, 1, 0]
    assert steps.get_column("last").to_list() == ["rank 1", "rank 1", "rank 0"]
    times = steps.select(pl.col("^.*_ns$") // MS).drop("start_ns").to_dicts()
    none = {"idle_ns": 0, "data_ns": 0, "waits_ns": 0, "checkpoint_ns": 0, "report_ns": 10}
    assert times == [
        {"period_ns": 200, "others_waited_ns": 150, "work_ns": 200, "stored_ns": 0, **none, "report_ns": 0},
        {"period_ns": 200, "others_waited_ns": 160, "work_ns": 190, "stored_ns": 280, **none},
        # What rank 0 was late for is the checkpoint of the step before.
        {
            "period_ns": 350,
            "others_waited_ns": 250,
            "work_ns": 50,
            "stored_ns": 0,
            **none,
            "checkpoint_ns": 280,
            "report_ns": 20,
        },
    ]
    assert steps.get_column("limited_by").to_list() == ["work", "work", "checkpoint"]
    assert steps.get_column("has_checkpoint").to_list() == [False, True, False]


def test_what_a_rank_was_idle_in_its_own_code_is_no_work() -> None:
    # Rank 1 sleeps before its first report, and all through a wait for data, which is that.
    idle = json.dumps({"stretches": [
        {"start_ns": start * MS, "end_ns": end * MS, "in": "time.sleep", "at": "train.py:7"}
        for start, end in ((50, 180), (440, 520))
    ]})  # fmt: skip
    seen = told(rank=1, world_size=2, experiment="mnist", cpu_ns=70 * MS, idle=idle)
    sleeps = pl.when(pl.col("span_id") == "r1").then(pl.lit(seen)).otherwise("attributes").alias("attributes")
    spans = training().with_columns(sleeps)
    first = rt.train(spans).row(0, named=True)
    assert (first["work_ns"] // MS, first["idle_ns"] // MS, first["limited_by"]) == (70, 130, "idle")
    ranks = rt.train(spans, by="rank").filter(rank=1).row(0, named=True)
    # Of the second stretch 10 ms before the wait for data; what is after the report before.
    assert (ranks["idle_ns"] // MS, ranks["data_ns"] // MS) == (130 + 10, 50)


def test_what_a_rank_waits_for_its_part_of_a_dataset_is_data_and_counts_once() -> None:
    # rank 1  [get its shard 20 .. 60][batch 50 .. 90 ]...  seen idle from 10 to 95, in both
    shard = [
        submit("q", 15 * MS, 16 * MS, "r1", submitted_task_id="Q", function="DatasetManager.get_dataset_shard"),
        run("shard", 20 * MS, 60 * MS, "q", "Q", function="DatasetManager.get_dataset_shard"),
        span("asked", 20 * MS, 60 * MS, "r1", name="ray.get", ready_task_ids=["Q"]),
        span("first", 50 * MS, 90 * MS, "r1", name="ray.train.batch", ready_task_ids=[]),
    ]
    idle = json.dumps({"stretches": [{"start_ns": 10 * MS, "end_ns": 95 * MS, "in": "wait", "at": "train.py:7"}]})
    seen = told(rank=1, world_size=2, experiment="mnist", cpu_ns=70 * MS, idle=idle)
    waits = pl.when(pl.col("span_id") == "r1").then(pl.lit(seen)).otherwise("attributes").alias("attributes")
    first = rt.train(pl.concat([training(), table(*shard, recorded=True)]).with_columns(waits)).row(0, named=True)
    assert {part: first[f"{part}_ns"] // MS for part in ("data", "waits", "idle", "work")} == {
        "data": 70, "waits": 0, "idle": 15, "work": 115,
    }  # fmt: skip


def test_a_rank_that_waits_at_a_barrier_does_not_work_meanwhile(capsys: pytest.CaptureFixture[str]) -> None:
    # rank 0  [work][barrier ........][report 0]      rank 1 is late, and both come to the report together
    # rank 1  [work .................][report 0]
    barrier = [
        span(f"b{part}", start * MS, end * MS, "r0", name="ray.get", ready_task_ids=["B"])
        for part, start, end in ((0, 5, 30), (1, 20, 40))
    ]
    spans = pl.concat([training(), table(*barrier, recorded=True)])
    ranks, before = rt.train(spans, by="rank"), rt.train(training(), by="rank")
    assert (ranks.get_column("waits_ns") // MS).to_list() == [35, 0]
    less = (before.get_column("work_ns") - ranks.get_column("work_ns")) // MS
    assert less.to_list() == [35, 0]
    longer = ranks.with_columns(waits_ns=pl.when(pl.col("rank") == 0).then(400 * MS).otherwise("waits_ns"))
    show_train(rt.train(spans), longer, output(), top=10)
    assert "Rank 0 waited 400 ms between reports" in capsys.readouterr().out


def test_who_the_others_wait_for_at_a_barrier_came_last() -> None:
    # rank 0  [work][barrier ......................][report 0]     comes a little later than rank 1 to the report
    # rank 1  [work ..............................][b][report 0]
    rows: list[Row] = [span("driver", 0, 300 * MS, name="ray.driver")]
    meet = "SynchronizationActor.broadcast_from_rank_zero"
    for rank, came in ((0, 50), (1, 195)):
        about = told(rank=rank, world_size=2, experiment="meeting")
        rows.append(submit(f"s{rank}", 0, 0, "driver", submitted_task_id=f"T{rank}"))
        rows.append(run(f"r{rank}", 0, 290 * MS, f"s{rank}", f"T{rank}", actor_id=f"a{rank}", attributes=about))
        rows.append(submit(f"m{rank}", came * MS, came * MS, f"r{rank}", function=meet, submitted_task_id=f"M{rank}"))
        rows.append(run(f"b{rank}", came * MS, 199 * MS, f"m{rank}", f"M{rank}", function=meet, actor_id="b"))
        rows.append(wait(f"w{rank}", came * MS, 200 * MS, f"r{rank}", [f"M{rank}"]))
    rows += [*report(0, 0, 205, 210), *report(1, 0, 201, 210)]
    spans = table(*rows, recorded=True)
    step = rt.train(spans).row(0, named=True)
    assert (step["last"], step["work_ns"] // MS, step["others_waited_ns"] // MS) == ("rank 1", 196, 145)
    assert rt.train(spans, by="rank").get_column("last_in").to_list() == [0, 1]


def test_ranks_are_summed_up() -> None:
    ranks = rt.train(training(), by="rank")
    assert ranks.get_column("rank").to_list() == [0, 1]
    assert ranks.get_column("last_in").to_list() == [1, 2]
    assert (ranks.get_column("waited_ns") // MS).to_list() == [150 + 160, 250]
    assert (ranks.get_column("checkpoint_ns") // MS).to_list() == [280, 0]
    assert (ranks.get_column("data_ns") // MS).to_list() == [0, 50]


def test_a_restart_of_the_workers_is_an_attempt_of_its_own() -> None:
    rows = training()
    later = 1000 * MS
    again = rows.filter(pl.col("name") != "ray.driver").with_columns(
        pl.col("span_id", "parent_id", "task_id", "submitted_task_id").map_elements(lambda name: f"{name}+", pl.String),
        pl.col("start", "end") + pl.duration(nanoseconds=later),
    )
    steps = rt.train(pl.concat([rows, again]))
    assert steps.get_column("attempt").to_list() == [0, 0, 0, 1, 1, 1]
    assert steps.get_column("last_rank").to_list() == [1, 1, 0] * 2


def test_a_rank_that_failed_is_named_and_nobody_was_last_where_it_did_not_come(
    capsys: pytest.CaptureFixture[str],
) -> None:
    spans = training().with_columns(
        pl.when(pl.col("span_id") == "r1").then(pl.lit("ERROR", pl.Enum(rt.schema.TABLE["status"].categories)))
        .otherwise("status").alias("status"),
        pl.when(pl.col("span_id") == "r1").then(pl.lit("ValueError: rank 1 broke"))
        .otherwise("status_message").alias("status_message"),
    ).filter(pl.col("span_id") != "report1-2")  # fmt: skip
    ranks = rt.train(spans, by="rank")
    assert ranks.select("rank", "steps", "last_in", "error").rows() == [
        (0, 3, 0, None),
        (1, 2, 2, "ValueError: rank 1 broke"),
    ]
    steps = rt.train(spans)
    assert steps.get_column("last").to_list() == ["rank 1", "rank 1", None]
    show_train(steps, ranks, output(), top=10)
    assert "Rank 1 failed after 2 reports: ValueError: rank 1 broke." in capsys.readouterr().out


def test_all_ranks_that_failed_by_themselves_are_named_the_first_one_first(capsys: pytest.CaptureFixture[str]) -> None:
    said = {"r0": "KeyError: 'zero'", "r1": "ValueError: one", "r2": "ActorDiedError: The actor died."}
    ended = {"r0": 900, "r1": 880, "r2": 890}
    third = [submit("s2", 0, 0, "driver", submitted_task_id="T2"),
             run("r2", 0, 900 * MS, "s2", "T2", function="__main__.loop", actor_id="a2",
                 attributes=told(rank=2, world_size=3, experiment="mnist"))]  # fmt: skip
    spans = pl.concat([training(), table(*third, recorded=True)]).with_columns(
        status=pl.when(pl.col("span_id").is_in(list(said))).then(pl.lit("ERROR")).otherwise("status")
        .cast(rt.schema.TABLE["status"]),
        status_message=pl.col("span_id").replace_strict(said, default=None),
        end=pl.coalesce(
            (pl.col("span_id").replace_strict(ended, default=None) * MS).cast(rt.schema.TABLE["end"]), "end"
        ),
    )  # fmt: skip
    ranks = rt.train(spans, by="rank")
    # Rank 2 only asked for an actor that Train had ended since rank 1 failed.
    assert ranks.select("rank", "error").rows() == [(0, said["r0"]), (1, said["r1"]), (2, None)]
    assert ranks.get_column("failed_ns").is_not_null().to_list() == [True, True, False]
    show_train(rt.train(spans), ranks, output(), top=10)
    told_of = capsys.readouterr().out
    assert "Rank 1 failed after 3 reports: ValueError: one." in told_of
    assert "Rank 0 failed, 20.0 ms after that, after 3 reports: KeyError: 'zero'." in told_of
    assert "Rank 2 failed" not in told_of


def test_spans_of_rays_own_tracing_tell_when_the_ranks_met_and_no_more() -> None:
    name = "SynchronizationActor.broadcast_from_rank_zero"
    rows: list[Row] = []
    for step, times in enumerate([(50, 200, 205), (250, 400, 405)]):
        for place, pid in enumerate((11, 22)):
            own = {"function": name, "pid": pid}
            rows.append(submit(f"s{step}{pid}", times[place] * MS, (times[place] + 1) * MS, **own))
            met = {"function": name, "actor_id": "sync"}
            rows.append(
                run(f"r{step}{pid}", (times[place] + 2) * MS, times[2] * MS, f"s{step}{pid}", f"T{step}{pid}", **met)
            )
    steps = rt.train(table(*rows))
    assert steps.get_column("last").to_list() == ["process 22", "process 22"]
    assert (steps.get_column("others_waited_ns") // MS).to_list() == [150, 150]
    parts = ("work_ns", "idle_ns", "data_ns", "waits_ns", "checkpoint_ns", "report_ns")
    unknown = ("run", "last_rank", *parts, "limited_by", "stored_ns")
    assert all(steps.get_column(column).null_count() == 2 for column in unknown)


def test_no_training_is_an_empty_table() -> None:
    spans = table(span("driver", 0, MS, name="ray.driver"), recorded=True)
    assert rt.train(spans).is_empty()
    assert rt.train(spans, by="rank").is_empty()
    with pytest.raises(rt.UsageError, match="step, rank"):
        rt.train(spans, by="node")


def test_the_screen_says_who_was_late(capsys: pytest.CaptureFixture[str]) -> None:
    spans = training()
    show_train(rt.train(spans), rt.train(spans, by="rank"), output(), top=20)
    shown = capsys.readouterr().out
    assert "Training mnist: 2 ranks, 3 steps in 750 ms." in shown
    assert "Rank 1 came last in 2 of 3 steps" in shown


def test_the_path_leads_from_the_driver_through_the_controller_to_the_rank_that_ended_last() -> None:
    # driver      [get of fit ................................................................]
    # controller   [run  [await both functions ..............................................]]
    # rank 0        [loop: work][report: get of the collective ......][work]
    # rank 1        [loop: work ...............................][report][work ....]
    # collective                 [of rank 0, suspended ..............]
    #                                                             [1]
    one, two = told(rank=0, experiment="x"), told(rank=1, experiment="x")
    suspended = told(awaited="asyncio.Condition.wait")
    own = {"function": "SynchronizationActor.broadcast_from_rank_zero", "actor_id": "sync", "concurrent": True}
    rows = [
        span("driver", 0, 1000, name="ray.driver"),
        submit("sc", 1, 2, "driver", submitted_task_id="C"),
        run("c", 5, 990, "sc", "C", function="TrainController.run", actor_id="controller", concurrent=True),
        wait("get", 3, 1000, "driver", ["C"]),
        submit("s0", 6, 7, "c", submitted_task_id="T0"),
        submit("s1", 8, 9, "c", submitted_task_id="T1"),
        run("r0", 10, 700, "s0", "T0", function="loop", actor_id="w0", attributes=one),
        run("r1", 10, 800, "s1", "T1", function="loop", actor_id="w1", attributes=two),
        wait("w", 20, 985, "c", ["T0", "T1"], name="await"),
        span("p0", 100, 610, "r0", name="ray.train.report", ready_task_ids=[], attributes=told(report=0)),
        submit("x0", 101, 102, "p0", submitted_task_id="X0", **own),
        run("b0", 103, 608, "x0", "X0", **own),
        span("a0", 104, 606, "b0", name="await", ready_task_ids=[], attributes=suspended),
        wait("g0", 103, 609, "p0", ["X0"]),
        span("p1", 600, 610, "r1", name="ray.train.report", ready_task_ids=[], attributes=told(report=0)),
        submit("x1", 601, 602, "p1", submitted_task_id="X1", **own),
        run("b1", 603, 605, "x1", "X1", **own),
        wait("g1", 603, 607, "p1", ["X1"]),
    ]
    spans = table(*rows, recorded=True)
    path = rt.critical_path(spans)
    by = dict(path.by("actor").select("actor", "total_ns").iter_rows())
    assert by["w1"] > 700  # rank 1 worked until it came to the report, and ended last
    assert by.get("w0", 0) == 0
    # The slower rank's report leads to its own work also where somebody asks about the other one.
    other = rt.critical_path(spans, task="r0")
    assert dict(other.by("actor").select("actor", "total_ns").iter_rows())["w1"] > 500
    assert path.actors.filter(pl.col("actor_id") == "w1").get_column("actor").to_list() == ["rank 1"]
