"""The words of options and columns: each is said once, and any other is refused in the same way everywhere."""

from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import raytrace_analyze as rt
from raytrace_analyze.vocabulary.groups import ONLY_OF_MANY, DiffGroup, LatencyGroup, PathGroup
from raytrace_analyze.vocabulary.options import Queues, Scopes

SPANS = Path(__file__).parent.parent / "sample_spans" / "map_reduce-stock" / "spans"


@pytest.fixture(scope="module")
def spans() -> pl.DataFrame:
    return rt.read_spans(SPANS)


@pytest.mark.parametrize(
    ("ask", "choices"),
    [
        (lambda spans: rt.critical_path(spans).by("x"), [group for group in PathGroup if group not in ONLY_OF_MANY]),
        (lambda spans: rt.path_aggregates(spans, by="x"), PathGroup),
        (lambda spans: rt.latency_stats(spans, by="x"), LatencyGroup),
        (lambda spans: rt.diff(spans, spans).by("x"), DiffGroup),
        (lambda spans: rt.critical_path(spans, queues="x"), Queues),
        (lambda spans: rt.critical_paths(spans, scopes="x"), Scopes),
    ],
)
def test_an_unknown_word_is_refused_with_the_choices(
    spans: pl.DataFrame, ask: Callable[[pl.DataFrame], object], choices: list[str]
) -> None:
    with pytest.raises(rt.UsageError) as raised:
        ask(spans)
    assert str(raised.value).startswith("there is no ")
    assert str(raised.value).endswith(f"'x'; choose one of {', '.join(choices)}")


@pytest.mark.parametrize("group", [group for group in PathGroup if group not in ONLY_OF_MANY])
def test_a_path_sums_by_each_of_its_groups(spans: pl.DataFrame, group: str) -> None:
    path = rt.critical_path(spans)
    assert path.by(group).get_column("total_ns").sum() == path.makespan_ns


@pytest.mark.parametrize("group", PathGroup)
def test_paths_sum_by_each_group(spans: pl.DataFrame, group: str) -> None:
    sums = rt.path_aggregates(spans, by=group)
    assert sums.columns[0] == group
    assert sums.get_column("total_ns").sum() == rt.critical_path(spans).makespan_ns
