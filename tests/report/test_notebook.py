"""Results in a notebook: they show themselves, draw, and take what people have at hand in place of a span table."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

import raytrace_analyze as rt
from tests import hostile_spans
from tests.report.test_page import SAMPLES, Elements, hostile_copy

SPANS = SAMPLES / "nested-ours" / "spans"


@pytest.fixture(scope="module")
def trace() -> rt.PreparedTrace:
    return rt.prepare(rt.read_spans(SPANS))


def results(trace: rt.PreparedTrace) -> dict[str, Any]:
    return {
        "CriticalPath": rt.critical_path(trace),
        "Summary": rt.summary(trace),
        "WhatIf": rt.what_if(trace),
        "Hang": rt.hang(trace),
        "ClusterUse": rt.cluster_use(trace),
        "RunDiff": rt.diff(trace, trace),
        "TaskStory": rt.tell_story(trace, str(trace.spans.filter(category="task")["task_id"].drop_nulls()[0])),
    }


def test_every_result_is_short_in_words_and_shows_itself(trace: rt.PreparedTrace) -> None:
    for name, result in results(trace).items():
        assert repr(result).startswith(f"<{name}: ") and len(repr(result)) < 120
        read = Elements(result._repr_html_())
        assert read.elements[0] == ("div", {"class": "raytrace"})
        assert read.text.strip()
        # The style holds for this piece only: a notebook has a page of its own around it.
        assert read.raw["style"].startswith("@scope (.raytrace)") and ":root" not in read.raw["style"]


def test_hostile_names_are_text_in_a_notebook_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trace = rt.prepare(rt.read_spans(hostile_copy(tmp_path, monkeypatch)))
    function = hostile_spans.hostile("__main__.convert")
    assert function in trace.spans["function"].to_list()
    for result in (*results(trace).values(), rt.tell_story(trace, function), rt.critical_path(trace).plot()):
        tags = {tag for tag, _ in Elements(result._repr_html_()).elements}
        assert not tags & {"img", "script"}
        assert "\u202e" not in repr(result) + result._repr_html_()


def test_path_and_latencies_draw(trace: rt.PreparedTrace, tmp_path: Path) -> None:
    path, stats = rt.critical_path(trace), rt.latency_stats(trace)
    assert path.plot()._repr_html_().count("<rect") > path.segments.height / 2
    for drawn in (stats, stats.head(1), rt.latency_stats(trace, by="node")):
        assert "<svg" in drawn.plot()._repr_html_()
    with pytest.raises(rt.UsageError, match="run_p50_ns"):
        rt.LatencyStats(stats.select("function")).plot()
    stats.plot().save(tmp_path / "latencies.html")
    assert (tmp_path / "latencies.html").read_text().startswith("<!DOCTYPE html>")


def test_read_spans_tells_how_long_each_took() -> None:
    spans = rt.read_spans(SPANS)
    assert spans["duration_ns"].to_list() == (spans["end"] - spans["start"]).dt.total_nanoseconds().to_list()


def test_what_people_have_at_hand_does_in_place_of_a_table(trace: rt.PreparedTrace) -> None:
    expected = rt.critical_path(trace)
    spans = rt.read_spans(SPANS)
    for given in (SPANS, str(SPANS), [SPANS], spans.lazy(), spans.to_arrow(), spans.to_pandas()):
        found = rt.critical_path(given)  # type: ignore[arg-type]
        assert found.segments.equals(expected.segments), type(given)
    assert rt.diff(SPANS, [str(SPANS)]).difference_ns == 0  # type: ignore[arg-type, list-item]
    assert rt.clock_offsets(SPANS).height == rt.clock_offsets(trace).height  # type: ignore[arg-type]


@pytest.mark.parametrize("given", [3, None, {"a": 1}, [], [1], pl.DataFrame({"a": [1]})])
def test_anything_else_is_told_what_to_pass(given: Any) -> None:
    with pytest.raises(rt.UsageError, match="read_spans"):
        rt.critical_path(given)


def test_the_package_shows_what_is_its_own() -> None:
    assert rt.__version__
    public = [name for name in dir(rt) if not name.startswith("_")]
    assert public == sorted(name for name in rt.__all__)
