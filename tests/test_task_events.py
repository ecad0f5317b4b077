"""What Ray's task events add to the spans, and where they are kept."""

import json
from pathlib import Path

import polars as pl

from raytrace_analyze import load
from raytrace_analyze.table.assemble import write_table
from raytrace_analyze.table.task_events import events_path, merge_events

SAMPLES = Path(__file__).parent.parent / "sample_spans"
FAILURES = SAMPLES / "failures-ours" / "spans"


def test_a_killed_attempt_gets_its_end_and_error_from_the_task_events() -> None:
    found = load([FAILURES])
    truth = json.loads((FAILURES.parent / "truth.json").read_text())
    killed = next(body for body in truth["measured_chain"]["bodies"] if body["end_ns"] is None or body["error"])
    row = found.spans.row(by_predicate=pl.col("span_id") == killed["span_id"], named=True)
    assert row["status"] == "ERROR"
    assert row["end"] is not None
    assert row["status_message"]


def test_they_are_written_beside_the_table_and_read_from_there(tmp_path: Path) -> None:
    found = load([FAILURES])
    assert found.task_events.height > 0
    table = tmp_path / "spans.parquet"
    write_table(found.spans, table, found.task_events)
    assert events_path(table) == tmp_path / "spans.task_events.parquet"
    for paths in ([table], [tmp_path], [table, events_path(table)], [table, FAILURES]):
        again = load(paths)
        assert again.task_events.sort("task_id", "attempt").equals(found.task_events.sort("task_id", "attempt"))
        assert again.spans.drop("source").equals(found.spans.drop("source"))
        assert not again.report.is_damaged


def test_a_table_without_them_takes_the_old_ones_away(tmp_path: Path) -> None:
    found = load([FAILURES])
    table = tmp_path / "spans.parquet"
    write_table(found.spans, table, found.task_events)
    write_table(found.spans, table)
    assert [entry.name for entry in tmp_path.iterdir()] == ["spans.parquet"]


def test_of_two_dumps_of_an_attempt_the_one_that_tells_more_stays() -> None:
    events = load([FAILURES]).task_events
    earlier = events.with_columns(finished=pl.lit(None, events.schema["finished"]))
    for frames in ([events, earlier], [earlier, events]):
        assert merge_events(frames).height == events.height
        assert merge_events(frames)["finished"].null_count() == events["finished"].null_count()
