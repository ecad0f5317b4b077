"""What the operators of Ray Data did, from spans by hand: which of them limits the rate, and what is not known.

submits  rrmm          (r: the read's tasks, m: the map's)
read       |==|==|
map             |====|====|     one at a time
driver   |...                  next()                       ....|
"""

import json
from typing import Any

import polars as pl

import raytrace_analyze as rt
from raytrace_analyze.names.functions import RAY_DATA
from raytrace_analyze.views.libraries.data_view import execution_text, notes
from raytrace_analyze.views.libraries.version_notes import version_notes
from raytrace_analyze.vocabulary.spans import Library

from .tables import Row, run, span, submit, table, wait

KEY = "00000000000000aa"
READ, MAP = "ReadRange", "MapBatches(slow)"
RAW = "ray.data._internal.execution.operators.map_operator._map_task"


def operator(place: int, name: str, rows: int, held: dict[str, int] | None = None, **more: Any) -> Row:
    """What the hook tells of an operator at the end of its execution."""
    pressure = {
        way: {"ns": sums, "stretches": []} for way, sums in (("submission", held or {}), ("output", {"budget": 7}))
    }
    about = {
        "raytrace.operator": f"{KEY}.{place}",
        "raytrace.operator_name": name,
        "raytrace.operator_index": place,
        "raytrace.dataset": "dataset_3_0",
        "raytrace.outcome": "finished",
        "raytrace.began_ns": 100,
        "raytrace.operator_metrics": json.dumps({"row_outputs_taken": rows, "bytes_outputs_taken": 8 * rows}),
        "raytrace.back_pressure": json.dumps(pressure),
    }
    return span(f"o{place}", 1_100, 1_100, "d", name="ray.data.operator", attributes=json.dumps(about | more))


def task(
    number: int, place: int, name: str, submitted: int, start: int, end: int, tag: bool = True, parent: str = "d"
) -> list[Row]:
    of = {"function": name, "submitted_task_id": f"task{number}"}
    about = {"ray.function": RAW} | ({"raytrace.operator": f"{KEY}.{place}"} if tag else {})
    return [
        submit(f"s{number}", submitted, submitted + 5, parent, attributes=json.dumps(about), **of),
        run(f"r{number}", start, end, f"s{number}", f"task{number}", function=name, attributes=json.dumps(about),
            worker_id="w", pid=9),
    ]  # fmt: skip


def pipeline(read: str = READ, mapped: str = MAP, *, tag: bool = True) -> list[Row]:
    return [
        span("d", 0, 1_200, None, name="ray.driver"),
        *task(0, 1, read, 100, 200, 250, tag),
        *task(1, 1, read, 110, 250, 300, tag),
        *task(2, 2, mapped, 260, 300, 700, tag),
        *task(3, 2, mapped, 310, 700, 1_100, tag),
        wait("n", 320, 1_100, "d", ["task3"], name="ray.next"),
    ]


def told(read: str = READ, mapped: str = MAP) -> list[Row]:
    return [operator(0, "Input", 0), operator(1, read, 20, {"cap": 30, "budget": 10}), operator(2, mapped, 20)]


def test_the_operator_that_limits_the_rate_is_named() -> None:
    found = rt.data(table(*pipeline(), *told(), recorded=True))
    assert found.get_column("operator").to_list() == [READ, MAP, "(driver)"]
    read, slow, driver = found.to_dicts()
    assert (read["tasks"], read["rows_out"], read["bytes_out"], read["busy_ns"]) == (2, 20, 160, 100)
    assert (slow["tasks"], slow["rows_out"], slow["busy_ns"], slow["took_ns"]) == (2, 20, 800, 1_000)
    assert (read["held_submission_ns"], read["held_output_ns"], read["held_by"]) == (40, 7, "cap")
    assert (slow["held_submission_ns"], slow["held_by"]) == (0, "budget")
    assert found.get_column("limits").to_list() == [False, True, False]
    assert slow["path_ns"] >= 800
    assert slow["mean_parallel"] == 800 / (1_100 - 260)
    assert slow["idle_ns"] == 40
    assert sum(row["path_ns"] for row in (read, slow, driver)) == 1_000
    assert {row["dataset"] for row in (read, slow, driver)} == {"dataset_3_0"}


def test_an_operator_of_which_more_tasks_could_run_at_a_time() -> None:
    """The tasks of the map run one after the other; there are free slots for them, but for where there is one CPU."""

    def found(cpus: int) -> list[str]:
        have = json.dumps({"raytrace.cluster_resources": json.dumps({"CPU": cpus})})
        driver = span("d", 0, 1_200, None, name="ray.driver", category="driver", attributes=have)
        slow = [
            row
            for number in range(3)
            for row in task(number, 2, MAP, 300 * number, 300 * number + 10, 300 * number + 300)
        ]
        rows = [driver, *slow, operator(2, MAP, 20), wait("n", 10, 1_000, "d", ["task2"], name="ray.next")]
        patterns = rt.advise(table(*rows, recorded=True)).filter(pattern="too-few-in-flight")
        return [f"{row['what']} | {row['remedy']}" for row in patterns.to_dicts()]

    (told,) = found(4)
    assert (
        "3 tasks of `MapBatches(slow)` ran 1 at a time, while 3." in told and "of 4 CPUs were free on average" in told
    )
    assert "et more of its tasks run at once" in told and "there is room for 4" in told
    assert found(1) == []


def test_an_operator_whose_few_tasks_take_several_blocks_each_has_enough_of_them() -> None:
    def told(blocks: int, start: int) -> list[str]:
        have = json.dumps({"raytrace.cluster_resources": json.dumps({"CPU": 4})})
        driver = span("d", 0, 1_200, None, name="ray.driver", category="driver", attributes=have)
        took = operator(2, MAP, 20)
        took["attributes"] = json.dumps(
            json.loads(took["attributes"])
            | {"raytrace.operator_metrics": json.dumps({"row_outputs_taken": 20, "num_inputs_received": blocks})}
        )
        rows = [driver, *task(0, 2, MAP, 0, start, 1_000), took]
        rows.append(wait("n", 10, 1_010, "d", ["task0"], name="ray.next"))
        return rt.advise(table(*rows, recorded=True)).filter(pattern="too-few-in-flight").get_column("remedy").to_list()

    (few,), (joined,) = told(1, 20), told(8, 20)
    assert "more blocks of what it takes" in few
    assert "more blocks" not in joined and "batch_size" in joined
    # Its start is what takes long: more at a time do not shorten that.
    assert told(1, 950) == []


def test_who_works_longer_with_its_part_of_a_dataset_that_is_split() -> None:
    """
    Consumer[0]  n|==|n|==|n|==|
    Consumer[1]  n|======|n|======|n|======|
    """
    ms = 1_000_000

    def consumers(slow_ms: int) -> list[Row]:
        rows = [span("d", 0, 1_200 * ms, None, name="ray.driver")]
        for number, took in enumerate((60, slow_ms)):
            own = {"function": "Consumer.run", "actor_id": f"c{number}", "worker_id": f"w{number}", "pid": number + 5}
            made = {**own, "function": "Consumer.__init__"}
            last = (20 + 3 * took + 5) * ms
            rows += [
                submit(f"m{number}", number * ms, (number + 1) * ms, "d", submitted_task_id=f"M{number}"),
                run(f"i{number}", 4 * ms, 5 * ms, f"m{number}", f"M{number}", **made),
                submit(f"s{number}", 6 * ms, 7 * ms, "d", submitted_task_id=f"T{number}"),
                run(f"c{number}", 10 * ms, last, f"s{number}", f"T{number}", **own),
            ]
            about = {
                "name": "ray.next",
                "attributes": json.dumps({"raytrace.library": "ray.data"}, separators=(",", ":")),
            }
            for turn in range(3):
                at = (15 + turn * took) * ms
                rows.append(wait(f"n{number}{turn}", at, at + 5 * ms, f"c{number}", [], **about))
        return [*rows, wait("w", 9 * ms, 1_190 * ms, "d", ["T0", "T1"])]

    (found,) = rt.advise(table(*consumers(300), recorded=True)).filter(pattern="slow-actor").to_dicts()
    assert "the actor `Consumer[1]` works longer with its part of a dataset than the other one" in found[
        "what"
    ].lower().replace("consumer", "Consumer")
    assert found["saved_ns"] > 500 * ms
    assert rt.advise(table(*consumers(70), recorded=True)).filter(pattern="slow-actor").is_empty()


def test_a_thread_that_hands_out_tasks_is_no_part_of_what_the_program_does_meanwhile() -> None:
    """The program takes its time with each block; tasks that its execution's thread submits meanwhile wait for nobody.

    driver  |next .............|  works ....................... |n|  works ......|
    thread  s wait s wait ........ s  s wait ...............................|
    read      |=|
    map            |============|  |=====|  |=====|
    """
    thread = {"function": "StreamingExecutor.run", "worker_id": "d", "pid": 1}
    about = json.dumps({"raytrace.execution": KEY, "raytrace.dataset": "dataset_3_0"})
    spans = [
        span("d", 0, 1_200, None, name="ray.driver"),
        submit("es", 100, 100, "d", submitted_task_id="e", **thread),
        run("er", 100, 1_000, "es", "e", attributes=about, **thread),
        *task(0, 1, READ, 110, 120, 250, parent="er"),
        wait("w0", 115, 260, "er", ["task0"], name="ray.wait"),
        *task(1, 2, MAP, 265, 270, 500, parent="er"),
        wait("w1", 270, 510, "er", ["task1"], name="ray.wait"),
        *task(2, 2, MAP, 520, 530, 600, parent="er"),
        *task(3, 2, MAP, 610, 620, 700, parent="er"),
        wait("w2", 615, 1_000, "er", ["task2", "task3"], name="ray.wait"),
        wait("n0", 105, 505, "d", ["task1"], name="ray.next"),
        wait("n1", 900, 905, "d", ["task3"], name="ray.next"),
    ]
    read, slow, own, driver = rt.data(table(*spans, *told(), recorded=True)).to_dicts()
    assert (own["operator"], driver["operator"]) == ("(Ray Data)", "(driver)")
    assert driver["limits"] and driver["path_ns"] >= 1_100 - 505
    assert 230 <= slow["path_ns"] <= 250  # what it did for the first block
    assert read["path_ns"] > 0 and 0 < own["path_ns"] < 50


def test_what_an_execution_waits_until_somebody_takes_its_blocks_is_the_programs() -> None:
    """The program makes batches of its blocks in threads (`collate_fn`), which takes it longest.

    driver  |next (its block is there) .........................|next ..........|
    thread  s wait ...nobody takes what comes out ......... s wait |
    read      |=|                                             |=|
    """
    thread = {"function": "StreamingExecutor.run", "worker_id": "d", "pid": 1}
    about = json.dumps({"raytrace.execution": KEY, "raytrace.dataset": "dataset_3_0"})
    stretches = [{"start_ns": 180, "end_ns": 790, "policy": "budget"}]

    def found(held: list[dict[str, Any]]) -> dict[str, Row]:
        pressure = {"submission": {"ns": {}, "stretches": []}, "output": {"ns": {"budget": 610}, "stretches": held}}
        spans = [
            span("d", 0, 1_200, None, name="ray.driver"),
            submit("es", 100, 100, "d", submitted_task_id="e", **thread),
            run("er", 100, 1_000, "es", "e", attributes=about, **thread),
            *task(0, 1, READ, 110, 120, 150, parent="er"),
            wait("w0", 115, 160, "er", ["task0"], name="ray.wait"),
            wait("w1", 170, 800, "er", [], name="ray.wait"),
            *task(1, 1, READ, 805, 815, 900, parent="er"),
            wait("w2", 815, 905, "er", ["task1"], name="ray.wait"),
            wait("n0", 160, 810, "d", ["task0"], name="ray.next"),
            wait("n1", 815, 1_100, "d", ["task1"], name="ray.next"),
        ]
        words = [operator(0, "Input", 0), operator(1, READ, 20, **{"raytrace.back_pressure": json.dumps(pressure)})]
        return {row["operator"]: row for row in rt.data(table(*spans, *words, recorded=True)).to_dicts()}

    rows, without = found(stretches), found([])
    assert rows["(driver)"]["limits"] and without["(Ray Data)"]["limits"]
    assert rows["(driver)"]["path_ns"] - without["(driver)"]["path_ns"] == 610
    assert without["(Ray Data)"]["path_ns"] - rows["(Ray Data)"]["path_ns"] == 610
    assert sum(row["path_ns"] for row in rows.values()) == rows[READ]["took_ns"]


def test_an_execution_beside_another_that_decides_is_not_limited_by_its_program() -> None:
    """Two tasks run a dataset each; the driver waits for both, and the second one decides.

    driver  |get .............................................|
    one       |thread: map |=|  next | ends
    two       |thread: map                  |================|next|
    """
    rows = [span("d", 0, 1_200, None, name="ray.driver"), wait("g", 30, 1_150, "d", ["one", "two"])]
    for number, (name, began, ended) in enumerate((("one", 300, 400), ("two", 500, 1_000))):
        key = f"{number:016x}"
        own = {"pid": 20 + number, "worker_id": f"c{number}"}
        thread = {"function": "StreamingExecutor.run", **own}
        about = json.dumps({"raytrace.execution": key, "raytrace.dataset": name})
        ids = {"raytrace.operator": f"{key}.1", "raytrace.dataset": name, "raytrace.began_ns": 60}
        of = {"attributes": json.dumps(ids), "function": MAP}
        rows += [
            submit(f"s{name}", 10 + number, 20, "d", submitted_task_id=name),
            run(f"r{name}", 50, ended + 100, f"s{name}", name, **own),
            submit(f"e{name}", 60, 60, f"r{name}", submitted_task_id=f"E{name}", **thread),
            run(f"x{name}", 60, ended + 20, f"e{name}", f"E{name}", attributes=about, **thread),
            submit(f"m{name}", 70, 80, f"x{name}", submitted_task_id=f"M{name}", **of),
            run(f"t{name}", began, ended, f"m{name}", f"M{name}", function=MAP),
            wait(f"n{name}", 90, ended + 10, f"r{name}", [f"M{name}"], name="ray.next"),
            operator(1, MAP, 10, **ids) | {"span_id": f"o{name}", "start": ended + 20, "end": ended + 20},
        ]
    found = rt.data(table(*rows, recorded=True))
    one, two = (found.filter(pl.col("dataset") == name) for name in ("one", "two"))
    assert one.filter("limits").get_column("operator").to_list() == ["(elsewhere)"]
    # Tasks take the blocks, not the driver.
    assert one.filter(pl.col("operator") == "(program)").get_column("path_ns").item() == 0
    assert "(driver)" not in found.get_column("operator").to_list()
    assert two.filter("limits").get_column("operator").to_list() == [MAP]
    assert "(elsewhere)" not in two.get_column("operator").to_list()


def test_a_slow_actor_of_a_pool_is_named_and_so_is_the_operator_whose_tasks_failed() -> None:
    """Two actors; tasks take 500 ms on one of them, 100 ms on the other; the last one fails."""
    ms, spans = 1_000_000, [span("d", 0, 3_000 * 1_000_000, None, name="ray.driver")]
    free, took = {"a0": 0, "a1": 0}, {"a0": 500, "a1": 100}
    name = f"MapWorker({MAP})"
    for number in range(16):
        actor = min(free, key=lambda one: free[one])
        start = free[actor] + 10
        free[actor] = start + took[actor]
        of = {"function": f"{name}.submit"}
        about = json.dumps({"raytrace.operator": f"{KEY}.2"})
        spans += [
            submit(f"s{number}", (start - 5) * ms, (start - 4) * ms, "d", submitted_task_id=f"task{number}",
                   attributes=about, **of),
            run(f"r{number}", start * ms, free[actor] * ms, f"s{number}", f"task{number}", actor_id=actor,
                worker_id=actor, status="ERROR" if number == 15 else "OK", **of),
        ]  # fmt: skip
    spans.append(wait("n", 10 * ms, max(free.values()) * ms, "d", ["task15"], name="ray.next"))
    words = {"raytrace.outcome": "failed", "raytrace.began_ns": 0}
    found = rt.data(table(*spans, operator(2, MAP, 20, **words), recorded=True))
    slow = found.row(by_predicate=pl.col("operator") == MAP, named=True)
    assert slow["slow_actor"] == f"{name}[0]" and slow["slow_actor_tasks"] == 3
    assert (slow["slow_actor_task_ns"], slow["other_actors_task_ns"]) == (500 * ms, 100 * ms)
    assert f"and failed, as a task of {MAP} did" in execution_text(found.to_dicts())


def test_an_operator_whose_process_starts_slowly_does_not_limit_the_rate() -> None:
    # driver  |  |next ......................|  works with the block ....|
    # read     |=|
    # map        |....... its process starts |=|
    cold = [row | {"worker_id": "w2", "pid": 10} for row in task(2, 2, MAP, 130, 650, 660)]
    spans = [
        span("d", 0, 1_200, None, name="ray.driver"),
        *task(0, 1, READ, 100, 110, 120),
        *cold,
        wait("n", 136, 665, "d", ["task2"], name="ray.next"),
    ]
    _, slow, driver = rt.data(table(*spans, *told(), recorded=True)).to_dicts()
    assert slow["path_ns"] > driver["path_ns"]
    assert slow["start_up_ns"] == 650 - 135
    assert driver["limits"] and not slow["limits"]


def test_start_up_is_said_before_what_limits_the_rest() -> None:
    row = {"dataset": "d", "took_ns": 1_000, "outcome": "finished", "operator": MAP, "path_ns": 900, "tasks": 3}
    rows = [row | {"start_up_ns": 880, "limits": False}, row | {"operator": RAY_DATA, "path_ns": 80, "start_up_ns": 0}]
    rows[1]["limits"] = True
    said = execution_text(rows)
    assert "880 ns of that went to starting processes and loading code" in said
    assert "of the rest, Ray Data itself, which hands out the tasks, had most" in said and "limits" not in said
    rows[0] |= {"start_up_ns": 10, "tasks": 3}
    assert "limits the rate" in execution_text(rows)
    hung = execution_text([one | {"outcome": "open"} for one in rows])
    assert "limits" not in hung and "raytrace-analyze hang" in hung
    stuck = execution_text([one | {"outcome": "failed", "tasks": 0} for one in rows])
    assert f"{MAP} never ran a task" in stuck and "limits" not in stuck
    stopped = execution_text(
        [row | {"outcome": "failed", "tasks": 0, "start_up_ns": 600} for row in rows[:1]] + rows[1:]
    )
    assert "never ran" not in stopped and "600 ns of that went to starting processes" in stopped


def test_what_is_not_known_is_null_and_never_zero() -> None:
    found = rt.data(table(*pipeline(tag=False)))
    read, slow, _ = found.to_dicts()
    assert (read["operator"], slow["operator"]) == (READ, MAP)
    for column in ("execution", "rows_out", "bytes_out", "busy_ns", "idle_ns", "mean_parallel", "held_submission_ns"):
        assert slow[column] is None, column
    assert slow["tasks"] == 2
    assert slow["limits"]


def test_a_killed_execution_has_its_tasks_and_no_word_of_its_operators() -> None:
    found = rt.data(table(*pipeline(), recorded=True))
    assert found.get_column("operator").to_list() == [READ, MAP, "(driver)"]
    assert found.get_column("rows_out").null_count() == 3
    assert found.get_column("busy_ns").to_list()[:2] == [100, 800]


def test_damaged_words_of_the_hook_are_null() -> None:
    broken = operator(2, MAP, 5, **{"raytrace.operator_metrics": "{", "raytrace.back_pressure": "[1]"})
    odd = operator(
        1, READ, 5, **{"raytrace.operator_metrics": '{"row_outputs_taken": "many"}', "raytrace.began_ns": "x"}
    )
    found = rt.data(table(*pipeline(), broken, odd, recorded=True))
    assert found.filter(pl.col("operator") == MAP).select("rows_out", "held_submission_ns").row(0) == (None, None)
    assert found.filter(pl.col("operator") == READ).select("rows_out").item() is None


def test_no_ray_data_is_an_empty_table() -> None:
    assert rt.data(table(submit("s", 0, 1), run("r", 1, 2, "s"))).is_empty()


def test_the_thread_that_hands_out_tasks_is_no_loop_of_the_programs() -> None:
    thread = {"function": "StreamingExecutor.run", "worker_id": "d", "pid": 1}
    ms = 10**6
    rows = [
        span("d", 0, 1_200 * ms, None, name="ray.driver"),
        submit("es", 100 * ms, 100 * ms, "d", submitted_task_id="e", **thread),
        run("er", 100 * ms, 1_100 * ms, "es", "e", **thread),
    ]
    for number, at in enumerate(range(110, 910, 200)):
        rows += task(number, 2, MAP, at * ms, (at + 10) * ms, (at + 180) * ms, parent="er")
        poll = (at + 6) * ms, (at + 190) * ms, "er", [f"task{number}"]
        rows.append(wait(f"w{number}", *poll, name="ray.wait", attributes='{"raytrace.library": "ray.data"}'))
    rows.append(wait("n", 105 * ms, 1_110 * ms, "d", ["e"], name="ray.next"))
    found = rt.advise(table(*rows, recorded=True))
    assert "get-in-loop" not in found.get_column("pattern").to_list()


def test_tasks_beside_the_executions_say_nothing_of_what_these_are_known_by() -> None:
    tasks = task(9, 0, "ray.data._internal.util.get_table_block_metadata_schema", 20, 30, 40, tag=False)
    spans = table(*pipeline(), *told(), *tasks, recorded=True)
    found = rt.data(spans)
    assert found.filter(pl.col("execution").is_null()).height
    assert notes(found, spans) == []
    unknown = table(*pipeline(tag=False), recorded=True)
    assert any("rows, bytes, back-pressure" in note for note in notes(rt.data(unknown), unknown))


def test_what_a_version_of_ray_has_no_place_for_is_said() -> None:
    told_of = '{"raytrace.not_recorded":"Ray 2.9.3: what held the operators of a dataset back, the trials of Ray Tune"}'
    spans = table(*pipeline(), *told(), recorded=True).with_columns(resource=pl.lit(told_of))
    (note,) = notes(rt.data(spans), spans)
    assert note.startswith("Ray 2.9.3 has no place") and "held the operators of a dataset back" in note
    assert "Tune" not in note
    (of_tune,) = version_notes(spans, Library.TUNE)
    assert "the trials of Ray Tune" in of_tune
    assert version_notes(table(*pipeline(), recorded=True), Library.DATA) == []
