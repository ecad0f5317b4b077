"""What a span record's fields become in the columns of the table."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raytrace_analyze.decode import decode_file
from raytrace_analyze.schema import DECODED
from tests.span_files import RESOURCE, one_line, span, span_file

NODE = "b311a889c45df299f7d77623482b91a92b3ec96a27301c228b18e61b"
WORKER = "9e3cc83cdf9ecada6219f3dcc0f610bc01834013ebace305a384bada"


@pytest.fixture
def row(tmp_path):
    """Decode one record and give its row."""

    def decode(record):
        (part,) = decode_file(span_file(tmp_path / "spans", one_line(record)))
        assert part.problems == ()
        assert part.frame.schema == DECODED
        return part.frame.row(0, named=True)

    return decode


def without(record, *fields):
    return {name: value for name, value in record.items() if name not in fields}


def test_a_span_of_rays_own_hook(row, tmp_path):
    record = span(7)
    start = datetime(2026, 11, 23, 8, 55, 46, tzinfo=UTC)
    assert row(record) == {
        "trace_id": f"{7:032x}",
        "span_id": f"{7:016x}",
        "parent_id": "751754a7ba668610",
        "name": "__main__.map_part ray.remote_worker",
        "kind": "CONSUMER",
        "start": start + timedelta(microseconds=501412),
        "end": start + timedelta(microseconds=670512),
        "status": "UNSET",
        "status_message": None,
        "session": None,
        "job_id": "01000000",
        "function": "__main__.map_part",
        "task_id": "16310a0f0a45af5cffffffffffffffffffffffff01000000",
        "actor_id": None,
        "node_id": NODE,
        "worker_id": WORKER,
        "submitted_task_id": None,
        "dependency_task_ids": None,
        "ready_task_ids": None,
        "attempt": None,
        "host": None,
        "pid": 6473,
        "records_waits": None,
        "concurrent": None,
        "attributes": json.dumps(record["attributes"]),
        "events": "[]",
        "links": "[]",
        "resource": json.dumps(RESOURCE),
        "source": str(tmp_path / "spans"),
        "instance_id": "e3e55f83-9311-4f6c-b505-930d8a1f8ce1",
    }


def test_what_our_hook_adds(row):
    found = row(
        span(
            attributes={
                "raytrace.submitted_task_id": "ab",
                "raytrace.dependency_task_ids": ["cd", "ef"],
                "raytrace.ready_task_ids": [],
                "raytrace.attempt": 2,
                "raytrace.concurrent": True,
            },
            resource={
                "attributes": {
                    "raytrace.records_waits": True,
                    "raytrace.session": "session_1",
                    "service.instance.id": "i",
                    "process.pid": 12,
                    "host.name": "h",
                    "ray.node_id": "n",
                    "ray.worker_id": "w",
                    "ray.job_id": "02000000",
                }
            },
        )
    )
    expected = {
        "submitted_task_id": "ab",
        "dependency_task_ids": ["cd", "ef"],
        "ready_task_ids": [],
        "attempt": 2,
        "concurrent": True,
        "records_waits": True,
        "session": "session_1",
        "instance_id": "i",
        "pid": 12,
        "host": "h",
        "node_id": "n",
        "worker_id": "w",
        "job_id": "02000000",
    }
    assert {name: found[name] for name in expected} == expected


def test_the_spans_own_attributes_come_before_the_resource(row):
    resource = {"attributes": {"process.pid": 1, "ray.node_id": "n", "ray.worker_id": "w", "ray.job_id": "j"}}
    found = row(span(resource=resource))
    assert (found["pid"], found["node_id"], found["worker_id"]) == (6473, NODE, WORKER)
    assert found["job_id"] == "01000000"


def test_rays_nil_job_is_no_job(row):
    resource = {"attributes": {"ray.job_id": "03000000"}}
    assert row(span(attributes={"ray.job_id": "ffffffff"}))["job_id"] is None
    assert row(span(attributes={"ray.job_id": "ffffffff"}, resource=resource))["job_id"] == "03000000"


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("__main__.f ray.remote", "__main__.f"),
        ("Cls.method ray.remote_worker", "Cls.method"),
        ("custom", None),
        ("ray.remote", None),
        ("", None),
    ],
)
def test_the_function_is_told_by_a_ray_spans_name(row, name, function):
    assert row(span(name=name, attributes={}))["function"] == function


@pytest.mark.parametrize(
    ("parent_id", "expected"),
    [
        (None, None),
        ("", None),
        ("0x0000000000000000", None),
        ("0xABCDEF", "abcdef"),
        ("0X00AB", "00ab"),
        ("00ab", "00ab"),
        (7, "7"),
    ],
)
def test_ids(row, parent_id, expected):
    assert row(span(parent_id=parent_id))["parent_id"] == expected


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("SpanKind.PRODUCER", "PRODUCER"), ("CLIENT", "CLIENT"), (None, "INTERNAL"), ("?", "INTERNAL"), (3, "INTERNAL")],
)
def test_kinds(row, kind, expected):
    assert row(span(kind=kind))["kind"] == expected


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({"status_code": "ERROR", "description": "ValueError: x"}, ("ERROR", "ValueError: x")),
        ({"status_code": "OK"}, ("OK", None)),
        ({"status_code": "StatusCode.ERROR", "description": 1}, ("ERROR", "1")),
        ({"canonical_code": "?"}, ("UNSET", None)),
        (None, ("UNSET", None)),
        ("ERROR", ("ERROR", None)),
    ],
)
def test_statuses(row, status, expected):
    found = row(span(status=status))
    assert (found["status"], found["status_message"]) == expected


def test_a_record_of_an_old_sdk(row):
    record = without(span(), "events", "links", "status", "kind", "parent_id", "end_time", "name", "attributes")
    record["resource"] = {"service.instance.id": "i", "raytrace.session": "s"}
    found = row(record)
    assert (found["instance_id"], found["session"]) == ("i", "s")
    assert (found["events"], found["links"], found["attributes"]) == ("[]", "[]", "{}")
    assert (found["name"], found["kind"], found["end"]) == ("", "INTERNAL", None)
    found = row(without(record, "resource") | {"attributes": None, "events": None, "links": None})
    assert (found["events"], found["links"], found["attributes"]) == ("[]", "[]", "{}")
    assert (found["resource"], found["instance_id"]) == ("{}", None)


@pytest.mark.parametrize(
    ("key", "value", "column", "expected"),
    [
        ("ray.pid", 12, "pid", 12),
        ("ray.pid", "twelve", "pid", None),
        ("ray.pid", [], "pid", None),
        ("ray.pid", str(2**70), "pid", None),
        ("ray.job_id", 1, "job_id", "1"),
        ("ray.job_id", {"a": 1}, "job_id", None),
        ("ray.task_id", True, "task_id", None),
        ("ray.function", "\ud800", "function", "?"),
        ("raytrace.attempt", "3", "attempt", 3),
        ("raytrace.attempt", 2**40, "attempt", None),
        ("raytrace.attempt", -1, "attempt", None),
        ("raytrace.attempt", 2.0, "attempt", 2),
        ("raytrace.attempt", float("nan"), "attempt", None),
        ("raytrace.concurrent", "true", "concurrent", True),
        ("raytrace.concurrent", 7, "concurrent", None),
        ("raytrace.ready_task_ids", ["a", None, 1], "ready_task_ids", ["a", "1"]),
        ("raytrace.ready_task_ids", "a", "ready_task_ids", None),
    ],
)
def test_values_of_wrong_types_never_lose_the_span(row, key, value, column, expected):
    attributes = {key: value, "raytrace.submitted_task_id": "ab"}
    found = row(span(attributes=attributes))
    assert found[column] == expected
    assert found["submitted_task_id"] == "ab"
    assert found["attributes"] == json.dumps(attributes)


def test_a_resource_of_wrong_types_never_loses_the_span(row):
    wrong = {"attributes": {"process.pid": "x", "host.name": [], "raytrace.records_waits": 1, "ray.job_id": None}}
    for resource in (wrong, [], "text", 1, {"attributes": 1}):
        found = row(span(resource=resource))
        assert (found["host"], found["records_waits"], found["pid"]) == (None, None, 6473)
        assert found["resource"] == json.dumps(resource)


def test_the_json_is_lossless(row):
    attributes = {"text": 'tab\t "quoted" \\ \n über €', "list": [1, 2.5, None], "e": {}, "n": float("inf")}
    assert row(span(attributes=attributes))["attributes"] == json.dumps(attributes)


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def epoch_ns(tmp_path, text):
    (part,) = decode_file(span_file(tmp_path / "spans", one_line(span(start_time=text))))
    return part.frame["start"].to_physical().to_list()


def test_a_time_before_computers_counted_is_none(tmp_path):
    assert epoch_ns(tmp_path, "1969-12-31T23:59:59.5Z") == []


@settings(deadline=None)
@given(
    st.datetimes(datetime(1970, 1, 1), datetime(2250, 1, 1)),
    st.text("0123456789", max_size=9),
    st.sampled_from(["Z", "+00:00"]),
)
def test_times_have_any_number_of_digits(tmp_path_factory, moment, digits, zone):
    moment = moment.replace(microsecond=0, tzinfo=UTC)
    text = moment.strftime("%Y-%m-%dT%H:%M:%S").rjust(19, "0") + (f".{digits}" if digits else "") + zone
    expected = (moment - EPOCH) // timedelta(seconds=1) * 10**9 + int(digits.ljust(9, "0"))
    assert epoch_ns(tmp_path_factory.getbasetemp(), text) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:01", 10**9),
        ("1970-01-01 00:00:01Z", 10**9),
        ("1970-01-01T01:00:00.5+01:00", 5 * 10**8),
        ("1970-01-01T00:00:00.123456789123Z", 123456789),
    ],
)
def test_times_in_other_forms(tmp_path, text, expected):
    assert epoch_ns(tmp_path, text) == [expected]


@pytest.mark.parametrize("text", ["", "now", "2026-13-01T00:00:00Z", "9999-01-01T00:00:00Z", "2026-01-01T00:00:00.+5Z"])
def test_what_is_no_time_is_a_damaged_record(tmp_path, text):
    good = one_line(span(1))
    (part, *_) = parts = list(decode_file(span_file(tmp_path / "spans", good + one_line(span(start_time=text)))))
    assert part.frame["span_id"].to_list() == [f"{1:016x}"]
    assert [problem.offset for part in parts for problem in part.problems] == [len(good)]


@pytest.mark.parametrize(
    ("function", "expected"),
    [("ray.data._internal.execution.operators.map_operator._map_task", "ReadRange"), ("__main__.f", "__main__.f")],
)
def test_an_operator_of_ray_data_is_called_by_its_own_name(row, function, expected):
    found = row(span(attributes={"ray.function": function, "raytrace.task_name": "ReadRange"}))
    assert found["function"] == expected
