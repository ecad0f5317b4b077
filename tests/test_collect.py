"""`collect` on a real cluster of three nodes, of which one dies."""

import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest

from raytrace_analyze import read_spans
from raytrace_analyze.cluster import collect as collecting
from raytrace_analyze.cluster import ray_cluster
from raytrace_analyze.cluster.destination import LocalFolder
from raytrace_analyze.commands.collect import collect as command
from tests.real_ray import OPEN_CLUSTER, SOON_NOTICED

pytestmark = pytest.mark.ray

IN_STORES = {"max_direct_call_object_size": 64}
"""What a task returns lies on its node and goes with it, however small it is."""
MERGES = 4
"""Nodes are asked four times: what they lack, what they have, what they lack, and to merge it."""

PROGRAM = """
import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

ray.init(address={address!r})

@ray.remote(num_cpus=0)
def on_a_node(i):
    return i

nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
for i in range(2):
    ray.get([
        on_a_node.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)).remote(i)
        for node in nodes
    ])
"""

GOES_ON = """
import pathlib, time
print("half", flush=True)
while not pathlib.Path({file!r}).exists():
    time.sleep(0.1)
ray.get(on_a_node.remote(0))
"""


@dataclass
class Nodes:
    cluster: Any
    folders: list[Path]
    workers: list[Any]

    @property
    def address(self) -> str:
        return str(self.cluster.address)


@pytest.fixture(scope="module")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """Three nodes, each with a folder of its own for span files, and a job that ran on all of them."""
    os.environ.update(OPEN_CLUSTER)
    from ray.cluster_utils import Cluster

    folder = tmp_path_factory.mktemp("cluster")
    folders = [folder / name for name in ("head", "second", "third")]
    for each in folders:
        each.mkdir(0o700)
    hook = "raytrace_hook:setup_tracing"
    arguments: dict[str, Any] = {"include_dashboard": False, "tracing_startup_hook": hook, "num_cpus": 1}
    arguments["_system_config"] = {**IN_STORES, **SOON_NOTICED}
    cluster = Cluster(initialize_head=True, head_node_args={**arguments, "env_vars": {"RAYTRACE_DIR": str(folders[0])}})
    try:
        workers = [cluster.add_node(num_cpus=1, env_vars={"RAYTRACE_DIR": str(each)}) for each in folders[1:]]
        cluster.wait_for_nodes()
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM.format(address=cluster.address)],
            env={**os.environ, "RAYTRACE_DIR": str(folders[0])},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        yield Nodes(cluster, folders, workers)
    finally:
        cluster.shutdown()


def collect(nodes: Nodes, destination: Path | str, *options: str) -> subprocess.CompletedProcess[str]:
    paths = [each for folder in nodes.folders for each in ("--path", str(folder))]
    command = [sys.executable, "-m", "raytrace_analyze", "collect", "--address", nodes.address, "-o", str(destination)]
    return subprocess.run([*command, *paths, *options], capture_output=True, text=True, check=False)


def runs(table: Path) -> pl.DataFrame:
    return read_spans(table).filter(pl.col("function").str.ends_with("on_a_node"), category="task")


def test_a_cluster_is_collected_and_a_node_that_dies_is_named(nodes: Nodes, tmp_path: Path) -> None:
    """Runs of all three nodes, once each; collecting itself leaves no span; what came from a dead node stays."""
    first, second = tmp_path / "first", tmp_path / "second"
    files = [sorted(folder.iterdir()) for folder in nodes.folders]
    done = collect(nodes, first)
    assert done.returncode == 0, done.stderr
    spans = runs(first / "spans.parquet")
    assert spans.height == 6
    assert spans.get_column("node_id").n_unique() == 3
    before = (first / "spans.parquet").read_bytes()
    again = collect(nodes, first)
    assert again.returncode == 0
    assert "nothing new" in again.stderr
    assert (first / "spans.parquet").read_bytes() == before
    assert [sorted(folder.iterdir()) for folder in nodes.folders] == files  # nothing removed, nothing traced

    dead = nodes.workers.pop()
    nodes.cluster.remove_node(dead, allow_graceful=False)
    done = collect(nodes, first)
    assert (first / "spans.parquet").read_bytes() == before, done.stderr
    assert f"node {dead.node_id[:8]}" in done.stderr
    done = collect(nodes, second)
    assert dead.node_id[:8] in done.stderr, done.stderr
    assert runs(second / "spans.parquet").height == 6, "its folder lies on this machine, where other nodes find it"


@pytest.mark.slow
def test_a_node_that_dies_while_it_merges_is_named_and_made_up_for(
    nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its part is lost with it; the next round has the files, which lie on this machine, from another node."""
    dying = nodes.cluster.add_node(num_cpus=1)
    nodes.cluster.wait_for_nodes()
    folders = [str(folder) for folder in nodes.folders]
    known, gathered = ray_cluster.nodes, ray_cluster.gathered
    calls = 0

    def first_the_dying() -> list[ray_cluster.Node]:
        return sorted(known(), key=lambda node: node.node_id != dying.node_id)

    def while_it_dies(running: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == MERGES:
            nodes.cluster.remove_node(dying, allow_graceful=False)
        return gathered(running)

    monkeypatch.setattr(collecting, "nodes", first_the_dying)
    monkeypatch.setattr(ray_cluster, "gathered", while_it_dies)
    with ray_cluster.connected(nodes.address):
        found = collecting.collect(LocalFolder(tmp_path), folders)
        assert calls >= MERGES
        assert found.is_damaged
        assert [report.node.node_id for report in found.nodes if report.failed and not report.is_gone] == [
            dying.node_id
        ]
        assert not found.is_written, "what it saw of the shared disk was its own to merge"
        found = collecting.collect(LocalFolder(tmp_path), folders)
        assert not found.is_damaged
    assert runs(tmp_path / "spans.parquet").height == 6


def wheel(folder: Path, name: str) -> Path:
    """Make a package to install, with nothing in it."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    about = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        "WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "RECORD": "",
    }
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{name}.py", "")
        for part, content in about.items():
            file.writestr(f"{name}-1.0.dist-info/{part}", content)
    return path


@pytest.mark.slow
def test_what_nodes_lack_is_installed_for_the_call(
    nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = f"raytrace_lacking @ {wheel(tmp_path, 'raytrace_lacking').as_uri()}"
    monkeypatch.setattr(ray_cluster, "_requirements", lambda: [needed])
    destination = LocalFolder(tmp_path / "lacking")
    with ray_cluster.connected(nodes.address):
        found = collecting.collect(destination, [str(folder) for folder in nodes.folders])
    # Nodes of one machine have one place for what is installed, so that some get in each other's way.
    assert any(report.files and not report.failed for report in found.nodes)
    assert runs(destination.folder / "spans.parquet").height >= 6


def test_the_nodes_write_to_shared_storage_themselves(nodes: Nodes, tmp_path: Path) -> None:
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer(port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        access = {"AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
        with pytest.MonkeyPatch.context() as patch:
            for name, value in {**access, "AWS_DEFAULT_REGION": "us-east-1"}.items():
                patch.setenv(name, value)
            import fsspec

            files = fsspec.filesystem("s3", skip_instance_cache=True)
            files.mkdir("traces")
            done = collect(nodes, "s3://traces/run")
            assert "wrote    s3://traces/run/spans.parquet" in done.stderr, done.stderr
            files.get("traces/run/spans.parquet", str(tmp_path / "spans.parquet"))
    finally:
        server.stop()
    assert runs(tmp_path / "spans.parquet").height == 6


@pytest.mark.slow
def test_a_job_is_followed_until_it_ends(nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two rounds the job goes on, and ends: the last round has what came after the first."""
    table = tmp_path / "followed" / "spans.parquet"
    go_on = tmp_path / "go-on"
    program = PROGRAM.format(address=nodes.address) + GOES_ON.format(file=str(go_on))
    environment = {**os.environ, "RAYTRACE_DIR": str(nodes.folders[0])}
    job = subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, text=True)
    assert job.stdout is not None
    assert job.stdout.readline() == "half\n"
    seen: list[int] = []

    def between_rounds(_: float) -> None:
        if not seen:
            seen.append(runs(table).height)
            go_on.touch()
            job.wait()
        time.sleep(0.2)  # until the cluster has noticed that it is gone

    monkeypatch.setattr(command, "time", SimpleNamespace(sleep=between_rounds))
    paths = [str(folder) for folder in nodes.folders]
    try:
        command.collect(str(table.parent), nodes.address, paths, follow=True)
    finally:
        job.kill()
    assert len(seen) == 1
    assert runs(table).height == seen[0] + 1


def test_no_cluster_and_no_ray_folder_is_one_line() -> None:
    command = [sys.executable, "-m", "raytrace_analyze", "collect", "--address", "127.0.0.1:1", "-o", "nowhere"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no Ray cluster can be reached at 127.0.0.1:1" in done.stderr
    assert "Traceback" not in done.stderr
