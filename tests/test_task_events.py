"""What Ray's task events add to the spans, and where they are kept."""

import json
from pathlib import Path

import duckdb
import polars as pl
import pytest

import raytrace_analyze as rt
from raytrace_analyze import load
from raytrace_analyze.schema import EVENT_COLUMNS, TABLE
from raytrace_analyze.table.assemble import assemble, write_table
from raytrace_analyze.table.events.attempts import only_spans
from raytrace_analyze.table.events.task_events import events_path, merge_events
from tests.simulated_events import event_table
from tests.tables import decoded, run, span, submit, table, wait

SAMPLES = Path(__file__).parent.parent / "sample_spans"
FAILURES = SAMPLES / "failures-ours" / "spans"
OURS = sorted(path.parent.name for path in SAMPLES.glob("*-ours/truth.json"))


def as_version_1(spans: pl.DataFrame, events: pl.DataFrame, path: Path) -> None:
    """Write a table and its task events as version 1 did: in two files."""
    bare = only_spans(spans).drop(EVENT_COLUMNS.names())
    bare.write_parquet(path, metadata={"raytrace.schema_version": "1"})
    about = {"raytrace.schema_version": "1", "raytrace.table": "task_events"}
    events.write_parquet(events_path(path), metadata=about)


def test_a_killed_attempt_gets_its_end_and_error_from_the_task_events() -> None:
    found = load([FAILURES])
    truth = json.loads((FAILURES.parent / "truth.json").read_text())
    killed = next(body for body in truth["measured_chain"]["bodies"] if body["end_ns"] is None or body["error"])
    row = found.spans.row(by_predicate=pl.col("span_id") == killed["span_id"], named=True)
    assert row["status"] == "ERROR"
    assert row["end"] is not None
    assert row["status_message"]
    assert row["error_type"]


@pytest.mark.parametrize("capture", OURS)
def test_they_stand_in_the_rows_and_are_read_from_there(tmp_path: Path, capture: str) -> None:
    raw = SAMPLES / capture / "spans"
    found = load([raw])
    assert found.spans["state_running"].count() > 0
    path = tmp_path / "spans.parquet"
    write_table(found.spans, path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["spans.parquet"]
    for paths in ([path], [tmp_path], [path, raw]):
        again = load(paths)
        assert again.task_events.equals(found.task_events)
        assert again.spans.drop("source").equals(found.spans.drop("source"))
        assert not again.report.is_damaged
    told = f"select count(state_running), count(*) filter (where from_events) from '{path}'"
    counts = (found.spans["state_running"].count(), found.report.attempts_without_span)
    assert duckdb.sql(told).fetchall() == [counts]


def test_a_pair_of_version_1_is_read(tmp_path: Path) -> None:
    found = load([FAILURES])
    path = tmp_path / "spans.parquet"
    as_version_1(found.spans, found.task_events, path)
    for paths in ([path], [tmp_path], [path, events_path(path)]):
        again = load(paths)
        assert again.spans.drop("source").equals(found.spans.drop("source"))
        assert not again.report.problems or all(problem.kind == "missing parent" for problem in again.report.problems)


def test_a_new_table_takes_the_old_file_away_and_never_reads_it(tmp_path: Path) -> None:
    """A process that is killed between the two leaves a table that is whole, and a file that is out of date."""
    found = load([FAILURES])
    path = tmp_path / "spans.parquet"
    as_version_1(found.spans, found.task_events.with_columns(session=pl.lit("another")), path)
    outdated = events_path(path).read_bytes()
    write_table(found.spans, path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["spans.parquet"]
    events_path(path).write_bytes(outdated)
    for paths in ([path], [tmp_path]):
        assert load(paths).spans.equals(found.spans)
    assert load([path, events_path(path)]).report.attempts_without_span > found.report.attempts_without_span


def test_of_two_dumps_of_an_attempt_the_one_that_tells_more_stays() -> None:
    events = load([FAILURES]).task_events
    earlier = events.with_columns(finished=pl.lit(None, events.schema["finished"]))
    for frames in ([events, earlier], [earlier, events]):
        assert merge_events(frames).height == events.height
        assert merge_events(frames)["finished"].null_count() == events["finished"].null_count()


def test_given_beside_the_spans_they_are_put_into_the_rows() -> None:
    found = load([FAILURES])
    bare = only_spans(found.spans).with_columns(
        pl.lit(None, dtype).alias(name) for name, dtype in EVENT_COLUMNS.items()
    )
    again = rt.with_task_events(bare, found.task_events)
    assert again.schema == TABLE
    assert again.sort("start", "trace_id", "span_id").equals(found.spans)
    assert rt.with_task_events(found.spans, found.task_events).height == found.spans.height


def attempt(task: str, number: int = 0, **times: int) -> dict[str, object]:
    return {"session": "s", "job_id": "01", "task_id": task, "attempt": number, "name": "f", **times}


def program(*attempts: dict[str, object], attempt: int = 0) -> pl.DataFrame:
    """
    0   4         100
    ==============   the driver submits A (s1) and B (s2), and waits for A
      r ========     A runs from 20 to 90; B has task events alone
    """
    spans = decoded(
        submit("s1", 1, 2, submitted_task_id="A", dependency_task_ids=[], records_waits=True),
        submit("s2", 3, 4, submitted_task_id="B", dependency_task_ids=[], function="g", name="g ray.remote"),
        run("r", 20, 90, "s1", "A", attempt=attempt),
        wait("w", 5, 100, None, ["A"], records_waits=True),
    )
    return assemble([spans], event_table(list(attempts)))[0]


QUEUED = attempt("B", pending_args_avail=4, pending_node_assignment=6)


def test_a_queued_task_is_a_row_that_is_on_no_path_and_counted_apart() -> None:
    spans, bare = program(QUEUED), program()
    row = spans.row(by_predicate=pl.col("from_events"), named=True)
    assert (row["category"], row["parent_id"]) == ("task", "s2")
    assert (row["function"], row["name"]) == ("g", "g ray.remote_worker")
    assert (row["end"], row["status"], row["attempt"], row["job_id"]) == (None, "UNSET", 0, "01")
    assert spans.get_column("start").is_sorted()
    assert rt.critical_path(spans).segments.equals(rt.critical_path(bare).segments)
    assert rt.jobs(spans).drop("without_span").equals(rt.jobs(bare).drop("without_span"))
    assert rt.jobs(spans)["without_span"].to_list() == [1]
    stats = rt.latency_stats(spans)
    assert stats.filter(count=0).select("function", "without_span").rows() == [("g", 1)]
    assert stats.filter(pl.col("count") > 0).equals(rt.latency_stats(bare))
    assert rt.span_graph(spans).nodes[row["span_id"]]["from_events"]


def test_why_tells_of_a_queued_task() -> None:
    story = rt.tell_story(program(QUEUED), "g")
    assert story.task_id == "B"
    assert story.steps.select("step", "start_ns", "end_ns", "cause").rows() == [
        ("submit", 3, 4, None),
        ("queue", 4, 6, "dependency"),
        ("queue", 6, 100, "no-slot"),
    ]
    assert "had not begun to run" in story.steps["sentence"][-1]


def test_why_tells_of_an_attempt_that_left_no_span_beside_one_that_did() -> None:
    lost = attempt("A", 0, pending_args_avail=2, pending_node_assignment=3, submitted_to_worker=4, running=5, failed=9)
    kept = attempt("A", 1, pending_args_avail=10, pending_node_assignment=11, running=19, finished=91)
    spans = program({**lost, "error_type": "WORKER_DIED"}, kept, attempt=1)
    told = spans.filter("from_events").select("attempt", "status", "status_message").rows()
    assert told == [(0, "ERROR", "WORKER_DIED")]
    steps = rt.tell_story(spans, "A").steps
    assert steps.filter(step="run").select("start_ns", "end_ns").rows() == [(5, 9), (20, 90)]


def test_attempts_of_another_session_stay_apart() -> None:
    other = {**attempt("A", running=500, finished=600), "session": "other"}
    spans = program(attempt("A", running=19, finished=91), other)
    assert spans.filter(~pl.col("from_events"))["state_running"].drop_nulls().to_physical().to_list() == [19]
    assert spans.filter("from_events").select("session").to_series().to_list() == ["other"]


def test_an_actor_that_restarts_has_one_row_of_events_for_its_creations() -> None:
    spans = assemble(
        [
            decoded(
                submit("s", 0, 1, function="X.__init__", submitted_task_id="C"),
                run("c1", 10, 12, "s", "C", function="X.__init__", actor_id="X", attempt=0),
                run("c2", 50, 52, "s", "C", function="X.__init__", actor_id="X", attempt=0),
            )
        ],
        event_table([{**attempt("C", running=49), "actor_id": "X"}]),
    )[0]
    assert spans.filter(pl.col("state_running").is_not_null())["span_id"].to_list() == ["c2"]
    assert not spans["from_events"].any()


def test_an_actor_that_was_killed_while_it_was_first_created_has_the_events_of_the_creation_that_came_to_be() -> None:
    creation = {"type": "ACTOR_CREATION_TASK", "actor_id": "X", "pending_node_assignment": 2, "finished": 53}
    spans = assemble(
        [
            decoded(
                submit("s", 0, 1, function="X.__init__", submitted_task_id="C"),
                run("c2", 50, 52, "s", "C", function="X.__init__", actor_id="X", attempt=1),
            )
        ],
        event_table([{**attempt("C"), **creation}]),
    )[0]
    assert spans.filter(pl.col("state_finished").is_not_null())["span_id"].to_list() == ["c2"]
    assert not spans["from_events"].any()


@pytest.mark.parametrize("with_attempts", [False, True])
def test_what_ran_on_an_actor_ends_with_it_where_ray_tells_nothing_else(with_attempts: bool) -> None:
    #      r [========..      a call that never ended, in it what Serve handles; so did one of Ray's own
    #      actor dead   ^
    on = {"actor_id": "a", "pid": 7, "host": "h"}
    spans = decoded(
        submit("s", 1, 2, submitted_task_id="A", records_waits=True),
        run("r", 20, None, "s", "A", function="ServeReplica:app:M.handle_request", **on),
        span("h", 21, None, "r", name="replica_handle_request M __call__", kind="SERVER", pid=7, host="h"),
        submit("s2", 3, 4, submitted_task_id="B"),
        run("o", 20, None, "s2", "B", function="ServeController.listen_for_change", **on),
        submit("s3", 1, 2, actor_id="a", pid=8, host="h"),
        run("other", 30, None, "s3", "C", pid=8, host="h"),
    )
    end = {**attempt("f" * 16 + "a"), "type": "ACTOR_CREATION_TASK", "actor_id": "a", "states": '{"ACTOR_DEAD":60}'}
    if with_attempts:
        end |= {"pending_args_avail": 4}
    found = assemble([spans], event_table([end]))[0]
    told = {row["span_id"]: row for row in found.to_dicts()}
    closed = {name for name, row in told.items() if row["end"] is not None and row["kind"] != "PRODUCER"}
    assert closed == (set() if with_attempts else {"r", "h", "o"})
    if not with_attempts:
        assert (told["r"]["status"], told["r"]["status_message"]) == ("ERROR", "ACTOR_DIED")
        assert (told["h"]["status"], told["o"]["status"]) == ("ERROR", "UNSET")
        assert found.height == spans.height


def test_a_table_without_any_has_the_columns() -> None:
    spans = table(run("r", 0, 1, None, "A"))
    assert spans.schema == TABLE
    assert spans["from_events"].to_list() == [False]
