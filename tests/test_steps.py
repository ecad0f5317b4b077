"""Loops step by step: rounds found in the calls of a flow, or marked by the program."""

import json
from typing import Any

import polars as pl
import pytest

import raytrace_analyze as rt
from raytrace_analyze.analyses.libraries.steps.table import find_steps
from raytrace_analyze.views.libraries.steps_view import show_steps
from raytrace_analyze.views.screen.console import output
from tests.tables import Row, run, span, submit, table, wait

MS = 1_000_000


class Program:
    """Builds the spans of a driver that makes one call after another; times in ms."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.now = 0
        self.count = 0
        for number, actor in enumerate(("A", "B")):
            own = {"function": "Rollout.__init__", "actor_id": actor}
            self.rows += [submit(f"m{actor}", number, 2, "driver", submitted_task_id=f"M{actor}", **own)]
            # The second is there first.
            self.rows += [run(f"i{actor}", 4 - number, 5, f"m{actor}", f"M{actor}", **own)]

    def site(self, line: int, **more: Any) -> str:
        return json.dumps({"raytrace.call_site": f"/p/train.py:{line}", **more})

    def submit(self, line: int, took: int, actor: str | None = None, sent: int = 0) -> str:
        self.count += 1
        task = f"T{self.count}"
        where = self.site(line, **{"raytrace.argument_bytes": sent} if sent else {})
        own = {"function": "Rollout.sample", "actor_id": actor} if actor else {"function": "update"}
        name = f"{own['function']} ray.remote"
        start = self.now
        self.rows.append(
            submit(
                f"s{task}",
                start * MS,
                (start + 1) * MS,
                "driver",
                name=name,
                submitted_task_id=task,
                attributes=where,
                **own,
            )
        )
        self.rows.append(run(f"r{task}", (start + 1) * MS, (start + 1 + took) * MS, f"s{task}", task, **own))
        self.now += 1
        return task

    def get(self, line: int, *tasks: str, name: str = "ray.get") -> None:
        ends = [row["end"] // MS for row in self.rows for task in tasks if row["span_id"] == f"r{task}"]
        until = max([*ends, self.now + 1])
        key = f"w{len(self.rows)}"
        self.rows.append(
            wait(key, self.now * MS, until * MS, "driver", list(tasks), name=name, attributes=self.site(line))
        )
        self.now = until

    def table(self) -> pl.DataFrame:
        driver = span("driver", 0, (self.now + 1) * MS, name="ray.driver")
        return table(driver, *self.rows, recorded=True)


def reinforcement(rounds: int = 6, *, by_wait: bool = False) -> pl.DataFrame:
    """Two rollouts side by side, then an update; rollout B takes long in every third round."""
    program = Program()
    program.get(3, program.submit(3, 5))  # before the loop
    for number in range(rounds):
        tasks = [
            program.submit(10, 20, "A", sent=1_000_000 if number < 3 else 0),
            program.submit(10, 200 if number % 3 == 0 else 20, "B"),
        ]
        if by_wait:
            for task in tasks:
                program.get(12, task, name="ray.wait")
        else:
            program.get(11, *tasks)
        program.get(13, program.submit(13, 10))
    program.get(20, program.submit(20, 5))  # after it
    return program.table()


def test_a_loop_is_found_by_the_call_that_ends_each_round() -> None:
    steps = rt.steps(reinforcement())
    assert steps.height == 6
    assert steps.get_column("at").unique().to_list() == ["/p/train.py:13"]
    assert steps.get_column("flow").unique().to_list() == ["(driver)"]
    took = (steps.get_column("took_ns") // MS).to_list()
    assert took[0] > 200 and took[3] > 200 and max(took[1], took[2], took[4], took[5]) < 60
    assert steps.filter(pl.col("step").is_in([0, 3])).get_column("decided_on").to_list() == ["Rollout[1]"] * 2
    assert steps.get_column("argument_bytes").to_list() == [1_000_000] * 3 + [0] * 3


def test_two_waits_in_one_line_are_one_round_together() -> None:
    program = Program()
    for number in range(6):
        tasks = [program.submit(10, 20, "A"), program.submit(10, 200 if number % 3 == 0 else 20, "B")]
        program.get(13, *tasks)
        program.get(13, program.submit(13, 10))
    found = find_steps(rt.prepare(program.table()))
    assert found.steps.height == 6
    slow = found.actors.filter(pl.col("slowest_in") > 0)
    assert slow.select("actor", "slowest_in").rows() == [("Rollout[1]", 2)]


def test_steps_follow_each_other() -> None:
    steps = rt.steps(reinforcement())
    ends = (steps.get_column("start_ns") + steps.get_column("took_ns")).to_list()
    assert ends[:-1] == steps.get_column("start_ns").to_list()[1:]


def test_waits_that_drain_what_one_round_submitted_are_no_rounds() -> None:
    steps = rt.steps(reinforcement(by_wait=True))
    assert steps.height == 6
    assert steps.get_column("at").unique().to_list() == ["/p/train.py:13"]


def test_calls_name_the_slowest_beside_the_others() -> None:
    calls = rt.steps(reinforcement(), by="call")
    sampled = calls.filter(pl.col("at") == "/p/train.py:11", pl.col("call") == "ray.get")
    assert sampled.height == 6
    assert sampled.get_column("slowest_on").to_list()[0] == "Rollout[1]"
    assert (sampled.get_column("slowest_ns") // MS).to_list()[::3] == [200, 200]
    assert (sampled.get_column("others_ns") // MS).to_list() == [20] * 6


def test_actors_are_told_by_how_idle_they_are_and_how_often_they_were_the_slowest() -> None:
    actors = {row["actor"]: row for row in rt.steps(reinforcement(), by="actor").to_dicts()}
    assert list(actors) == ["Rollout[1]", "Rollout[0]"]
    assert actors["Rollout[1]"]["slowest_in"] == 2 and actors["Rollout[0]"]["slowest_in"] == 0
    assert actors["Rollout[0]"]["idle_share"] > 0.7 > actors["Rollout[1]"]["idle_share"]


def test_an_actor_whose_call_waits_for_others_is_idle() -> None:
    """
    d  [s][get][s][get][s][get]                  three rounds; in each, A waits for what B does, twice at a time
    a  [run: works, waits for B ....]
    b     [work] [work] [work]
    """
    rows = [span("driver", 0, 400 * MS, name="ray.driver")]
    about = {"actor_id": "a", "function": "A.run"}
    for number in range(3):
        at = 100 * number
        rows += [
            submit(f"s{at}", at * MS, (at + 2) * MS, "driver", submitted_task_id=f"A{at}"),
            run(f"a{at}", (at + 5) * MS, (at + 90) * MS, f"s{at}", f"A{at}", **about),
            submit(f"t{at}", (at + 6) * MS, (at + 8) * MS, f"a{at}", submitted_task_id=f"B{at}"),
            run(f"b{at}", (at + 10) * MS, (at + 70) * MS, f"t{at}", f"B{at}", actor_id="b", function="B.work"),
            wait(f"w{at}", (at + 8) * MS, (at + 72) * MS, f"a{at}", [f"B{at}"]),
            wait(f"x{at}", (at + 20) * MS, (at + 75) * MS, f"a{at}", [f"B{at}"]),
            wait(f"g{at}", (at + 3) * MS, (at + 92) * MS, "driver", [f"A{at}"]),
        ]
    actors = rt.steps(table(*rows, recorded=True), by="actor")
    busy = dict(actors.select("function", pl.col("busy_ns") // MS).iter_rows())
    assert busy == {"B.work": 180, "A.run": 3 * (85 - 67)}
    assert actors.get_column("function").to_list() == ["B.work", "A.run"]


def test_a_loop_can_be_chosen_by_its_call_site() -> None:
    steps = rt.steps(reinforcement(), at="train.py:11")
    assert steps.height == 6
    with pytest.raises(rt.UsageError, match=r"no loop at train\.py:99"):
        rt.steps(reinforcement(), at="train.py:99")


def test_what_does_not_repeat_has_no_steps() -> None:
    program = Program()
    program.get(3, program.submit(3, 5))
    program.get(4, program.submit(4, 5))
    with pytest.raises(rt.UsageError, match=r"raytrace_hook\.step"):
        rt.steps(program.table())


def test_marks_of_the_program_are_its_steps() -> None:
    rows = [
        span(
            f"m{n}",
            n * 100 * MS,
            (n * 100 + took) * MS,
            "driver",
            name="step",
            attributes=f'{{"raytrace.step": {n + 7}}}',
        )
        for n, took in enumerate((50, 60, 90))
    ]
    rows.append(span("inner", 10 * MS, 20 * MS, "m0", name="step", attributes='{"raytrace.step": 0}'))
    found = find_steps(rt.prepare(table(span("driver", 0, 400 * MS, name="ray.driver"), *rows, recorded=True)))
    assert found.is_marked
    assert found.steps.get_column("step").to_list() == [7, 8, 9]
    assert (found.steps.get_column("took_ns") // MS).to_list() == [50, 60, 90]


def test_a_loop_in_a_method_is_told_by_its_function() -> None:
    rows: list[Row] = [
        span("driver", 0, 1000 * MS, name="ray.driver"),
        submit("s", 0, 1, "driver", submitted_task_id="T"),
        run("r", 2, 900 * MS, "s", "T", function="Trainer.fit", actor_id="trainer"),
    ]
    for n in range(4):
        at = (10 + 200 * n) * MS
        rows.append(
            submit(f"s{n}", at, at + 1, "r", name="work ray.remote", submitted_task_id=f"T{n}", function="work")
        )
        rows.append(run(f"w{n}", at + 2, at + 150 * MS, f"s{n}", f"T{n}", function="work"))
        rows.append(wait(f"g{n}", at + 3, at + 151 * MS, "r", [f"T{n}"]))
    steps = rt.steps(table(*rows, recorded=True))
    assert steps.height == 4
    assert steps.get_column("flow").unique().to_list() == ["Trainer.fit"]
    assert steps.get_column("decided_by").unique().to_list() == ["work"]


def test_without_recorded_waits_submissions_tell_the_rounds() -> None:
    spans = rt.read_spans("sample_spans/wait_loop-stock/spans")
    steps = rt.steps(spans)
    assert steps.height >= 3
    assert steps.get_column("waited_ns").null_count() == steps.height


def test_the_screen_names_the_straggler(capsys: pytest.CaptureFixture[str]) -> None:
    show_steps(find_steps(rt.prepare(reinforcement())), output(), top=15)
    shown = capsys.readouterr().out
    assert "6 steps of the driver at /p/train.py:13" in shown
    assert "Rollout[1] in 2 of 6 steps" in shown
    assert "3.00 MB were passed by value in 3 steps" in shown
