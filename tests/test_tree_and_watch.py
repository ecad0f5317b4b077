"""A trace as a tree, and a job while it runs."""

import io
import json
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.console import Console
from typer.testing import CliRunner

import raytrace_analyze as rt
from raytrace_analyze.cli import app
from raytrace_analyze.commands.look import watch as command
from raytrace_analyze.errors import NoSpansError
from tests.tables import run, span, submit, table
from tests.test_hang import two_that_wait_for_each_other

CAPTURES = Path(__file__).parent.parent / "sample_spans"


@pytest.fixture(scope="module", params=["failures-ours", "nested-doc", "actor_pipeline-doc-old"])
def spans(request: pytest.FixtureRequest) -> pl.DataFrame:
    return rt.read_spans(CAPTURES / request.param / "spans")


def test_a_tree_has_each_span_once_below_its_parent(spans: pl.DataFrame) -> None:
    tree = rt.trace_tree(spans).spans
    only = spans.filter(~pl.col("from_events"))
    assert sorted(tree["span_id"]) == sorted(only["span_id"])
    above: list[dict[str, Any]] = []
    known = set(tree["span_id"])
    for row in tree.iter_rows(named=True):
        del above[row["depth"] :]
        parent = row["parent_id"] if row["parent_id"] in known else None
        assert (above[-1]["span_id"] if above else None) == parent
        above.append(row)


def test_siblings_are_in_order_of_their_starts(spans: pl.DataFrame) -> None:
    tree = rt.trace_tree(spans).spans
    ordered = tree.with_columns(before=pl.col("start_ns").shift(1).over("parent_id", "trace_id"))
    below = ordered.filter(pl.col("parent_id").is_in(tree["span_id"].implode()))
    assert below.filter(pl.col("before") > pl.col("start_ns")).is_empty()


def test_what_is_on_the_path_is_marked_and_adds_up(spans: pl.DataFrame) -> None:
    found = rt.trace_tree(spans)
    of_spans = found.path.segments.filter(pl.col("span_id").is_not_null())
    assert found.spans["path_ns"].sum() == of_spans["duration_ns"].sum()
    assert set(found.spans.filter(pl.col("path_ns") > 0)["span_id"]) == set(of_spans["span_id"])


def test_a_trace_of_several_is_a_tree_of_its_own() -> None:
    #  t: a |--------|        u: b |----|
    #        c |--|
    both = table(span("a", 0, 9), span("c", 1, 4, "a"), span("b", 20, 25, trace_id="u"))
    assert rt.trace_tree(both, trace="u").spans["span_id"].to_list() == ["b"]
    assert rt.trace_tree(both, trace="t").spans.select("span_id", "depth").rows() == [("a", 0), ("c", 1)]
    assert rt.trace_tree(both).spans["span_id"].to_list() == ["a", "c", "b"]
    with pytest.raises(rt.UsageError, match="no trace 'x'"):
        rt.trace_tree(both, trace="x")


def test_a_deep_chain_and_a_wide_root_are_trees_too() -> None:
    deep = table(*(span(f"s{number}", number, 5000, f"s{number - 1}" if number else None) for number in range(500)))
    assert rt.trace_tree(deep).spans["depth"].to_list() == list(range(500))
    wide = table(span("r", 0, 5000), *(span(f"s{number}", number, 5000, "r") for number in range(500)))
    assert rt.trace_tree(wide).spans["span_id"].to_list()[:3] == ["r", "s0", "s1"]


def test_a_large_tree_shows_the_path_and_what_is_above_it() -> None:
    nested = str(CAPTURES / "nested-ours" / "spans")
    done = CliRunner().invoke(app, ["tree", nested, "--top", "3"], env={"COLUMNS": "120"})
    lines = done.stdout.splitlines()
    assert done.exit_code == 0
    assert "ray.driver" in lines[2]
    assert "more spans; --top" in done.stdout
    assert all(line.startswith("*") for line in lines[2:5])
    whole = CliRunner().invoke(app, ["tree", str(CAPTURES / "nested-ours" / "spans"), "-f", "json"])
    assert len(json.loads(whole.stdout)["spans"]) == rt.read_spans(CAPTURES / "nested-ours" / "spans").height


def test_what_runs_is_told_with_what_it_is_in() -> None:
    found = rt.running(two_that_wait_for_each_other())
    assert not found.has_ended
    told = found.runs.select("function", "within").rows()
    assert told == [("(driver)", "ray.get"), ("A.ask", "ray.get"), ("B.ask", "ray.get")]
    assert found.waits.is_hung
    assert found.last_ns == 13
    assert found.path.makespan_ns == 13


def test_what_has_ended_runs_no_more_and_the_latest_job_is_shown() -> None:
    spans = table(
        *(span("d", 0, 50, category="driver"), submit("s", 1, 2, "d"), run("r", 3, 40, "s")),
        *(span("e", 60, None, job_id="02", trace_id="u"), submit("p", 61, 62, "e", job_id="02", trace_id="u")),
        run("q", 63, None, "p", job_id="02", trace_id="u"),
    )
    found = rt.running(spans)
    assert found.path.scope.id == "02"
    assert found.runs["span_id"].to_list() == ["q"]
    assert rt.running(spans, job="01").has_ended


@pytest.mark.parametrize("form", ["table", "json", "csv"])
def test_watch_looks_once(form: str, tmp_path: Path) -> None:
    rt.write_table(two_that_wait_for_each_other(), tmp_path / "t.parquet")
    done = CliRunner().invoke(app, ["watch", str(tmp_path), "--once", "--format", form])
    assert done.exit_code == 0, done.output
    assert "A.ask" in done.stdout
    if form == "table":
        assert "they wait for each other" in done.stdout
        assert "has run for 13 ns" in done.stdout
    nowhere = CliRunner().invoke(app, ["watch", str(tmp_path / "nothing"), "--once"])
    assert isinstance(nowhere.exception, rt.UsageError)
    (tmp_path / "empty").mkdir()
    assert isinstance(CliRunner().invoke(app, ["watch", str(tmp_path / "empty"), "--once"]).exception, NoSpansError)


def test_watch_follows_the_files_until_the_job_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100)
    monkeypatch.setattr("raytrace_analyze.views.screen.console.output", lambda: console)
    looks = []

    def grow() -> None:
        until_shown("Waiting for spans")
        rt.write_table(two_that_wait_for_each_other(), tmp_path / "t.parquet")
        until_shown("What runs")
        (tmp_path / "t.parquet").unlink()
        shutil.copytree(CAPTURES / "map_reduce-ours" / "spans", tmp_path / "spans")

    def until_shown(text: str) -> None:
        for _ in range(600):
            if text in screen.getvalue():
                looks.append(text)
                return
            time.sleep(0.05)

    grower = threading.Thread(target=grow)
    grower.start()
    command._look_on(tmp_path, None, 10, 0.05)
    grower.join()
    assert looks == ["Waiting for spans", "What runs"]
    assert "Nothing runs any more" in screen.getvalue()
