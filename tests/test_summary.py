"""One story: the summary, the path, the advice, what-if and why of one job say the same."""

import html
import json
import re
from itertools import chain
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.console import Console

import raytrace_analyze as rt
from raytrace_analyze.advice import give_advice
from raytrace_analyze.names.functions import name_of
from raytrace_analyze.report.facts import gather
from raytrace_analyze.text.units import duration_text
from raytrace_analyze.views.paths.path_view import show_path
from raytrace_analyze.views.stuck.why_view import show_story
from raytrace_analyze.views.summary_view import summary_document, summary_lines
from raytrace_analyze.views.what_if_view import ranking_text, show_ranking
from raytrace_analyze.vocabulary.advice import RemedyKind
from raytrace_analyze.vocabulary.paths import Spent
from raytrace_analyze.vocabulary.spans import Outcome
from tests.command_line import cli
from tests.tables import run, span, submit, table, wait

SAMPLES = Path(__file__).parent.parent / "sample_spans"
CAPTURES = sorted(path.parent.name for path in SAMPLES.glob("*/truth.json"))
MS = 1_000_000


@pytest.fixture(scope="module", params=CAPTURES)
def trace(request: pytest.FixtureRequest) -> rt.PreparedTrace:
    return rt.prepare(rt.read_spans(SAMPLES / request.param / "spans"))


def test_all_say_the_same(trace: rt.PreparedTrace) -> None:
    found = rt.summary(trace)
    path = rt.critical_path(trace)
    first = path.by("function").row(0, named=True)
    assert (found.makespan_ns, found.decided_by, found.decided_ns) == (
        path.makespan_ns,
        first["function"],
        first["total_ns"],
    )
    assert found.time["total_ns"].sum() == path.makespan_ns
    assert found.ended == path.ended
    advice = give_advice(trace)
    assert advice.observed_ns == found.makespan_ns
    patterns = advice.findings.filter(~pl.col("first_run_only"), pl.col("saved_ns") > 0).head(2)
    told = [each for each in found.remedies if each.kind is RemedyKind.PATTERN]
    expected = patterns.select("pattern", "function", "predicted_ns").rows()
    assert [(each.pattern, each.function, each.predicted_ns) for each in told] == expected[: len(told)]
    ranked = rt.what_if(trace)
    if len(told) < len(expected):  # what a faster function saves is more
        assert ranked.functions["saved_2x_ns"][0] > patterns["saved_ns"][len(told)]
    assert ranked.observed_ns == found.makespan_ns
    for each in found.remedies:
        assert each.predicted_ns == found.makespan_ns - each.saved_ns
        if each.kind is RemedyKind.SPEEDUP:
            best = ranked.functions.row(0, named=True)
            assert (each.function, each.predicted_ns) == (best["function"], best["predicted_2x_ns"])
            again = rt.what_if(trace, speedup={each.function: 2.0})
            assert again.predicted_ns == each.predicted_ns


@pytest.mark.parametrize("name", CAPTURES)
def test_what_summary_says_first_advise_says_first(name: str, tmp_path: Path) -> None:
    spans = str(SAMPLES / name / "spans")
    first = json.loads(cli("summary", spans, "--format", "json").stdout)["remedies"][0]
    answer = json.loads(cli("advise", spans, "--format", "json").stdout)["answer"]
    assert first["function"].removeprefix("__main__.") in answer
    assert duration_text(first["predicted_ns"]) in answer
    assert cli("report", spans, "-o", tmp_path / "page").returncode == 0
    page = html.unescape(re.sub("<[^>]+>", "", (tmp_path / "page").read_text()))
    assert answer.replace("`", "") in page.replace("`", "")


def test_nothing_that_only_a_first_run_pays_heads_the_list(trace: rt.PreparedTrace) -> None:
    assert "cold-workers" not in {each.pattern for each in rt.summary(trace).remedies}
    findings = rt.advise(trace)
    assert findings["first_run_only"].to_list() == sorted(findings["first_run_only"].to_list())


def test_why_tells_of_the_runs_as_the_path_does(trace: rt.PreparedTrace) -> None:
    segments = rt.critical_path(trace).segments.filter(pl.col("name").str.ends_with("remote_worker"), category="self")
    longest = segments.sort("duration_ns", descending=True).row(0, named=True)
    story = rt.tell_story(trace, longest["span_id"])
    assert story.function == longest["function"]
    assert story.steps.filter(step="run", span_id=longest["span_id"])["duration_ns"].sum() >= longest["duration_ns"]


def test_ten_lines_at_most_whose_times_add_up(trace: rt.PreparedTrace) -> None:
    lines = summary_lines(rt.summary(trace))
    assert len(lines) <= 10
    assert not [line for line in lines if "__main__" in line]
    time = next(line for line in lines if line.startswith("Where the time went: "))
    parts, whole = time.removeprefix("Where the time went: ").rstrip(".").split(" = ")
    numbers = [float(part.split()[0]) for part in parts.split(" + ")]
    assert sum(numbers) == pytest.approx(float(whole.split()[0]))


def failed_job(**driver: Any) -> pl.DataFrame:
    """The driver asks for `top`, which asked for `deep`, which failed."""
    error = {"status": "ERROR", "status_message": "ValueError: bad row"}
    stack = (
        'File "/v/site-packages/ray/x.py", line 3, in run\n  File "/p/etl.py", line 27, in deep\nValueError: bad row'
    )
    events = json.dumps([{"name": "exception", "attributes": {"exception.stacktrace": stack}}])
    return table(
        span("driver", 0, 100 * MS, name="ray.driver", **driver),
        submit("s1", 1 * MS, 2 * MS, "driver", submitted_task_id="T1", function="__main__.top"),
        run("r1", 5 * MS, 90 * MS, "s1", "T1", function="__main__.top", **error),
        submit("s2", 10 * MS, 11 * MS, "r1", submitted_task_id="T2", function="__main__.deep"),
        run("r2", 15 * MS, 80 * MS, "s2", "T2", function="__main__.deep", events=events, **error),
        wait("g2", 12 * MS, 85 * MS, "r1", ["T2"], pid=run("r1", 0, 1, None)["pid"], task_id="T1", **error),
        wait("g1", 3 * MS, 95 * MS, "driver", ["T1"], **error),
        recorded=True,
    )


def test_a_failed_job_says_so_and_where_the_error_came_from() -> None:
    spans = failed_job(status="ERROR", status_message="RayTaskError(ValueError): ray::top()\nValueError: bad row")
    ended = rt.summary(spans).ended
    assert ended.outcome is Outcome.FAILED
    assert ended.origin is not None
    assert (ended.origin.span_id, ended.origin.function, ended.origin.place) == ("r2", "__main__.deep", "/p/etl.py:27")
    assert ended.failed_attempts == 2
    first, second, *_ = summary_lines(rt.summary(spans))
    assert "failed after 100 ms" in first
    assert "`deep`" in second and "etl.py:27" in second


def test_a_job_that_was_stopped_is_no_failure_of_its_tasks() -> None:
    stopped = rt.summary(failed_job(status="ERROR", status_message="KeyboardInterrupt: "))
    assert stopped.ended.origin is None
    assert "raytrace-analyze hang" in summary_lines(stopped)[1]


def test_a_driver_that_a_signal_stopped_says_so() -> None:
    stopped = rt.summary(failed_job(status="ERROR", status_message="SIGTERM"))
    assert stopped.ended.was_interrupted and stopped.ended.origin is None
    assert summary_lines(stopped)[0].endswith("failed after 100 ms: SIGTERM.")


def test_a_program_that_exits_with_a_code_says_which_and_not_why() -> None:
    found = rt.summary(failed_job(status="ERROR", status_message="exit code 3"))
    assert found.ended.outcome is Outcome.FAILED and found.ended.origin is None
    first, second, *_ = summary_lines(found)
    assert first.endswith("failed after 100 ms: exit code 3.")
    assert second == "2 attempts at tasks failed on the way."


def test_a_job_that_a_signal_stopped_in_a_wait_says_so() -> None:
    # Ray turns SIGTERM into an exit, of which the driver's own span says nothing.
    spans = table(
        span("driver", 0, 100 * MS, name="ray.driver"),
        submit("s", MS, 2 * MS, "driver", submitted_task_id="T"),
        run("r", 5 * MS, 120 * MS, "s", "T"),
        wait("w", 3 * MS, 99 * MS, "driver", [], status="ERROR", status_message="SystemExit: 1"),
        recorded=True,
    )
    found = rt.summary(spans)
    assert found.ended.outcome is Outcome.FAILED and found.ended.was_interrupted
    assert "raytrace-analyze hang" in summary_lines(found)[1]


def test_a_job_that_handled_its_failures_did_not_fail() -> None:
    found = rt.summary(failed_job())
    assert found.ended.outcome is Outcome.COMPLETED
    assert found.ended.failed_attempts == 2
    assert "2 attempts at tasks failed on the way" in summary_lines(found)[1]


def test_cancelled_and_killed_attempts_are_told_apart_from_failed_ones() -> None:
    spans = table(
        span("driver", 0, 100 * MS, name="ray.driver"),
        *(submit(f"s{n}", n * MS, (n + 1) * MS, "driver", submitted_task_id=f"T{n}") for n in range(1, 5)),
        run("r1", 5 * MS, 20 * MS, "s1", "T1", status="ERROR", status_message="ValueError: no"),
        run("r2", 25 * MS, 90 * MS, "s2", "T2", attributes='{"raytrace.cancelled": true}'),
        run("r3", 25 * MS, 80 * MS, "s3", "T3", status="ERROR"),
        run("r4", 25 * MS, 30 * MS, "s4", "T4", status="ERROR", function="A.__ray_terminate__", actor_id="A"),
        wait("get", 26 * MS, 95 * MS, "driver", ["T2"]),
        recorded=True,
    )
    killed = pl.when(pl.col("span_id") == "r3").then(pl.lit("WORKER_DIED"))
    spans = spans.with_columns(error_type=killed.otherwise(None))
    found = rt.summary(spans)
    assert (found.ended.failed_attempts, found.ended.cancelled_attempts, found.ended.killed_attempts) == (3, 1, 1)
    told = "1 attempt at a task failed on the way, 1 was cancelled, 1 ended with its process or actor."
    assert told in summary_lines(found)
    # How the program let the actor end is no error in any list.
    assert rt.latency_stats(spans).filter(function="A.__ray_terminate__")["errors"].item() == 0
    assert rt.jobs(spans)["errors"].item() == rt.jobs(spans.filter(pl.col("span_id") != "r4"))["errors"].item()
    screen = Console(record=True, width=100)
    show_path(rt.critical_path(spans), screen, top=20, by="function")
    assert ", and was cancelled" in screen.export_text()


def test_what_still_ran_when_the_program_ended_did_not_fail_on_the_way() -> None:
    # driver [s1][s2][get of r1]|        the program ends
    # r1        [========]
    # r2           [=============]       given up, and ended with its process
    def ended(end: int) -> int:
        spans = table(
            span("driver", 0, 100 * MS, name="ray.driver"),
            submit("s1", 1 * MS, 2 * MS, "driver", submitted_task_id="T1"),
            submit("s2", 2 * MS, 3 * MS, "driver", submitted_task_id="T2"),
            run("r1", 5 * MS, 90 * MS, "s1", "T1"),
            run("r2", 6 * MS, end * MS, "s2", "T2", status="ERROR", status_message="SystemExit: 1"),
            wait("get", 5 * MS, 95 * MS, "driver", ["T1"]),
            recorded=True,
        )
        return rt.summary(spans).ended.failed_attempts

    assert (ended(120), ended(80)) == (0, 1)


def test_how_a_run_ended_that_was_given_up_before_is_not_told_in_the_chain() -> None:
    # driver [s][get, timed out ]----]      the program ends
    # r        [=====================|==]   ended with its process then
    def said(end: int) -> str:
        late = json.dumps({"raytrace.timed_out": True, "raytrace.awaited_task_ids": ["T"]})
        spans = table(
            span("driver", 0, 100 * MS, name="ray.driver"),
            submit("s", 1 * MS, 2 * MS, "driver", submitted_task_id="T"),
            run("r", 5 * MS, end * MS, "s", "T", status="ERROR", status_message="SystemExit: 1"),
            wait("get", 5 * MS, 80 * MS, "driver", [], attributes=late),
            recorded=True,
        )
        screen = Console(record=True, width=100)
        show_path(rt.critical_path(spans), screen, top=20, by="function")
        return screen.export_text()

    assert "f is in r" in said(120) and ", and failed" not in said(120)
    assert ", and failed" in said(79)


def test_a_queue_that_is_empty_is_no_failure() -> None:
    queue = {"function": "ray.util.queue._QueueActor.get", "actor_id": "Q", "status": "ERROR"}
    spans = table(
        span("driver", 0, 100 * MS, name="ray.driver"),
        *(submit(f"s{n}", n * MS, (n + 1) * MS, "driver", submitted_task_id=f"T{n}") for n in range(2)),
        run("r0", 5 * MS, 20 * MS, "s0", "T0", status_message="Empty:", **queue),
        run("r1", 25 * MS, 30 * MS, "s1", "T1", status_message="KeyError: 'Empty'", **queue),
        recorded=True,
    )
    assert rt.summary(spans).ended.failed_attempts == 1


def test_the_path_of_a_failed_job_says_so_first_and_what_the_error_was() -> None:
    error = "RayTaskError(KeyError): \x1b[36mray::top()\x1b[39m (pid=1)\n  File x\nKeyError: 'rows'"
    screen = Console(record=True, width=100)
    show_path(rt.critical_path(failed_job(status="ERROR", status_message=error)), screen, top=20, by="function")
    first, second, *_ = screen.export_text().splitlines()
    assert first.endswith("failed after 100 ms: KeyError: 'rows'.")
    assert second.startswith("It began in `deep`, which failed at etl.py:27")


def test_a_job_that_never_ended_says_so() -> None:
    spans = table(span("driver", 0, None, name="ray.driver"), submit("s", 1 * MS, 90 * MS, "driver"), recorded=True)
    found = rt.summary(spans)
    assert found.ended.outcome is Outcome.UNFINISHED
    assert found.open_spans == 1
    assert "had not ended" in summary_lines(found)[0]


def test_of_what_has_not_ended_nobody_says_how_long_it_takes() -> None:
    spans = table(
        span("driver", 0, None, name="ray.driver"),
        submit("s", 1 * MS, 2 * MS, "driver", submitted_task_id="T", function="f"),
        run("r", 3 * MS, 900 * MS, "s", "T", function="f"),
        wait("w", 2 * MS, 902 * MS, "driver", ["T"]),
        submit("s1", 903 * MS, 904 * MS, "driver", submitted_task_id="T1", function="g"),
        run("r1", 905 * MS, None, "s1", "T1", function="g"),
        wait("w1", 904 * MS, None, "driver", ["T1"]),
        span("late", 950 * MS, 1000 * MS, "r1", pid=2),
        recorded=True,
    )
    said = summary_lines(rt.summary(spans))
    assert "raytrace-analyze hang" in said[1]
    assert any("what is recorded would take" in line for line in said)
    assert not any("the job" in line for line in said[2:])
    for found in (rt.what_if(spans), give_advice(spans)):
        assert any("had not ended when the record ends" in note for note in found.notes)
    screen = Console(record=True, width=200)
    show_path(rt.critical_path(spans, task="g"), screen, top=5, by="function")
    show_story(rt.tell_story(spans, "g"), screen)
    first, *_, second = [line for line in screen.export_text().splitlines() if line.startswith("Task g ")]
    for line in (first, second):
        assert "had not ended" in line and "to its end" not in line


def test_of_what_was_stopped_nobody_says_how_long_it_would_have_taken() -> None:
    spans = table(
        span("driver", 0, 1000 * MS, name="ray.driver", status="ERROR", status_message="SIGTERM"),
        submit("s", 1 * MS, 2 * MS, "driver", submitted_task_id="T", function="f"),
        run("r", 3 * MS, 900 * MS, "s", "T", function="f"),
        wait("w", 2 * MS, 902 * MS, "driver", ["T"]),
        recorded=True,
    )
    said = summary_lines(rt.summary(spans))
    assert "stopped from outside" in said[1]
    assert any("what is recorded would take" in line for line in said)
    assert not any("the job" in line for line in said[2:])


def test_a_result_that_never_came_is_what_was_waited_for_longest() -> None:
    # driver [s]== get, timed out ==]...         what it asked for never started
    late = json.dumps({"raytrace.timed_out": True, "raytrace.awaited_task_ids": ["T"]})
    spans = table(
        span("driver", 0, 900, name="ray.driver"),
        submit("s", 1, 2, "driver", submitted_task_id="T", function="fit"),
        wait("get", 5, 800, "driver", [], attributes=late),
        recorded=True,
    )
    assert "Waits longest: the driver, in ray.get, 795 ns." in summary_lines(rt.summary(spans))


def test_the_command_and_its_document() -> None:
    capture = SAMPLES / "map_reduce-ours" / "spans"
    document = json.loads(cli("summary", capture, "--format", "json").stdout)
    found = rt.summary(rt.read_spans(capture))
    assert document.pop("evidence")["damaged"] == 0
    assert document == {"schema_version": 1, **json.loads(json.dumps(summary_document(found)))}
    assert {row["spent_on"] for row in document["time"]} <= set(Spent)
    assert document["ended"]["outcome"] == "completed"
    bare = cli(capture)
    assert bare.stdout.split() == " ".join(summary_lines(found)).split()


@pytest.mark.parametrize(
    ("name", "function", "says"),
    [
        ("ray.data._internal.execution.map ray.remote_worker", "MapBatches(f)", "`raytrace-analyze data` tells which"),
        ("MapWorker.submit ray.remote_worker", "MapWorker(MapBatches(f)).submit", "`raytrace-analyze data` tells"),
        ("run", "ServeReplica:default:Front.handle_request", "`raytrace-analyze serve` tells where"),
        ("run", "RayTrainWorker.execute", "`raytrace-analyze train` tells which rank"),
        ("run", "ImplicitFunc.train", "`raytrace-analyze tune` tells which trial"),
        ("run", "__main__.train", None),
    ],
)
def test_a_job_of_rays_libraries_names_their_commands(name: str, function: str, says: str | None) -> None:
    spans = table(
        span("driver", 0, 1000, name="ray.driver"),
        submit("s", 0, 5, "driver", submitted_task_id="T"),
        run("r", 10, 390, "s", "T", name=name, function=function),
        wait("get", 5, 400, "driver", ["T"]),
        recorded=True,
    )
    said = [line for line in summary_lines(rt.summary(spans)) if line.startswith("Of Ray's libraries: ")]
    assert len(said) == (says is not None)
    assert says is None or says in said[0]


def test_of_a_driver_that_nobody_knows_about_the_next_function_is_made_faster() -> None:
    spans = rt.read_spans(SAMPLES / "events" / "map_reduce-export")
    found = rt.summary(spans)
    assert [each.function for each in found.remedies] == ["map_part", "map_part"]
    ranking = rt.what_if(spans)
    assert not ranking.driver_works
    assert ranking.functions.get_column("function")[0] == "(driver)"
    assert ranking_text(ranking).startswith("Make `map_part` twice as fast and the job takes 20.4 s instead of 21.4 s")
    screen = Console(record=True, width=100)
    show_ranking(ranking, screen, top=5)
    assert "The driver's own code is not known to work" in screen.export_text()


@pytest.mark.parametrize(
    "sample",
    sorted(str(path.relative_to(SAMPLES)) for path in (*SAMPLES.glob("*/spans"), *SAMPLES.glob("events/map*"))),
)
def test_what_if_and_summary_say_the_same(sample: str) -> None:
    """What is faster in the summary is what the ranking says in its first sentence, with the same time."""
    trace = rt.prepare(rt.read_spans(SAMPLES / sample))
    said = ranking_text(rt.what_if(trace))
    for remedy in rt.summary(trace).remedies:
        if remedy.kind is RemedyKind.SPEEDUP:
            assert said.startswith(f"Make {name_of(remedy.function)} twice as fast")
            assert f"the job takes {duration_text(remedy.predicted_ns)} instead" in said


def test_the_page_ranks_as_what_if_does() -> None:
    """With as many slots as the driver says that there were."""
    cluster = json.dumps({"raytrace.cluster_resources": json.dumps({"CPU": 3})})
    ends = [100 * MS, 110 * MS, 200 * MS, 210 * MS, 300 * MS]
    runs = [
        (submit(f"s{n}", 0, MS, "d", submitted_task_id=f"T{n}"), run(f"r{n}", end - 90 * MS, end, f"s{n}", f"T{n}"))
        for n, end in enumerate(ends)
    ]
    spans = table(
        span("d", 0, 310 * MS, name="ray.driver", attributes=cluster), *chain(*runs),
        wait("w", 2 * MS, 305 * MS, "d", [f"T{n}" for n in range(5)]), recorded=True,
    )  # fmt: skip
    ranking = gather(spans).ranking
    assert ranking is not None
    assert ranking.slots == rt.what_if(spans).slots == 3
    assert ranking.functions.equals(rt.what_if(spans).functions)


def test_start_up_that_is_not_all_saved_promises_no_more_than_is_known() -> None:
    def text(name: str) -> str:
        return " ".join(summary_lines(rt.summary(rt.read_spans(SAMPLES / name))))

    assert "without, the job takes 5.01 s at most." in text("failures-ours/spans")
    assert "without, the job takes 7.89 s." in text("events/map_reduce-export")
    assert "without, the job takes 1.94 s." in text("wait_loop-ours/spans")


def test_advice_that_saves_nothing_says_where_more_is_told() -> None:
    said = "`raytrace-analyze what-if` says."
    assert said in cli("advise", SAMPLES / "custom_spans-ours" / "spans").stdout
    assert said not in cli("advise", SAMPLES / "wait_loop-ours" / "spans").stdout


def test_results_are_short_where_they_are_printed() -> None:
    trace = rt.prepare(rt.read_spans(SAMPLES / "map_reduce-ours" / "spans"))
    assert repr(rt.summary(trace)) == "<Summary: map_reduce.py, completed after 3.04 s>"
    for result in (rt.critical_path(trace), rt.what_if(trace)):
        assert repr(result).startswith(f"<{type(result).__name__}: ")
        assert len(repr(result)) < 200


BY_RAY = """RayTaskError(UserCodeException): \x1b[36mray::Map(parse)()\x1b[39m (pid=42, ip=192.0.2.2)
  File "/p/etl.py", line 8, in parse ...
To change retry attempts, configure `ray.data` if you believe this to be transient."""
RAISED = """Traceback (most recent call last):
  File "/v/site-packages/ray/data/map_op.py", line 464, in wrapped
    return udf(item)
  File "/p/etl.py", line 8, in parse
    if 7 in rows: raise ValueError(f"bad row {7}")
                  ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
ValueError: bad row 7

The above exception was the direct cause of the following exception:

Traceback (most recent call last):
  File "/home/me/hook/raytrace_hook/record/generators/bodies.py", line 80, in _run_span
    yield items
  File "/v/site-packages/ray/data/map_op.py", line 470, in wrapped
    raise UserCodeException("UDF failed") from error
ray.exceptions.UserCodeException: UDF failed"""


def test_what_a_library_made_of_an_error_is_followed_to_what_the_program_raised() -> None:
    """Ray Data asks for results in a thread of its own, and passes on a text of several lines."""
    failed = {"status": "ERROR", "status_message": "UserCodeException: UDF failed\nTo change retry attempts ..."}
    event = {"name": "exception", "attributes": {"exception.type": "UserCodeException", "exception.stacktrace": RAISED}}
    spans = table(
        span("driver", 0, 100 * MS, name="ray.driver", category="driver", status="ERROR", status_message=BY_RAY),
        submit("se", 0, MS, "driver", submitted_task_id="E", function="StreamingExecutor.run"),
        run("e", 2 * MS, 99 * MS, "se", "E", function="StreamingExecutor.run", pid=1),
        submit("s", 3 * MS, 4 * MS, "e", submitted_task_id="T", function="Map(parse)"),
        run("r", 10 * MS, 60 * MS, "s", "T", function="Map(parse)", pid=42, events=json.dumps([event]), **failed),
        wait("w", 5 * MS, 61 * MS, "e", ["T"], status="ERROR", status_message=BY_RAY, task_id="E"),
        recorded=True,
    )
    first, second = summary_lines(rt.summary(spans))[:2]
    assert first.endswith("failed after 100 ms: ValueError: bad row 7.")
    assert second == "It began in `Map(parse)`, which failed at etl.py:8."
    # Another process with that number, on another node, may have raised it as well.
    same = [submit("s1", 4 * MS, 5 * MS, "e", submitted_task_id="U", function="Map(parse)"),
            run("r1", 10 * MS, 50 * MS, "s1", "U", function="Map(parse)", pid=42, node_id="n2", **failed)]  # fmt: skip
    two = pl.concat([spans, table(span("driver", 0, 100 * MS, name="ray.driver"), *same, recorded=True).tail(2)])
    alone = two.filter(pl.col("name") != "ray.get")
    assert rt.summary(alone).ended.origin is None
    elsewhere = spans.with_columns(pid=pl.when(pl.col("pid") == 42).then(43).otherwise("pid"))
    assert rt.summary(elsewhere).ended.origin is None
