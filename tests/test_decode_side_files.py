"""The hook's side files: spans that are open, and Ray's task events."""

import json

import polars as pl
import pytest

from raytrace_analyze.decode import decode_file, open_spans, task_events
from raytrace_analyze.decode.task_events import TASK_EVENTS, decode_task_events
from raytrace_analyze.model import Compression, ProblemKind
from raytrace_analyze.schema import DECODED
from tests.span_files import PACK, RESOURCE, span, span_file, span_id

SLOT_BYTES = 1024
HEADER = {"raytrace": "open", "version": 1, "slot_bytes": SLOT_BYTES, "resource": RESOURCE}


def slot(record=None) -> bytes:
    text = b"" if record is None else json.dumps(record).encode()
    return text.ljust(SLOT_BYTES - 1) + b"\n"


def open_span(number):
    record = span(number, end_time=None)
    del record["resource"]
    return record


def decode_open(tmp_path, content, compression=Compression.NONE):
    (part,) = decode_file(span_file(tmp_path / "x.open", content, compression, open_spans.FORMAT.name))
    assert part.frame.schema == DECODED
    return part


@pytest.mark.parametrize("compression", list(PACK))
def test_open_spans_have_no_end_and_the_headers_resource(tmp_path, compression):
    header = json.dumps(HEADER).encode() + b"\n"
    part = decode_open(tmp_path, header + slot(open_span(1)) + slot() + slot(open_span(2)), compression)
    assert part.frame["span_id"].to_list() == [span_id(1), span_id(2)]
    assert part.frame["end"].null_count() == 2
    assert set(part.frame["resource"]) == {json.dumps(RESOURCE)}
    assert set(part.frame["instance_id"]) == {RESOURCE["attributes"]["service.instance.id"]}
    assert part.problems == ()


@pytest.mark.parametrize("name", ["ray.get", "ray.wait", "ray.next", "await"])
def test_an_open_wait_has_come_back_with_nothing_yet(tmp_path, name):
    header = json.dumps(HEADER).encode() + b"\n"
    asked = {"name": name, "kind": "SpanKind.INTERNAL", "attributes": {"raytrace.awaited_count": 2}}
    other = {"name": name, "kind": "SpanKind.INTERNAL", "attributes": {"mine": 1}}
    part = decode_open(tmp_path, header + slot(open_span(1) | asked) + slot(open_span(2) | other))
    assert part.frame["ready_task_ids"].to_list() == [[], None]


def test_damaged_slots_cost_only_themselves(tmp_path):
    header = json.dumps(HEADER).encode() + b"\n"
    content = header + slot(open_span(1)) + b'{"name": "torn'.ljust(SLOT_BYTES - 1) + b"\n" + slot(open_span(2))
    part = decode_open(tmp_path, content + slot(open_span(3))[:100])
    assert part.frame["span_id"].to_list() == [span_id(1), span_id(2)]
    assert [(problem.kind, problem.offset) for problem in part.problems] == [
        (ProblemKind.DAMAGED_RECORD, len(header) + SLOT_BYTES),
        (ProblemKind.CUT_RECORD, len(header) + 3 * SLOT_BYTES),
    ]


def test_a_slot_whose_time_is_no_time_is_named(tmp_path):
    header = json.dumps(HEADER).encode() + b"\n"
    part = decode_open(tmp_path, header + slot(open_span(1) | {"start_time": "soon"}))
    assert part.frame.is_empty()
    assert [(problem.kind, problem.offset) for problem in part.problems] == [(ProblemKind.DAMAGED_RECORD, len(header))]


def test_a_damaged_header_costs_only_the_resource(tmp_path):
    part = decode_open(tmp_path, b'{"raytrace": "open", "ver\n' + slot(open_span(1)))
    assert part.frame["span_id"].to_list() == [span_id(1)]
    assert part.frame["resource"].to_list() == ["{}"]
    assert [problem.offset for problem in part.problems] == [0]


EVENTS_HEADER = {
    "raytrace": "task_events",
    "version": 1,
    "session": "session_1",
    "job_id": "01000000",
    "ray_version": "2.60.0",
    "written_ns": 0,
}

ATTEMPT = {
    "task_id": "ab",
    "attempt": 0,
    "job_id": "01000000",
    "type": "NORMAL_TASK",
    "name": "f",
    "parent_task_id": "ff",
    "actor_id": None,
    "node_id": "n",
    "worker_id": "w",
    "pid": 1,
    "resources": {"CPU": 1.0},
    "states": {"PENDING_ARGS_AVAIL": 1795424139000000001, "RUNNING": 1795424140000000002, "FINISHED": 0},
    "error": {"type": "WORKER_DIED", "message": "killed"},
    "profile": [{"name": "task:execute", "start_ns": 1, "end_ns": 2}],
}


def decode_events(tmp_path, *lines, compression=Compression.NONE):
    content = b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines)
    frame, problems = decode_task_events(
        span_file(tmp_path / "x.events", content, compression, task_events.FORMAT.name)
    )
    assert frame.schema == TASK_EVENTS
    return frame, problems


@pytest.mark.parametrize("compression", list(PACK))
def test_task_events(tmp_path, compression):
    frame, problems = decode_events(tmp_path, EVENTS_HEADER, ATTEMPT, compression=compression)
    found = frame.with_columns(pl.selectors.datetime().to_physical()).row(0, named=True)
    assert problems == ()
    assert found == {
        "session": "session_1",
        "job_id": "01000000",
        "task_id": "ab",
        "attempt": 0,
        "type": "NORMAL_TASK",
        "name": "f",
        "parent_task_id": "ff",
        "actor_id": None,
        "node_id": "n",
        "worker_id": "w",
        "pid": 1,
        "resources": '{"CPU": 1.0}',
        "states": json.dumps(ATTEMPT["states"]),
        "error_type": "WORKER_DIED",
        "error_message": "killed",
        "profile": json.dumps(ATTEMPT["profile"]),
        "pending_args_avail": 1795424139000000001,
        "pending_node_assignment": None,
        "pending_obj_store_mem_avail": None,
        "pending_args_fetch": None,
        "submitted_to_worker": None,
        "running": 1795424140000000002,
        "finished": None,
        "failed": None,
    }


def test_attempts_without_error_job_or_of_wrong_types(tmp_path):
    sparse = {"task_id": "cd", "error": None, "states": [], "attempt": "x", "pid": -1, "name": 5, "profile": None}
    frame, problems = decode_events(tmp_path, EVENTS_HEADER, sparse)
    row = frame.row(0, named=True)
    assert (row["job_id"], row["error_type"], row["attempt"], row["pid"]) == ("01000000", None, None, None)
    assert (row["name"], row["states"], row["running"], row["profile"]) == ("5", "[]", None, None)
    assert problems == ()


def test_damaged_task_events(tmp_path):
    half = json.dumps(ATTEMPT).encode()[:60]
    frame, problems = decode_events(tmp_path, EVENTS_HEADER, b"\xff\n", ATTEMPT, {"no": "task"}, ATTEMPT, half)
    assert frame.height == 2
    # What is no text is told as such, and then as no record.
    assert [problem.kind for problem in problems] == [*[ProblemKind.DAMAGED_RECORD] * 3, ProblemKind.CUT_RECORD]
    frame, problems = decode_events(tmp_path)
    assert frame.is_empty()
    assert problems == ()


def test_task_events_are_no_spans(tmp_path):
    with pytest.raises(ValueError, match="holds task events"):
        decode_file(span_file(tmp_path / "x", b"", format=task_events.FORMAT.name))
