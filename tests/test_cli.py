"""The command line as users run it: output, formats, messages, exit codes."""

import csv
import io
import json
import os
import shlex
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tests.command_line import cli, cli_apart

SAMPLES = Path(__file__).parent.parent / "sample_spans"
MAP_REDUCE = SAMPLES / "map_reduce-stock" / "spans"


def document(*arguments: str | Path) -> dict[str, Any]:
    done = cli(*arguments, "--format", "json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("merged")
    done = cli("merge", MAP_REDUCE, cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    return folder / "spans.parquet"


def test_merge_says_what_it_read(tmp_path: Path) -> None:
    done = cli("merge", SAMPLES, "-o", "all.parquet", cwd=tmp_path)
    assert done.returncode == 0
    of_events = 3  # of two programs; `ray timeline` does not say which session it is of
    jobs = len(list(SAMPLES.glob("*/truth.json"))) + of_events
    assert f"{jobs} jobs in {jobs} sessions" in done.stderr
    assert "not spans" in done.stderr
    assert pl.read_parquet(tmp_path / "all.parquet").height > 100


def test_merging_a_merge_and_copies_counts_every_span_once(tmp_path: Path, merged: Path) -> None:
    copy = tmp_path / "copied under another name.log"
    copy.write_bytes(next(file for file in MAP_REDUCE.iterdir() if file.stat().st_size).read_bytes())
    done = cli("merge", merged, MAP_REDUCE, copy, "-o", "again.parquet", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "counted once" in done.stderr
    first, again = pl.read_parquet(merged), pl.read_parquet(tmp_path / "again.parquet")
    assert again.drop("source").equals(first.drop("source"))


def test_merge_finds_spans_in_a_messy_folder(tmp_path: Path) -> None:
    mess = tmp_path / "tmp"
    (mess / "ray" / "session_1" / "logs").mkdir(parents=True)
    os.mkfifo(mess / "fifo")
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(mess / "socket"))
    (mess / "loop").symlink_to(mess)
    (mess / "broken").symlink_to(mess / "nowhere")
    (mess / "package.json").write_text('{"name": "x", "context": 1}')
    (mess / "ray" / "session_1" / "logs" / "events.log").write_text('{"severity": "INFO", "message": "x"}\n' * 50)
    with (mess / "huge.log").open("wb") as huge:
        huge.truncate(50 << 30)
    (mess / "spans").mkdir()
    for file in MAP_REDUCE.iterdir():
        (mess / "spans" / file.name).write_bytes(file.read_bytes())
    done = cli("merge", mess, "-o", tmp_path / "out.parquet")
    server.close()
    assert done.returncode == 0, done.stderr
    assert pl.read_parquet(tmp_path / "out.parquet").height == 30
    for reason in ("not a regular file", "not spans", "link to a folder"):
        assert reason in done.stderr


def test_damage_is_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    lines = max(MAP_REDUCE.iterdir(), key=lambda file: file.stat().st_size).read_bytes().splitlines(keepends=True)
    half = lines[1][: len(lines[1]) // 2] + b"\n"
    damaged = tmp_path / "damaged.txt"
    damaged.write_bytes(lines[0] + half + b"".join(lines[2:]))
    done = cli("merge", damaged, "-o", "out.parquet", cwd=tmp_path)
    assert done.returncode == 4
    assert f"damaged record: {damaged} at byte {len(lines[0]):,}" in done.stderr
    assert pl.read_parquet(tmp_path / "out.parquet").height == len(lines) - 1
    strict = cli("merge", damaged, "--strict", "-o", "strict.parquet", cwd=tmp_path)
    assert strict.returncode == 4
    assert not (tmp_path / "strict.parquet").exists()
    assert cli("jobs", damaged).returncode == 4


def test_a_process_of_its_own_says_and_returns_the_same(merged: Path) -> None:
    """Most tests run the command line in their own process."""
    for arguments in (["stats", merged], ["jobs", merged.parent / "nowhere"], ["stats", merged, "--format", "json"]):
        here, apart = cli(*arguments), cli_apart(*arguments)
        assert (apart.returncode, apart.stdout, apart.stderr) == (here.returncode, here.stdout, here.stderr)


def test_a_cut_last_record_is_noted_and_no_error(tmp_path: Path) -> None:
    whole = max(MAP_REDUCE.iterdir(), key=lambda file: file.stat().st_size).read_bytes()
    cut = tmp_path / "cut.txt"
    cut.write_bytes(whole[:-40])
    done = cli("merge", cut, "-o", tmp_path / "out.parquet")
    assert done.returncode == 0
    assert "cut record" in done.stderr


def test_critical_path_names_the_straggler_on_screen(merged: Path) -> None:
    done = cli("critical-path", cwd=merged.parent)
    assert done.returncode == 0, done.stderr
    assert "took" in done.stdout.splitlines()[0]
    assert "map_part runs" in done.stdout
    assert "inferred" in done.stdout
    assert "span" not in done.stdout.replace("spans", "")


def test_critical_path_as_json_is_the_contract(merged: Path) -> None:
    path = document("critical-path", merged)
    assert path["schema_version"] == 1
    assert path["scope"]["kind"] == "job"
    assert path["end_ns"] - path["start_ns"] == path["makespan_ns"]
    assert sum(segment["end_ns"] - segment["start_ns"] for segment in path["segments"]) == path["makespan_ns"]
    assert sum(row["total_ns"] for row in path["by_function"]) == path["makespan_ns"]
    keys = {"start_ns", "end_ns", "category", "cause", "via", "inferred", "name", "function", "span_id"}
    assert keys | {"trace_id", "task_id", "node_id", "pid"} <= set(path["segments"][0])
    assert {segment["category"] for segment in path["segments"]} <= {"self", "submit", "queue", "wait", "fetch"}


def test_critical_path_as_csv_has_one_header_line(merged: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(cli("critical-path", merged, "-f", "csv").stdout)))
    path = document("critical-path", merged)
    assert [int(row["start_ns"]) for row in rows] == [segment["start_ns"] for segment in path["segments"]]


def test_raw_span_files_are_read_directly(merged: Path) -> None:
    assert document("critical-path", MAP_REDUCE) == document("critical-path", merged)


def test_scopes(merged: Path) -> None:
    trace = pl.read_parquet(merged)["trace_id"][0]
    assert document("critical-path", merged, "--trace", trace)["scope"]["id"] == trace
    assert document("critical-path", merged, "--job", "01000000")["scope"]["id"] == "01000000"
    task = document("critical-path", merged, "--task", "reduce_pair")
    assert task["scope"]["name"] == "__main__.reduce_pair"
    assert sum(segment["duration_ns"] for segment in task["segments"]) == task["makespan_ns"]


def test_no_infer_and_queues_show_change_the_path(merged: Path) -> None:
    default = document("critical-path", merged)
    assert default["inferred_ns"] > 0
    assert document("critical-path", merged, "--no-infer")["inferred_ns"] == 0
    shown = document("critical-path", merged, "--queues", "show")
    assert shown["makespan_ns"] == default["makespan_ns"]
    assert shown["segments"] != default["segments"]


@pytest.mark.parametrize("group", ["function", "name", "node", "worker", "actor"])
def test_stats_by_every_group(merged: Path, group: str) -> None:
    stats = document("stats", merged, "--by", group)
    assert stats["by"] == group
    assert all(row["run_p50_ns"] <= row["run_p99_ns"] <= row["run_max_ns"] for row in stats["stats"])
    assert cli("stats", merged, "--by", group).returncode == 0


def test_stats_are_those_of_the_spans(merged: Path) -> None:
    spans = pl.read_parquet(merged)
    runs = spans.filter(category="task", function="__main__.map_part")
    took = (runs["end"] - runs["start"]).dt.total_nanoseconds()
    row = next(row for row in document("stats", merged)["stats"] if row["function"] == "__main__.map_part")
    assert row["count"] == runs.height == 8
    assert row["run_max_ns"] == took.max()
    assert row["run_p50_ns"] == round(took.median())
    assert row["run_total_ns"] == took.sum()


def test_jobs_and_traces_list_what_is_there(merged: Path) -> None:
    (job,) = document("jobs", merged)["jobs"]
    assert job["makespan_ns"] == document("critical-path", merged)["makespan_ns"]
    traces = document("traces", merged)["traces"]
    assert len(traces) == job["traces"] == 15
    assert sum(trace["spans"] for trace in traces) == job["spans"] == 30
    for command in ("jobs", "traces"):
        assert cli(command, merged).returncode == 0
        header, *rows = csv.reader(io.StringIO(cli(command, merged, "-f", "csv").stdout))
        assert "makespan_ns" in header
        assert rows


def foreign_parquet(folder: Path) -> Path:
    path = folder / "foreign.parquet"
    pl.DataFrame({"a": [1]}).write_parquet(path)
    return path


def newer_parquet(folder: Path) -> Path:
    path = folder / "newer.parquet"
    pl.DataFrame({"a": [1]}).write_parquet(path, metadata={"raytrace.schema_version": "99"})
    return path


def test_what_record_left_is_read_where_no_merged_table_is(tmp_path: Path) -> None:
    (tmp_path / "raytrace-record").mkdir()
    recorded, merged = (SAMPLES / name / "spans" for name in ("nested-ours", "map_reduce-ours"))
    assert cli("merge", recorded, "-o", "raytrace-record/spans.parquet", cwd=tmp_path).returncode == 0
    assert "nested.py" in cli("summary", cwd=tmp_path).stdout
    assert cli("export", "--to", "dot", "-o", "graph.dot", cwd=tmp_path).returncode == 0
    assert cli("merge", merged, cwd=tmp_path).returncode == 0
    assert "map_reduce.py" in cli("summary", cwd=tmp_path).stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["merge", "{tmp}/nowhere"], 2, "does not exist"),
        (["merge", "{tmp}/empty"], 3, "no spans in"),
        (["jobs", "{tmp}/nowhere.parquet"], 2, "does not exist"),
        (["jobs"], 2, "there is no spans.parquet in this folder"),
        (["jobs", "{tmp}/foreign.parquet"], 2, "none that `raytrace-analyze merge` wrote"),
        (["jobs", "{tmp}/newer.parquet"], 2, "schema version 99"),
        (["critical-path", "{spans}", "--job", "77"], 2, "no job '77'"),
        (["critical-path", "{spans}", "--job", ""], 2, "give the id of a job"),
        (["critical-path", "{spans}", "--trace", "zz"], 2, "no trace 'zz'"),
        (["critical-path", "{spans}", "--task", "zz"], 2, "there is map_part"),
        (["critical-path", "{spans}", "--job", "01", "--task", "x"], 2, "one scope"),
        (["merge", "{spans}", "-o", "{tmp}/empty"], 2, "is a folder"),
        (["merge", "{spans}", "-o", "{tmp}/nowhere/x.parquet"], 2, "there is no folder"),
    ],
)
def test_wrong_input_is_one_clear_line(tmp_path: Path, arguments: list[str], code: int, says: str) -> None:
    (tmp_path / "empty").mkdir()
    foreign_parquet(tmp_path)
    newer_parquet(tmp_path)
    done = cli(*(part.format(tmp=tmp_path, spans=MAP_REDUCE) for part in arguments), cwd=tmp_path)
    assert done.returncode == code
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    errors = [line for line in done.stderr.splitlines() if line.startswith("raytrace-analyze: ")]
    assert len(errors) == 1


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, raytrace_analyze.cli; print(*sorted({'polars', 'networkx', 'numpy', 'ray'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def pipe(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    script = command.replace("raytrace-analyze", f"{shlex.quote(sys.executable)} -m raytrace_analyze")
    return subprocess.run(
        ["bash", "-c", f"{script}; exit ${{PIPESTATUS[0]}}"], capture_output=True, text=True, check=False, cwd=folder
    )


@pytest.mark.parametrize("output", ["table", "json", "csv"])
def test_a_reader_that_leaves_is_no_error(merged: Path, output: str) -> None:
    done = pipe(f"raytrace-analyze critical-path {shlex.quote(str(merged))} -f {output} | true", merged.parent)
    assert (done.returncode, done.stderr) == (0, "")


def test_merge_writes_its_table_though_nobody_reads_its_report(tmp_path: Path) -> None:
    done = pipe(f"raytrace-analyze merge {shlex.quote(str(MAP_REDUCE))} -o out.parquet 2>&1 | true", tmp_path)
    assert done.returncode == 0
    assert (tmp_path / "out.parquet").exists()


def test_output_that_cannot_be_written_is_one_clear_line(merged: Path) -> None:
    done = pipe(f"raytrace-analyze jobs {shlex.quote(str(merged))} -f json > /dev/full", merged.parent)
    assert done.returncode == 2
    assert done.stderr.startswith("raytrace-analyze: cannot write the result")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("width", [80, 100, 120])
def test_names_stay_whole_on_a_narrow_screen(width: int) -> None:
    for command in ("critical-path", "stats"):
        done = cli(command, MAP_REDUCE, width=width)
        assert done.returncode == 0
        table = [line for line in done.stdout.splitlines() if line.startswith(("map_part ", "reduce_pair "))]
        assert len(table) == 2, done.stdout
        assert all(line.rstrip().endswith(("s", "%")) for line in table)
        assert max(map(len, done.stdout.splitlines())) <= width


def test_strange_names_do_not_reach_the_terminal(tmp_path: Path) -> None:
    lines = max(MAP_REDUCE.iterdir(), key=lambda file: file.stat().st_size).read_text().splitlines()
    record = json.loads(lines[0])
    record["name"] = record["attributes"]["ray.function"] = "a\x1b[2J[bold]b\nc"
    (tmp_path / "strange.jsonl").write_text(json.dumps(record))
    for command in ("critical-path", "traces", "stats"):
        done = cli(command, tmp_path)
        assert done.returncode == 0
        assert "\x1b" not in done.stdout
        assert "[bold]" in done.stdout or command == "stats"


@pytest.mark.parametrize(
    ("command", "option", "wanted"), [("export", "--min-duration", "number"), ("stats", "--top", "whole number")]
)
def test_what_is_no_number_is_refused_in_plain_words(command: str, option: str, wanted: str) -> None:
    done = cli(command, option, "5%")
    assert done.returncode == 2
    assert f"'5%' is not a {wanted}" in " ".join(done.stderr.split())
    assert "range" not in done.stderr
