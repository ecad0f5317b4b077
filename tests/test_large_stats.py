"""Of a large table `stats` reads only what tells of runs, and says the same as of all of it."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

import raytrace_analyze as rt
from raytrace_analyze.analyses.latency import large
from raytrace_analyze.analyses.latency.large import stats_of_large
from raytrace_analyze.cli import app
from raytrace_analyze.ingest.loading import find, load_found
from raytrace_analyze.table.runs import run_columns
from raytrace_analyze.vocabulary.groups import LatencyGroup
from tests.random_spans import random_table
from tests.simulator import simulate
from tests.sizes import counted, first
from tests.tables import run, span, submit, table, wait

SAMPLES = Path(__file__).parent.parent / "sample_spans"
NAMES = sorted(folder.parent.name for folder in SAMPLES.glob("*/spans"))
PLACES = ("function", "node", "worker", "actor")


def told_alike(spans: pl.DataFrame, path: Path, groups: Iterable[str] = PLACES, **how: bool) -> int:
    """Compare what is told of a table's file with what is told of all of it; gives in how many groups it was told."""
    rt.write_table(spans, path)
    found = find([path])
    whole, told = load_found(found), 0
    for by in groups:
        part = stats_of_large(found, LatencyGroup(by), least_rows=0, **how)
        if part is not None:
            assert_frame_equal(
                pl.DataFrame(part.stats), pl.DataFrame(rt.latency_stats(whole.spans, by, path=False, **how))
            )
            assert part.evidence == rt.evidence(whole)
            assert part.problems == whole.report.problems
            told += 1
    return told


@pytest.mark.parametrize("name", first(4, NAMES))
def test_captures_are_told_as_from_the_whole_table(name: str, tmp_path: Path) -> None:
    spans = rt.read_spans(SAMPLES / name).drop("duration_ns")
    assert told_alike(spans, tmp_path / "spans.parquet") == len(PLACES)
    assert told_alike(spans, tmp_path / "spans.parquet", ["function"], internals=False, clock_correct=False)


@counted(40, 600)
def test_nonsense_is_told_as_from_the_whole_table_or_not_at_all(count: int, tmp_path: Path) -> None:
    path = tmp_path / "spans.parquet"
    told = 0
    for seed in range(count):
        spans = random_table(seed).filter(pl.col("session").is_not_null())
        if spans.height:
            told += told_alike(spans, path, ["function", "worker"], clock_correct=seed % 2 == 0)
    assert told > count / 4


def test_traces_are_told_apart_wherever_a_table_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("nested-ours", "failures-stock", "map_reduce-stock")
    spans = pl.concat(rt.read_spans(SAMPLES / name).drop("duration_ns") for name in names)
    for rows in (1, 7, 40):
        monkeypatch.setattr(run_columns, "_ROWS", rows)
        assert told_alike(spans, tmp_path / "spans.parquet", ["function"]) == 1


@counted(10, 100)
def test_simulated_programs_are_told_as_from_the_whole_table(count: int, tmp_path: Path) -> None:
    told = [told_alike(simulate(seed).spans, tmp_path / "spans.parquet", ["node"]) for seed in range(count)]
    assert sum(told) > count / 2


def job(host: str, *, early_ns: int = 0) -> list[dict[str, Any]]:
    """A driver on one host that waits for a task on another one, whose clock may be behind."""
    here, there = {"host": "a", "node_id": "na"}, {"host": host, "node_id": f"n{host}"}
    return [
        span("driver", 0, 100, name="ray.driver", **here),
        submit("s", 5, 10, "driver", submitted_task_id="T", **here),
        run("r", 30 - early_ns, 80 - early_ns, "s", "T", **there),
        wait("get", 20, 85, "driver", ["T"], **here),
    ]


@pytest.mark.parametrize(("early_ns", "is_told"), [(0, 1), (26, 0), (-6, 0)])
def test_where_clocks_may_be_off_all_of_the_table_is_read(early_ns: int, is_told: int, tmp_path: Path) -> None:
    spans = table(*job("b", early_ns=early_ns), recorded=True)
    assert told_alike(spans, tmp_path / "spans.parquet", ["function"]) == is_told
    assert told_alike(spans, tmp_path / "spans.parquet", ["function"], clock_correct=False) == 1


def answer(*arguments: str) -> Any:
    done = CliRunner().invoke(app, ["stats", *arguments, "--format", "json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.output)


def test_the_path_of_a_large_table_is_told_where_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "spans.parquet"
    rt.write_table(table(*job("a"), recorded=True), path)
    small, without = answer(str(path)), answer(str(path), "--no-path")
    assert all(row["path_ns"] for row in small["stats"])
    assert [row["path_ns"] for row in without["stats"]] == [None]
    monkeypatch.setattr(large, "WITH_PATH_ROWS", 0)
    assert answer(str(path)) == without
    assert answer(str(path), "--path") == small
    assert "--path tells it" in CliRunner().invoke(app, ["stats", str(path)]).output


def test_the_file_tells_of_each_run_what_sql_would_have_to_look_up(tmp_path: Path) -> None:
    path = tmp_path / "spans.parquet"
    sampled = {"attributes": '{"raytrace.cpu_ns": 7}'}
    rows = [
        submit("s", 5, 10, submitted_task_id="T"),
        run("first", 30, 80, "s", "T", attempt=0, status="ERROR", status_message="lost"),
        run("again", 95, 99, "s", "T", attempt=1, **sampled),
        span("lost", 50, 60, "nowhere"),
    ]
    rt.write_table(table(*rows), path)
    columns = ["span_id", "submit_ns", "queue_ns", "cpu_ns", "is_retried", "is_cancelled", "lacks_parent"]
    assert pl.read_parquet(path).select(columns).sort("span_id").rows() == [
        ("again", None, 15, 7, False, False, False),
        ("first", 5, 20, None, True, False, False),
        ("lost", None, None, None, False, False, True),
        ("s", None, None, None, False, False, False),
    ]


def test_what_another_program_made_of_a_table_is_told_from_its_rows(tmp_path: Path) -> None:
    path, found = tmp_path / "spans.parquet", LatencyGroup.FUNCTION
    rt.write_table(table(*job("a"), recorded=True), path)
    assert stats_of_large(find([path]), found, least_rows=0) is not None
    kept = {key: value for key, value in pl.read_parquet_metadata(path).items() if key.startswith("raytrace.")}
    pl.read_parquet(path).filter(pl.col("category") != "submit").write_parquet(path, metadata=kept)
    assert stats_of_large(find([path]), found, least_rows=0) is None
    rt.write_table(table(*job("a"), recorded=True), path)
    pl.read_parquet(path).drop("queue_ns").write_parquet(path, metadata=kept)
    assert stats_of_large(find([path]), found, least_rows=0) is None
