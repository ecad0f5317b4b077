"""What the hook makes of Ray Train and Tune: their own code, run without a cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

import raytrace_analyze as rt

PROGRAM = Path(__file__).parent / "programs" / "libraries_alone.py"


def run(folder: Path, code: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "RAYTRACE_DIR": str(folder)}
    return subprocess.run(
        [sys.executable, *code], env=environment, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[pl.DataFrame, subprocess.CompletedProcess[str]]:
    pytest.importorskip("ray.tune", exc_type=ImportError)
    pytest.importorskip("ray.train.v2", reason="this version has none of the Ray Train that is told in ranks")
    folder = tmp_path_factory.mktemp("libraries")
    process = run(folder, [str(PROGRAM)])
    assert process.returncode == 0, process.stderr
    return rt.read_spans(folder), process


def attributes(spans: pl.DataFrame) -> list[dict[str, object]]:
    return [json.loads(text) for text in spans.get_column("attributes")]


def test_a_trials_function_is_a_run_with_its_results(
    done: tuple[pl.DataFrame, subprocess.CompletedProcess[str]],
) -> None:
    spans, process = done
    assert "RESULTS [0, 1, 2]" in process.stdout
    function = spans.filter(pl.col("function") == "__main__.objective", pl.col("category") == "task")
    assert function.height == 1
    (about,) = attributes(function)
    assert about["raytrace.trial"] == "8fc2e_00003"
    assert about["raytrace.experiment"] == "search"
    task = function.get_column("task_id")[0]
    waits = spans.filter(pl.col("ready_task_ids").list.contains(task)).sort("start")
    assert [each.get("raytrace.item") for each in attributes(waits)] == [0, 1, 2, 3]
    held = spans.filter(pl.col("parent_id") == function.get_column("span_id")[0]).sort("start")
    # The last is none: Tune gives the last result again to say that the function has ended.
    assert [each.get("raytrace.report") for each in attributes(held)] == [0, 1, 2, None]


def test_how_long_search_and_callbacks_take_when_a_trial_ends_is_told(
    done: tuple[pl.DataFrame, subprocess.CompletedProcess[str]],
) -> None:
    for name in ("ray.tune.suggest", "ray.tune.callbacks"):
        (took,) = done[0].filter(name=name).get_column("duration_ns")
        assert took >= 20_000_000


def test_a_training_function_is_a_run_of_its_rank(
    done: tuple[pl.DataFrame, subprocess.CompletedProcess[str]],
) -> None:
    spans, process = done
    ranks = spans.filter(pl.col("function").is_in(["__main__.loop", "__main__.failing"]), pl.col("category") == "task")
    assert ranks.sort("start").get_column("status").to_list() == ["UNSET", "ERROR"]
    assert all((each["raytrace.rank"], each["raytrace.experiment"]) == (1, "mnist") for each in attributes(ranks))
    assert "ValueError('boom')" in process.stdout
    assert "raytrace_hook" not in process.stdout


def test_a_report_fails_as_it_would_and_is_told(
    done: tuple[pl.DataFrame, subprocess.CompletedProcess[str]],
) -> None:
    spans, process = done
    assert "RAISED AttributeError" in process.stdout
    (about,) = attributes(spans.filter(pl.col("name") == "ray.train.report"))
    assert about["raytrace.report"] == 4


def test_what_another_thread_asks_for_is_the_functions_and_not_that_of_a_call_beside_it(
    done: tuple[pl.DataFrame, subprocess.CompletedProcess[str]],
) -> None:
    (about,) = attributes(done[0].filter(pl.col("name") == "asked by a thread"))
    assert about["ray.task_id"] == "f00d" * 12


def test_no_call_stands_in_what_starts_a_worker(done: tuple[pl.DataFrame, subprocess.CompletedProcess[str]]) -> None:
    attributes = done[0].get_column("attributes")
    assert attributes.str.contains("raytrace.call_site", literal=True).any()
    assert not attributes.str.contains("default_worker.py", literal=True).any()


def test_the_hook_says_nothing(done: tuple[pl.DataFrame, subprocess.CompletedProcess[str]]) -> None:
    assert "raytrace" not in done[1].stderr


def test_steps_are_marked_and_without_tracing_nothing(
    done: tuple[pl.DataFrame, subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    (about,) = attributes(done[0].filter(pl.col("name") == "step"))
    assert about["raytrace.step"] == 7
    assert "libraries_alone.py" in str(about["raytrace.call_site"])
    code = "import raytrace_hook, sys\nwith raytrace_hook.step(1): pass\nprint('opentelemetry' in sys.modules)"
    alone = run(tmp_path / "none", ["-c", code])
    assert (alone.stdout, alone.stderr) == ("False\n", "")
    assert not (tmp_path / "none").exists()
