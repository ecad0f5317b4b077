"""Reading span tables that `merge` wrote."""

import json

import polars as pl
import pytest

from raytrace_analyze.decode import decode_file, parquet
from raytrace_analyze.errors import UsageError
from raytrace_analyze.model import Compression, InputFile, ProblemKind
from raytrace_analyze.schema import DECODED, SCHEMA_VERSION, TABLE
from raytrace_analyze.table.events.attempts import with_event_columns
from tests.span_files import RESOURCE, one_line, span, span_file

WITH_SESSION = {"attributes": {"raytrace.session": "session_1", "service.instance.id": "i"}}


def decoded_spans(tmp_path) -> pl.DataFrame:
    content = one_line(span(1)) + one_line(span(2, resource=WITH_SESSION, end_time=None))
    (part,) = decode_file(span_file(tmp_path / "spans", content))
    return part.frame


def table(decoded: pl.DataFrame) -> pl.DataFrame:
    return with_event_columns(
        decoded.with_columns(
            category=pl.lit("task", TABLE["category"]), session=pl.coalesce("session", pl.lit("told apart"))
        ).drop("instance_id")
    )


def write(path, frame: pl.DataFrame, version: object = SCHEMA_VERSION) -> InputFile:
    frame.write_parquet(path, metadata={"raytrace.schema_version": str(version)})
    return InputFile(path, parquet.FORMAT.name, Compression.NONE, path.stat().st_size)


def read(file: InputFile) -> pl.DataFrame:
    parts = list(decode_file(file))
    assert not any(part.problems for part in parts)
    return pl.concat([part.frame for part in parts])


def test_a_table_gives_what_the_raw_files_gave(tmp_path, monkeypatch):
    decoded = decoded_spans(tmp_path)
    file = write(tmp_path / "t.parquet", table(decoded))
    assert read(file).equals(decoded)
    assert read(file).schema == DECODED
    assert read(file)["session"].to_list() == [None, "session_1"]
    monkeypatch.setattr(parquet, "_ROWS", 1)
    assert len(list(decode_file(file))) == 2
    assert read(file).equals(decoded)


def test_an_older_table_lacks_columns_and_may_have_other_types(tmp_path):
    decoded = decoded_spans(tmp_path)
    old = table(decoded).drop("attempt", "concurrent").with_columns(pl.col("kind").cast(pl.String), extra=1)
    found = read(write(tmp_path / "old", old, version=0))
    assert found.schema == DECODED
    assert found["kind"].to_list() == ["CONSUMER", "CONSUMER"]
    assert found["attempt"].null_count() == 2


def test_a_name_with_wildcards_is_one_file(tmp_path):
    decoded = decoded_spans(tmp_path)
    write(tmp_path / "a1", table(decoded))
    assert read(write(tmp_path / "a[1]*", table(decoded))).height == 2


def test_a_newer_table_is_refused(tmp_path):
    file = write(tmp_path / "new.parquet", table(decoded_spans(tmp_path)), version=SCHEMA_VERSION + 1)
    with pytest.raises(UsageError, match=rf"new.parquet has schema version {SCHEMA_VERSION + 1}.*upgrade"):
        list(decode_file(file))


def test_a_foreign_table_is_refused(tmp_path):
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "foreign")
    with pytest.raises(UsageError, match="foreign is a Parquet file, but none that"):
        list(decode_file(InputFile(tmp_path / "foreign", parquet.FORMAT.name, Compression.NONE, 0)))


def test_a_damaged_table_is_a_problem(tmp_path):
    file = write(tmp_path / "t", table(decoded_spans(tmp_path)))
    content = bytearray(file.path.read_bytes())
    for damaged in (content[:-100], content[: len(content) // 3], b"", content[:4] + bytes(500) + content[504:]):
        file.path.write_bytes(damaged)
        parts = list(decode_file(file))
        assert all(part.frame.schema == DECODED for part in parts)
        assert ProblemKind.UNREADABLE in {problem.kind for part in parts for problem in part.problems}
    file.path.unlink()
    (part,) = decode_file(file)
    assert [problem.kind for problem in part.problems] == [ProblemKind.UNREADABLE]


def test_a_resource_that_is_null_or_no_json(tmp_path):
    decoded = decoded_spans(tmp_path).with_columns(resource=pl.Series([None, "{"]))
    found = read(write(tmp_path / "t", table(decoded)))
    assert found["resource"].to_list() == [None, "{"]
    assert found["instance_id"].to_list() == [None, None]


def test_the_resource_text_is_as_it_was(tmp_path):
    assert read(write(tmp_path / "t", table(decoded_spans(tmp_path))))["resource"][0] == json.dumps(RESOURCE)
