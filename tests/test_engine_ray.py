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
from typer.testing import CliRunner

from raytrace_analyze.cli import app
from raytrace_analyze.cluster import merge as merging
from raytrace_analyze.cluster import paths as path_finding
from raytrace_analyze.cluster.ray_cluster import connected
from raytrace_analyze.cluster.tasks import ENVIRONMENT
from raytrace_analyze.errors import UsageError
from raytrace_analyze.ingest.loading import find, load_found
from raytrace_analyze.ingest.merging import LargeIngested
from raytrace_analyze.model import Progress
from raytrace_analyze.path.aggregate import aggregate_paths
from raytrace_analyze.path.options import PathOptions
from raytrace_analyze.prepared import prepare
from raytrace_analyze.table.assemble import write_table
from raytrace_analyze.table.file.order import in_file_order
from tests.real_ray import OPEN_CLUSTER, SOON_NOTICED
from tests.sizes import first
from tests.span_files import one_line, span
from tests.test_spilled_merge import EVENTS, ROOT, mixed_files

pytestmark = pytest.mark.ray

CAPTURES = [ROOT / "sample_spans" / name for name in ("nested-ours", "map_reduce-ours")]
ALL_IN_STORES = {"max_direct_call_object_size": 64}
"""What tasks return lies on their nodes, however small it is: else it would be with the driver, and never lost."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without room for tasks, and a node with room for one; this process is connected to it."""
    os.environ.update(OPEN_CLUSTER)
    from ray.cluster_utils import Cluster

    arguments = {"include_dashboard": False, "num_cpus": 0, "_system_config": {**ALL_IN_STORES, **SOON_NOTICED}}
    made = Cluster(initialize_head=True, head_node_args=arguments)
    try:
        made.add_node(num_cpus=1)
        with connected(made.address, **ENVIRONMENT):
            yield made
    finally:
        made.shutdown()


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


def run(*arguments: object) -> str:
    done = CliRunner().invoke(app, list(map(str, arguments)))
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.parametrize("share", first(1, [1.0, merging.DECODED_SHARE]))
def test_a_merge_while_a_node_dies(share: float, cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of files of several kinds, with copies, damage and task events.

    With the node goes half of what was decoded, or of all that was done, before the table is read from the nodes.
    """
    monkeypatch.setattr(merging, "BUCKET_BYTES", 400_000)
    paths = [*mixed_files(tmp_path / "spans", 1), EVENTS, ROOT / "sample_spans" / "failures-ours"]
    plain = load_found(find(paths))
    with dying_node(cluster, share) as progress:
        found = merging.merge_on_cluster(paths, progress)
        assert isinstance(found, LargeIngested)
        rows = pl.concat(found.parts())
    assert rows.equals(in_file_order(plain.spans))
    assert found.report.records == plain.report.records
    assert sorted(map(repr, found.report.problems)) == sorted(map(repr, plain.report.problems))


def test_paths_of_all_scopes_while_a_node_dies(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path_finding, "_ROWS", 100)
    table = tmp_path / "spans.parquet"
    spans = load_found(find(CAPTURES)).spans
    write_table(spans, table)
    question = path_finding.Question("jobs", "function", "p50", PathOptions(), clock_correct=True)
    with dying_node(cluster, 0.01) as progress:
        answer = path_finding.paths_on_cluster([table], question, progress)
    sums = aggregate_paths(prepare(spans), PathOptions(), scopes="jobs", tail="p50")
    assert answer.sums.frame.equals(sums.frame)


def test_the_commands_give_what_they_give_here(cluster: Any, tmp_path: Path) -> None:
    here, there = tmp_path / "here.parquet", tmp_path / "there.parquet"
    run("merge", *CAPTURES, "-o", here)
    run("merge", *CAPTURES, "-o", there, "--engine", "ray")
    assert pl.read_parquet(there).equals(pl.read_parquet(here))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["here.parquet", "there.parquet"]
    of_all = ("critical-path", here, "--all", "traces", "--format", "json")
    assert run(*of_all, "--engine", "ray") == run(*of_all)


def test_what_is_wrong_on_a_node_is_told_here(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "spans.json"
    file.write_bytes(one_line(span()))
    found = find([file])
    file.unlink()
    monkeypatch.setattr(merging, "find", lambda paths: found)
    with pytest.raises(UsageError, match="is not to be read on node"):
        merging.merge_on_cluster([file], lambda share: None)


@pytest.mark.slow
def test_a_program_of_its_own_connects_and_leaves_nothing(cluster: Any, tmp_path: Path) -> None:
    output = tmp_path / "spans.parquet"
    command = [sys.executable, "-m", "raytrace_analyze", "merge", *map(str, CAPTURES), "-o", str(output)]
    on_cluster = ["--engine", "ray", "--address", cluster.address]
    done = subprocess.run([*command, *on_cluster], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "wrote" in done.stderr
    assert pl.read_parquet(output).equals(in_file_order(load_found(find(CAPTURES)).spans))
    assert [entry.name for entry in tmp_path.iterdir()] == ["spans.parquet"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("merge", EVENTS, "--address", "auto"), "add --engine ray"),
        (("merge", "-", "--engine", "ray"), "standard input is here only"),
        (("critical-path", EVENTS, "--engine", "ray"), "add --all jobs"),
    ],
)
def test_what_an_engine_cannot_do_is_one_line(arguments: tuple[object, ...], told: str) -> None:
    done = CliRunner().invoke(app, list(map(str, arguments)))
    assert told in f"{done.output}{done.exception}"
