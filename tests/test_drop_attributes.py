"""A table to give to others: without what the program wrote, and with the same paths."""

import json
from pathlib import Path

import polars as pl
from typer.testing import CliRunner

import raytrace_analyze as rt
from raytrace_analyze.cli import app
from tests.span_files import one_line, span

SAMPLES = Path(__file__).parent.parent / "sample_spans"
SECRET = "hunter2"


def test_nothing_that_the_program_wrote_is_left(tmp_path: Path) -> None:
    attributes = {
        "password": SECRET,
        "ray.function": "f",
        "raytrace.entrypoint": f"p.py --key {SECRET}",
        "raytrace.call_site": f"/{SECRET}/p.py:1",
    }
    record = span(
        1,
        attributes=attributes,
        events=[{"name": "exception", "attributes": {"exception.message": SECRET}}],
        links=[{"attributes": {"x": SECRET}}],
        status={"status_code": "ERROR", "description": f"ValueError: {SECRET}"},
        resource={"attributes": {"host.name": "h", "team": SECRET}, "schema_url": ""},
    )
    odd = span(2, attributes=f"[{SECRET}]", resource=[SECRET], status={"description": SECRET + " is what it was"})
    (tmp_path / "spans.jsonl").write_bytes(one_line(record) + one_line(odd))
    table = tmp_path / "table.parquet"
    done = CliRunner().invoke(app, ["merge", str(tmp_path), "-o", str(table), "--drop-attributes"])
    assert done.exit_code == 0, done.output
    assert SECRET not in str(pl.read_parquet(table).rows()) + str(pl.read_parquet_metadata(table))
    first = rt.read_spans(table).row(0, named=True)
    assert json.loads(first["attributes"]) == {"ray.function": "f"}
    assert first["status_message"] == "ValueError" and first["host"] == "h" and first["function"] == "f"


def test_the_path_is_the_same(tmp_path: Path) -> None:
    for capture in ("map_reduce-ours", "actor_pipeline-ours", "failures-ours"):
        spans, table = SAMPLES / capture / "spans", tmp_path / f"{capture}.parquet"
        CliRunner().invoke(app, ["merge", str(spans), "-o", str(table), "--drop-attributes"])
        kept = ("start_ns", "end_ns", "category", "cause", "via", "span_id")
        assert (
            rt.critical_path(rt.read_spans(spans)).segments.select(kept).rows()
            == rt.critical_path(rt.read_spans(table)).segments.select(kept).rows()
        )
