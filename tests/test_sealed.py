"""A table that is no longer what was written is called damaged, whatever its reader makes of it."""

import io
import shutil
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

import raytrace_analyze as rt
from raytrace_analyze.analyses.all_paths import large as all_paths
from raytrace_analyze.analyses.latency import large as stats
from raytrace_analyze.cli import app
from raytrace_analyze.exports.selected import table_stream
from raytrace_analyze.files.sealed import is_as_written
from raytrace_analyze.ingest import large_tables

SPANS = Path(__file__).parent.parent / "sample_spans" / "failures-ours" / "spans"


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "t.parquet"
    spans = rt.read_spans(SPANS)
    # What stands in the spans is in the metadata, too, as the least and the greatest of a column.
    rt.write_table(spans.with_columns(name=pl.lit("raytrace.checksum\x18\x1900000000:0000000000000000")), path)
    return path


def test_a_table_says_what_its_data_were(table):
    assert is_as_written(io.BytesIO(table.read_bytes()), pl.read_parquet_metadata(table))
    assert "-" not in pl.read_parquet_metadata(table)["raytrace.checksum"]


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_byte_that_changed_is_damage(table, share, tmp_path):
    content = bytearray(table.read_bytes())
    data = len(content) - 8 - int.from_bytes(content[-8:-4], "little")
    content[4 + int((data - 4) * share)] ^= 1
    (tmp_path / "t.parquet").write_bytes(content)
    with pytest.raises(rt.UsageError, match=r"t\.parquet is damaged: its content is not what was written; merge"):
        rt.read_spans(tmp_path / "t.parquet")
    shutil.copytree(SPANS, tmp_path / "more")
    (tmp_path / "more" / "t.parquet").write_bytes(content)
    found = rt.load(tmp_path / "more")
    assert found.report.spans == rt.load(SPANS).report.spans
    said = [problem.detail for problem in found.report.problems if str(problem.path).endswith("t.parquet")]
    assert said == ["its content is not what was written"]


@pytest.mark.parametrize(
    "command",
    ["stats", "critical-path --all traces", "critical-path --all jobs", "advise", "export --to folded -o x.txt"],
)
def test_a_large_table_that_changed_is_called_damaged_too(command, table, tmp_path, monkeypatch):
    """Though these do not read all that is in it: with what a byte has changed to, a library might end the process."""
    content = bytearray(table.read_bytes())
    content[len(content) // 2] ^= 1
    (tmp_path / "t.parquet").write_bytes(content)
    for module, name in ((stats, "WITH_PATH_ROWS"), (all_paths, "LARGE_ROWS"), (table_stream, "LARGE_ROWS")):
        monkeypatch.setattr(module, name, 0)
    for name in ("LARGE_ROWS", "LEAN_ROWS"):
        monkeypatch.setattr(large_tables, name, 0)
    monkeypatch.chdir(tmp_path)
    name, *options = command.split()
    done = CliRunner().invoke(app, [name, "t.parquet", *options])
    assert str(done.exception) == "t.parquet is damaged: its content is not what was written; merge the span files anew"


def test_a_table_that_others_wrote_again_is_taken_as_it_is(table, tmp_path):
    metadata = pl.read_parquet_metadata(table)
    pl.read_parquet(table).write_parquet(tmp_path / "t.parquet", metadata=metadata, compression="snappy")
    assert rt.read_spans(tmp_path / "t.parquet").height == rt.read_spans(table).height
