"""The benchmark suite at its smallest size: its results are right, whatever the time they took."""

from pathlib import Path

import polars as pl
import pytest

import raytrace_analyze as rt
from benchmarks.generate import FORMATS, write_spans
from benchmarks.results import markdown
from benchmarks.shapes import Size
from benchmarks.suite import Case, analyses, ingest

SPANS = 1_020


@pytest.mark.parametrize("format", FORMATS)
def test_generated_files_are_whole_programs(format: str, tmp_path: Path) -> None:
    assert write_spans(tmp_path, Size(SPANS, processes=9, jobs=2), format) in (SPANS, SPANS - 133)
    found = rt.load([tmp_path])
    assert not found.report.problems
    assert found.report.jobs == 2
    runs = found.spans.filter(pl.col("category") == "task")
    assert runs.height == 377
    submits = found.spans.filter(pl.col("category") == "submit")
    assert runs.join(submits, left_on="parent_id", right_on="span_id", how="semi").height == runs.height
    if format != "stock":
        assert found.report.spans == SPANS
        assert rt.critical_path(found.spans).parallelism > 0.1


def test_the_suite_finds_right_results_of_merging(tmp_path: Path) -> None:
    rows = ingest(Case(2_000, tmp_path, 1))
    assert {row.peer for row in rows} >= {"DuckDB", "pandas"}


@pytest.mark.slow
def test_the_suite_finds_right_results(tmp_path: Path) -> None:
    case = Case(2_000, tmp_path, 1)
    rows = [*ingest(case), *analyses(case)]
    page = markdown(rows, "tiny")
    assert {row.peer for row in rows} >= {"DuckDB", "pandas", "Jaeger's rule in Python", "networkx"}
    assert all(f"| {row.what} | 2,000 |" in page for row in rows)
