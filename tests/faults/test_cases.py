"""Input that is wrong in one way, and what must come out: how many spans, what is said, no path that is too long."""

import json
from datetime import date, time, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import raytrace_analyze as rt
from tests.faults.fuzz import analyses, check_path
from tests.span_files import one_line, span

NEXT_DAY = "2026-11-24T08:55:46.501412Z"
CONTEXT = span(2)["context"]

CASES: list[tuple[str, dict[str, Any], int, str]] = [
    ("nothing wrong", {}, 2, ""),
    ("ends before it starts", {"start_time": NEXT_DAY}, 2, "1 of 2 spans end before they start, by up to 24 h 0 min"),
    ("starts before 1970", {"start_time": "1677-09-21T00:12:44Z"}, 1, "is no time from 1970 to 2261"),
    ("ends after 2261", {"end_time": "9999-12-31T23:59:59Z"}, 1, "is no time from 1970 to 2261"),
    ("starts before 1970 by its zone", {"start_time": "1970-01-01T00:00:00+14:00"}, 1, "is no time from 1970 to 2261"),
    ("ends after 2261 by its zone", {"end_time": "2261-12-31T23:59:59-23:59"}, 1, "is no time from 1970 to 2261"),
    ("292 years long", {"start_time": "1970-01-01T00:00:00Z", "end_time": "2261-12-31T23:59:59Z"}, 2, ""),
    ("an id that is not hex", {"context": {**CONTEXT, "span_id": "0xzzzzzzzzzzzzzzzz"}}, 1, "is no id"),
    ("a short id", {"context": {**CONTEXT, "span_id": "0xabc"}}, 1, "is no id"),
    ("a long id", {"context": {**CONTEXT, "trace_id": "0x" + "a" * 40}}, 1, "is no id"),
    ("an empty id", {"context": {**CONTEXT, "span_id": ""}}, 1, "is no id"),
    ("a trace id of 64 bits", {"context": {**CONTEXT, "trace_id": "0x" + "a" * 16}}, 2, ""),
    ("resources of 1e30", {"attributes": {"raytrace.resources": '{"CPU": 1e30}'}}, 2, ""),
    ("resources that are NaN", {"attributes": {"raytrace.resources": '{"CPU": NaN, "GPU": -1}'}}, 2, ""),
    ("numbers beyond 64 bits", {"attributes": {"ray.pid": 10**40, "raytrace.attempt": 10**400}}, 2, ""),
    ("attributes that are a list", {"attributes": [1, 2]}, 2, ""),
    ("a place that is none", {"attributes": {"raytrace.call_site": "/dev/zero:²"}}, 2, ""),
]


@pytest.mark.parametrize(("changes", "spans", "says"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_a_record_that_is_wrong_in_one_way(tmp_path: Path, changes: dict[str, Any], spans: int, says: str) -> None:
    (tmp_path / "spans.jsonl").write_bytes(one_line(span(1, parent_id=None)) + one_line(span(2, **changes)))
    found = rt.load(tmp_path)
    assert found.report.spans == spans
    told = [problem.detail for problem in found.report.problems if "parent" not in problem.detail]
    assert says in " ".join(told)
    assert bool(told) == bool(says)
    for _, analysis in analyses(found):
        analysis()
    assert (found.spans["end"] >= found.spans["start"]).all()


@pytest.mark.parametrize("end", ["start", None])
def test_a_run_of_no_time_has_a_page(tmp_path: Path, end: str | None) -> None:
    run = span(1, parent_id=None)
    run["end_time"] = run["start_time"]
    (tmp_path / "spans.jsonl").write_bytes(one_line(run))
    spans = rt.read_spans(tmp_path).with_columns(end=pl.col("start") if end else pl.lit(None, pl.Datetime("ns", "UTC")))
    assert "The job took no time" in rt.html_report(spans)


def test_a_submit_that_ends_before_it_starts_makes_no_path_that_is_too_long(tmp_path: Path) -> None:
    submit = span(1, name="f ray.remote", kind="SpanKind.PRODUCER", parent_id=None, end_time="2026-11-23T08:55:41.0Z")
    run = span(2, parent_id="0x" + "0" * 15 + "1", context={**CONTEXT, "trace_id": submit["context"]["trace_id"]})
    (tmp_path / "spans.jsonl").write_bytes(one_line(submit) + one_line(run))
    found = rt.load(tmp_path)
    for spans in (found.spans, _as_it_was(found.spans)):
        check_path(rt.critical_path(spans))


def _as_it_was(spans: pl.DataFrame) -> pl.DataFrame:
    """A table that was not read by us, where the submit still ends before it starts."""
    early = pl.col("start") - pl.duration(seconds=5)
    return spans.with_columns(end=pl.when(pl.col("kind") == "PRODUCER").then(early).otherwise("end"))


TABLES: list[tuple[str, pl.Expr, str]] = [
    ("a struct", pl.struct(pl.lit(1)).alias("function"), "its column function holds Struct, not String"),
    ("a list", pl.concat_list(pl.lit("a")).alias("name"), "its column name holds List of String, not String"),
    ("no list", pl.lit("a").alias("ready_task_ids"), "its column ready_task_ids holds String, not List of String"),
    (
        "a list of structs",
        pl.concat_list(pl.struct(pl.lit(1))).alias("ready_task_ids"),
        "its column ready_task_ids holds List of Struct, not List of String",
    ),
    ("bytes", pl.lit(b"\xff").alias("host"), "its column host holds Binary, not String"),
    (
        "bytes in a list",
        pl.concat_list(pl.lit(b"\xff")).alias("ready_task_ids"),
        "its column ready_task_ids holds List of Binary, not List of String",
    ),
    ("a time of day", pl.lit(time(1)).alias("start"), "its column start holds Time, not Datetime"),
    ("a length of time", pl.lit(timedelta(1)).alias("end"), "its column end holds Duration, not Datetime"),
    ("a length of time for a text", pl.lit(timedelta(1)).alias("name"), "its column name holds Duration, not String"),
    ("dates for words", pl.lit(date(2026, 1, 1)).alias("kind"), "its column kind holds Date, not Enum"),
    ("words for numbers", pl.lit("a").cast(pl.Categorical).alias("pid"), "its column pid holds Categorical, not Int64"),
    ("numbers for times", pl.lit(7).alias("start"), "its column start holds Int32, not Datetime"),
    ("times before 1970", pl.col("start").dt.offset_by("-100y").alias("start"), "has times before 1970"),
    ("nulls", pl.lit(None, pl.String).alias("span_id"), "has rows whose span_id is null"),
]


@pytest.mark.parametrize(("column", "says"), [case[1:] for case in TABLES], ids=[case[0] for case in TABLES])
@pytest.mark.parametrize("beside", [False, True], ids=["read", "merged"])
def test_a_table_of_others(tmp_path: Path, column: pl.Expr, says: str, beside: bool) -> None:
    (tmp_path / "spans.jsonl").write_bytes(one_line(span(1)))
    path = tmp_path / "table.parquet"
    rt.write_table(rt.load(tmp_path).spans, path)
    metadata = {key: value for key, value in pl.read_parquet_metadata(path).items() if key.startswith("raytrace")}
    pl.read_parquet(path).with_columns(column, extra=pl.struct(pl.lit(1))).write_parquet(path, metadata=metadata)
    given = [path, tmp_path / "spans.jsonl"] if beside else [path]
    with pytest.raises(rt.UsageError) as error:
        rt.load(given)
    assert says in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)
    with pytest.raises(rt.UsageError) as error:
        rt.critical_path(pl.read_parquet(path))
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_columns_too_many_are_passed_over_and_too_few_are_null(tmp_path: Path) -> None:
    (tmp_path / "spans.jsonl").write_bytes(one_line(span(1)))
    path = tmp_path / "table.parquet"
    rt.write_table(rt.load(tmp_path).spans, path)
    metadata = {key: value for key, value in pl.read_parquet_metadata(path).items() if key.startswith("raytrace")}
    pl.read_parquet(path).drop("host").with_columns(extra=pl.struct(pl.lit(1))).write_parquet(path, metadata=metadata)
    spans = rt.read_spans(path)
    assert spans["host"].to_list() == [None]
    assert "extra" not in spans.columns


def test_what_is_deeply_nested_is_no_traceback(tmp_path: Path) -> None:
    deep = "[" * 20_000 + "]" * 20_000
    text = json.dumps(span(1, attributes="DEEP")).replace('"DEEP"', deep)
    (tmp_path / "spans.jsonl").write_text(text + "\n" + json.dumps(span(2)) + "\n")
    assert rt.load(tmp_path).report.spans in (1, 2)
