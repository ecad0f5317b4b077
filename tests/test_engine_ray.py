"""`--engine ray` on a real cluster of three nodes, of which one dies halfway: the rows of the local engine."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from raytrace_analyze.cluster import merge as merging
from raytrace_analyze.cluster import paths as path_finding
from raytrace_analyze.cluster.ray_cluster import connected
from raytrace_analyze.cluster.tasks import ENVIRONMENT
from raytrace_analyze.ingest import find, load_found
from raytrace_analyze.merging import LargeIngested
from raytrace_analyze.model import Progress
from raytrace_analyze.path.aggregate import aggregate_paths
from raytrace_analyze.path.options import PathOptions
from raytrace_analyze.prepared import prepare
from raytrace_analyze.table.assemble import write_table
from raytrace_analyze.table.file_order import in_file_order
from tests.real_ray import OPEN_CLUSTER
from tests.test_spilled_merge import EVENTS, ROOT, mixed_files

pytestmark = pytest.mark.ray

ALL_IN_STORES = {"max_direct_call_object_size": 64}
"""What tasks return lies on their nodes, however small it is: else it would be with the driver, and never lost."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without room for tasks, and two nodes with room for one each."""
    os.environ.update(OPEN_CLUSTER)
    from ray.cluster_utils import Cluster

    arguments = {"include_dashboard": False, "num_cpus": 0, "_system_config": ALL_IN_STORES}
    made = Cluster(initialize_head=True, head_node_args=arguments)
    try:
        for _ in range(2):
            made.add_node(num_cpus=1)
        made.wait_for_nodes()
        yield made
    finally:
        made.shutdown()


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "raytrace_analyze", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@contextmanager
def dying_node(cluster: Any, share: float) -> Iterator[Progress]:
    """Have one node more, which dies when this share of the work is told to be done."""
    dying = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    dead = []

    def progress(done: float) -> None:
        if done >= share and not dead:
            dead.append(dying)
            cluster.remove_node(dying, allow_graceful=False)

    yield progress
    assert dead


def files_of_all_kinds(folder: Path) -> list[Path]:
    """Captures in several formats with copies and damage, task events beside them and alone."""
    return [*mixed_files(folder, 1), EVENTS, ROOT / "sample_spans" / "failures-ours"]


def test_the_command_writes_the_table_of_the_local_engine(cluster: Any, tmp_path: Path) -> None:
    capture = ROOT / "sample_spans" / "nested-ours" / "spans"
    here, there = tmp_path / "here.parquet", tmp_path / "there.parquet"
    assert run("merge", capture, "-o", here).returncode == 0
    done = run("merge", capture, "-o", there, "--engine", "ray", "--address", cluster.address)
    assert done.returncode == 0, done.stderr
    assert "wrote" in done.stderr
    assert pl.read_parquet(there).equals(pl.read_parquet(here))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["here.parquet", "there.parquet"]


def test_a_node_that_dies_halfway_changes_nothing(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It dies when all is decoded: half of the pieces go with it, and Ray makes them again."""
    monkeypatch.setattr(merging, "BUCKET_BYTES", 400_000)
    paths = files_of_all_kinds(tmp_path / "spans")
    plain = load_found(find(paths))
    with connected(cluster.address, **ENVIRONMENT), dying_node(cluster, merging.DECODED_SHARE) as progress:
        found = merging.merge_on_cluster(paths, progress)
        assert isinstance(found, LargeIngested)
        rows = pl.concat(found.parts())
    assert rows.equals(in_file_order(plain.spans))
    assert found.report.records == plain.report.records
    assert sorted(map(repr, found.report.problems)) == sorted(map(repr, plain.report.problems))


def test_paths_of_all_scopes_while_a_node_dies(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command says the same as the local one; and so does what a node that dies was part of."""
    monkeypatch.setattr(path_finding, "_ROWS", 100)
    table = tmp_path / "spans.parquet"
    spans = load_found(find([ROOT / "sample_spans" / name for name in ("nested-ours", "map_reduce-ours")])).spans
    write_table(spans, table)
    of_all = ("critical-path", table, "--all", "traces", "--format", "json")
    here, there = run(*of_all), run(*of_all, "--engine", "ray", "--address", cluster.address)
    assert there.returncode == here.returncode == 0, there.stderr
    assert there.stdout == here.stdout
    question = path_finding.Question("jobs", "function", "p50", PathOptions(), clock_correct=True)
    with connected(cluster.address, **ENVIRONMENT), dying_node(cluster, 0.01) as progress:
        answer = path_finding.paths_on_cluster([table], question, progress)
    sums = aggregate_paths(prepare(spans), PathOptions(), scopes="jobs", tail="p50")
    assert answer.sums.frame.equals(sums.frame)


def test_what_an_engine_cannot_do_is_one_line(tmp_path: Path) -> None:
    capture = ROOT / "sample_spans" / "nested-ours" / "spans"
    output = tmp_path / "spans.parquet"
    for arguments, told in (
        (("merge", capture, "-o", output, "--address", "auto"), "add --engine ray"),
        (("merge", "-", "-o", output, "--engine", "ray"), "standard input is here only"),
        (("critical-path", capture, "--engine", "ray"), "add --all jobs"),
        (("merge", capture, "-o", output, "--engine", "ray", "--address", "127.0.0.1:1"), "no Ray cluster"),
    ):
        done = run(*arguments)
        assert done.returncode == 2
        assert told in done.stderr
        assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())
