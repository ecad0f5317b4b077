"""Advice as a library function and as a command; on spans by hand, whose savings can be checked by eye."""

import csv
import io
import json
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

import raytrace_analyze as rt
from raytrace_analyze.cli import app
from tests.simulator import simulate
from tests.sizes import first
from tests.tables import Row, run, span, submit, table, wait

SAMPLES = Path(__file__).parent.parent / "sample_spans"
MAP_REDUCE = SAMPLES / "map_reduce-ours" / "spans"


def site(place: str) -> dict[str, Any]:
    return {"attributes": json.dumps({"raytrace.call_site": place})}


def loop(
    submit_site: str | None = None, wait_site: str | None = None, cpus: int | None = None, *, chained: bool = False
) -> pl.DataFrame:
    """
    d  |s1|== get 1 ==|s2|== get 2 ==|s3|== get 3 ==|-|     each submit 10, each run 90, 10 to start and 10 to get
    1     |-----|
    2                    |-----|
    3                                   |-----|
    """
    resources = {"attributes": json.dumps({"raytrace.cluster_resources": json.dumps({"CPU": cpus})})} if cpus else {}
    rows: list[Row] = [span("d", 0, 370, category="driver", name="ray.driver", **resources)]
    for number in range(3):
        at, task = 120 * number, str(number)
        taken = [str(number - 1)] if chained and number else []
        made = {"submitted_task_id": task, "dependency_task_ids": taken, **(site(submit_site) if submit_site else {})}
        rows += [
            submit(f"s{task}", at, at + 10, "d", **made),
            run(f"r{task}", at + 20, at + 110, f"s{task}", task),
            wait(f"w{task}", at + 10, at + 120, "d", [task], **(site(wait_site) if wait_site else {})),
        ]
    return table(*rows, recorded=True)


def found(spans: pl.DataFrame, pattern: str, **options: Any) -> list[dict[str, Any]]:
    # The programs lie in the tests' own folders, which nobody trusts unless told to.
    return rt.advise(spans, source=[tempfile.gettempdir()], **options).filter(pattern=pattern).to_dicts()


def source(folder: Path, text: str) -> tuple[str, str]:
    """Write a program; gives the places of its submit and its wait, marked in comments."""
    program = folder / "program.py"
    program.write_text(text)
    lines = text.splitlines()
    return tuple(
        f"{program}:{next(number for number, line in enumerate(lines, 1) if mark in line)}"
        for mark in ("# submits", "# waits")
    )  # type: ignore[return-value] # two of them


def test_a_loop_that_gets_each_result_before_the_next_submit() -> None:
    (finding,) = found(loop(), "get-in-loop")
    # All submitted in 30; the last run lasts from 40 to 130; each get then takes 10, and the rest 10.
    assert finding["predicted_ns"] == 150
    assert finding["saved_ns"] == 370 - 150
    assert finding["share"] == pytest.approx(220 / 370)
    assert finding["function"] == "f"
    # Three submits and the driver's rest are not the loop's waits and runs.
    assert finding["cost_ns"] == 3 * 110
    assert set(finding["span_ids"]) == {"w0", "w1", "w2", "r0", "r1", "r2"}


def test_a_loop_is_said_to_wait_for_what_it_waits_for_not_for_what_stands_elsewhere_in_the_round() -> None:
    # d  |a|get      |b|b|get of both      |a|get ...        three rounds; b takes 200, a 50
    rows: list[Row] = [span("d", 0, 960, category="driver", name="ray.driver")]
    for at in (0, 320, 640):
        for name, task, line, asked, took in (("a", "a", 1, 0, 50), ("b", "b", 2, 90, 200), ("b", "c", 2, 100, 200)):
            made = {**site(f"loop.py:{line}"), "submitted_task_id": f"{task}{at}", "dependency_task_ids": []}
            begun = at + asked + 20
            rows += [
                submit(f"s{task}{at}", at + asked, at + asked + 10, "d", **made),
                run(f"r{task}{at}", begun, begun + took, f"s{task}{at}", f"{task}{at}", function=name),
            ]
        rows += [
            wait(f"wa{at}", at + 10, at + 80, "d", [f"a{at}"], **site("loop.py:1")),
            wait(f"wb{at}", at + 110, at + 320, "d", [f"b{at}", f"c{at}"], **site("loop.py:2")),
        ]
    (finding,) = found(table(*rows, recorded=True), "get-in-loop")
    assert (finding["function"], finding["line"]) == ("a", 1)
    assert "submits `a` and waits for it before it submits the next one, 3 times" in finding["what"]


def test_with_one_slot_nothing_runs_side_by_side() -> None:
    (finding,) = found(loop(cpus=1), "get-in-loop")
    # One after the other, each dispatched when the one before has ended; the gets of all but the last are hidden.
    assert finding["predicted_ns"] == 10 + 3 * (10 + 90) + 10 + 10
    assert found(loop(cpus=1), "get-in-loop", at_least=0.2) == []


def producing(worked: int) -> pl.DataFrame:
    """
    d  |--work--|s1|get 1|--work--|s2|get 2|--work--|s3|get 3|  each submit 10, each run 20, 10 to start and 10 to get
    """
    length = worked + 50
    rows: list[Row] = [span("d", 0, 4 * length, category="driver", name="ray.driver")]
    for number in range(4):
        at, task = number * length + worked, str(number)
        rows += [
            submit(f"s{task}", at, at + 10, "d", submitted_task_id=task, dependency_task_ids=[]),
            run(f"r{task}", at + 20, at + 40, f"s{task}", task),
            wait(f"w{task}", at + 10, at + 50, "d", [task]),
        ]
    return table(*rows, recorded=True)


def test_what_a_loop_makes_before_it_submits_it_cannot_submit_sooner() -> None:
    """What is put into a queue has to be made first: only the waits can be spared, not the work between them."""
    (finding,) = found(producing(100), "get-in-loop")
    # Each run begins 10 after its submit; all but the last are over when they are got.
    assert finding["predicted_ns"] == 4 * (100 + 10) + 10 + 20 + 10
    assert found(producing(10_000), "get-in-loop") == []


def test_without_the_source_a_loop_is_a_possibility(tmp_path: Path) -> None:
    assert not found(loop(), "get-in-loop")[0]["certain"]
    assert "if none of them needs" in found(loop(), "get-in-loop")[0]["what"]
    gone = f"{tmp_path / 'gone.py'}:1"
    assert not found(loop(gone, gone), "get-in-loop")[0]["certain"]


def test_with_the_source_it_is_certain(tmp_path: Path) -> None:
    places = source(tmp_path, "for x in xs:\n    ref = f.remote(x)  # submits\n    out.append(ray.get(ref))  # waits\n")
    assert not found(loop(*places), "get-in-loop")[0]["certain"]  # written after these times
    in_2100 = 4_102_444_800 * 10**9
    later = loop(*places).with_columns(
        pl.from_epoch(pl.col(name).to_physical() + in_2100, time_unit="ns").dt.replace_time_zone("UTC").alias(name)
        for name in ("start", "end")
    )
    (finding,) = found(later, "get-in-loop")
    assert finding["certain"]
    assert (finding["file"], finding["line"]) == (str(tmp_path / "program.py"), 3)


@pytest.mark.parametrize(
    "program",
    [
        "for i in r:\n    ref = f.remote(x)  # submits\n    x = g(ray.get(ref))  # waits\n",
        "while True:\n    ref = f.remote(i)  # submits\n    if ray.get(ref) > 3:  # waits\n        break\n",
        "while not done:\n    ref = f.remote(i)  # submits\n    done = ray.get(ref)  # waits\n",
    ],
)
def test_a_loop_whose_calls_need_the_results_before_is_no_finding(tmp_path: Path, program: str) -> None:
    assert found(loop(*source(tmp_path, program)), "get-in-loop") == []


def test_a_loop_whose_calls_take_the_reference_before_is_no_finding() -> None:
    # Submitted ahead, the chain would be quicker by its submits and gets; but its calls are not independent.
    assert found(loop(chained=True), "get-in-loop", at_least=0.0001) == []


def test_results_taken_in_the_order_of_their_submission() -> None:
    """
    d  |s1|s2|s3|===== get 1 =====|--work--|g|--work--|g|--work--|     the first takes 200, the others 50
    """
    rows: list[Row] = [span("d", 0, 400, category="driver", name="ray.driver")]
    for number, (start, end) in enumerate([(20, 220), (30, 80), (40, 90)]):
        task = str(number)
        made = {"submitted_task_id": task, "dependency_task_ids": []}
        rows.append(submit(f"s{task}", 10 * number, 10 * number + 10, "d", **made))
        rows.append(run(f"r{task}", start, end, f"s{task}", task))
    gets = ((30, 220), (280, 280), (340, 340))
    rows += [wait(f"w{number}", start, end, "d", [str(number)]) for number, (start, end) in enumerate(gets)]
    (finding,) = found(table(*rows, recorded=True), "submission-order")
    # Work on the second from 80, on the third from 140, on the first from 220.
    assert finding["predicted_ns"] == 220 + 60
    assert "2 later ones" in finding["what"]


def test_a_straggler_takes_what_others_take() -> None:
    ends = [100, 100, 110, 120, 500]
    rows: list[Row] = [span("d", 0, 510, category="driver", name="ray.driver")]
    for number, end in enumerate(ends):
        made = {"submitted_task_id": str(number), "dependency_task_ids": []}
        rows += [submit(f"s{number}", 0, 10, "d", **made), run(f"r{number}", 10, end, f"s{number}", str(number))]
    rows.append(wait("w", 10, 500, "d", [str(number) for number in range(5)]))
    (finding,) = found(table(*rows, recorded=True), "straggler")
    assert finding["span_ids"] == ["r4"]
    assert finding["saved_ns"] == 500 - 120


def test_what_rays_libraries_do_for_themselves_is_not_to_be_changed() -> None:
    rows: list[Row] = [span("d", 0, 510, category="driver", name="ray.driver")]
    for number, end in enumerate([100, 100, 110, 120, 500]):
        made = {"submitted_task_id": str(number), "dependency_task_ids": []}
        rows += [submit(f"s{number}", 0, 10, "d", **made), run(f"r{number}", 10, end, f"s{number}", str(number))]
    rows.append(wait("w", 10, 500, "d", [str(number) for number in range(5)]))
    spans = table(*rows, recorded=True)
    assert found(spans, "straggler")
    for name in ("ServeController.listen_for_change", "TrainController.__init__", "SynchronizationActor.reset"):
        of_ray = spans.with_columns(function=pl.lit(name))
        assert not found(of_ray, "straggler")
        assert all(remedy.function != name for remedy in rt.summary(of_ray).remedies)


def test_a_long_run_beside_the_path_is_no_straggler() -> None:
    """
    d  |s|==================== get ====================|     two slots: the long one has one of them, the others queue
    0     |---------- long -----------|
    1-5   |-----||-----||-----||-----||-----|
    """
    cpus = {"attributes": json.dumps({"raytrace.cluster_resources": json.dumps({"CPU": 2})})}
    rows: list[Row] = [span("d", 0, 420, category="driver", name="ray.driver", **cpus)]
    for number, (start, end) in enumerate([(10, 390), *((10 + 80 * at, 90 + 80 * at) for at in range(5))]):
        made = {"submitted_task_id": str(number), "dependency_task_ids": []}
        rows += [submit(f"s{number}", 0, 10, "d", **made), run(f"r{number}", start, end, f"s{number}", str(number))]
    rows.append(wait("w", 10, 410, "d", [str(number) for number in range(6)]))
    assert found(table(*rows, recorded=True), "straggler") == []


def test_a_list_that_is_got_and_passed_on_one_by_one(tmp_path: Path) -> None:
    """
    d  |s|===== get both =====|s|s|======== get both =======|     each second one needs but one of the first ones
    a     |---| 100             |------------ 300 ----------|
    b     |------ 300 --------| |---| 100
    """
    program = tmp_path / "program.py"
    program.write_text("xs = ray.get(refs)\nray.get([g.remote(x) for x in xs])\n")
    got, passed = site(f"{program}:1"), site(f"{program}:2")
    rows: list[Row] = [span("d", 0, 660, category="driver", name="ray.driver")]
    for task, start, end in (("a", 20, 120), ("b", 20, 320)):
        made = {"submitted_task_id": task, "dependency_task_ids": []}
        rows += [submit(f"s{task}", 0, 10, "d", **made), run(f"r{task}", start, end, f"s{task}", task, function="f")]
    rows.append(wait("w1", 10, 330, "d", ["a", "b"], **got))
    for task, at, end in (("c", 330, 650), ("d", 340, 460)):
        made = {"submitted_task_id": task, "dependency_task_ids": []}
        rows.append(submit(f"s{task}", at, at + 10, "d", **made, **passed))
        rows.append(run(f"r{task}", at + 20, end, f"s{task}", task, function="g"))
    rows.append(wait("w2", 350, 660, "d", ["c", "d"]))
    spans = table(*rows, recorded=True)
    in_2100 = 4_102_444_800 * 10**9
    spans = spans.with_columns(
        pl.from_epoch(pl.col(name).to_physical() + in_2100, time_unit="ns").dt.replace_time_zone("UTC").alias(name)
        for name in ("start", "end")
    )
    (finding,) = found(spans, "unnecessary-get")
    # The long second one starts 10 after a's end at 120, not b's at 320, and takes 300.
    assert finding["predicted_ns"] == 120 + 10 + 300 + 10


def large_arguments(*sizes: int) -> pl.DataFrame:
    """
    d  |====s0====|====s1====|====s2====|g|     each submit 100 ms, each run 10 ms
    0              |-|
    1                         |-|
    2                                    |-|
    """
    ms = 1_000_000
    rows: list[Row] = [span("d", 0, 340 * ms, category="driver", name="ray.driver")]
    for number, size in enumerate(sizes):
        at, key = 100 * number * ms, str(number)
        told = {"attributes": json.dumps({"raytrace.argument_bytes": size, "raytrace.call_site": "job.py:7"})}
        rows += [
            submit(f"s{key}", at, at + 100 * ms, "d", submitted_task_id=key, dependency_task_ids=[], **told),
            run(f"r{key}", at + 101 * ms, at + 111 * ms, f"s{key}", key),
        ]
    rows.append(wait("g", 300 * ms, 320 * ms, "d", [str(number) for number in range(len(sizes))]))
    return table(*rows, recorded=True)


def test_large_arguments_by_value_again_and_again() -> None:
    (finding,) = found(large_arguments(80_000_000, 80_000_000, 80_000_000), "large-arguments")
    assert (finding["file"], finding["line"], finding["certain"]) == ("job.py", 7, False)
    assert "240 MB by value" in finding["what"]
    # One of three carries it still.
    assert 0.5 < finding["share"] < 0.6


def test_small_arguments_and_a_large_one_given_once_are_no_finding() -> None:
    assert found(large_arguments(1000, 1000, 1000), "large-arguments") == []
    assert found(large_arguments(80_000_000, 1000, 1000), "large-arguments") == []


def side_by_side(at_a_time: int, tasks: int = 8, cpus: int = 4) -> pl.DataFrame:
    """
    d  |s0|.|s1|....|s2|...|s3|....    coroutines that await a task each, so many at a time; four CPUs
    0     |--await--|  |--await--|
    1         |--await--|  |--await--|
    """
    told = json.dumps({"raytrace.cluster_resources": json.dumps({"CPU": cpus})})
    rounds = -(-tasks // at_a_time)
    rows: list[Row] = [span("d", 0, 120 * rounds + 120, category="driver", name="ray.driver", attributes=told)]
    for number in range(tasks):
        at, task = 120 * (number // at_a_time) + 120 // at_a_time * (number % at_a_time), str(number)
        rows += [
            submit(f"s{task}", at, at + 1, "d", submitted_task_id=task, dependency_task_ids=[], **site("job.py:4")),
            run(f"r{task}", at + 4, at + 104, f"s{task}", task, worker_id=f"w{number % at_a_time}"),
            wait(f"w{task}", at + 1, at + 108, "d", [task], name="await", **site("job.py:4")),
        ]
    return table(*rows, recorded=True)


def test_coroutines_that_await_too_few_tasks_at_a_time() -> None:
    (finding,) = found(side_by_side(2), "too-few-in-flight")
    assert "The driver keeps 2 of `f` in flight" in finding["what"] and "there are 4 slots" in finding["what"]
    assert 0.2 < finding["share"] < 0.6 and not finding["certain"]
    assert not found(side_by_side(4), "too-few-in-flight")
    assert not found(side_by_side(8), "too-few-in-flight")


def pool(*lengths: int) -> pl.DataFrame:
    """
    d      |submits|============ get ============|
    actor a        |-- 80 --|-- 80 --|-- 80 --|       calls dealt out in turn
    actor b        |1|1|1|
    """
    ms = 1_000_000
    rows: list[Row] = [span("d", 0, 1000 * ms, category="driver", name="ray.driver")]
    free = {"a": 20, "b": 20}
    for number, length in enumerate(lengths):
        actor, key = "ab"[number % 2], str(number)
        start = free[actor]
        free[actor] = start + length
        rows += [
            submit(f"s{key}", number * ms, (number + 1) * ms, "d", submitted_task_id=key, function="Pool.map",
                   dependency_task_ids=[]),
            run(f"r{key}", start * ms, (start + length) * ms, f"s{key}", key, function="Pool.map", actor_id=actor,
                worker_id=actor),
        ]  # fmt: skip
    end = max(free.values()) + 1
    rows.append(wait("g", len(lengths) * ms, end * ms, "d", [str(number) for number in range(len(lengths))]))
    rows[0] = span("d", 0, (end + 1) * ms, category="driver", name="ray.driver")
    return table(*rows, recorded=True)


def test_one_actor_of_a_pool_has_all_the_long_calls() -> None:
    spans = pool(80, 1, 80, 1, 80, 1, 80, 1)
    (finding,) = found(spans, "uneven-pool")
    assert finding["function"] == "Pool"
    assert not finding["certain"]
    assert 0.35 < finding["share"] < 0.5
    assert found(spans, "actor-bottleneck") == []
    # What its calls do, or how fast it is, nobody can tell apart; that they are shared out helps in both cases.
    assert "it was given the long calls, or is slower" in finding["what"]
    assert found(spans, "slow-actor") == []


def test_calls_of_rays_pool_do_what_each_is_given() -> None:
    calls = pl.col("function").replace("Roll.sample", "PoolActor.run_batch")
    assert len(found(rounds(20, 60, 21, 20), "slow-actor")) == 1
    assert found(rounds(20, 60, 21, 20).with_columns(function=calls), "slow-actor") == []


def rounds(*lengths: int) -> pl.DataFrame:
    """
    d   |s|get          |s|get          |       four rounds; each waits for the slowest
    a     |== 60 =======| |== 60 =======|
    b     |20|            |20|
    """
    ms, at = 1_000_000, 0
    rows: list[Row] = []
    for step in range(4):
        keys = [f"{step}{actor}" for actor in range(len(lengths))]
        for actor, (key, length) in enumerate(zip(keys, lengths, strict=True)):
            of = {"function": "Roll.sample", "submitted_task_id": key, "dependency_task_ids": []}
            begun = at + len(lengths) + 1
            rows += [
                submit(f"s{key}", (at + actor) * ms, (at + actor + 1) * ms, "d", **of),
                run(f"r{key}", begun * ms, (begun + length) * ms, f"s{key}", key, function="Roll.sample",
                    actor_id=f"a{actor}", worker_id=f"a{actor}"),
            ]  # fmt: skip
        over = at + len(lengths) + 2 + max(lengths)
        rows.append(wait(f"g{step}", (at + len(lengths)) * ms, over * ms, "d", keys))
        at = over
    return table(span("d", 0, (at + 1) * ms, category="driver", name="ray.driver"), *rows, recorded=True)


def test_one_of_several_actors_is_slow() -> None:
    (finding,) = found(rounds(20, 60, 21, 20), "slow-actor")
    assert finding["function"] == "Roll.sample" and not finding["certain"]
    assert "`Roll[1]` is slower than the 3 others" in finding["what"] and "60.0 ms on it, 20.0 ms" in finding["what"]
    assert 0.5 < finding["share"] < 0.65
    for alike in ((20, 21, 20, 21), (20, 60, 60, 20), (60,)):
        assert found(rounds(*alike), "slow-actor") == []


def test_a_pool_whose_calls_are_alike_is_even() -> None:
    spans = pool(40, 41, 40, 41, 40, 41, 40, 41)
    assert found(spans, "uneven-pool") == []
    assert len(found(spans, "actor-bottleneck")) == 1


def test_what_only_a_first_run_pays_does_not_head_the_list() -> None:
    cold = rt.load([SAMPLES / "actor_pipeline-ours" / "spans"])
    advice = rt.advise(cold.spans, cold.task_events, at_least=0.0001)
    assert advice["first_run_only"].any()
    assert advice["first_run_only"].is_sorted()


def test_spans_without_waits_say_so() -> None:
    done = CliRunner().invoke(app, ["advise", str(SAMPLES / "map_reduce-stock" / "spans")])
    assert done.exit_code == 0
    assert "do not tell what was waited for" in done.stdout.replace("\n", " ")
    assert "straggler" in done.stdout


@pytest.mark.parametrize("seed", first(15, range(60)))
def test_savings_are_never_negative_and_the_largest_comes_first(seed: int) -> None:
    program = simulate(seed)
    for spans in (program.spans, program.stock_spans):
        advice = rt.advise(spans, at_least=0.001)
        assert (advice["saved_ns"] >= 0).all()
        assert advice["first_run_only"].is_sorted()
        for _, of_kind in advice.group_by("first_run_only"):
            assert of_kind["saved_ns"].is_sorted(descending=True)
        assert advice["finding"].to_list() == list(range(1, advice.height + 1))
        observed = rt.critical_path(spans).makespan_ns
        assert (advice["saved_ns"] + advice["predicted_ns"] == observed).all()
        assert (advice["cost_ns"] <= observed).all()
        known = set(spans["span_id"])
        assert all(set(ids) <= known for ids in advice["span_ids"])


def test_the_command_gives_the_same_in_every_format() -> None:
    def output(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["advise", str(MAP_REDUCE), *arguments])
        assert done.exit_code == 0, done.output
        return done.stdout

    document = json.loads(output("--format", "json"))
    rows = list(csv.DictReader(io.StringIO(output("--format", "csv"))))
    text = output()
    assert document["schema_version"] == 1
    # However narrow the screen is that the test runs on.
    assert " ".join(text.split()).startswith(document["answer"])
    assert [int(row["saved_ns"]) for row in rows] == [one["saved_ns"] for one in document["findings"]]
    first = document["findings"][0]
    assert first["pattern"] == "straggler"
    assert first["evidence"][0]["span_id"] in text
    assert first["url"] in "".join(text.split())


def test_wrong_usage_is_one_line() -> None:
    for wrong in (["--at-least", "much"], ["--job", "77"]):
        done = CliRunner().invoke(app, ["advise", str(MAP_REDUCE), *wrong])
        assert isinstance(done.exception, rt.UsageError), done.output


def test_nothing_to_say() -> None:
    done = CliRunner().invoke(app, ["advise", str(MAP_REDUCE), "--at-least", "99%"])
    assert "none of the patterns" in done.stdout
    with pytest.raises(rt.NoSpansError):
        rt.advise(rt.read_spans(MAP_REDUCE).clear())


@pytest.mark.parametrize("is_tried_again", [True, False])
def test_an_actor_that_was_created_again_lost_its_calls_with_its_process(is_tried_again: bool) -> None:
    # __init__ [====]              [====]        100 each; the process ended 85 before it was created again
    # work           [====]x             [====]  100 each, and the second time is right
    actor = {"actor_id": "a", "pid": 9}
    rows: list[Row] = [
        span("d", 0, 520, category="driver", name="ray.driver"),
        submit("c", 0, 5, "d", submitted_task_id="C", function="A.__init__"),
        run("i0", 10, 110, "c", "C", function="A.__init__", attempt=0, **actor),
        submit("m", 6, 8, "d", submitted_task_id="M", function="A.work"),
        run("w0", 115, 215, "m", "M", function="A.work", attempt=0, status="ERROR", **actor),
        run("i1", 300, 400, "c", "C", function="A.__init__", attempt=1, **actor),
    ]
    if is_tried_again:
        rows.append(run("w1", 405, 505, "m", "M", function="A.work", attempt=1, **actor))
        rows.append(wait("get", 9, 510, "d", ["M"]))
    else:
        rows.append(submit("n", 220, 225, "d", submitted_task_id="N", function="A.work"))
        rows.append(run("w1", 405, 505, "n", "N", function="A.work", attempt=0, **actor))
        rows.append(wait("get", 226, 510, "d", ["N"]))
    (finding,) = found(table(*rows, recorded=True), "retries")
    assert ("1 call made again had run 100 ns" in finding["what"]) == is_tried_again
    if is_tried_again:
        # From where it was created first: __init__, work, and the way back.
        assert finding["predicted_ns"] == pytest.approx(520 - 100 - 85 - 100, abs=20)
