"""Of a large table commands read the part that is asked about, and say the same as of all of it."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

import raytrace_analyze as rt
from raytrace_analyze.cli import app
from raytrace_analyze.ingest import large_tables
from raytrace_analyze.ingest.loading import find

ROOT = Path(__file__).parent.parent
CAPTURES = ("nested-ours", "failures-stock")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Several clusters' jobs in one table, all with the same job id."""
    path = tmp_path_factory.mktemp("table") / "spans.parquet"
    rt.write_table(rt.read_spans(*(ROOT / "sample_spans" / name / "spans" for name in CAPTURES)), path)
    return path


def answer(table: Path, *arguments: str, before: tuple[str, ...] = ()) -> Any:
    """Run a command on a table; `before` are arguments that come before it."""
    done = CliRunner().invoke(app, [arguments[0], *before, str(table), *arguments[1:], "--format", "json"])
    if done.exit_code:
        return str(done.exception)
    told = json.loads(done.output)
    told.pop("evidence", None)  # what it rests on is what was read
    return told


def assert_same(table: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str, before: tuple[str, ...] = ()) -> None:
    monkeypatch.setattr(large_tables, "LARGE_ROWS", 0)
    part = answer(table, *arguments, before=before)
    monkeypatch.setattr(large_tables, "LARGE_ROWS", 1 << 60)
    assert part == answer(table, *arguments, before=before)


@pytest.mark.parametrize(
    "command",
    [
        "critical-path",
        "summary",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("tree", "what-if", "advise")),
    ],
)
def test_a_job_is_told_as_from_the_whole_table(command: str, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spans = rt.read_spans(table)
    for session in spans.get_column("session").unique():
        assert_same(table, monkeypatch, command, "--job", f"{session}/01000000")


@pytest.mark.parametrize("command", ["critical-path", pytest.param("tree", marks=pytest.mark.slow)])
def test_a_trace_is_told_as_from_the_whole_table(command: str, table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    traces = rt.read_spans(table).group_by("session").agg(pl.col("trace_id").unique().sort().head(1))
    for trace in traces.get_column("trace_id").explode():
        assert_same(table, monkeypatch, command, "--trace", trace[:20])


@pytest.mark.parametrize("scope", [("--job", "01000000"), ("--job", "nothing"), ("--trace", "zz"), ("--trace", "")])
def test_what_is_not_there_or_not_unique_is_told_as_ever(
    scope: tuple[str, str], table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert_same(table, monkeypatch, "critical-path", *scope)


def test_only_the_part_is_read(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_tables, "LARGE_ROWS", 0)
    spans = rt.read_spans(table)
    recorded = spans.filter(records_waits=True).row(0, named=True)
    part = large_tables.load_scope(find(table), trace=recorded["trace_id"])
    assert part is not None and part.spans.get_column("trace_id").unique().to_list() == [recorded["trace_id"]]
    job = large_tables.load_scope(find(table), job=f"{recorded['session']}/{recorded['job_id']}")
    assert job is not None and job.spans.get_column("session").unique().to_list() == [recorded["session"]]
    inferred = spans.filter(pl.col("records_waits").is_null()).row(0, named=True)
    around = large_tables.load_scope(find(table), trace=inferred["trace_id"])
    assert around is not None and around.spans.get_column("trace_id").n_unique() > 1


def test_jobs_and_traces_lie_together_in_the_file(table: Path) -> None:
    rows = pl.read_parquet(table)
    for name in ("session", "trace_id"):
        assert rows.get_column(name).rle().len() == rows.get_column(name).n_unique()
    assert rt.read_spans(table).get_column("start").is_sorted()


@pytest.mark.parametrize("command", ["steps", "why", "diff"])
def test_commands_that_take_a_job_among_others_read_that_job(
    command: str, table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spans = rt.read_spans(table)
    session = spans.get_column("session").unique().sort()[0]
    task = spans.filter(pl.col("category") == "task", pl.col("session") == session).get_column("span_id").sort()[0]
    before = {"why": (task,), "diff": (str(table),)}.get(command, ())
    assert_same(table, monkeypatch, command, "--job", f"{session}/01000000", before=before)


@pytest.mark.parametrize(
    "command",
    [
        ("critical-path",),
        ("critical-path", "--all", "traces", "--by", "cause"),
        ("stats",),
        ("stats", "--by", "node"),
        ("jobs",),
        ("traces",),
        ("summary",),
        ("what-if",),
        ("advise",),
    ],
)
def test_a_table_that_is_read_lean_tells_the_same(
    command: tuple[str, ...], table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = answer(table, *command)
    monkeypatch.setattr(large_tables, "LEAN_ROWS", 0)
    monkeypatch.setattr(large_tables, "_ROWS", 7)
    lean = large_tables.load_lean(find(table))
    assert lean is not None and lean.spans.get_column("links").null_count() == lean.spans.height
    left = [json.loads(text) for text in lean.spans.get_column("attributes")]
    known = {"ray.node_id", "raytrace.submitted_task_id", "raytrace.dependency_task_ids", "raytrace.ready_task_ids"}
    assert any("ray.function" in attributes for attributes in left)
    assert not any(known & attributes.keys() for attributes in left)
    assert answer(table, *command) == whole


@pytest.mark.parametrize("capture", sorted(path.parent.name for path in (ROOT / "sample_spans").glob("*/spans")))
def test_a_path_is_told_the_same_from_a_lean_table(
    capture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "spans.parquet"
    rt.write_table(rt.read_spans(ROOT / "sample_spans" / capture / "spans"), table)

    def shown() -> str:
        return CliRunner().invoke(app, ["critical-path", str(table)]).output

    whole = shown()
    assert "What decided" in whole
    monkeypatch.setattr(large_tables, "LEAN_ROWS", 0)
    monkeypatch.setattr(large_tables, "_ROWS", 7)
    lean = large_tables.load_lean(find(table), for_paths=True)
    assert lean is not None and not lean.spans.get_column("attributes").str.contains("ray.pid").any()
    assert shown() == whole


def test_what_some_parts_alone_have_is_kept(table: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large_tables, "LEAN_ROWS", 0)
    monkeypatch.setattr(large_tables, "_ROWS", 3)
    lean = large_tables.load_lean(find(table))
    assert lean is not None
    whole = rt.read_spans(table).drop("duration_ns", "links", "source", "attributes")
    assert lean.spans.select(whole.columns).equals(whole)
