"""Real Ray runs, captured with every hook: the path is the chain that was measured inside the tasks."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from raytrace_analyze import critical_path, jobs, latency_stats, read_spans, span_graph

SAMPLES = Path(__file__).parent.parent / "sample_spans"
CAPTURES = sorted(path.parent.name for path in SAMPLES.glob("*/truth.json"))


def truth(capture: str) -> dict[str, Any]:
    return json.loads((SAMPLES / capture / "truth.json").read_text())


@pytest.fixture(scope="module", params=CAPTURES)
def capture(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def spans(capture: str) -> pl.DataFrame:
    return read_spans(SAMPLES / capture / "spans")


def test_there_are_captures_of_every_hook_and_of_five_programs() -> None:
    programs, hooks = zip(*(name.split("-", 1) for name in CAPTURES), strict=True)
    assert set(hooks) == {"ours", "stock", "doc", "doc-old"}
    assert len(set(programs)) >= 5


def test_the_path_names_what_decided_the_time(capture: str, spans: pl.DataFrame) -> None:
    path = critical_path(spans)
    on_path = set(path.segments["span_id"])
    must_name = {body["span_id"] for body in truth(capture)["must_name"]}
    assert must_name <= on_path


def test_the_path_is_the_measured_chain_in_its_order(capture: str, spans: pl.DataFrame) -> None:
    path = critical_path(spans)
    # A span that was killed left no record with Ray's own hook: what is not there cannot be on the path.
    there = set(spans["span_id"])
    expected = [b["span_id"] for b in truth(capture)["measured_chain"]["bodies"] if b["span_id"] in there]
    on_path = path.segments.filter(category="self").unique("span_id", maintain_order=True)["span_id"].to_list()
    missing = [span_id for span_id in expected if span_id not in on_path]
    assert missing == []


def test_segments_tile_the_makespan(spans: pl.DataFrame) -> None:
    for queues in ("follow", "show"):
        for infer in (True, False):
            path = critical_path(spans, queues=queues, infer=infer)
            segments = path.segments
            assert segments["duration_ns"].sum() == path.makespan_ns
            assert segments["start_ns"].to_list()[1:] == segments["end_ns"].to_list()[:-1]
            assert (segments["start_ns"][0], segments["end_ns"][-1]) == (path.start_ns, path.end_ns)
            for group in ("function", "category", "node", "actor", "cause"):
                assert path.by(group)["total_ns"].sum() == path.makespan_ns


def test_nothing_is_inferred_where_our_hook_recorded_it(capture: str, spans: pl.DataFrame) -> None:
    inferred = critical_path(spans).segments["inferred"].any()
    assert inferred == (not capture.endswith("-ours"))


def test_every_task_body_lies_within_its_run(capture: str, spans: pl.DataFrame) -> None:
    runs = {row["span_id"]: row for row in spans.filter(category="task").iter_rows(named=True)}
    bodies = [body for body in truth(capture)["task_bodies"] if body["span_id"] in runs]
    assert bodies
    for body in bodies:
        run = runs[body["span_id"]]
        assert run["pid"] == body["pid"]
        if body["end_ns"] is not None and run["end"] is not None:
            assert run["start"].timestamp() * 1e9 <= body["start_ns"] + 1000
            assert run["end"].timestamp() * 1e9 >= body["end_ns"] - 1000


def test_one_job_with_the_runs_that_stats_count(spans: pl.DataFrame) -> None:
    found = jobs(spans)
    assert found.height == 1
    assert found["makespan_ns"][0] == critical_path(spans).makespan_ns
    assert latency_stats(spans)["count"].sum() == found["tasks"][0]


def test_the_graph_has_every_span_and_every_submit(spans: pl.DataFrame) -> None:
    graph = span_graph(spans)
    assert graph.number_of_nodes() == spans.height
    submitted = [(u, v) for u, v, kind in graph.edges(data="type") if kind == "submit"]
    runs = spans.filter(pl.col("category") == "task", pl.col("parent_id").is_in(spans["span_id"].implode()))
    assert len(submitted) == runs.height


def test_all_captures_in_one_folder_stay_as_many_jobs() -> None:
    together = read_spans(SAMPLES)
    of_events = read_spans(SAMPLES / "events")
    assert jobs(together).height == len(CAPTURES) + jobs(of_events).height
    for capture in CAPTURES:
        alone = critical_path(read_spans(SAMPLES / capture / "spans"))
        same = critical_path(together, job=f"{alone.scope.session}/{alone.scope.id}")
        assert same.segments.equals(alone.segments)
