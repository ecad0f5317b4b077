"""The story of one task: as a library, on the command line, of captures and of a real program."""

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from raytrace_analyze import TaskStory, UsageError, load, tell_story
from raytrace_analyze.analyses.story_steps import STEPS
from tests import command_line
from tests.command_line import Done
from tests.random_spans import random_table
from tests.real_ray import run_traced
from tests.simulated_events import event_table
from tests.sizes import counted
from tests.tables import run, span, submit, table, wait

SAMPLES = Path(__file__).parent.parent / "sample_spans"


def told(story: TaskStory) -> list[tuple[str, int, int, str]]:
    return story.steps.select("step", "start_ns", "end_ns", "sentence").rows()


def awaits(what: str) -> str:
    return json.dumps({"raytrace.awaited": what})


def program() -> pl.DataFrame:
    # driver [sa][sb]  [get............................]
    # a         ...[=======]
    # b            ...........[====x ...[=======]           takes a's result; fails once
    # c                                             .[==]   takes b's result
    return table(
        span("driver", 0, 200, name="ray.driver"),
        submit("sa", 1, 2, "driver", submitted_task_id="A", function="load"),
        run("a", 10, 50, "sa", "A", function="load", worker_id="w1", pid=7),
        submit("sb", 3, 4, "driver", submitted_task_id="B", dependency_task_ids=["A"], function="train"),
        run("b0", 55, 70, "sb", "B", function="train", worker_id="w1", pid=7, attempt=0, status="ERROR"),
        run("b1", 90, 120, "sb", "B", function="train", worker_id="w1", pid=7, attempt=1),
        submit("sc", 5, 6, "driver", submitted_task_id="C", dependency_task_ids=["B"], function="save"),
        run("c", 122, 130, "sc", "C", function="save", worker_id="w1", pid=7),
        wait("get", 60, 125, "driver", ["B"]),
        recorded=True,
    )


def test_the_story_from_the_submit_to_who_got_the_result() -> None:
    story = tell_story(program(), "train")
    assert (story.function, story.task_id, story.other_runs) == ("train", "B", 0)
    assert (story.start_ns, story.end_ns, story.queue_ns, story.run_ns) == (3, 120, 71, 45)
    assert told(story) == [
        ("submit", 3, 4, "the driver submitted it [process 1]"),
        ("queue", 4, 50, "train waited 46 ns for the result of load, which ran on node n"),
        ("queue", 50, 55, "train waited 5 ns for the way to its worker"),
        ("run", 55, 70, "it ran on node n [process 7], and failed: no message"),
        ("queue", 70, 90, "train waited 20 ns before attempt 1; the one before ran on node n"),
        ("run", 90, 120, "attempt 1 ran on node n [process 7]"),
        ("wait", 60, 125, "the driver waited for it in ray.get, and had it 5 ns after its end"),
        ("dependant", 120, 122, "save took its result and started 2 ns after its end"),
    ]


def test_the_calls_of_an_actor_wait_for_its_start() -> None:
    actor = {"actor_id": "A", "worker_id": "w1", "pid": 7}
    spans = table(
        span("driver", 0, 200, name="ray.driver"),
        submit("si", 1, 2, "driver", submitted_task_id="I", function="Store.__init__"),
        run("i", 40, 50, "si", "I", function="Store.__init__", **actor),
        submit("sa", 3, 4, "driver", submitted_task_id="a", function="Store.put"),
        run("a", 51, 60, "sa", "a", function="Store.put", **actor),
        submit("sb", 5, 6, "driver", submitted_task_id="b", function="Store.get"),
        run("b", 60, 70, "sb", "b", function="Store.get", **actor),
        submit("sc", 80, 81, "driver", submitted_task_id="c", function="Store.get"),
        run("c", 82, 90, "sc", "c", function="Store.get", **actor),
        wait("get", 90, 95, "driver", ["c"]),
        recorded=True,
    )
    story = tell_story(spans, "Store.__init__")
    sentence = "Store.put waited for its actor to start, as 1 more call did, and started 1 ns after its end"
    assert told(story)[-1] == ("dependant", 50, 51, sentence)
    assert story.notes == ()


def test_of_several_the_slowest_from_submit_and_how_many_others() -> None:
    spans = table(
        submit("s0", 0, 1), run("r0", 2, 50, "s0", "A"),
        submit("s1", 2, 3), run("r1", 60, 90, "s1", "B"),
        submit("s2", 4, 5), run("r2", 6, 9, "s2", "C"),
        recorded=True,
    )  # fmt: skip
    story = tell_story(spans, "f")
    assert (story.span_id, story.other_runs) == ("r1", 2)
    assert tell_story(spans, "A").span_id == "r0"
    assert tell_story(spans, "r2").other_runs == 0
    assert story.notes == ("nobody is recorded to have waited for it or to have taken its result",)


def test_a_task_submitted_by_another_that_waits_within() -> None:
    spans = table(
        submit("sp", 0, 1), run("p", 2, 90, "sp", "P", function="outer"),
        submit("sc", 5, 6, "p", submitted_task_id="C"), run("c", 10, 40, "sc", "C", function="inner"),
        wait("get", 20, 42, "p", ["C"]),
        recorded=True,
    )  # fmt: skip
    sentences = tell_story(spans, "inner").steps["sentence"].to_list()
    assert sentences[0].startswith("outer submitted it")
    assert sentences[-1] == "outer waited for it in ray.get, and had it 2 ns after its end"
    assert "22 ns of it waiting for other tasks" in tell_story(spans, "outer").steps.filter(step="run")["sentence"][0]


def test_what_an_attempt_without_a_span_waited_is_not_the_next_ones() -> None:
    # submitted until 10; the first attempt gets nowhere until 60 (no span), the next one is made at 70, starts at 100
    spans = table(
        submit("s", 5, 10, submitted_task_id="B"), run("b", 100, 120, "s", "B", attempt=1),
        recorded=True,
    )  # fmt: skip
    first = {"attempt": 0, "pending_args_avail": 10, "pending_node_assignment": 12, "failed": 60}
    second = {"attempt": 1, "pending_node_assignment": 70, "submitted_to_worker": 95, "running": 99}
    about = {"session": "s", "job_id": "01", "task_id": "B", "name": "f", "error_type": "ACTOR_UNAVAILABLE"}
    story = tell_story(spans, "f", event_table([about | first, about | {"error_type": None} | second]))
    assert story.queue_ns == 100 - 10
    told = dict(story.steps.filter(step="queue", start_ns=60).select("cause", "duration_ns").iter_rows())
    assert told == {"retry": 10}
    assert "its arguments" not in "".join(story.steps.filter(pl.col("start_ns") >= 60)["sentence"])


def test_it_says_what_was_waited_for_while_it_ran() -> None:
    # outer [get ......][get ...]  [await queue ....][await sleep]     takes two of inner's, is let go on by put
    # inner    [===] [====]
    # put                                       [==]
    loop = {"actor_id": "A", "attributes": json.dumps({"raytrace.on_event_loop": True, "raytrace.max_concurrency": 9})}
    spans = table(
        submit("sp", 0, 1, submitted_task_id="P"), run("p", 2, 990_000_000, "sp", "P", function="A.outer", **loop),
        submit("s1", 5, 6, "p", submitted_task_id="C"), run("c1", 10, 100_000_000, "s1", "C", function="inner"),
        submit("s2", 7, 8, "p", submitted_task_id="D"), run("c2", 10, 150_000_000, "s2", "D", function="inner"),
        wait("g1", 20, 102_000_000, "p", ["C"]),
        wait("g2", 103_000_000, 153_000_000, "p", ["D"]),
        submit("sq", 9, 10, submitted_task_id="Q"),
        run("q", 500_000_000, 600_000_000, "sq", "Q", function="A.put", **loop),
        wait("w", 160_000_000, 601_000_000, "p", [], name="await", attributes=awaits("asyncio.Queue.get")),
        wait("z", 610_000_000, 910_000_000, "p", [], name="await", attributes=awaits("asyncio.sleep")),
        recorded=True,
    )  # fmt: skip
    story = tell_story(spans, "outer")
    assert story.own_waits.select("function", "awaited", "count", "waited_ns", "awaited_span_id").rows() == [
        ("A.put", "asyncio.Queue.get", 1, 441_000_000, "q"),
        (None, "asyncio.sleep", 1, 300_000_000, None),
        ("inner", None, 2, 151_999_980, "c1"),
    ]
    assert story.steps.filter(step="run")["sentence"][0].endswith("893 ms of it waiting")


@pytest.mark.parametrize(("last_sign", "until"), [(20, 900), (30, 30)])
def test_a_run_goes_on_as_long_as_what_it_waits_in(last_sign: int, until: int) -> None:
    # run [..[await .........      its process said last that this began, or something else; driver until 900
    rows = [
        span("driver", 0, 900, name="ray.driver"),
        submit("s", 1, 2, "driver", submitted_task_id="P"), run("p", 10, None, "s", "P", function="outer", pid=7),
        wait("w", 20, None, "p", [], name="await", pid=7, attributes=awaits("asyncio.Event.wait")),
    ]  # fmt: skip
    if last_sign > 20:
        rows.append(span("x", 25, last_sign, "p", pid=7))
    story = tell_story(table(*rows, recorded=True), "outer")
    assert (story.run_ns, story.own_waits["waited_ns"].to_list()) == (until - 10, [until - 20])


def test_who_waits_for_several_at_once_waits_once() -> None:
    spans = table(
        submit("sp", 0, 1), run("p", 2, 90, "sp", "P", function="outer"),
        submit("s1", 3, 4, "p", submitted_task_id="C"), run("c1", 10, 40, "s1", "C", function="inner"),
        submit("s2", 5, 6, "p", submitted_task_id="D"), run("c2", 10, 60, "s2", "D", function="inner"),
        wait("g1", 20, 42, "p", ["C"], name="await"), wait("g2", 20, 62, "p", ["D"], name="await"),
        recorded=True,
    )  # fmt: skip
    story = tell_story(spans, "outer")
    assert story.own_waits.select("function", "count", "waited_ns", "longest_ns").rows() == [("inner", 2, 42, 42)]
    assert "42 ns of it waiting for other tasks" in story.steps.filter(step="run")["sentence"][0]


def test_a_job_says_where_to_look() -> None:
    spans = table(
        submit("s0", 0, 1, job_id="01"), run("r0", 2, 50, "s0", "A", job_id="01"),
        submit("s1", 0, 1, job_id="02"), run("r1", 2, 20, "s1", "B", job_id="02"),
        recorded=True,
    )  # fmt: skip
    story = tell_story(spans, "f", job="02")
    assert (story.span_id, story.other_runs, story.job_id) == ("r1", 0, "02")
    with pytest.raises(UsageError):
        tell_story(spans, "f", job="03")
    with pytest.raises(UsageError):
        tell_story(spans, "g")


@counted(10, 30)
def test_any_run_of_nonsense_has_a_story(count: int) -> None:
    for seed in range(count):
        spans = random_table(seed, 20)
        for span_id in spans.filter(pl.col("category") == "task")["span_id"].unique():
            story = tell_story(spans, span_id)
            assert story.steps.schema == STEPS
            assert story.steps.filter(step="run").height >= 1


# On the command line


def cli(*arguments: str | Path) -> Done:
    return command_line.cli("why", *arguments, width=130)


def document(*arguments: str | Path) -> dict[str, Any]:
    done = cli(*arguments, "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_it_says_what_a_retried_task_waited_for() -> None:
    done = cli("convert", SAMPLES / "failures-ours")
    assert done.returncode == 0, done.stderr
    assert "in 2 attempts" in done.stdout
    assert "the driver submitted it" in done.stdout
    assert "and failed: its process died (WORKER_DIED)" in done.stdout
    assert "publish took its result" in done.stdout


def test_it_shows_what_was_waited_for_while_it_ran() -> None:
    done = cli("build", SAMPLES / "nested-ours")
    assert "While it ran it waited longest for `package` in ray.get" in done.stdout
    assert re.search(r"[\d.]+ m?s +\d+ +[\d.]+ m?s +package +in ray.get", done.stdout)


def test_its_formats_tell_the_same() -> None:
    capture = SAMPLES / "actor_pipeline-ours"
    found = document("Writer.write", capture)
    assert found["task"]["other_runs"] == 5
    assert found["duration_ns"] == found["end_ns"] - found["start_ns"]
    causes = {step["cause"]: step["source"] for step in found["steps"] if step["step"] == "queue"}
    assert causes.keys() >= {"dependency", "actor-busy"}
    assert set(causes.values()) == {"task events"}
    rows = list(csv.DictReader(io.StringIO(cli("Writer.write", capture, "--format", "csv").stdout)))
    assert [row["sentence"] for row in rows] == [step["sentence"] for step in found["steps"]]


def test_without_task_events_it_says_so() -> None:
    done = cli("map_part", SAMPLES / "map_reduce-stock")
    assert done.returncode == 0, done.stderr
    assert "told from the spans" in done.stdout


def test_what_is_not_there_is_named_with_what_is() -> None:
    done = cli("nothing", SAMPLES / "map_reduce-ours")
    assert (done.returncode, done.stdout) == (2, "")
    assert "map_part" in done.stderr


def test_the_chain_says_what_it_waited_for() -> None:
    done = command_line.cli("critical-path", SAMPLES / "failures-ours", "--by", "cause", width=150)
    assert "convert waits to start (loading its code)" in done.stdout
    assert "before another attempt" in done.stdout


# Of a real program

PROGRAM = """
import os, time
import ray

ray.init(address="local", num_cpus=2, include_dashboard=False, _tracing_startup_hook="raytrace_hook:setup_tracing")

@ray.remote
class Slow:
    def __init__(self):
        time.sleep(2.0)
    def work(self, _=None):
        time.sleep(1.0)

@ray.remote
def warm_up():
    time.sleep(0.3)

@ray.remote
def hold():
    time.sleep(1.5)

@ray.remote
def slow_part():
    time.sleep(1.5)

@ray.remote
def needs_part(part):
    return part

@ray.remote(max_retries=1, retry_exceptions=True)
def flaky(path):
    if not os.path.exists(path):
        open(path, "w").close()
        raise OSError("not yet")

ray.get([warm_up.remote() for _ in range(4)])
ray.get([hold.remote() for _ in range(4)])
ray.get(needs_part.remote(slow_part.remote()))
ray.get(flaky.remote(os.environ["FLAKY"]))
actor = Slow.remote()
ray.get([actor.work.remote() for _ in range(2)])
"""


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("real")
    (folder / "program.py").write_text(PROGRAM)
    run_traced(folder / "program.py", folder / "spans", FLAKY=str(folder / "flaky"))
    return folder / "spans"


def longest_wait(spans: Path, task: str, *, attempt: int = 0) -> dict[str, Any]:
    steps = document(task, spans)["steps"]
    queue = [step for step in steps if step["step"] == "queue" and (step["attempt"] or 0) == attempt]
    assert all(step["source"] == "task events" for step in queue)
    return max(queue, key=lambda step: step["duration_ns"])


@pytest.mark.ray
def test_a_real_program_is_told_as_it_was_written(real: Path) -> None:
    assert load([real]).task_events.height
    queued = longest_wait(real, "hold")
    assert (queued["cause"], queued["holder_function"]) == ("no-slot", "__main__.hold")
    needed = longest_wait(real, "needs_part")
    assert (needed["cause"], needed["holder_function"]) == ("dependency", "__main__.slow_part")
    assert longest_wait(real, "flaky", attempt=1)["cause"] == "retry"
    assert [step["step"] for step in document("flaky", real)["steps"]].count("run") == 2
    second = document("Slow.work", real)["steps"]
    causes = {step["cause"]: step["holder_function"] for step in second if step["step"] == "queue"}
    assert causes["actor-start"] == "Slow.__init__"
    assert causes["actor-busy"] == "Slow.work"
    assert max(second, key=lambda step: step["duration_ns"] if step["step"] == "queue" else 0)["cause"] == "actor-start"
    assert any("the driver waited for it in ray.get" in step["sentence"] for step in second)
