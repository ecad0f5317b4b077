"""From paths to spans where some of the input is not as it should be: one bad file costs no other."""

import os
import re
from pathlib import Path

import polars as pl
import pytest

from raytrace_analyze import load
from raytrace_analyze.errors import NoSpansError, UsageError
from raytrace_analyze.ingest.loading import Ingested
from raytrace_analyze.model import Compression, ProblemKind
from raytrace_analyze.schema import EVENT_COLUMNS
from raytrace_analyze.table.assemble import read_table, write_table
from raytrace_analyze.table.events.task_events import events_path
from tests.span_files import PACK, one_line, span

FAILURES = Path(__file__).parent.parent / "sample_spans" / "failures-ours" / "spans"
ODD_NAME = os.fsdecode(b"caf\xe9")
OURS = {"raytrace.schema_version": "1"}


def spans_in(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(one_line(span(1)) + one_line(span(2)))
    return path


def table_in(path: Path) -> Path:
    write_table(load([spans_in(path.with_name("raw.json"))]).spans, path)
    path.with_name("raw.json").unlink()
    return path


def unreadable(found: Ingested) -> list[tuple[str, str]]:
    problems = [problem for problem in found.report.problems if problem.is_damage]
    assert {problem.kind for problem in problems} <= {ProblemKind.UNREADABLE}
    return [(Path(problem.path).name, problem.detail) for problem in problems]


def bad_table(path: Path, how: str) -> tuple[Path, str]:
    """Write a table of ours that cannot be read; gives what is said about it."""
    table = pl.read_parquet(table_in(path))
    if how == "newer":
        table.write_parquet(path, metadata={"raytrace.schema_version": "3"})
        return path, "has schema version 3, and .* upgrade"
    if how == "much newer":
        table.write_parquet(path, metadata={"raytrace.schema_version": "9" * 6000})
        return path, "has schema version 999"
    if how == "lacking":
        table.drop("start").write_parquet(path, metadata=OURS)
        return path, "lacks the column start"
    if how == "null":
        table.with_columns(span_id=pl.lit(None, pl.String)).write_parquet(path, metadata=OURS)
        return path, "has rows whose span_id is null"
    if how == "other type":
        table.with_columns(kind=pl.lit("x")).write_parquet(path, metadata=OURS)
        return path, "has rows whose kind is null or of another type"
    pl.DataFrame({"a": []}).write_parquet(path, metadata=OURS)
    return path, "lacks the column trace_id"


@pytest.mark.parametrize("how", ["newer", "much newer", "lacking", "null", "other type", "empty"])
def test_a_bad_table_in_a_folder_costs_nothing_else_and_is_an_error_if_given(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "folder"
    good = spans_in(folder / "good.json")
    bad, said = bad_table(folder / "bad.parquet", how)
    found = load([folder])
    assert found.spans.height == 2
    ((name, detail),) = unreadable(found)
    assert name == "bad.parquet"
    assert re.match(said, detail)
    with pytest.raises(UsageError, match=f"bad.parquet {said}"):
        load([bad])
    with pytest.raises(UsageError, match=f"bad.parquet {said}"):
        load([good, bad])
    good.unlink()
    with pytest.raises(NoSpansError, match=rf"no whole span in .*folder; .*bad.parquet: unreadable \({said}"):
        load([folder])


def test_names_that_are_not_utf_8(tmp_path: Path) -> None:
    folder = tmp_path / ODD_NAME
    spans_in(folder / ODD_NAME)
    found = load([folder])
    assert found.spans.height == 2
    assert set(found.spans["source"]) == {str(tmp_path / "caf\\xe9" / "caf\\xe9")}
    table = folder / f"{ODD_NAME}.parquet"
    events = load([FAILURES]).task_events
    write_table(found.spans, table, events)
    assert read_table(table).filter(~pl.col("from_events")).equals(found.spans)
    assert load([table]).task_events.height == events.height
    assert load([folder]).report.spans == 2
    assert not load([folder]).report.is_damaged
    version_1(table, found.spans)
    events_path(table).write_text("text")
    assert unreadable(load([table]))[0][0] == "caf\\xe9.task_events.parquet"
    events_path(table).unlink()
    table.write_bytes(b"PAR1")
    with pytest.raises(UsageError, match=r"caf\\xe9.parquet is a damaged"):
        load([table])


def test_a_name_that_starts_with_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table_in(tmp_path / "~.parquet")
    monkeypatch.chdir(tmp_path)
    assert load([Path("~.parquet")]).spans.height == 2


def version_1(path: Path, spans: pl.DataFrame) -> None:
    """Write a table as version 1 did: without columns of task events."""
    with path.open("wb") as file:
        spans.drop(EVENT_COLUMNS.names()).write_parquet(file, metadata=OURS)


@pytest.mark.parametrize("what", ["text", "folder", "fifo", "foreign", "span table", "newer"])
def test_what_is_no_table_of_task_events_beside_a_table(tmp_path: Path, what: str) -> None:
    table = table_in(tmp_path / "s.parquet")
    version_1(table, load([table]).spans)
    beside = events_path(table)
    frame = pl.DataFrame({"task_id": ["1"]})
    if what == "text":
        beside.write_text("hello")
    elif what == "folder":
        beside.mkdir()
    elif what == "fifo":
        os.mkfifo(beside)
    elif what == "newer":
        frame.write_parquet(beside, metadata={"raytrace.schema_version": "3", "raytrace.table": "task_events"})
    else:
        frame.write_parquet(beside, metadata=OURS if what == "span table" else {})
    raw = spans_in(tmp_path / "raw.json")
    for paths in ([table], [table, raw]):
        found = load(paths)
        assert found.spans.height == 2
        ((name, _),) = unreadable(found)
        assert name == "s.task_events.parquet"
    if what != "newer":
        write_table(found.spans, table)
        assert os.path.lexists(beside)
        before = table.read_bytes()
        write_table(found.spans, table)
        assert table.read_bytes() == before
        assert os.path.lexists(beside)


@pytest.mark.parametrize("compression", [Compression.GZIP, Compression.ZSTD])
def test_packed_damage(tmp_path: Path, compression: Compression) -> None:
    bad = tmp_path / "bad"
    bad.write_bytes(PACK[compression](one_line(span(1)))[:9])
    with pytest.raises(NoSpansError, match=rf"bad: unreadable \(looks like {compression} and cannot be unpacked"):
        load([bad])
    found = load([bad, spans_in(tmp_path / "good")])
    assert [name for name, _ in unreadable(found)] == ["bad"]
    found = load([tmp_path])
    assert not unreadable(found)
    assert found.report.skipped == {"cannot be unpacked": 1}


def test_packed_data_that_is_cut_is_damage(tmp_path: Path) -> None:
    content = b"".join(one_line(span(number, name=os.urandom(200).hex())) for number in range(300))
    (tmp_path / "cut.gz").write_bytes(PACK[Compression.GZIP](content)[:50_000])
    ((_, detail),) = unreadable(load([tmp_path]))
    assert "is cut off; what came after this is lost" in detail


def test_a_path_may_be_text_and_alone(tmp_path: Path) -> None:
    file = spans_in(tmp_path / "spans.json")
    for given in (file, str(file), [file], [str(file)], (str(file),)):
        assert load(given).spans.height == 2


def test_a_file_without_spans_beside_one_of_many_that_are_alike(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"".join(one_line(span(number)) for number in range(1, 400)))
    header = next(FAILURES.glob("*.open")).read_bytes().partition(b"\n")[0]
    (tmp_path / "b.open").write_bytes(header + b"\n")
    assert load(tmp_path).report.spans == 399
