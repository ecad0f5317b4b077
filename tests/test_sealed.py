"""A table that is no longer what was written is called damaged, whatever its reader makes of it."""

import shutil
from pathlib import Path

import polars as pl
import pytest

import raytrace_analyze as rt
from raytrace_analyze.files.sealed import is_as_written

SPANS = Path(__file__).parent.parent / "sample_spans" / "failures-ours" / "spans"


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("table") / "t.parquet"
    spans = rt.read_spans(SPANS)
    # What stands in the spans is in the metadata, too, as the least and the greatest of a column.
    rt.write_table(spans.with_columns(name=pl.lit("raytrace.checksum\x18\x1900000000:0000000000000000")), path)
    return path


def test_a_table_says_what_its_data_were(table):
    assert is_as_written(table.read_bytes(), pl.read_parquet_metadata(table))
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


def test_a_table_that_others_wrote_again_is_taken_as_it_is(table, tmp_path):
    metadata = pl.read_parquet_metadata(table)
    pl.read_parquet(table).write_parquet(tmp_path / "t.parquet", metadata=metadata, compression="snappy")
    assert rt.read_spans(tmp_path / "t.parquet").height == rt.read_spans(table).height
