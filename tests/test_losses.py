"""Spans that the hook could not write are told by whoever reads its files."""

from __future__ import annotations

from pathlib import Path

from opentelemetry.sdk.trace import TracerProvider
from raytrace_hook.output.in_flight import OpenSpans
from raytrace_hook.output.writer import SpanFile
from raytrace_hook.record.process import ProcessResource
from raytrace_hook.record.processor import SpanFileProcessor
from typer.testing import CliRunner

from raytrace_analyze.cli import app
from raytrace_analyze.ingest.loading import load


def leave_files(directory: Path, lost: tuple[int, ...]) -> None:
    """Write a span before the losses, and one after each but the last."""
    file, process = SpanFile(str(directory)), ProcessResource()
    provider = TracerProvider(shutdown_on_exit=False)
    open_spans = OpenSpans(file, lambda: process.encoded(provider.resource))
    provider.add_span_processor(SpanFileProcessor(file, process, open_spans))
    tracer = provider.get_tracer("test")
    for number in (*lost, 0):
        with tracer.start_as_current_span("span"):
            pass
        if number:
            file.count_lost(number, "No space left on device")


def test_losses_are_summed_by_process(tmp_path: Path) -> None:
    leave_files(tmp_path, (3, 4))
    leave_files(tmp_path, (5,))
    leave_files(tmp_path, ())
    report = load(tmp_path).report
    assert report.lost_spans == 12
    assert sorted(problem.lost for problem in report.problems) == [5, 7]
    assert not report.is_damaged
    assert "No space left on device" in report.problems[0].detail


def test_they_are_told_where_the_spans_alone_or_the_table_is_there(tmp_path: Path) -> None:
    leave_files(tmp_path, (3, 4))
    for file in tmp_path.glob("*.open"):
        file.unlink()
    assert load(tmp_path).report.lost_spans == 7
    table = tmp_path / "spans.parquet"
    shown = CliRunner().invoke(app, ["merge", str(tmp_path), "-o", str(table)])
    assert shown.exit_code == 0
    assert "lost     7 spans could not be written by 1 process" in shown.output
    assert load(table).report.lost_spans == 7
