"""Nothing is overwritten that is not ours, and `-` stands for standard input and output."""

import errno
import gzip
import io
import json
import os
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner, Result

import raytrace_analyze as rt
from raytrace_analyze.cli import app
from raytrace_analyze.errors import EXIT_NO_SPANS, UsageError
from raytrace_analyze.exports.formats import FORMATS, is_export
from raytrace_analyze.schema import TABLE
from raytrace_analyze.table.file.parquet_file import is_span_table

SPANS = Path(__file__).parent.parent / "sample_spans" / "map_reduce-ours" / "spans"
DRIVER = max(SPANS.glob("*.jsonl"), key=lambda file: file.stat().st_size)


def cli(*arguments: str | Path, given: bytes | None = None) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)], input=given)


def refused(done: Result) -> str:
    assert isinstance(done.exception, UsageError), done.output
    return str(done.exception)


FOREIGN = {
    "input.jsonl": DRIVER.read_bytes(),
    "train.py": b"print()\n",
    "results.csv": b"a,b\n1,2\n",
    "package.json": b'{"name": "x"}\n',
    "collector.jsonl": b'{"resourceSpans":[{"scopeSpans":[{"scope":{"name":"mine"},"spans":[]}]}]}\n',
    "notes.txt.gz": b"\x1f\x8bno gzip at all",
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("command", [["merge"], *(["export", "--to", one.name] for one in FORMATS)])
def test_no_input_and_nothing_foreign_is_replaced(command: list[str], name: str, tmp_path: Path) -> None:
    target = tmp_path / name
    target.write_bytes(FOREIGN[name])
    spans = target if name == "input.jsonl" else SPANS
    said = refused(cli(*command, spans, "-o", target))
    assert name in said
    assert "--force" in said
    assert target.read_bytes() == FOREIGN[name]


def test_force_replaces_and_so_does_a_second_run(tmp_path: Path) -> None:
    target = tmp_path / "train.py"
    target.write_bytes(FOREIGN["train.py"])
    for _ in range(2):
        assert cli("merge", SPANS, "-o", target, "--force").exit_code == 0
    assert cli("merge", SPANS, "-o", target).exit_code == 0
    assert rt.read_spans(target).height == rt.read_spans(SPANS).height


@pytest.mark.parametrize("to", [one.name for one in FORMATS])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_an_export_is_known_by_what_is_in_it_whatever_its_name(to: str, ending: str, tmp_path: Path) -> None:
    target = tmp_path / f"odd name{ending}"
    for _ in range(2):
        assert cli("export", SPANS, "--to", to, "-o", target).exit_code == 0
    assert [one.name for one in FORMATS if is_export(target, one)] == [to]
    written = target.read_bytes()
    other = next(one.name for one in FORMATS if one.name != to)
    assert "--force" in refused(cli("export", SPANS, "--to", other, "-o", target))
    assert target.read_bytes() == written
    said = refused(cli("export", target, "--to", to, "-o", target)) if to in ("otlp", "jaeger") else "--force"
    assert "--force" in said


def test_a_table_among_the_inputs_is_replaced_by_one_that_holds_it(tmp_path: Path) -> None:
    table = tmp_path / "spans.parquet"
    assert cli("merge", SPANS, "-o", table).exit_code == 0
    other = SPANS.parent.parent / "nested-ours" / "spans"
    assert cli("merge", table, other, "-o", table).exit_code == 0
    assert rt.read_spans(table).height == rt.read_spans(SPANS).height + rt.read_spans(other).height


def test_a_table_that_could_not_be_read_is_not_replaced(tmp_path: Path) -> None:
    table = tmp_path / "folder" / "spans.parquet"
    table.parent.mkdir()
    pl.DataFrame({"a": [1]}).write_parquet(table, metadata={"raytrace.schema_version": "99"})
    before = table.read_bytes()
    assert "--force" in refused(cli("merge", table.parent, SPANS, "-o", table))
    assert table.read_bytes() == before


def as_document(done: Result) -> dict[str, Any]:
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.mark.parametrize("command", ["critical-path", "stats", "jobs", "traces", "advise", "what-if"])
def test_standard_input_is_read_as_a_file_is(command: str) -> None:
    piped = as_document(cli(command, "-", "--format", "json", given=DRIVER.read_bytes()))
    assert piped == as_document(cli(command, DRIVER, "--format", "json"))


def test_merge_reads_and_writes_streams(tmp_path: Path) -> None:
    done = cli("merge", "-", "-o", "-", given=DRIVER.read_bytes())
    assert done.exit_code == 0, done.stderr
    (tmp_path / "out").write_bytes(done.stdout_bytes)
    assert is_span_table(tmp_path / "out")
    table = pl.read_parquet(io.BytesIO(done.stdout_bytes), columns=TABLE.names())
    assert table.drop("source").equals(rt.read_spans(DRIVER).drop("source", "duration_ns"))
    assert table["source"].unique().to_list() == ["standard input"]
    again = cli("jobs", "-", "--format", "json", given=done.stdout_bytes)
    assert as_document(again)["jobs"][0]["spans"] == table.filter(~pl.col("from_events")).height


def test_what_is_wrong_with_a_stream_is_said_of_standard_input() -> None:
    done = cli("jobs", "-", given=b"nothing\n")
    assert isinstance(done.exception, rt.NoSpansError)
    assert done.exception.exit_code == EXIT_NO_SPANS
    assert "no spans in standard input" in str(done.exception)
    lines = DRIVER.read_bytes().splitlines(keepends=True)
    damaged = lines[0] + lines[1][:100] + b"\n" + b"".join(lines[2:])
    told = cli("jobs", "-", given=damaged)
    assert told.exit_code == 4
    assert "standard input" in told.stderr.replace("\n", " ")


def test_a_page_goes_to_standard_output() -> None:
    done = cli("report", "-", "-o", "-", given=DRIVER.read_bytes())
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("<!DOCTYPE html>")
    assert not Path("-").exists()


def test_standard_input_is_no_two_things() -> None:
    assert "once" in refused(cli("diff", "-", "-", given=DRIVER.read_bytes()))
    assert "once" in refused(cli("report", "-", "-", "-o", "-", given=DRIVER.read_bytes()))
    assert "standard input" in cli("diff", "-", DRIVER, given=DRIVER.read_bytes()).stdout


def test_a_stream_is_diagnosed() -> None:
    done = cli("doctor", "-", given=DRIVER.read_bytes())
    assert "spans of 1 process" in done.stdout


@pytest.mark.parametrize("command", [["summary", "-"], ["merge", "-", "-o", "-"]])
def test_no_room_to_keep_a_stream_is_no_fault_of_it(command: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("shutil.copyfileobj", full)
    said = refused(cli(*command, given=DRIVER.read_bytes()))
    assert "No space left" in said
    assert "TMPDIR" in said


@pytest.mark.parametrize("packed", [False, True])
def test_all_files_of_a_run_can_be_piped_one_after_the_other(packed: bool) -> None:
    content = b"".join(file.read_bytes() for file in sorted(SPANS.iterdir()))
    piped = cli("merge", "-", "-o", "-", given=gzip.compress(content) if packed else content)
    assert piped.exit_code == 0, piped.stderr
    assert (
        pl.read_parquet(io.BytesIO(piped.stdout_bytes), columns=TABLE.names())
        .drop("source")
        .equals(rt.read_spans(SPANS).drop("source", "duration_ns"))
    )
    told = cli("merge", "-", "-o", "-", given=content + DRIVER.read_bytes()[:300])
    assert f"at byte {len(content):,}" in " ".join(told.stderr.split())
