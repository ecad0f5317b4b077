"""Programs with Ray Data and Ray Serve whose bottleneck is built in: it is named, and results stay as they are."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest

import raytrace_analyze as rt

from .reader import free_port, run_program

pytest.importorskip("pyarrow", reason="Ray Data is not installed")
pytest.importorskip("pandas", reason="Ray Data is not installed")
pytest.importorskip("fastapi", reason="Ray Serve is not installed")
pytestmark = [pytest.mark.ray, pytest.mark.slow]

PARTS = ("proxy", "router", "way", "fill", "turn", "load", "handler", "downstream", "back")
HOOK = "raytrace_hook:setup_tracing"
OURS = re.compile(r"raytrace|OpenTelemetry|TracerProvider|opentelemetry", re.IGNORECASE)
BAD = re.compile(r"warning|error|exception|traceback", re.IGNORECASE)


class Told(NamedTuple):
    """A run: what the program said is true, and what the tables say."""

    truth: dict[str, Any]
    spans: pl.DataFrame
    table: pl.DataFrame


def complaints(session: Path) -> list[str]:
    """The lines of a session's logs in which something of ours warns or fails."""
    return [
        f"{file.name}: {line}"
        for file in sorted((session / "logs").rglob("*"))
        if file.is_file() and file.suffix in (".log", ".err", ".out")
        for line in file.read_text("utf-8", "replace").splitlines()
        if OURS.search(line) and BAD.search(line) and "runtime_env" not in line
    ]


def truth_of(output: str) -> dict[str, Any]:
    (line,) = (line for line in output.splitlines() if line.startswith("{"))
    return json.loads(line)


@pytest.fixture(scope="module")
def piping(tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("piping")
    run = run_program("piping.py", folder / "spans", str(folder), HOOK)
    assert run.output.endswith("\ndone\n"), run.errors
    spans = rt.read_spans(folder / "spans")
    return Told(truth_of(run.output), spans, rt.data(spans))


@pytest.fixture(scope="module")
def requesting(tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("requesting")
    run = run_program("requesting.py", folder, str(free_port()), HOOK, RAY_SERVE_TRACING_SAMPLING_RATIO="1")
    assert run.output.endswith("\ndone\n"), run.errors
    spans = rt.read_spans(folder)
    return Told(truth_of(run.output), spans, rt.serve(spans))


def execution(told: Told, name: str) -> pl.DataFrame:
    """The longest execution of a dataset while this part of the program ran."""
    part = told.truth["parts"][name]
    within = pl.col("start_ns").is_between(part["began_ns"], part["ended_ns"])
    found = told.table.filter(within)
    longest = found.sort("took_ns", descending=True).get_column("execution")[0]
    return found.filter(pl.col("execution") == longest)


@pytest.mark.parametrize(
    ("part", "named"),
    [("slow_map", "slow"), ("slow_read", "Read"), ("pool", "Model"), ("consumer", "driver"), ("skew", "slow_group")],
)
def test_what_limits_a_pipeline_is_named(piping: Told, part: str, named: str) -> None:
    found = execution(piping, part)
    (limit,) = found.filter("limits").get_column("operator")
    assert named in limit, found.select("operator", "path_share", "limits")


def test_rows_and_tasks_are_those_of_ray_datas_own_statistics(piping: Told) -> None:
    stats = piping.truth["parts"]["slow_map"]["stats"]
    stats = next(part for part in stats.split("Operator ")[1:] if "slow" in part.partition(":")[0])
    operator, tasks = re.search(r"\d+ (.+): (\d+) tasks executed", stats).groups()
    rows = int(re.search(r"Output num rows per block: .* (\d+) total", stats)[1])
    (told,) = execution(piping, "slow_map").filter(pl.col("operator") == operator).to_dicts()
    assert (told["tasks"], told["rows_out"]) == (int(tasks), rows)
    assert told["rows_out"] == piping.truth["parts"]["slow_map"]["rows"] == 80
    wall, unit = re.search(r"Remote wall time: .* ([\d.]+)(ms|s|us) total", stats).groups()
    # The tasks' runs have Ray's own work for them, too.
    assert 8 * 0.15 <= float(wall) * {"s": 1, "ms": 1e-3, "us": 1e-6}[unit] <= told["busy_ns"] / 1e9
    assert told["outcome"] == "finished"


def test_an_actor_pool_has_its_start(piping: Told) -> None:
    (pool,) = execution(piping, "pool").filter(pl.col("actors") > 0).to_dicts()
    assert "Model" in pool["operator"]
    assert pool["actors"] == 1 and pool["actor_start_ns"] > 0


def test_the_pipelines_compute_what_they_compute_without_the_hook(piping: Told) -> None:
    parts = piping.truth["parts"]
    assert [parts[name]["rows"] for name in ("slow_map", "slow_read", "pool", "consumer", "skew")] == [
        80,
        80,
        80,
        80,
        4,
    ]
    assert parts["skew"]["groups"] == [20] * 4


def test_ray_datas_session_has_no_complaint_of_the_hook(piping: Told) -> None:
    assert complaints(Path(piping.truth["session"])) == []


def row(told: Told, deployment: str, method: str = "__call__") -> dict[str, Any]:
    (found,) = told.table.filter(pl.col("deployment") == deployment, pl.col("method") == method).to_dicts()
    return found


@pytest.mark.parametrize(
    ("deployment", "most"),
    [
        ("Slow", "router"),
        ("Front", "downstream"),
        ("Batching", "handler"),
        ("Streaming", "handler"),
        ("Models", "load"),
    ],
)
def test_where_the_time_of_requests_goes_is_told(requesting: Told, deployment: str, most: str) -> None:
    parts = {part: row(requesting, deployment)[f"{part}_mean_ns"] or 0 for part in PARTS}
    assert max(parts, key=lambda part: parts[part]) == most, parts


@pytest.mark.parametrize(
    ("name", "deployment"), [("queue", "Slow"), ("compose", "Front"), ("batch", "Batching"), ("stream", "Streaming")]
)
def test_latencies_are_those_that_clients_measured(requesting: Told, name: str, deployment: str) -> None:
    measured = sorted(requesting.truth["applications"][name]["latency_ns"])
    told = row(requesting, deployment)
    assert told["requests"] == len(measured)
    mean = sum(measured) / len(measured)
    assert told["total_mean_ns"] <= mean
    assert told["total_mean_ns"] >= 0.5 * mean
    assert sum(told[f"{part}_mean_ns"] or 0 for part in PARTS) == pytest.approx(told["total_mean_ns"], rel=0.02)


def test_failed_requests_count_and_their_answers_are_the_programs(requesting: Told) -> None:
    answers = requesting.truth["applications"]["compose"]["answers"]
    assert [answer for answer in answers if answer != 500] == [i for i in range(16) if i != 6]
    assert row(requesting, "Front")["errors"] == 1
    assert requesting.truth["applications"]["queue"]["answers"] == list(range(8))
    assert row(requesting, "Slow")["errors"] == 0
    assert row(requesting, "Slow")["sends"] >= 1
    assert row(requesting, "Slow")["replicas"] == 1


def test_the_path_of_a_request_goes_through_its_handler(requesting: Told) -> None:
    paths = rt.critical_paths(requesting.spans, scopes="requests")
    slow = paths.filter(pl.col("function").is_in(["Slow.__call__"])).get_column("scope").unique()
    assert slow.len() == 8
    aggregates = rt.path_aggregates(requesting.spans, scopes="requests", by="function")
    assert aggregates.filter(pl.col("function") == "Back.infer").get_column("scopes").item() >= 14
    one = rt.critical_path(requesting.spans, request=slow[0])
    assert one.scope.kind == "request"
    assert one.segments.get_column("inferred").sum() == 0


def test_serves_session_has_no_complaint_of_the_hook(requesting: Told) -> None:
    assert complaints(Path(requesting.truth["session"])) == []
