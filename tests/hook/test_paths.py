"""The proof of the whole: real programs whose blocking chain is known, read and analysed, nothing inferred."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import raytrace_analyze as rt

from .reader import PROGRAMS, Run, environment, run_program
from .test_clusters import cluster

pytestmark = pytest.mark.ray
NOTICEABLE_NS = 50_000_000
"""The programs' steps take at least twice as long, what Ray does between them less."""


@dataclass
class Analysed:
    """What a program left, merged, and what it says itself that it waited for."""

    merged: rt.Ingested
    truth: dict[str, list[list[Any]]]

    @property
    def spans(self) -> pl.DataFrame:
        return self.merged.spans

    def path(self, job: str | None = None) -> rt.CriticalPath:
        return rt.critical_path(self.spans, self.merged.task_events, job=job)

    def runs(self, function: str) -> pl.DataFrame:
        return self.spans.filter(category="task", function=function).sort("start")

    def chain(self, case: str, job: str | None = None) -> list[list[Any]]:
        """Return the runs that the path spends noticeable time in during a case, as [task id, attempt]."""
        times = pl.col("start", "end").to_physical()
        ((start, end),) = self.spans.filter(name=f"case {case}").select(times).rows()
        runs = self.spans.filter(category="task").select("trace_id", "span_id", "attempt")
        # What a run waits for outside Ray, like a sleep of its coroutine, is time of its own as well.
        waits = self.spans.filter(category="wait").select("trace_id", "span_id", run_id="parent_id")
        during = (
            self.path(job)
            .segments.filter(
                pl.col("start_ns") >= start,
                pl.col("end_ns") <= end,
                pl.col("duration_ns") >= NOTICEABLE_NS,
                pl.col("category").is_in(["self", "wait"]),
            )
            .join(waits, on=["trace_id", "span_id"], how="left")
            .with_columns(span_id=pl.coalesce("run_id", "span_id"))
            .join(runs, on=["trace_id", "span_id"])
            .sort("start_ns")
        )
        chain = [[task, attempt] for task, attempt in during.select("task_id", "attempt").iter_rows()]
        return [one for before, one in zip([None, *chain], chain, strict=False) if one != before]


@pytest.fixture(scope="module")
def analysed(tmp_path_factory: pytest.TempPathFactory) -> Analysed:
    spans, scratch = tmp_path_factory.mktemp("spans"), tmp_path_factory.mktemp("scratch")
    return read(run_program("blocking.py", spans, "all", str(scratch)))


def read(run: Run) -> Analysed:
    assert run.code == 0, run.errors
    return Analysed(rt.load([run.directory]), truth_in(run.output))


def truth_in(output: str) -> dict[str, list[list[Any]]]:
    (told,) = (line for line in output.splitlines() if line.startswith('{"truth": '))
    return dict(json.loads(told)["truth"])


@pytest.mark.parametrize(
    "case",
    [
        "map-reduce",
        "back-pressure",
        "nested gets",
        "async actor",
        "generator",
        "generator method",
        "retry",
        "restart",
        "cancel",
    ],
)
def test_the_path_is_what_the_program_waited_for(analysed: Analysed, case: str) -> None:
    assert analysed.chain(case) == analysed.truth[case]


def test_nothing_is_inferred_and_nothing_left_out(analysed: Analysed) -> None:
    path = analysed.path()
    segments = path.segments
    assert not segments["inferred"].any()
    assert segments["duration_ns"].sum() == path.makespan_ns
    assert segments["start_ns"][1:].to_list() == segments["end_ns"][:-1].to_list()
    assert path.notes == ()
    assert analysed.merged.report.problems == ()
    driver = analysed.spans.filter(category="driver")
    assert (path.start_ns, path.end_ns) == driver.select(pl.col("start", "end").to_physical()).row(0)


def test_every_row_says_whose_it_is(analysed: Analysed) -> None:
    spans = analysed.spans
    assert spans["session"].n_unique() == spans["trace_id"].n_unique() == 1
    assert spans["job_id"].to_list() == ["01000000"] * spans.height
    assert spans["records_waits"].all()
    for column in ("host", "pid", "node_id", "worker_id"):
        assert spans[column].null_count() == 0, column
    tasks = spans.filter(category="task")
    for column in ("task_id", "attempt", "function"):
        assert tasks[column].null_count() == 0, column
    assert tasks.select("task_id", "attempt").n_unique() == tasks.height
    submits = spans.filter(category="submit")
    assert set(tasks["task_id"]) == set(submits["submitted_task_id"])
    assert submits["dependency_task_ids"].null_count() == 0


def test_a_killed_attempt_has_the_end_and_the_error_that_ray_tells(analysed: Analysed) -> None:
    for function in ("__main__.killed", "Phoenix.die_once"):
        killed, survived = analysed.runs(function).iter_rows(named=True)
        assert (killed["attempt"], survived["attempt"]) == (0, 1)
        assert (killed["status"], survived["status"]) == ("ERROR", "UNSET")
        assert killed["parent_id"] == survived["parent_id"]
        assert killed["source"].endswith(".open")
        assert (killed["end"] - killed["start"]).total_seconds() > 0.3
        assert killed["end"] < survived["start"]
    assert analysed.runs("__main__.killed")["status_message"][0].startswith("WORKER_DIED")
    assert analysed.merged.report.in_flight == 0


def test_a_cancelled_run_says_so(analysed: Analysed) -> None:
    (attributes,) = analysed.runs("__main__.endless")["attributes"]
    assert json.loads(attributes)["raytrace.cancelled"] is True


def test_each_wait_of_a_loop_names_what_was_ready(analysed: Analysed) -> None:
    waits = analysed.spans.filter(name="ray.wait").sort("start")
    assert waits["category"].unique().to_list() == ["wait"]
    ready = waits["ready_task_ids"].to_list()
    expected = [[task] for task, _ in analysed.truth["back-pressure"]]
    assert [one for one in ready if one in expected] == expected
    assert [len(one) for one in ready] == [1] * 4


def test_two_drivers_on_one_cluster_are_two_jobs(tmp_path: Path) -> None:
    seconds = {"0.4", "0.8"}
    with cluster(tmp_path, "--num-cpus=2", "--tracing-startup-hook", "raytrace_hook:setup_tracing") as address:
        command = [sys.executable, str(PROGRAMS / "blocking.py"), "join", address]
        drivers = [
            subprocess.Popen([*command, each], env=environment(tmp_path), stdout=subprocess.PIPE, text=True)
            for each in seconds
        ]
        outputs = [driver.communicate(timeout=90)[0] for driver in drivers]
    merged = rt.load([tmp_path])
    assert merged.report.sessions == 1
    jobs = merged.spans["job_id"].unique().to_list()
    assert len(jobs) == 2
    truths = [truth_in(output) for output in outputs]
    for truth in truths:
        (job,) = {task[-8:] for task, _ in truth["joined"]}
        spans = merged.spans.filter(job_id=job)
        alone = Analysed(rt.Ingested(spans, merged.report), truth)
        assert alone.chain("joined") == truth["joined"]
        path = rt.critical_path(merged.spans, merged.task_events, job=job)
        assert not path.segments["inferred"].any()
        others = merged.spans.filter(pl.col("job_id") != job)
        assert set(path.segments["span_id"]).isdisjoint(others["span_id"])


@pytest.mark.slow
def test_two_inits_of_one_process_are_two_sessions(tmp_path: Path) -> None:
    analysed = read(run_program("blocking.py", tmp_path, "twice"))
    assert analysed.truth["first"] != []
    assert analysed.merged.report.sessions == 2
    assert analysed.spans["job_id"].unique().to_list() == ["01000000"]
    for case in ("first", "second"):
        (session,) = analysed.spans.filter(name=f"case {case}")["session"]
        job = f"{session}/01000000"
        assert analysed.chain(case, job) == analysed.truth[case]
        assert not analysed.path(job).segments["inferred"].any()
        assert analysed.spans.filter(session=session, category="driver").height == 1


def test_a_driver_that_is_killed_while_it_hangs_took_as_long_as_it_lived(tmp_path: Path) -> None:
    command = [sys.executable, str(PROGRAMS / "ending.py"), "hang"]
    driver = subprocess.Popen(command, env=environment(tmp_path), stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    assert any(line == "hangs\n" for line in driver.stdout)
    time.sleep(4)
    driver.kill()
    driver.communicate(timeout=30)
    merged = rt.load([tmp_path])
    open_rows = merged.spans.filter(pl.col("end").is_null()).sort("start")
    assert set(open_rows["name"]) == {"ray.driver", "ray.get", "__main__.sleep ray.remote_worker"}
    (driver_span,) = open_rows.filter(name="ray.driver")["attributes"]
    assert '"CPU' in driver_span.partition('"raytrace.cluster_resources"')[2]
    path = rt.critical_path(merged.spans, merged.task_events)
    (get,) = open_rows.filter(name="ray.get").select("span_id", pl.col("start").to_physical()).rows(named=True)
    last = path.segments.row(-1, named=True)
    # The get is known to wait for the run that hangs, so the path leads there.
    (hung,) = open_rows.filter(name="__main__.sleep ray.remote_worker")["span_id"]
    assert last["span_id"] in (get["span_id"], hung)
    assert hung in path.segments["span_id"].to_list()
    assert last["in_flight"] and not last["inferred"]
    assert 2.5 < (last["end_ns"] - get["start"]) / 1e9 < 6
    assert path.end_ns == last["end_ns"]
    command = [sys.executable, "-m", "raytrace_analyze", "critical-path", str(tmp_path)]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert re.search(r"sleep is idle in time\.sleep at .*ending\.py:\d+, never ended", " ".join(told.split()))
