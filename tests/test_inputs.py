"""Files that others wrote: OTLP, Jaeger, logs, text in UTF-16; read through the public interface."""

import gzip
import io
import json
import time
import zipfile
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest
import zstandard

import raytrace_analyze as rt
from raytrace_analyze.errors import NoSpansError, UsageError
from raytrace_analyze.model import ProblemKind
from raytrace_analyze.schema import EVENT_COLUMNS
from tests.span_files import one_line, pretty, span, span_id

CAPTURES = Path(__file__).parent.parent / "sample_spans"
NAMES = [path.parent.name for path in sorted(CAPTURES.glob("*/spans"))]
JSON = ("attributes", "events", "links", "resource")


def comparable(spans: pl.DataFrame) -> list[dict]:
    """The rows, without where they came from, JSON as values."""
    spans = spans.filter(~pl.col("from_events")).drop("source", *EVENT_COLUMNS)
    rows = spans.with_columns(pl.col("start", "end").to_physical()).to_dicts()
    for row in rows:
        row |= {key: json.loads(row[key]) for key in JSON}
        for event in row["events"]:  # with as many digits as it takes
            event["timestamp"] = event["timestamp"].rstrip("Z").ljust(29, "0")
    return rows


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("to", ["otlp", "jaeger"])
def test_what_we_export_comes_back_as_the_same_table(name, to, tmp_path):
    found = rt.load(CAPTURES / name / "spans")
    rt.export(found.spans, to, tmp_path / "exported")
    again = rt.load(tmp_path / "exported")
    assert not again.report.is_damaged
    was, now = comparable(found.spans), comparable(again.spans)
    if to == "jaeger":  # it has no schema URL, and a process needs a name
        for row in was + now:
            row["resource"] = row["resource"].get("attributes", row["resource"])
    for row in was:
        row["resource"].setdefault("schema_url", "") if to == "otlp" else None
        if to == "otlp" and "attributes" not in row["resource"]:
            row["resource"].pop("schema_url")
            row["resource"] = {"attributes": row["resource"], "schema_url": ""}
    assert now == was


TRUE = {"key": "k", "value": {"boolValue": True}}
OTLP = {
    "resourceSpans": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "svc"}}]},
            "scopeSpans": [
                {
                    "scope": {"name": "lib"},
                    "spans": [
                        {
                            "traceId": "5b8efff798038103d269b633813fc60c",
                            "spanId": "eee19b7ec3c1b174",
                            "parentSpanId": "eee19b7ec3c1b173",
                            "name": "I'm a server span",
                            "startTimeUnixNano": "1544712660000000001",
                            "endTimeUnixNano": "1544712661000000002",
                            "kind": 2,
                            "attributes": [
                                {"key": "text", "value": {"stringValue": "v"}},
                                {"key": "list", "value": {"arrayValue": {"values": [{"intValue": "1"}, {}]}}},
                                {
                                    "key": "map",
                                    "value": {"kvlistValue": {"values": [{"key": "k", "value": {"boolValue": True}}]}},
                                },
                            ],
                            "status": {"code": "STATUS_CODE_ERROR", "message": "no"},
                        }
                    ],
                }
            ],
        }
    ]
}


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(OTLP),
        json.dumps(OTLP, indent=2),
        "\ufeff" + json.dumps(OTLP),
        json.dumps(OTLP).replace("traceId", "trace_id").replace("resourceSpans", "resource_spans"),
        json.dumps({"result": OTLP}),
        json.dumps({"trace": OTLP, "metrics": {"inspectedBytes": "1"}}, indent=2),
        json.dumps(OTLP).replace("resourceSpans", "batches"),
        json.dumps({"metrics": {"inspectedBytes": "1"}, "trace": OTLP}, indent=2),
        json.dumps({"resourceLogs": [], **OTLP}),
        json.dumps({"_comment": "x"} | OTLP).replace("scopeSpans", "scope_spans").replace("resourceS", "resource_s"),
    ],
    ids=[
        *("one line", "pretty", "byte order mark", "names of the schema", "Jaeger's answer", "Tempo's", "Grafana's"),
        *("Tempo's, sorted", "with logs", "a comment"),
    ],
)
def test_otlp_of_others_is_read(content, tmp_path):
    (tmp_path / "f").write_text(content)
    (row,) = rt.read_spans(tmp_path / "f").with_columns(pl.col("start", "end").to_physical()).to_dicts()
    assert (row["trace_id"], row["parent_id"]) == ("5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b173")
    assert (row["start"], row["end"]) == (1544712660000000001, 1544712661000000002)
    assert (row["kind"], row["status"], row["status_message"]) == ("SERVER", "ERROR", "no")
    assert json.loads(row["attributes"]) == {"text": "v", "list": [1, None], "map": {"k": True}}


def test_a_damaged_request_costs_no_other(tmp_path):
    def request(number):
        text = json.dumps(OTLP)
        return text.replace("eee19b7ec3c1b174", span_id(number)).encode()

    content = b"\n".join([request(1), request(2)[:-40], request(3), request(4)[:200]])
    (tmp_path / "f").write_bytes(content)
    found = rt.load(tmp_path / "f")
    assert set(found.spans["span_id"]) == {span_id(1), span_id(3)}
    kinds = [problem.kind for problem in found.report.problems if problem.kind is not ProblemKind.MISSING_PARENT]
    assert kinds == [ProblemKind.DAMAGED_RECORD, ProblemKind.DAMAGED_RECORD]


def read_if_any(path):
    """The spans, and whether what is wrong with the file makes for an exit code of its own."""
    try:
        found = rt.load(path)
    except NoSpansError:
        return None, True
    return found.spans, found.report.is_damaged


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("to", ["otlp", "jaeger"])
def test_of_a_document_that_was_cut_all_whole_spans_are_read(to, indent, tmp_path):
    rt.export(rt.read_spans(CAPTURES / "map_reduce-stock" / "spans"), to, tmp_path / "whole")
    first = json.JSONDecoder().raw_decode((tmp_path / "whole").read_text())[0]
    text = json.dumps(first, indent=indent).encode()
    (tmp_path / "whole").write_bytes(text)
    whole = {row["span_id"]: row for row in comparable(rt.read_spans(tmp_path / "whole"))}
    kept = 0
    for end in range(1, len(text) - 2, len(text) // 40):
        (tmp_path / "cut").write_bytes(text[:end])
        spans, is_damaged = read_if_any(tmp_path / "cut")
        rows = [] if spans is None else comparable(spans)
        assert is_damaged and len(rows) >= kept
        for row in rows:  # all that a span says itself; Jaeger's processes stand behind the spans
            for key in ("parent_id", "name", "start", "end", "kind", "attributes", "events", "links", "status"):
                assert row[key] == whole[row["span_id"]][key]
        kept = len(rows)
    assert kept >= len(whole) - 1


JAEGER_DOCUMENT = {
    "data": [
        {
            "traceID": "abc0",
            "spans": [
                {
                    "traceID": "abc0",
                    "spanID": "1",
                    "operationName": "root",
                    "references": [{"refType": "CHILD_OF", "traceID": "abc0", "spanID": "2"}],
                    "startTime": 1729181197748657,
                    "duration": 1503,
                    "tags": [{"key": "n", "type": "int64", "value": "7"}],
                    "logs": [{"timestamp": 1729181197748658, "fields": [{"key": "event", "value": "e"}]}],
                    "processID": "p1",
                }
            ],
            "processes": {"p1": {"serviceName": "s", "tags": [{"key": "up", "type": "bool", "value": "true"}]}},
        }
    ]
}
"""As Jaeger's storage has it: values are texts."""


def with_another(document, value):
    """The document with this value in place of each one in it, one after the other."""
    if isinstance(document, dict):
        items = list(document.items())
    elif isinstance(document, list):
        items = list(enumerate(document))
    else:
        return
    for key, inner in items:
        changed = document.copy()
        changed[key] = value
        yield changed
        for other in with_another(inner, value):
            changed = document.copy()
            changed[key] = other
            yield changed


@pytest.mark.parametrize("value", [[1], {"a": 1}, 7, "x"], ids=str)
@pytest.mark.parametrize("document", [OTLP, JAEGER_DOCUMENT], ids=["otlp", "jaeger"])
def test_whatever_stands_in_a_place_of_a_document_nothing_but_that_is_lost(document, value, tmp_path):
    for number, changed in enumerate(with_another(document, value)):
        (tmp_path / str(number)).write_text(json.dumps(changed))
        read_if_any(tmp_path / str(number))


def four_scopes():
    """An OTLP document with four spans, a scope each."""
    texts = [json.dumps(OTLP).replace("eee19b7ec3c1b174", span_id(number)) for number in (1, 2, 3, 4)]
    scopes = [json.loads(text)["resourceSpans"][0]["scopeSpans"][0] for text in texts]
    return json.dumps({"resourceSpans": [{**OTLP["resourceSpans"][0], "scopeSpans": scopes}]}, indent=2)


def test_damage_in_a_document_costs_what_follows_in_it_and_is_told(tmp_path):
    text = four_scopes()
    place = text.index(span_id(3))
    (tmp_path / "f").write_text(text[:place] + '"}]' + text[place:])
    found = rt.load(tmp_path / "f")
    assert set(found.spans["span_id"]) == {span_id(1), span_id(2)}
    assert '"svc"' in found.spans["resource"][0]
    assert found.report.is_damaged


def test_of_a_packed_document_that_was_cut_what_can_be_unpacked_is_read(tmp_path):
    (tmp_path / "f").write_bytes(gzip.compress(four_scopes().encode())[:-20])
    found = rt.load(tmp_path / "f")
    assert {span_id(1)} <= set(found.spans["span_id"])
    assert found.report.is_damaged


def test_a_timeline_that_was_cut_gives_its_whole_events(tmp_path):
    told = [
        {"task_id": f"{number:016x}" + "f" * 24 + "01000000", "func_or_class_name": "score"} for number in (1, 2, 3)
    ]
    events = [
        {"cat": "task::score", "ph": "X", "ts": 1e6, "dur": 5e5, "tid": "worker:1", "args": each} for each in told
    ]
    (tmp_path / "f").write_text(json.dumps(events)[:-30])
    found = rt.load(tmp_path / "f")
    assert found.spans["function"].to_list() == ["score"] * 2
    assert found.report.is_damaged


def test_jaegers_own_shape_is_read(tmp_path):
    tags = [
        {"key": "span.kind", "type": "string", "value": "producer"},
        {"key": "error", "type": "bool", "value": True},
    ]
    one = {"traceID": "abc0", "spanID": "1", "operationName": "root", "startTime": 1729181197748657, "duration": 1503}
    processes = {"p1": {"serviceName": "s", "tags": [{"key": "host.name", "type": "string", "value": "h"}]}}
    document = {
        "data": [{"traceID": "abc0", "spans": [{**one, "tags": tags, "processID": "p1"}], "processes": processes}]
    }
    (tmp_path / "f").write_text(json.dumps(document))
    (row,) = rt.read_spans(tmp_path / "f").with_columns(pl.col("start", "end").to_physical()).to_dicts()
    assert (row["trace_id"], row["span_id"]) == ("abc0".rjust(32, "0"), "1".rjust(16, "0"))
    assert (row["start"], row["end"]) == (1729181197748657000, 1729181197750160000)
    assert (row["kind"], row["status"], row["host"]) == ("PRODUCER", "ERROR", "h")


@pytest.mark.parametrize("form", ["a list", "a line each"])
def test_spans_as_jaeger_stores_them_are_read(form, tmp_path):
    at = {"startTime": 1729181197748657, "duration": 1503, "tags": []}
    spans = [
        {"traceID": "abc0", "spanID": key, "operationName": "run", "process": {"serviceName": name, "tags": []}, **at}
        for key, name in (("1", "a"), ("2", "b"))
    ]
    text = json.dumps(spans) if form == "a list" else "\n".join(map(json.dumps, spans))
    (tmp_path / "f").write_text(text)
    rows = comparable(rt.read_spans(tmp_path / "f"))
    assert [row["span_id"] for row in rows] == ["1".rjust(16, "0"), "2".rjust(16, "0")]
    assert [row["resource"]["attributes"]["service.name"] for row in rows] == ["a", "b"]


JAEGER = {
    **{"traceID": "abc0", "spanID": "1", "operationName": "run", "startTime": 1729181197748657, "duration": 1503},
    "tags": [
        {"key": "n", "type": "int64", "value": "23"},
        {"key": "x", "type": "float64", "value": "72.5"},
        {"key": "b", "type": "bool", "value": "true"},
        {"key": "t", "type": "string", "value": "23"},
        {"key": "no", "type": "int64", "value": "twenty"},
        {"key": "big", "type": "int64", "value": "9" * 6000},
    ],
    "process": {"serviceName": "a", "tags": []},
}


@pytest.mark.parametrize(
    "document",
    [
        {"_comment": "made by a tool", "traceID": "abc0", "spans": [JAEGER], "processes": {}},
        {"data": {"services": [{"name": "a", "numberOfSpans": 1}], "spans": [JAEGER], "traceID": "abc0"}},
        {"_index": "jaeger-span-2026-01-01", "_id": "x", "_source": JAEGER},
        {"took": 3, "timed_out": False, "hits": {"total": {"value": 1}, "hits": [{"_index": "i", "_source": JAEGER}]}},
        [{"process": JAEGER["process"], "flags": 1, **JAEGER}],
    ],
    ids=["a comment", "a trace as the UI holds it", "a line of a dump", "an answer of Elasticsearch", "a list"],
)
@pytest.mark.parametrize("indent", [None, 2])
def test_spans_of_jaeger_are_read_whatever_stands_around_them(document, indent, tmp_path):
    (tmp_path / "f").write_text(json.dumps(document, indent=indent))
    found = rt.load(tmp_path / "f")
    (row,) = comparable(found.spans)
    assert not found.report.is_damaged
    assert (row["span_id"], row["resource"]["attributes"]["service.name"]) == ("1".rjust(16, "0"), "a")
    # What the storage wrote as text is what its type says; what is none stays as it is.
    told = {"n": 23, "x": 72.5, "b": True, "t": "23", "no": "twenty", "big": "9" * 6000}
    assert row["attributes"] == told


def backwards(value):
    """The same JSON with the members of each object in the other order."""
    if isinstance(value, dict):
        return {key: backwards(each) for key, each in reversed(value.items())}
    return [backwards(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("indent", [None, 2])
def test_members_of_jaegers_objects_have_no_order(indent, tmp_path):
    one = {"traceID": "abc0", "spanID": "1", "operationName": "root", "startTime": 1729181197748657, "duration": 1503}
    trace = {"traceID": "abc0", "spans": [{**one, "processID": "p1"}], "processes": {"p1": {"serviceName": "s"}}}
    document = {"data": [trace], "total": 0, "limit": 0, "offset": 0, "errors": None}
    (tmp_path / "f").write_text(json.dumps(document, indent=indent))
    (tmp_path / "g").write_text(json.dumps(backwards(document), indent=indent))
    assert comparable(rt.read_spans(tmp_path / "g")) == comparable(rt.read_spans(tmp_path / "f"))


def test_documents_glued_together_are_read_and_what_is_none_is_named(tmp_path):
    texts = [json.dumps(OTLP).replace("eee19b7ec3c1b174", span_id(number)) for number in (1, 2, 3)]
    (tmp_path / "f").write_text(f"{texts[0]}{texts[1]} {texts[2]}")
    found = rt.load(tmp_path / "f")
    assert set(found.spans["span_id"]) == {span_id(1), span_id(2), span_id(3)}
    assert not found.report.is_damaged
    (tmp_path / "f").write_text(f"{texts[0]}{texts[1]} and more")
    found = rt.load(tmp_path / "f")
    assert set(found.spans["span_id"]) == {span_id(1), span_id(2)}
    assert ProblemKind.DAMAGED_RECORD in [problem.kind for problem in found.report.problems]


@pytest.mark.parametrize(
    "start", ["\ufeff", "\ufeff\r\n", '{"displayTimeUnit": "ms", "otherData": {}, "traceEvents": ']
)
def test_a_timeline_may_begin_with_a_mark_or_other_members(start, tmp_path):
    told = {"task_id": "c8ef45ccd0112571" + "f" * 24 + "01000000", "func_or_class_name": "score"}
    event = {"cat": "task::score", "ph": "X", "ts": 1e6, "dur": 5e5, "tid": "worker:1", "args": told}
    (tmp_path / "f").write_text(start + json.dumps([event]) + ("}" if start[0] == "{" else ""), encoding="utf-8")
    assert rt.read_spans(tmp_path / "f")["function"].to_list() == ["score"]


SPANS = [span(number) for number in (1, 2, 3)]


def prefixed(prefix, form):
    return b"".join(prefix + line + b"\n" for record in SPANS for line in form(record).splitlines())


def docker(form):
    lines = [line + "\n" for record in SPANS for line in form(record).decode().splitlines()]
    return "".join(
        json.dumps({"log": line, "stream": "stdout", "time": "2025-01-09T14:21:04Z"}) + "\n" for line in lines
    )


def cri_in_parts():
    stamp = b"2025-01-09T14:21:04.800962Z stdout "
    lines = []
    for record in SPANS:
        text = one_line(record).rstrip()
        lines += [stamp + b"P " + text[:300], stamp + b"P " + text[300:600], stamp + b"F " + text[600:]]
    return b"\n".join(lines) + b"\n"


LOGS = {
    "worker": b":job_id:01000000\n:task_name:f\nhello {\n" + b"".join(map(pretty, SPANS)) + b"bye\n",
    "ray": prefixed(b"(f pid=1234) ", pretty),
    "ray, coloured": prefixed(b"\x1b[36m(f pid=1234, ip=10.0.0.1)\x1b[0m ", pretty),
    "two processes": b"".join(
        b"(f pid=%d) %s\n" % (pid, line)
        for lines in zip(*(pretty(record).splitlines() for record in SPANS), strict=True)
        for pid, line in enumerate(lines)
    ),
    "docker": docker(one_line).encode(),
    "docker, pretty": docker(pretty).encode(),
    "cri": prefixed(b"2025-01-09T14:21:04.800962Z stdout F ", pretty),
    "cri, in parts": cri_in_parts(),
    "cri, then ray": prefixed(b"2025-01-09T14:21:04.800962+01:00 stderr F (f pid=1) ", pretty),
    "after words": b"".join(b"INFO done " + one_line(record) for record in SPANS),
}


@pytest.mark.parametrize("content", LOGS.values(), ids=LOGS.keys())
def test_console_spans_in_logs_are_read(content, tmp_path):
    (tmp_path / "worker.out").write_bytes(content)
    found = rt.load(tmp_path / "worker.out")
    assert sorted(found.spans["span_id"]) == [span_id(number) for number in (1, 2, 3)]
    assert not found.report.is_damaged


def a_list(record):
    return b"[" + json.dumps(record).encode() + b"]\n"


def logged(record):
    return b"INFO done " + one_line(record)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("form", [one_line, pretty, a_list, logged])
def test_text_in_other_encodings_is_read(encoding, form, tmp_path):
    text = b"".join(form(record) for record in [span(1, name="größer"), span(2)])
    (tmp_path / "f").write_bytes(text.decode().encode(encoding))
    found = rt.load(tmp_path / "f")
    assert set(found.spans["name"]) == {"größer", span()["name"]}
    assert not found.report.is_damaged


@pytest.mark.parametrize(
    "content",
    [
        b'{"resourceSpans":' * 100_000,
        b'{"data":[{"traceID":' * 100_000,
        b'{"resourceSpans": [' + b'"\\' * 500_000,
        b'{"resourceSpans": [' + b'{"a\n' * 300_000,
        b"INFO x\n" + one_line(span()) + b'(f pid=1) {"name": {\n' * 50_000,
        b"INFO x\n" + one_line(span()) + b'{"name":' * 200_000,
    ],
    ids=["nested", "nested in Jaeger", "escapes", "lines", "log of starts", "glued starts"],
)
def test_unclosed_input_is_looked_at_once(content, tmp_path):
    (tmp_path / "f").write_bytes(content)
    start = time.process_time()
    with suppress(NoSpansError):
        rt.load(tmp_path / "f")
    # Decoded again from every level, these took minutes; once, they take less than a second.
    assert time.process_time() - start < 20


def test_a_line_without_an_end_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("raytrace_analyze.decode.framed.documents.MAX_DOCUMENT_BYTES", 1000)
    line = json.dumps(OTLP).encode()
    assert len(line) < 1000
    (tmp_path / "f").write_bytes(b'{"resourceSpans": "' + b"x" * 10_000 + b'"}\n' + line + b"\n")
    found = rt.load(tmp_path / "f")
    assert found.spans.height == 1
    assert [problem.detail for problem in found.report.problems if problem.is_damage] == [
        "1001 bytes: a document larger than 0 MiB"
    ]


def test_export_to_a_stream_is_what_a_file_holds(tmp_path):
    spans = rt.read_spans(CAPTURES / "nested-ours" / "spans")
    stream = io.BytesIO()
    rt.export(spans, "otlp", stream)
    rt.export(spans, "otlp", tmp_path / "f")
    assert stream.getvalue() == (tmp_path / "f").read_bytes()


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
@pytest.mark.parametrize("is_given", [True, False])
def test_files_in_a_zip_are_read_as_files_are(compression, is_given, tmp_path):
    capture = CAPTURES / "failures-ours" / "spans"
    archive = tmp_path / "run.zip"
    with zipfile.ZipFile(archive, "w", compression) as made:
        for file in sorted(capture.iterdir()):
            made.write(file, f"spans/{file.name}")
        made.writestr("notes.txt", "nothing")
    found, plain = rt.load(archive if is_given else tmp_path), rt.load(capture)
    assert not found.report.is_damaged
    assert found.spans.drop("source").equals(plain.spans.drop("source"))
    assert found.report.skipped["not spans"] == 1
    assert all(source.startswith(f"{archive}/spans/") for source in found.spans["source"].drop_nulls())


def zipped(path, **contents):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in contents.items():
            made.writestr(name, content)


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.ZstdCompressor().compress])
def test_packed_files_in_a_zip_are_read(pack, tmp_path):
    zipped(tmp_path / "run.zip", a=pack(one_line(span(1))), b=pack(json.dumps(OTLP).encode()), c=one_line(span(2)))
    found = rt.load(tmp_path / "run.zip")
    assert not found.report.is_damaged
    assert set(found.spans["span_id"]) == {span_id(1), span_id(2), "eee19b7ec3c1b174"}
    # Of what ends too early, the beginning is read; what is none is named.
    cut = pack(b"".join(one_line(span(number, name=str(number) * 50)) for number in range(1, 2000)))
    zipped(tmp_path / "run.zip", a=cut[: len(cut) // 2], b=pack(b"x" * 500)[:20])
    found = rt.load(tmp_path / "run.zip")
    assert found.report.is_damaged and found.spans.height > 1


def test_what_is_packed_twice_is_read_up_to_the_same_bound(tmp_path):
    line = one_line(span(1))
    bomb = gzip.compress(line + b"\n" * (200 << 20))
    zipped(tmp_path / "run.zip", a=bomb)
    assert (tmp_path / "run.zip").stat().st_size < 2000
    found = rt.load(tmp_path / "run.zip")
    assert found.spans.height == 1
    assert "1,000 times its size" in " ".join(problem.detail for problem in found.report.problems)


def test_a_table_in_a_zip_is_named_as_that(tmp_path):
    for content in (b"PAR1" + bytes(500), gzip.compress(b"PAR1" + bytes(500))):
        zipped(tmp_path / "run.zip", **{"spans.parquet": content})
        with pytest.raises(NoSpansError, match="packed Parquet files"):
            rt.load(tmp_path / "run.zip")


def test_chrome_traces_of_others_are_named(tmp_path):
    rt.export(rt.read_spans(CAPTURES / "nested-ours" / "spans"), "perfetto", tmp_path / "f")
    with pytest.raises(NoSpansError, match="Chrome traces"):
        rt.load(tmp_path / "f")


def test_a_damaged_zip_is_named_and_gives_what_can_be_had(tmp_path):
    archive = tmp_path / "run.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("whole.jsonl", one_line(span(1)))
        made.writestr("broken.jsonl", b"".join(one_line(span(number)) for number in range(2, 2000)))
    content = bytearray(archive.read_bytes())
    place = content.index(b"broken.jsonl") + 2_000
    content[place : place + 40] = bytes(40)
    archive.write_bytes(content)
    found = rt.load(archive)
    assert span_id(1) in set(found.spans["span_id"])
    assert found.report.is_damaged
    assert any("broken.jsonl" in problem.path for problem in found.report.problems)
    archive.write_bytes(bytes(content)[: len(content) // 2])
    with pytest.raises(NoSpansError, match=r"run\.zip"):
        rt.load(archive)


def test_the_files_of_serves_own_exporter_are_read(tmp_path, monkeypatch):
    """What Ray Serve's exporter, which Anyscale's is as well, writes to `logs/serve/spans`; it appends."""
    serve = pytest.importorskip("ray.serve._private.tracing_utils")
    trace = pytest.importorskip("opentelemetry.sdk.trace")
    monkeypatch.setattr("ray.serve._private.logging_utils.get_serve_logs_dir", lambda: str(tmp_path / "logs" / "serve"))
    for run in range(2):
        provider = trace.TracerProvider()
        for processor in serve.default_tracing_exporter("replica_app_1.json"):
            provider.add_span_processor(processor)
        tracer = provider.get_tracer("serve")
        with tracer.start_as_current_span("proxy_http_request", attributes={"run": run}):
            tracer.start_span("route_to_replica").end()
        provider.shutdown()
    found = rt.load(tmp_path)
    assert not found.report.is_damaged
    assert sorted(found.spans["name"]) == ["proxy_http_request"] * 2 + ["route_to_replica"] * 2
    assert found.spans["parent_id"].null_count() == 2


def test_a_table_that_was_packed_is_named_as_that(tmp_path):
    table = tmp_path / "spans.parquet.gz"
    table.write_bytes(gzip.compress(b"PAR1" + bytes(500)))
    with pytest.raises(UsageError, match=r"packed with gzip.*unpack it first"):
        rt.load([table])
    with pytest.raises(NoSpansError, match="packed Parquet files"):
        rt.load([tmp_path])
