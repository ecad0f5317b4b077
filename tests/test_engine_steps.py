"""The steps of `--engine ray`, done one after another in this process: the tables and reports of the local engine."""

import pickle
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl
import polars.selectors as cs
import pytest
from typer.testing import CliRunner

from raytrace_analyze.analyses.evidence import evidence
from raytrace_analyze.cli import app
from raytrace_analyze.cluster import merge as module
from raytrace_analyze.cluster import paths as paths_module
from raytrace_analyze.cluster.buckets import BucketsOnNodes, OrderedOnNodes
from raytrace_analyze.errors import EXIT_USAGE, UsageError
from raytrace_analyze.ingest.loading import find, load_found
from raytrace_analyze.ingest.merging import LargeIngested
from raytrace_analyze.path.aggregate import aggregate_paths
from raytrace_analyze.path.options import PathOptions
from raytrace_analyze.prepared import prepare
from raytrace_analyze.table.assemble import write_table
from raytrace_analyze.table.file.order import in_file_order
from tests.span_files import one_line, span
from tests.test_spilled_merge import EVENTS, ROOT, made_up, mixed_files


class Tasks:
    """Calls functions at once, as `cluster.tasks.Tasks` does on nodes: all goes there and back as bytes."""

    cpus = 2

    def __init__(self) -> None:
        self.called: list[str] = []

    def call(self, function: Callable[..., Any], *arguments: Any, returns: int = 1) -> Any:
        self.called.append(function.__name__)
        given = [pickle.loads(each) if isinstance(each, Reference) else each for each in arguments]
        result = function(*given)
        if returns == 1:
            return self.put(result)
        assert len(result) == returns
        return [self.put(each) for each in result]

    @staticmethod
    def put(value: Any) -> "Reference":
        return Reference(pickle.dumps(value))

    @staticmethod
    def values(references: Iterable[Any]) -> Iterator[Any]:
        return (pickle.loads(each) for each in references)


class Reference(bytes):
    pass


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    for each in (module, paths_module):
        monkeypatch.setattr(each, "Tasks", Tasks)
    monkeypatch.setattr(paths_module, "_ROWS", 40)
    monkeypatch.setattr(module, "BUCKET_BYTES", 60_000)
    monkeypatch.setattr(module, "plan", partial(module.plan, part_bytes=40_000))


def merged(paths: list[Path]) -> LargeIngested:
    found = module.merge_on_cluster(paths, lambda share: None)
    assert isinstance(found, LargeIngested)
    return found


def assert_same(paths: list[Path]) -> None:
    plain, found = load_found(find(paths)), merged(paths)
    assert pl.concat(found.parts()).equals(in_file_order(plain.spans))
    told = [(report.records, report.spans, report.jobs, report.processes) for report in (plain.report, found.report)]
    assert told[0] == told[1]
    assert sorted(map(repr, found.report.problems)) == sorted(map(repr, plain.report.problems))


def test_captures_with_copies_damage_and_events(tmp_path: Path) -> None:
    assert_same([*mixed_files(tmp_path / "spans", 1), EVENTS, ROOT / "sample_spans" / "failures-ours"])


def test_spans_that_know_little(tmp_path: Path) -> None:
    (tmp_path / "spans").mkdir()
    made_up(tmp_path / "spans")
    assert_same([tmp_path / "spans"])


def test_events_alone() -> None:
    assert_same([EVENTS])


def test_relative_paths_are_those_of_who_asks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "spans.json").write_bytes(one_line(span()))
    monkeypatch.chdir(tmp_path)
    assert_same([Path("spans.json")])


def test_a_file_that_a_node_does_not_see_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "spans.json"
    file.write_bytes(one_line(span()))
    found = find([file])
    file.unlink()
    monkeypatch.setattr(module, "find", lambda paths: found)
    with pytest.raises(UsageError, match=r"spans\.json is not to be read on node .*collect"):
        merged([file])


def test_what_is_lost_is_made_again_the_same(tmp_path: Path) -> None:
    """Ray makes again what went with a node: each step gives the same for the same, piece by piece."""

    class Twice(Tasks):
        def call(self, function: Callable[..., Any], *arguments: Any, returns: int = 1) -> Any:
            first = super().call(function, *arguments, returns=returns)
            again = super().call(function, *arguments, returns=returns)
            for one, other in zip(*([each] if returns == 1 else each for each in (first, again)), strict=True):
                assert_alike(pickle.loads(one), pickle.loads(other))
            return first

    tasks = Twice()
    found = find(mixed_files(tmp_path / "spans", 0))
    buckets = BucketsOnNodes(tasks, 4)  # type: ignore[arg-type]
    problems = module._decode(found, tasks, buckets, lambda share: None)  # type: ignore[arg-type]
    whole = module.merge_buckets(found, buckets, problems, partial(OrderedOnNodes, tasks, buckets), lambda share: None)
    assert pl.concat(whole.parts()).equals(in_file_order(load_found(found).spans))


def assert_alike(one: Any, other: Any) -> None:
    """Pieces hold the same rows, whatever their order: a later step puts them into one."""
    if isinstance(one, bytes):
        rows = [pl.read_ipc(each).select(~cs.nested(), cs.nested().hash()) for each in (one, other)]
        assert rows[0].sort(pl.all()).equals(rows[1].sort(pl.all()))
    elif isinstance(one, pl.DataFrame):
        assert one.equals(other)


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All captures in one table, and some traces that have parts in two sessions."""
    found = load_found(find([ROOT / "sample_spans"]))
    first, second = found.spans.get_column("session").unique().sort().to_list()[:2]
    is_moved = (pl.col("session") == first) & (pl.col("span_id").hash() % 3 == 0)
    spans = found.spans.with_columns(session=pl.when(is_moved).then(pl.lit(second)).otherwise("session"))
    place = tmp_path_factory.mktemp("table") / "spans.parquet"
    write_table(spans, place, problems=found.report.all_problems)
    return place


@pytest.mark.parametrize(
    ("scopes", "by", "tail"),
    [("jobs", "function", None), ("jobs", "entrypoint", None), ("traces", "cause", "p90"), ("requests", "name", "p50")],
)
def test_paths_of_many_sessions(scopes: str, by: str, tail: str | None, table: Path) -> None:
    plain = load_found(find([table]))
    sums = aggregate_paths(prepare(plain.spans), PathOptions(), scopes=scopes, by=by, tail=tail)
    question = paths_module.Question(scopes, by, tail, PathOptions(), clock_correct=True)
    answer = paths_module.paths_on_cluster([table], question, lambda share: None)
    assert answer.sums.frame.equals(sums.frame)
    assert replace(answer.sums, frame=sums.frame) == sums
    assert answer.evidence == evidence(plain)
    assert answer.problems == plain.report.problems


def test_large_sessions_are_shared() -> None:
    apart = [paths_module.Apart(("a",), 100), paths_module.Apart(("b", "c"), 30)]
    assert paths_module._shares(apart, "traces", 4) == [
        *[(("a",), number, 3) for number in range(3)],
        (("b", "c"), 0, 1),
    ]
    assert len(paths_module._shares(apart, "requests", 4)) == 2


def test_paths_are_found_in_one_table(tmp_path: Path) -> None:
    question = paths_module.Question("jobs", "function", None, PathOptions(), clock_correct=True)
    with pytest.raises(UsageError, match="merge FOLDER --engine ray"):
        paths_module.paths_on_cluster([ROOT / "sample_spans"], question, lambda share: None)


def test_without_ray_one_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    output = tmp_path / "spans.parquet"
    done = CliRunner().invoke(app, ["merge", str(EVENTS), "-o", str(output), "--engine", "ray"])
    assert isinstance(done.exception, UsageError) or done.exit_code == EXIT_USAGE
    assert "pip install ray" in f"{done.output}{done.exception}"
    assert not output.exists()
