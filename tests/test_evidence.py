"""Every report says what it rests on: what is lost, missing, damaged or not sampled, and what that means for it."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import raytrace_analyze as rt
from raytrace_analyze.cli import app

CAPTURE = Path(__file__).parent.parent / "sample_spans" / "map_reduce-ours" / "spans"


@pytest.fixture
def spans(tmp_path: Path) -> Path:
    return Path(shutil.copytree(CAPTURE, tmp_path / "spans"))


def a_workers_file(spans: Path) -> Path:
    """The file of a process that ran tasks."""
    return next(file for file in sorted(spans.glob("*.jsonl")) if "remote_worker" in file.read_text())


def events_file(spans: Path) -> Path:
    return next(spans.glob("*.events"))


def run(*arguments: str | Path) -> str:
    done = CliRunner().invoke(app, [*map(str, arguments)])
    assert done.exit_code in (0, 4), done.output
    return done.output


def document(*arguments: str | Path) -> dict[str, Any]:
    done = CliRunner().invoke(app, [*map(str, arguments), "--format", "json"])
    return json.loads(done.stdout)["evidence"]


def test_nothing_is_said_of_a_whole_record() -> None:
    found = rt.evidence(rt.load(CAPTURE))
    assert found.is_whole and found.spans == 32
    assert "rests on" not in run("critical-path", CAPTURE)
    assert document("critical-path", CAPTURE)["sentences"] == []


def test_runs_without_a_file_are_counted_on_their_node(spans: Path) -> None:
    gone = a_workers_file(spans)
    runs = gone.read_text().count("ray.remote_worker")
    node = json.loads(gone.read_text().splitlines()[0])["resource"]["attributes"]["ray.node_id"]
    gone.unlink()
    found = rt.evidence(rt.load(spans))
    assert (found.unrecorded, found.unrecorded_there) == (runs, 0)
    assert "ended well, as Ray says, and left no span" in " ".join(run("critical-path", spans).split())
    # And the same, where nothing else is of that node.
    other = "f" * len(node)
    pids = {json.loads(line).get("pid") for line in events_file(spans).read_text().splitlines()[1:]}
    recorded = {row["pid"] for row in rt.read_spans(spans).filter(~rt.read_spans(spans)["from_events"]).to_dicts()}
    lines = events_file(spans).read_text().splitlines(keepends=True)
    silent = [pid for pid in pids if pid not in recorded]
    lines = [line.replace(node, other) if json.loads(line).get("pid") in silent else line for line in lines]
    events_file(spans).write_text("".join(lines))
    found = rt.evidence(rt.load(spans))
    assert (found.nodes_without_files, found.unrecorded_there) == ((other,), runs)
    said = " ".join(run("stats", spans).split())
    assert f"on node {other[:12]} and left no span: of that node no file is here" in said


def test_a_driver_that_is_missing_is_told_with_where_the_children_are(spans: Path) -> None:
    for file in spans.iterdir():
        if '"ray.driver"' in file.read_text() or file.suffix == ".events":
            file.unlink()
    found = rt.evidence(rt.load(spans))
    assert found.driverless == 1 and found.parentless_hosts == ("host-a",)
    shown = run("critical-path", spans)
    assert f"{found.without_parent} of {found.spans} spans have no parent here; all of them were on host-a" in shown


def test_damage_and_what_ray_forgot_are_told_also_from_the_table(spans: Path, tmp_path: Path) -> None:
    file = a_workers_file(spans)
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(lines[0] + b"half a record}\n" + b"".join(lines[1:]) + b'{"name": "cut')
    events = events_file(spans)
    header, *rest = events.read_text().splitlines(keepends=True)
    events.write_text(json.dumps({**json.loads(header), "dropped": {"attempts": 1234}}) + "\n" + "".join(rest))
    read = rt.load(spans)
    table = tmp_path / "spans.parquet"
    run("merge", spans, "-o", table)
    again = tmp_path / "again.parquet"
    run("merge", table, "-o", again)
    for source in (read, rt.load(table), rt.load(again)):
        found = rt.evidence(source)
        assert (found.damaged, found.cut, found.forgotten) == (1, 1, 1234)
    # Damage of long ago is told, and is no damage of the table.
    assert CliRunner().invoke(app, ["jobs", str(table)]).exit_code == 0
    assert "1 place in the files is damaged" in run("jobs", table)
    assert document("diff", spans, table)["new"]["forgotten"] == 1234


def test_a_sampler_is_told(spans: Path) -> None:
    for file in spans.glob("*.jsonl"):
        text = file.read_text()
        told = '"raytrace.sampler":"TraceIdRatioBased{0.1}","process.pid"'
        file.write_text(text.replace('"process.pid"', told))
    assert rt.evidence(rt.load(spans)).samplers == ("TraceIdRatioBased{0.1}",)
    assert "Not all spans are kept (TraceIdRatioBased{0.1})" in run("what-if", spans)
