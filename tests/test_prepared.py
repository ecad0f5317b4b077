"""A prepared trace gives what the table gives, and a table what the raw files give, whichever way it came."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from typer.testing import CliRunner

import raytrace_analyze as rt
from raytrace_analyze.cli import app
from raytrace_analyze.command_line.traced import merge_and_show
from raytrace_analyze.path import one_scope
from raytrace_analyze.replay.job import read_job
from tests.random_spans import random_table
from tests.sizes import first, spread
from tests.tables import run, submit, table, wait

SAMPLES = Path(__file__).parent.parent / "sample_spans"
CAPTURES = sorted(path.parent.name for path in SAMPLES.glob("*/truth.json"))
WITH_EVENTS = sorted(path.parent.name for path in SAMPLES.glob("*-ours/truth.json"))

FRAMES: dict[str, Callable[[Any], pl.DataFrame]] = {
    "critical_path": lambda spans: rt.critical_path(spans).segments,
    "critical_paths": rt.critical_paths,
    "of traces": lambda spans: rt.critical_paths(spans, scopes="traces"),
    "path_aggregates": rt.path_aggregates,
    "queue_causes": rt.queue_causes,
    "latency_stats": rt.latency_stats,
    "jobs": rt.jobs,
    "traces": rt.traces,
    "slack": rt.slack,
    "what_if": lambda spans: rt.what_if(spans).functions,
    "a change": lambda spans: rt.what_if(spans, remove_queue=True).changed,
    "advise": rt.advise,
    "diff": lambda spans: rt.diff(spans, spans).parts,
    "clock_offsets": rt.clock_offsets,
    "evidence": lambda spans: pl.DataFrame([repr(rt.evidence(spans))]),
    "hang": lambda spans: rt.hang(spans).waits,
    "tell_story": lambda spans: rt.tell_story(spans, _some_task(spans)).steps,
    "span_graph": lambda spans: pl.DataFrame(
        sorted((source, target, kind) for source, target, kind in rt.span_graph(spans).edges(data="type")),
        schema=["source", "target", "type"],
        orient="row",
    ),
}


def _some_task(spans: Any) -> str:
    frame = spans if isinstance(spans, pl.DataFrame) else spans.table
    return str(frame.filter(category="task").get_column("span_id").sort()[0])


@pytest.mark.parametrize("capture", spread(3, CAPTURES))
def test_each_analysis_gives_the_same_of_files_table_and_prepared_trace(capture: str, tmp_path: Path) -> None:
    raw = SAMPLES / capture / "spans"
    found = rt.load([raw])
    rt.write_table(found.spans, tmp_path / "spans.parquet")
    written, prepared = rt.read_spans(tmp_path / "spans.parquet"), rt.prepare(rt.read_spans(raw))
    for name, analysis in FRAMES.items():
        expected = analysis(found.spans)
        assert analysis(written).equals(expected), name
        assert analysis(prepared).equals(expected), name
        assert analysis(prepared).equals(expected), f"{name}, again"


@pytest.mark.parametrize("capture", WITH_EVENTS)
def test_the_library_gives_the_segments_of_the_command(capture: str) -> None:
    """As README has it: `critical_path(read_spans(...))`."""
    raw = SAMPLES / capture / "spans"
    segments = rt.critical_path(rt.read_spans(raw)).segments
    done = CliRunner().invoke(app, ["critical-path", str(raw), "--format", "json"])
    assert json.loads(done.stdout)["segments"] == segments.to_dicts()
    assert "task events" in segments["cause_source"].to_list()


@pytest.mark.parametrize("capture", WITH_EVENTS)
def test_what_record_shows_is_what_the_command_shows(
    capture: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "spans.parquet"
    merge_and_show(SAMPLES / capture / "spans", path)
    shown, said = capfd.readouterr()
    commands = ("summary", "critical-path")
    assert all(f"$ raytrace-analyze {command} {path}" in said.replace("\n", "") for command in commands)
    assert shown == "".join(CliRunner().invoke(app, [command, str(path)]).stdout for command in commands)


def test_a_prepared_trace_is_prepared_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    build = one_scope.prepare.__globals__["build_corrected"]

    def counted(*arguments: Any, **options: Any) -> Any:
        calls.append(1)
        return build(*arguments, **options)

    monkeypatch.setitem(one_scope.prepare.__globals__, "build_corrected", counted)
    prepared = rt.prepare(rt.read_spans(SAMPLES / "map_reduce-ours" / "spans"))
    for analysis in (rt.critical_path, rt.jobs, rt.latency_stats, rt.slack, rt.what_if, rt.advise, rt.queue_causes):
        analysis(prepared)
    assert len(calls) == 1


def test_events_given_to_a_prepared_trace_are_put_into_it() -> None:
    found = rt.load([SAMPLES / "failures-ours" / "spans"])
    bare = found.spans.filter(~pl.col("from_events")).drop([name for name in found.spans.columns if "state_" in name])
    with_events = rt.critical_path(rt.prepare(bare), found.task_events).segments
    assert with_events.equals(rt.critical_path(found.spans).segments)
    assert not with_events.equals(rt.critical_path(bare).segments)


def test_an_empty_table_is_refused() -> None:
    prepared = rt.prepare(table(run("r", 0, 1, None, "A")).clear())
    for analysis in (rt.critical_path, rt.queue_causes, rt.path_aggregates, rt.what_if):
        with pytest.raises(rt.NoSpansError, match="no spans to analyse"):
            analysis(prepared)


def test_options_are_given_as_one_or_one_by_one() -> None:
    spans = rt.read_spans(SAMPLES / "map_reduce-stock" / "spans")
    options = rt.PathOptions(queues="show", infer=False)
    one_by_one = rt.critical_path(spans, queues="show", infer=False)
    assert rt.critical_path(spans, options=options).segments.equals(one_by_one.segments)
    assert rt.critical_paths(spans, options=options).equals(rt.critical_paths(spans, queues="show", infer=False))
    with pytest.raises(rt.UsageError, match="not both"):
        rt.critical_path(spans, queues="show", options=options)
    with pytest.raises(rt.UsageError, match="choose one of follow, show"):
        rt.PathOptions(queues="x")


def far_apart() -> pl.DataFrame:
    """A second task starts 200 ms after the first one has ended, unrecorded: in reach of --infer-within 300 only."""
    ms = 1_000_000
    return table(
        submit("s1", 0, ms),
        run("r1", 2 * ms, 100 * ms, "s1", "A"),
        submit("s2", ms, 2 * ms),
        run("r2", 300 * ms, 400 * ms, "s2", "B"),
    )


def test_how_far_inference_reaches_holds_for_slack_too() -> None:
    spans = far_apart()
    near, far = rt.slack(spans), rt.slack(spans, infer_within_ns=300_000_000)
    assert near.filter(span_id="r1")["slack_ns"].item() > 0
    assert far.filter(span_id="r1")["slack_ns"].item() == 0
    path = rt.tell_story(spans, "r1")
    assert path.other_runs == 0


def test_infer_within_reaches_near(tmp_path: Path) -> None:
    rt.write_table(far_apart(), tmp_path / "spans.parquet")
    asked = ["critical-path", str(tmp_path / "spans.parquet"), "--near", "100%", "--format", "json"]
    near = [
        json.loads(CliRunner().invoke(app, [*asked, *more]).stdout)["near"] for more in ((), ("--infer-within", "300"))
    ]
    assert [len(chains) for chains in near] == [1, 0]


def attempts_by_task_id() -> pl.DataFrame:
    """Two attempts of task A, of which only the first still has its submit."""
    return table(
        submit("s", 0, 1, submitted_task_id="A", dependency_task_ids=[]),
        run("a0", 2, 10, "s", "A", attempt=0, status="ERROR"),
        run("a1", 15, 30, "gone", "A", attempt=1),
        wait("w", 1, 31, None, ["A"]),
        recorded=True,
    )


def test_attempts_are_told_by_submit_or_task_id_everywhere() -> None:
    spans = attempts_by_task_id()
    graph = rt.span_graph(spans)
    assert graph.edges["a0", "a1"]["type"] == "attempt"
    runs = rt.prepare(spans).runs
    assert np.unique(runs.same_task[runs.structure.is_run]).size == 1
    steps = rt.tell_story(spans, "a1").steps
    assert steps.filter(step="run")["span_id"].to_list() == ["a0", "a1"]


def test_the_segments_know_their_spans_and_ancestors() -> None:
    path = rt.critical_path(rt.read_spans(SAMPLES / "nested-ours" / "spans"))
    ids = path.spans["span_id"]
    assert [None if row < 0 else ids[row] for row in path.rows.tolist()] == path.segments["span_id"].to_list()
    parent_of = dict(zip(ids, path.spans["parent_id"], strict=True))
    for segment in range(path.segments.height):
        above = [ids[row] for row in path.ancestry(segment)]
        assert above[-1:] == [path.segments["span_id"][segment]] or path.segments["span_id"][segment] is None
        assert all(parent_of[child] in (parent, None) for parent, child in pairwise(above))


@pytest.mark.parametrize("seed", first(4, range(20)))
def test_random_spans_give_the_same_either_way(seed: int) -> None:
    spans = random_table(seed)
    prepared = rt.prepare(spans)
    for name in ("critical_path", "queue_causes", "latency_stats", "jobs", "traces"):
        assert FRAMES[name](prepared).equals(FRAMES[name](spans)), name


def test_a_job_is_read_of_either() -> None:
    spans = rt.read_spans(SAMPLES / "map_reduce-ours" / "spans")
    assert read_job(spans).makespan_ns == read_job(rt.prepare(spans)).makespan_ns


@pytest.mark.parametrize(
    "given", ["events.jsonl", [1], pl.DataFrame({"other": [1]}), pl.DataFrame({"task_id": [["a"]]})]
)
def test_what_is_no_task_events_is_told(given: Any) -> None:
    spans = rt.read_spans(SAMPLES / "map_reduce-ours" / "spans")
    with pytest.raises(rt.UsageError, match="task events"):
        rt.critical_path(spans, given)
