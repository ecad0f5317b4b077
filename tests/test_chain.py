"""The chain as lines: what is long is told in few of them, and nothing is left out."""

import json
from pathlib import Path

import polars as pl
import pytest

from raytrace_analyze import critical_path, read_spans, summary
from raytrace_analyze.views.paths.chain import ChainLine, chain_lines
from raytrace_analyze.views.paths.segment_endings import with_endings
from tests.tables import run, span, submit, table, wait

SAMPLES = Path(__file__).parent.parent / "sample_spans"
CAPTURES = sorted(folder.parent.name for folder in SAMPLES.glob("*/spans"))


def lines_of(spans: pl.DataFrame, top: int) -> list[ChainLine]:
    path = critical_path(spans)
    return chain_lines(with_endings(path.segments, path.spans), top)


def loop(times: int, *, pause: int = 0) -> pl.DataFrame:
    """A driver that submits so many tasks, 3 ns each and 2 ns of its own in between, and gets the last one's result.

    driver [..s..s..s....s][get......]
    the last run             ....[===]
    """
    submits = [submit(f"s{one}", 5 * one, 5 * one + 3, "driver", function="load") for one in range(times)]
    began = 5 * times + pause
    return table(
        span("driver", 0, began + 1000, name="ray.driver"),
        *submits[:-1],
        submit("last", began - 5, began - 2, "driver", function="load", submitted_task_id="t1"),
        run("r", began + 100, began + 900, "last", "t1", function="load"),
        wait("get", began, began + 950, "driver", ["t1"]),
        recorded=True,
    )


def test_runs_that_wait_for_placement_groups_say_so() -> None:
    # manage [====================][remove]
    # manage [wait for a group ...........Ray makes it....][=======]
    ms = 1_000_000
    awaited = json.dumps({"raytrace.awaited": "placement group (1 CPU)"})
    of = {"function": "manage", "name": "manage ray.remote_worker"}
    spans = table(
        span("driver", 0, 3000 * ms, name="ray.driver"),
        *(submit(f"s{one}", one * ms, (one + 1) * ms, "driver", submitted_task_id=f"t{one}") for one in range(2)),
        run("r0", 10 * ms, 1000 * ms, "s0", "t0", **of),
        span("gone", 990 * ms, 991 * ms, "r0", name="placement_group.remove"),
        run("r1", 11 * ms, 2500 * ms, "s1", "t1", **of),
        wait("group", 20 * ms, 1500 * ms, "r1", [], attributes=awaited),
        wait("get", 3 * ms, 2510 * ms, "driver", ["t0", "t1"]),
        recorded=True,
    )
    said = next(line.text for line in lines_of(spans, 4) if "times" in line.text)
    assert said.startswith("manage runs 2 times")
    assert said.endswith("500 ms of it waiting for a placement group (1 CPU)")
    times = dict(summary(spans).time.select("spent_on", "total_ns").iter_rows())
    assert times["wait"] >= 500 * ms


def test_a_loop_that_submits_is_one_line() -> None:
    first, *rest = [line.text for line in lines_of(loop(500), 10)]
    assert first.startswith("the driver submits load 500 times, one after another, 1.50 µs of it submitting")
    assert not any("submit" in text for text in rest)
    assert rest[-1].startswith("the driver")


def test_a_loop_that_submits_says_where_it_was_idle() -> None:
    ms = 1_000_000
    told = [
        {"start_ns": (100 * one + 20) * ms, "end_ns": (100 * one + 95) * ms, "in": "time.sleep", "at": "poll.py:7"}
        for one in range(20)
    ]
    idle = {"raytrace.cpu_ns": ms, "raytrace.idle": json.dumps({"stretches": told, "left_out_ns": 0})}
    spans = table(
        span("driver", 0, 20_000 * ms, name="ray.driver", attributes=json.dumps(idle)),
        *(submit(f"s{one}", 100 * one * ms, (100 * one + 3) * ms, "driver", function="load") for one in range(19)),
        submit("last", 1900 * ms, 1903 * ms, "driver", function="load", submitted_task_id="t1"),
        run("r", 1990 * ms, 19_900 * ms, "last", "t1", function="load"),
        wait("get", 1999 * ms, 19_950 * ms, "driver", ["t1"]),
        recorded=True,
    )
    first = lines_of(spans, 10)[0].text
    assert "submits load 20 times" in first and "idle in time.sleep at poll.py:7" in first


def test_the_longest_of_runs_that_follow_each_other_directly_is_one_of_them() -> None:
    # s [].[].[].
    # f .....[====================]
    # f ........[====================]     nothing tells what each waited for but what ended right before
    us, of = 1000, {"name": "f ray.remote_worker"}
    spans = table(
        *(submit(f"s{one}", 50 * one * us, (50 * one + 20) * us, trace_id=f"{one:032x}") for one in range(200)),
        *(
            run(f"r{one}", (50 * one + 200) * us, (50 * one + 1200) * us, f"s{one}", trace_id=f"{one:032x}", **of)
            for one in range(200)
        ),
    )
    said = next(line.text for line in lines_of(spans, 4) if line.text.startswith("f runs"))
    assert "the longest 1.00 ms" in said


def test_what_takes_long_within_a_loop_stands_alone() -> None:
    texts = [line.text.split(",")[0] for line in lines_of(loop(500, pause=10_000), 10)]
    submits = ["the driver submits load 499 times", "the driver runs [process 1]", "load is submitted [process 1]"]
    assert texts[:3] == submits


@pytest.mark.parametrize("capture", CAPTURES)
def test_lines_of_any_number_add_up_to_the_makespan(capture: str) -> None:
    path = critical_path(read_spans(SAMPLES / capture / "spans"))
    segments = with_endings(path.segments, path.spans)
    for top in (1, 2, 5, 40):
        lines = chain_lines(segments, top)
        assert len(lines) <= 2 * top + 1
        assert sum(line.duration_ns for line in lines) == path.makespan_ns
        begins = [path.start_ns]
        for line in lines:
            assert line.start_ns == begins[-1]
            begins.append(line.start_ns + line.duration_ns)
