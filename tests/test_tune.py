"""Ray Tune's table, on spans as the hook makes them, and on those of Ray's own tracing."""

import json
from typing import Any

import polars as pl
import pytest

import raytrace_analyze as rt
from raytrace_analyze.views.libraries.tune_view import show_tune
from raytrace_analyze.views.screen.console import output
from tests.tables import Row, run, span, submit, table, wait

MS = 1_000_000


def told(**about: Any) -> str:
    return json.dumps({f"raytrace.{name}": value for name, value in about.items()})


def result(trial: str, number: int, start: int, end: int, **columns: Any) -> list[Row]:
    """A call for a trial's next result, submitted by the driver as it begins."""
    key, attributes = f"{trial}{number}", told(trial=trial, report=number)
    own = {"function": "ImplicitFunc.train", "actor_id": f"actor-{trial}", "attributes": attributes, **columns}
    return [
        submit(f"s{key}", (start - 1) * MS, start * MS, "driver", submitted_task_id=f"T{key}"),
        run(f"r{key}", start * MS, end * MS, f"s{key}", f"T{key}", **own),
    ]


def asked(trial: str, at: int, number: int = 0, name: str = "search", **parameters: Any) -> Row:
    attributes = told(trial=trial, parameters=json.dumps(parameters, separators=(",", ":")), experiment=name)
    return span(f"t{trial}{number}", at * MS, at * MS, "driver", name="ray.tune.trial", attributes=attributes)


def tuning(name: str = "search") -> pl.DataFrame:
    # driver  [suggest .][a][suggest .][b]  [wait ...........................................................]
    # a                       [result 0 ][result 1 ]
    # b                                         [result 0 .........................][result 1 ...............]
    rows: list[Row] = [
        span("driver", 0, 2000 * MS, name="ray.driver"),
        span("g0", 0, 300 * MS, "driver", name="ray.tune.suggest"),
        asked("a", 301, name=name, lr=0.1),
        span("g1", 310 * MS, 610 * MS, "driver", name="ray.tune.suggest"),
        asked("b", 611, name=name, lr=0.5),
        *result("a", 0, 400, 500),
        *result("a", 1, 510, 600),
        *result("b", 0, 900, 1400),
        *result("b", 1, 1410, 1900, status="ERROR"),
        wait("w", 620 * MS, 1905 * MS, "driver", ["Tb1"], name="ray.wait"),
    ]
    return table(*rows, recorded=True)


@pytest.mark.parametrize(("cpus", "at_a_time", "told"), [(4, 1, True), (1, 1, False), (2, 2, False)])
def test_trials_of_which_more_could_run_at_a_time(cpus: int, at_a_time: int, told: bool) -> None:
    """
    a, b, ...  [===]       1 at a time, each on an actor with a CPU
                    [===]
                         [===]
    """
    have = json.dumps({"raytrace.cluster_resources": json.dumps({"CPU": cpus})})
    needs = json.dumps({"raytrace.resources": '{"CPU": 1}'})
    rows: list[Row] = [span("driver", 0, 3000 * MS, name="ray.driver", category="driver", attributes=have)]
    for number, trial in enumerate("abcd"):
        at = 10 + 500 * (number // at_a_time)
        made = {"function": "ImplicitFunc.__init__", "actor_id": f"actor-{trial}"}
        rows += [
            asked(trial, at),
            submit(
                f"m{trial}", at * MS, (at + 1) * MS, "driver", submitted_task_id=f"M{trial}", attributes=needs, **made
            ),
            run(f"n{trial}", (at + 3) * MS, (at + 4) * MS, f"m{trial}", f"M{trial}", **made),
            *result(trial, 0, at + 10, at + 480),
            wait(f"w{trial}", (at + 11) * MS, (at + 482) * MS, "driver", [f"T{trial}0"], name="ray.wait"),
        ]
    found = rt.advise(table(*rows, recorded=True)).filter(pattern="too-few-in-flight").to_dicts()
    assert bool(found) == told
    if told:
        assert "4 trials of `ImplicitFunc.train` ran 1 at a time, while 3.0 of 4 CPUs were free" in found[0]["what"]
        assert "(4) run what took 1.88 s in 470 ms at best" in found[0]["remedy"] and found[0]["saved_ns"] == 0


def test_a_row_tells_a_trial() -> None:
    trials = rt.tune(tuning())
    assert trials.get_column("trial").to_list() == ["a", "b"]
    assert [json.loads(text) for text in trials.get_column("parameters")] == [{"lr": 0.1}, {"lr": 0.5}]
    assert (trials.get_column("waited_ns") // MS).to_list() == [99, 289]
    assert (trials.get_column("ran_ns") // MS).to_list() == [200, 1000]
    assert trials.get_column("results").to_list() == [2, 2]
    assert (trials.get_column("slowest_result_ns") // MS).to_list() == [100, 500]
    assert trials.get_column("errors").to_list() == [0, 1]
    assert trials.get_column("path_share").arg_max() == 1


def test_a_trial_that_is_started_again_has_two_attempts() -> None:
    # The slot waited for between the two is no time that the trial ran.
    rows = [asked("a", 0), *result("a", 0, 100, 200, status="ERROR"), asked("a", 300, 1), *result("a", 1, 500, 800)]
    trials = rt.tune(table(span("driver", 0, 900 * MS, name="ray.driver"), *rows, recorded=True))
    assert trials.select("attempts", "errors", "results").row(0) == (2, 1, 2)
    assert (trials.select("waited_ns", "ran_ns") // MS).row(0) == (100 + 200, 100 + 300)


def test_an_actor_that_is_used_again_is_each_trials_while_it_works_for_that() -> None:
    rows: list[Row] = [
        span("driver", 0, 2000 * MS, name="ray.driver"),
        asked("a", 300),
        *result("a", 0, 400, 900),
        wait("w", 401 * MS, 901 * MS, "driver", ["Ta0"]),
        asked("b", 1000),
        *result("b", 0, 1100, 1900, actor_id="actor-a"),
        wait("x", 1101 * MS, 1901 * MS, "driver", ["Tb0"]),
    ]
    trials = rt.tune(table(*rows, recorded=True))
    assert [share // MS for share in trials.get_column("path_ns")] == [500, 800]
    assert trials.get_column("path_share").sum() < 1


def test_trials_that_all_asked_at_the_start_have_the_actor_one_after_the_other() -> None:
    # actor-a  [a: result][save][reset][b: result][save]
    rows: list[Row] = [
        span("driver", 0, 2000 * MS, name="ray.driver"),
        asked("a", 1),
        asked("b", 2),
        *result("a", 0, 100, 300),
        *call("a", "save", 310, 410, "actor-a"),
        *call("b", "reset", 420, 920, "actor-a"),
        *result("b", 0, 930, 1030, actor_id="actor-a"),
        *call("b", "save", 1040, 1050, "actor-a"),
        *(
            wait(f"w{task}", (start + 1) * MS, (end + 1) * MS, "driver", [f"T{task}"])
            for task, start, end in (
                ("a0", 100, 300),
                ("savea310", 310, 410),
                ("resetb420", 420, 920),
                ("b0", 930, 1030),
            )
        ),
    ]
    trials = rt.tune(table(*rows, recorded=True))
    assert [share // MS for share in trials.get_column("path_ns")] == [200 + 100, 500 + 100]
    assert (trials.get_column("saved_ns") // MS).to_list() == [100, 10]


def call(trial: str, method: str, start: int, end: int, actor: str) -> list[Row]:
    key = f"{method}{trial}{start}"
    return [
        submit(f"s{key}", (start - 1) * MS, start * MS, "driver", submitted_task_id=f"T{key}"),
        run(f"r{key}", start * MS, end * MS, f"s{key}", f"T{key}", function=f"Model.{method}", actor_id=actor),
    ]


def test_a_trial_failed_whose_state_could_not_be_saved() -> None:
    rows: list[Row] = [
        span("driver", 0, 2000 * MS, name="ray.driver"),
        asked("a", 1),
        *result("a", 0, 100, 300),
        *call("a", "save", 300, 301, "actor-a"),
        asked("b", 400),
        *result("b", 0, 500, 800),
        *call("b", "save", 800, 900, "actor-b"),
    ]
    for row in rows:
        if row["span_id"] == "rsavea300":
            row["status"], row["status_message"] = "ERROR", "NotImplementedError: "
    assert rt.tune(table(*rows, recorded=True)).get_column("errors").to_list() == [1, 0]


def test_what_a_trial_saves_and_restores_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    # actor-a  [a: result][save][save]      [b: restore][result]      used again; a function stores within its report
    rows: list[Row] = [
        span("driver", 0, 2000 * MS, name="ray.driver"),
        asked("a", 1),
        *result("a", 0, 100, 300),
        *call("a", "save", 300, 700, "actor-a"),
        *call("a", "save", 710, 810, "actor-a"),
        asked("b", 850),
        *call("b", "restore", 900, 1200, "actor-a"),
        *result("b", 0, 1200, 1300, actor_id="actor-a"),
        asked("c", 860),
        *result("c", 0, 900, 1500),
        span("k", 1000 * MS, 1050 * MS, "rc0", name="ray.train.checkpoint"),
        asked("d", 870),
        *result("d", 0, 900, 1000),
        *call("x", "save", 300, 700, "actor-of-the-program"),
    ]
    spans = table(*rows, recorded=True)
    trials = rt.tune(spans)
    assert (trials.get_column("saved_ns") // MS).to_list() == [500, 0, 50, 0]
    assert (trials.get_column("restored_ns") // MS).to_list() == [0, 300, 0, 0]
    show_tune(trials, rt.tune(spans, by="driver"), output(), top=20)
    shown = " ".join(capsys.readouterr().out.split())
    assert "Checkpoints were saved for 550 ms in all, and restored from them for 300 ms." in shown
    assert "saving" in shown and "restoring" in shown


def test_what_the_controller_does_adds_up() -> None:
    driver = rt.tune(tuning(), by="driver")
    took = {row["doing"]: row["took_ns"] // MS for row in driver.to_dicts()}
    assert took == {"waiting": 1280, "suggest": 600, "rest": 20}
    assert driver.filter(pl.col("doing") == "suggest").get_column("times").to_list() == [2]
    assert driver.get_column("share").sum() == pytest.approx(1)


def test_spans_of_rays_own_tracing_tell_trials_by_their_actors() -> None:
    rows: list[Row] = []
    for actor, (start, end) in {"x": (100, 200), "y": (150, 650)}.items():
        own = {"function": "ImplicitFunc.train", "actor_id": actor}
        made = {"function": "ImplicitFunc.__init__", "actor_id": actor}
        rows += [submit(f"m{actor}", 0, MS), run(f"i{actor}", 50 * MS, 60 * MS, f"m{actor}", **made)]
        rows += [submit(f"s{actor}", 90 * MS, 91 * MS), run(f"r{actor}", start * MS, end * MS, f"s{actor}", **own)]
    trials = rt.tune(table(*rows))
    assert trials.get_column("trial").to_list() == ["ImplicitFunc[0]", "ImplicitFunc[1]"]
    assert (trials.get_column("ran_ns") // MS).to_list() == [100, 500]
    assert trials.get_column("parameters").null_count() == 2
    assert trials.get_column("held_ns").null_count() == trials.get_column("saved_ns").null_count() == 2
    assert rt.tune(table(*rows), by="driver").is_empty()


def test_no_trials_are_an_empty_table() -> None:
    spans = table(span("driver", 0, MS, name="ray.driver"), recorded=True)
    assert rt.tune(spans).is_empty()
    assert rt.tune(spans, by="driver").is_empty()
    with pytest.raises(rt.UsageError, match="trial, driver"):
        rt.tune(spans, by="node")


def test_the_screen_names_the_trial_that_ended_last(capsys: pytest.CaptureFixture[str]) -> None:
    spans = tuning()
    show_tune(rt.tune(spans), rt.tune(spans, by="driver"), output(), top=20)
    shown = " ".join(capsys.readouterr().out.split())
    assert "Trial b (lr=0.5) ended last: ran 1.00 s, 2 results, the slowest 500 ms." in shown
    assert "asking the search algorithm 600 ms" in shown


def test_trials_that_never_began_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        span("driver", 0, 2000 * MS, name="ray.driver"),
        asked("a", 1, lr=0.1),
        *result("a", 0, 100, 300),
        asked("b", 500, lr=0.2),
        asked("c", 600, lr=0.3),
    ]
    spans = table(*rows, recorded=True)
    show_tune(rt.tune(spans), rt.tune(spans, by="driver"), output(), top=20)
    shown = " ".join(capsys.readouterr().out.split())
    assert "2 trials of these gave no result: Tune ended before the first was begun." in shown
    show_tune(rt.tune(tuning()), rt.tune(tuning(), by="driver"), output(), top=20)
    assert "gave no result" not in capsys.readouterr().out


def test_the_path_goes_through_a_trials_function_result_by_result() -> None:
    # driver   [submit][wait for result 0 ........][submit][wait for result 1 ...........]
    # actor            [result 0: await item 0 ..]         [result 1: await item 1 .....]
    # function         [works .................][report    ][works ....................]
    own = {"function": "ImplicitFunc.train", "actor_id": "a", "concurrent": False}
    held = json.dumps({"raytrace.awaited": "ray.train.report", "raytrace.report": 0})
    about = told(trial="t", items=2, item_ready="[400,900]")
    rows: list[Row] = [span("driver", 0, 1000, name="ray.driver")]
    for number, (start, end) in enumerate([(10, 402), (500, 903)]):
        rows += [
            submit(f"s{number}", start - 5, start - 2, "driver", submitted_task_id=f"T{number}"),
            run(f"r{number}", start, end, f"s{number}", f"T{number}", **own),
            wait(f"g{number}", start - 1, end + 5, "driver", [f"T{number}"], name="ray.wait"),
            wait(f"w{number}", start + 2, end - 1, f"r{number}", ["F"], name="await", attributes=told(item=number)),
        ]
    rows += [
        submit("sf", 11, 12, "r0", submitted_task_id="F"),
        run("f", 13, 1000, "sf", "F", function="__main__.objective", actor_id="a", concurrent=True, attributes=about),
        span("h", 401, 503, "f", name="await", ready_task_ids=[], attributes=held),
    ]
    path = rt.critical_path(table(*rows, recorded=True))
    by = {row["function"]: row for row in path.by("function").to_dicts()}
    # Both stretches of work, and not the time in which it was held.
    assert by["__main__.objective"]["self_ns"] == (400 - 13) + (900 - 503)
    assert by["(driver)"]["total_ns"] < 200


def test_a_function_that_is_called_train_is_no_call_for_a_result() -> None:
    attributes = json.dumps({"raytrace.trial": "a", "ray.remote": "function"})
    own = {"function": "__main__.train", "actor_id": "actor-a", "attributes": attributes}
    rows = [
        span("driver", 0, 2000 * MS, name="ray.driver"),
        asked("a", 1, lr=0.1),
        submit("sf", 390 * MS, 390 * MS, "ra0", submitted_task_id="Tf", function="__main__.train"),
        run("rf", 395 * MS, 900 * MS, "sf", "Tf", **own),
        *result("a", 0, 400, 500),
        *result("a", 1, 510, 600),
    ]
    (trial,) = rt.tune(table(*rows, recorded=True)).to_dicts()
    assert (trial["results"], trial["slowest_result_ns"] // MS, trial["ran_ns"] // MS) == (2, 100, 200)


def test_advice_names_the_search_algorithm_in_which_the_driver_sleeps() -> None:
    naps = [{"start_ns": 5 * MS, "end_ns": 295 * MS, "in": "time.sleep", "at": "/p/search.py:9"},
            {"start_ns": 315 * MS, "end_ns": 605 * MS, "in": "time.sleep", "at": "/p/search.py:9"}]  # fmt: skip
    about = {"raytrace.cpu_ns": 9 * MS, "raytrace.idle": json.dumps({"stretches": naps, "left_out_ns": 0})}
    sleeps = pl.when(pl.col("span_id") == "driver").then(pl.lit(json.dumps(about))).otherwise("attributes")
    (idle,) = rt.advise(tuning().with_columns(attributes=sleeps)).filter(pattern="driver-idle").to_dicts()
    assert "sleeps at search.py:9, " in idle["what"] and "in Ray Tune's search algorithm (`suggest`)" in idle["what"]
    assert idle["saved_ns"] > 500 * MS
