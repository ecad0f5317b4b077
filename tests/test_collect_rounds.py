"""Rounds of `collect` on nodes that are folders here: what is read again, what is kept, what is removed."""

import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from rich.console import Console

from raytrace_analyze import read_spans
from raytrace_analyze.cluster import collect as module
from raytrace_analyze.cluster.collect import Collected, collect
from raytrace_analyze.cluster.destination import Destination, LocalFolder, Storage
from raytrace_analyze.cluster.ray_cluster import Failed, Node
from raytrace_analyze.ingest.loading import load
from raytrace_analyze.table.file.order import in_file_order
from raytrace_analyze.views.spans_read.collect_view import show_collected

SAMPLE = Path(__file__).parent.parent / "sample_spans" / "nested-ours" / "spans"


class Cluster:
    """Two nodes, each with the files of half a real job's processes, and a log of what was called on them."""

    def __init__(self, folder: Path) -> None:
        self.nodes = [Node("a", "a" * 56), Node("b", "b" * 56)]
        self.folders = {node: folder / node.host for node in self.nodes}
        self.calls: list[tuple[str, str]] = []
        self.dead: set[Node] = set()
        for each in self.folders.values():
            each.mkdir()
        processes = sorted({path.stem for path in SAMPLE.iterdir()})
        for path in SAMPLE.iterdir():
            shutil.copy2(path, self.folders[self.nodes[processes.index(path.stem) % 2]] / path.name)

    def call_on(self, calls: Mapping[Node, tuple[Callable[..., Any], Sequence[Any]]]) -> dict[Node, Any]:
        given: dict[Node, Any] = {}
        for node, (function, arguments) in calls.items():
            self.calls.append((node.host, function.__name__))
            own = ((str(self.folders[node]),),) if function.__name__ == "list_files" else arguments
            given[node] = Failed("NodeDiedError: gone") if node in self.dead else function(*own)
        return given

    def merged(self) -> set[str]:
        """The nodes that merged something since the last time this was asked."""
        merged = {host for host, name in self.calls if name == "merge_files"}
        self.calls.clear()
        return merged


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    made = Cluster(tmp_path)
    monkeypatch.setattr(module, "nodes", lambda: made.nodes)
    monkeypatch.setattr(module, "call_on", made.call_on)
    return made


@pytest.fixture(params=["folder", "shared"])
def destination(request: pytest.FixtureRequest, tmp_path: Path) -> Destination:
    place = tmp_path / "destination"
    return LocalFolder(place) if request.param == "folder" else Storage(f"file://{place}")


def table(tmp_path: Path) -> pl.DataFrame:
    return read_spans(tmp_path / "destination" / "spans.parquet").drop("source")


def whole() -> pl.DataFrame:
    return read_spans(SAMPLE).drop("source")


def test_two_nodes_give_what_one_merge_of_all_files_gives(
    cluster: Cluster, destination: Destination, tmp_path: Path
) -> None:
    collected = collect(destination)
    assert table(tmp_path).equals(whole())
    assert collected.spans == whole().filter(~pl.col("from_events")).height
    assert not collected.is_damaged
    assert cluster.merged() == {"a", "b"}


def test_only_what_is_new_is_read_again(cluster: Cluster, destination: Destination, tmp_path: Path) -> None:
    late = max(cluster.folders[cluster.nodes[0]].glob("*.jsonl"))
    kept = late.read_bytes()
    late.write_bytes(b"".join(kept.splitlines(keepends=True)[:2]))
    collect(destination)
    assert cluster.merged() == {"a", "b"}
    assert not collect(destination).is_written
    assert not cluster.merged()
    late.write_bytes(kept)
    assert collect(destination).is_written
    assert cluster.merged() == {"a"}
    assert table(tmp_path).equals(whole())


def test_a_node_that_cannot_be_read_is_told_and_the_rest_is_there(
    cluster: Cluster, destination: Destination, tmp_path: Path
) -> None:
    cluster.dead.add(cluster.nodes[1])
    collected = collect(destination)
    assert collected.is_damaged
    assert [report.failed for report in collected.nodes] == ["", "NodeDiedError: gone"]
    assert 0 < table(tmp_path).height < whole().height
    cluster.dead.clear()
    assert not collect(destination).is_damaged
    assert table(tmp_path).equals(whole())


def test_what_was_moved_stays_in_the_table(cluster: Cluster, destination: Destination, tmp_path: Path) -> None:
    collected = collect(destination, move=True)
    assert sum(report.removed for report in collected.nodes) == len(list(SAMPLE.iterdir()))
    assert not any(path for folder in cluster.folders.values() for path in folder.iterdir())
    shutil.copy2(next(SAMPLE.glob("*.jsonl")), cluster.folders[cluster.nodes[0]])
    collect(destination)
    assert table(tmp_path).equals(whole())


def test_files_that_a_process_holds_are_not_moved(cluster: Cluster, tmp_path: Path) -> None:
    held = next(cluster.folders[cluster.nodes[0]].glob("*.jsonl"))
    with held.open():
        collect(LocalFolder(tmp_path / "destination"), move=True)
    assert held.exists()


def test_a_disk_that_two_nodes_share_is_read_once(cluster: Cluster, tmp_path: Path) -> None:
    a, b = cluster.nodes
    for path in cluster.folders[b].iterdir():
        path.rename(cluster.folders[a] / path.name)
    cluster.folders[b] = cluster.folders[a]
    collected: Collected = collect(LocalFolder(tmp_path / "destination"))
    assert cluster.merged() == {"a"}
    assert [report.files for report in collected.nodes] == [len(list(SAMPLE.iterdir())), 0]
    assert table(tmp_path).equals(whole())


def test_nodes_that_have_left_are_named(
    cluster: Cluster, destination: Destination, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What one gave before it left stays, and is no damage; one that left before gave nothing."""
    collect(destination)
    first, second = cluster.nodes
    cluster.nodes = [first, replace(second, is_alive=False), Node("c", "c" * 56, is_alive=False)]
    collected = collect(destination)
    assert not collected.is_damaged
    assert table(tmp_path).equals(whole())
    show_collected(collected, Console(file=sys.stdout, width=200))
    shown = capsys.readouterr().out
    assert f"node {second.node_id[:8]} on b: it has left the cluster; what it gave before stays" in shown
    assert "node cccccccc on c: it has left the cluster; what lay on it was not collected" in shown


def test_the_table_is_as_merge_writes_it(cluster: Cluster, tmp_path: Path) -> None:
    """In the order of its file, and it keeps what was wrong on the nodes."""
    damaged = next(cluster.folders[cluster.nodes[0]].glob("*.jsonl"))
    damaged.write_bytes(b'{"name": "half", "cont\xff\n' + damaged.read_bytes())
    collect(LocalFolder(tmp_path / "destination"))
    place = tmp_path / "destination" / "spans.parquet"
    rows = pl.read_parquet(place)
    assert rows.equals(in_file_order(rows.sort("start", "trace_id", "span_id")))
    assert any(problem.is_damage for problem in load(place).report.earlier)
