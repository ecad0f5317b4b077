"""The files themselves, without Ray: complete, private, limited, and no harm when they can't be written."""

from __future__ import annotations

import gc
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import raytrace_hook
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode
from raytrace_hook.output import writer
from raytrace_hook.output.encode import timestamp
from raytrace_hook.output.in_flight import LONG_SLOT_BYTES, SLOT_BYTES, OpenSpans, _Slots
from raytrace_hook.output.writer import SpanFile
from raytrace_hook.record.process import ProcessResource
from raytrace_hook.record.processor import SpanFileProcessor

from .reader import Recording


def recording_provider(directory: Path, **limits: Any) -> TracerProvider:
    file, process = SpanFile(str(directory), **limits), ProcessResource()
    provider = TracerProvider(shutdown_on_exit=False)
    open_spans = OpenSpans(file, lambda: process.encoded(provider.resource))
    provider.add_span_processor(SpanFileProcessor(file, process, open_spans))
    return provider


def test_a_span_has_the_console_exporters_fields(tmp_path: Path) -> None:
    tracer = recording_provider(tmp_path).get_tracer("test")
    linked = SpanContext(0xAB, 0xCD, is_remote=False)
    with tracer.start_as_current_span("outer"):
        inner = tracer.start_span("inner \u2603", kind=SpanKind.CLIENT, links=[Link(linked, {"why": 1})], start_time=5)
        inner.add_event("happened", {"list": [1, 2]}, timestamp=1_700_000_000_000_000_007)
        inner.set_status(Status(StatusCode.ERROR, "no"))
        inner.end(1_700_000_000_123_456_789)
    inner_span, outer = Recording(tmp_path).spans
    expected = json.loads(inner.to_json())  # type: ignore[attr-defined] # of the SDK's span
    record = dict(inner_span.record)
    assert list(record) == list(expected)
    ours, theirs = (one.pop("resource")["attributes"] for one in (record, expected))
    assert {**ours, "service.instance.id": None}.items() >= {**theirs, "service.instance.id": None}.items()
    assert record.pop("start_time") == "1970-01-01T00:00:00.000000005Z" and expected.pop("start_time")
    assert record.pop("end_time") == "2023-11-14T22:13:20.123456789Z" and expected.pop("end_time")
    assert record["events"][0].pop("timestamp") == "2023-11-14T22:13:20.000000007Z"
    assert expected["events"][0].pop("timestamp")
    assert record == expected
    assert inner_span.parent_id == outer.span_id


values = st.one_of(
    st.text(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.lists(st.text()), st.lists(st.floats())
)


@settings(max_examples=200, deadline=None)
@given(name=st.text(min_size=1), attributes=st.dictionaries(st.text(min_size=1), values, max_size=5))
def test_any_attributes_are_one_line_of_json(
    tmp_path_factory: pytest.TempPathFactory, name: str, attributes: dict[str, Any]
) -> None:
    directory = tmp_path_factory.mktemp("any")
    with recording_provider(directory).get_tracer("test").start_as_current_span(name) as span:
        span.set_attributes(attributes)
        kept = dict(span.attributes or {})  # type: ignore[attr-defined] # of the SDK's span
    (file,) = directory.glob("*.jsonl")
    (line,) = file.read_text("ascii").splitlines()

    def refuse(text: str) -> None:
        raise AssertionError(f"{text} is not JSON")

    record = json.loads(line, parse_constant=refuse)
    assert record["name"] == name
    assert record["attributes"] == json.loads(json.dumps(kept), parse_constant=str) or any(
        "inf" in str(value) or "nan" in str(value) for value in kept.values()
    )


alike = st.dictionaries(
    st.sampled_from(["ray.task_id", "a%s", "b"]), st.sampled_from([1, True, 1.0, 0, "", "%d", ["x"]])
)


@settings(max_examples=100, deadline=None)
@given(many=st.lists(alike, min_size=1, max_size=8))
def test_spans_of_one_name_keep_their_own_attributes(
    tmp_path_factory: pytest.TempPathFactory, many: list[dict[str, Any]]
) -> None:
    directory = tmp_path_factory.mktemp("alike")
    tracer = recording_provider(directory).get_tracer("test")
    for attributes in many:
        tracer.start_span("alike", attributes=attributes).end()
    kept = [span.attributes for span in Recording(directory).spans]
    # As text: 1, 1.0 and True are equal.
    assert [repr(sorted(each.items())) for each in kept] == [repr(sorted(each.items())) for each in many]


def test_an_attribute_that_only_changes_its_type_is_told(tmp_path: Path) -> None:
    with recording_provider(tmp_path).get_tracer("test").start_as_current_span("span", attributes={"n": 1}) as span:
        span.set_attribute("n", True)
    assert Recording(tmp_path).one("span").attributes["n"] is True


def test_files_that_nobody_writes_into_any_more_are_closed(tmp_path: Path) -> None:
    def still_open() -> list[str]:
        links = [link.readlink() for link in Path("/proc/self/fd").iterdir() if link.is_symlink()]
        return [str(link) for link in links if tmp_path in link.parents]

    provider = recording_provider(tmp_path)
    provider.get_tracer("test").start_span("span").end()
    assert still_open()
    del provider
    gc.collect()
    assert not still_open()


def test_threads_write_whole_lines(tmp_path: Path) -> None:
    tracer = recording_provider(tmp_path).get_tracer("test")

    def work() -> None:
        for _ in range(200):
            with tracer.start_as_current_span("span") as span:
                span.set_attribute("long", "x" * 5000)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    recording = Recording(tmp_path)
    assert len(recording.by_id) == len(recording.spans) == 1600
    assert recording.open == []


def test_threads_that_end_spans_while_the_file_is_made_lose_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_file = writer.create_file

    def slow_create_file(directory: int, name: str, flags: int) -> int:
        descriptor = create_file(directory, name, flags)
        time.sleep(0.05)
        return descriptor

    monkeypatch.setattr(writer, "create_file", slow_create_file)
    file = SpanFile(str(tmp_path))
    threads = [threading.Thread(target=file.write, args=[b"{}\n"]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert file.lost == 0
    assert sum(len(one.read_text().splitlines()) for one in tmp_path.iterdir()) == 4


DYING = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from tests.hook.test_files import recording_provider
tracer = recording_provider(Path(sys.argv[2])).get_tracer("test")
n = 0
while True:
    with tracer.start_as_current_span(f"outer {n}"):
        with tracer.start_as_current_span(f"inner {n}"):
            pass
        os.write(1, b"%d\\n" % n)
        n += 1
"""


@pytest.mark.parametrize("after_s", [0.01, 0.037, 0.1])
def test_a_killed_process_loses_nothing_that_had_ended(tmp_path: Path, after_s: float) -> None:
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen([sys.executable, "-c", DYING, root, str(tmp_path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(after_s)
    process.send_signal(signal.SIGKILL)
    said = len(process.stdout.read().split()) + 1
    process.wait()
    recording = Recording(tmp_path)
    ended = {span.name for span in recording.spans}
    assert ended >= {f"inner {n}" for n in range(said)}
    assert ended >= {f"outer {n}" for n in range(said - 1)}
    assert len(recording.open) <= 2
    assert {span.name for span in recording.open} - ended <= {
        f"{kind} {n}" for kind in ("inner", "outer") for n in (said - 1, said)
    }


def test_a_full_disk_costs_the_spans_alone_and_their_number_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raytrace_hook.output.writer._RETRY_S", 0.0)
    tracer = recording_provider(tmp_path).get_tracer("test")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        # Past this size writes are cut short and then refused, as on a full disk.
        resource.setrlimit(resource.RLIMIT_FSIZE, (8000, hard))
        for n in range(30):
            with tracer.start_as_current_span(f"span {n}"):
                pass
        lost = 30 - len(Recording(tmp_path).spans)
        assert 0 < lost < 30
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    with tracer.start_as_current_span("room again"):
        pass
    last = Recording(tmp_path).one("room again")
    assert last.resource["raytrace.lost_spans"] == lost


def test_open_spans_are_shown_again_when_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raytrace_hook.output.in_flight._RETRY_S", 0.0)
    tracer = recording_provider(tmp_path).get_tracer("test")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1500, hard))
        with tracer.start_as_current_span("no room"):
            assert Recording(tmp_path).open == []
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    with tracer.start_as_current_span("room again"):
        assert [span.name for span in Recording(tmp_path).open] == ["room again"]
    assert [span.name for span in Recording(tmp_path).spans] == ["no room", "room again"]


def test_a_span_may_be_shown_elsewhere_before_it_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    open_spans = OpenSpans(SpanFile(str(tmp_path)), lambda: '{"attributes":{},"schema_url":""}')
    take = _Slots.take

    def take_and_hide(slots: Any, key: int, supply: Any) -> None:
        take(slots, key, supply)
        open_spans.hide(key)  # as the sampler's thread does, which shows it in a long slot

    monkeypatch.setattr(_Slots, "take", take_and_hide)
    assert open_spans.set(1, '{"name":"f"}')
    assert not open_spans.shows(1)


@pytest.mark.parametrize("slot_bytes", [SLOT_BYTES, LONG_SLOT_BYTES])
@pytest.mark.parametrize("room", [1500, 3 * SLOT_BYTES + 100, 4 * SLOT_BYTES + 100])
def test_open_spans_are_whole_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slot_bytes: int, room: int
) -> None:
    monkeypatch.setattr("raytrace_hook.output.in_flight._RETRY_S", 0.0)
    open_spans = OpenSpans(SpanFile(str(tmp_path)), lambda: '{"attributes":{},"schema_url":""}', slot_bytes)
    record = json.dumps(
        {
            "name": "span",
            "context": {"trace_id": "0x1", "span_id": "0x1", "trace_state": "[]"},
            "kind": "SpanKind.INTERNAL",
            "parent_id": None,
            "start_time": "2026-01-01T00:00:00.000000000Z",
            "end_time": None,
            "status": {"status_code": "UNSET"},
            "attributes": {},
        }
    )
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, hard))
        for key in range(5):
            open_spans.set(key, record)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    shown = len(Recording(tmp_path).open)
    assert shown == max(0, room - SLOT_BYTES) // slot_bytes < 5
    assert len(list(tmp_path.iterdir())) == (room > SLOT_BYTES)
    open_spans.set(9, record)
    assert len(Recording(tmp_path).open) == shown + 1


def test_files_that_somebody_empties_do_no_harm(tmp_path: Path) -> None:
    tracer = recording_provider(tmp_path).get_tracer("test")
    with tracer.start_as_current_span("before"):
        for file in tmp_path.iterdir():
            os.truncate(file, 0)
    with tracer.start_as_current_span("after"):
        pass
    assert "after" in next(tmp_path.glob("*.jsonl")).read_text()


def test_what_ends_after_the_directory_was_removed_is_there_at_the_end(tmp_path: Path) -> None:
    spans = tmp_path / "spans"
    provider = recording_provider(spans)
    for number in range(20):
        if number == 10:
            shutil.rmtree(spans)
        provider.get_tracer("test").start_span(str(number)).end()
    provider.shutdown()
    assert {span.name for span in Recording(spans).spans} >= {str(number) for number in range(10, 20)}


def test_a_shorter_reason_for_losses_replaces_a_longer_one(tmp_path: Path) -> None:
    file, process = SpanFile(str(tmp_path)), ProcessResource()
    open_spans = OpenSpans(file, lambda: process.encoded(TracerProvider().resource))
    SpanFileProcessor(file, process, open_spans)
    assert open_spans.set(1, "{}")
    for because in ("somebody has removed their file", "no room"):
        file.count_lost(1, because)
    header = json.loads(next(tmp_path.glob("*.open")).read_text().splitlines()[0])
    assert (header["lost_spans"], header["lost_because"]) == (2, "no room")


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["set", "renew", "clear"]), st.integers(0, 3), st.integers(0, SLOT_BYTES)),
        max_size=40,
    )
)
def test_a_slot_shows_its_last_record_whatever_was_there_before(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int, int]]
) -> None:
    directory = tmp_path_factory.mktemp("open")
    open_spans = OpenSpans(SpanFile(str(directory)), lambda: '{"attributes":{},"schema_url":""}')
    shown: dict[int, str] = {}
    for step, key, length in steps:
        record = json.dumps({"key": key, "text": "x" * length})
        if step == "clear":
            open_spans.clear(key)
            shown.pop(key, None)
        elif step == "renew":
            if open_spans.renew(key, record) and key in shown:
                shown[key] = record
        elif key not in shown and open_spans.set(key, record):
            shown[key] = record
        for file in directory.glob("*.open"):
            slots = file.read_bytes().decode().splitlines()[1:]
            assert {len(slot) for slot in slots} <= {SLOT_BYTES - 1}
            assert sorted(slot.rstrip() for slot in slots if slot.startswith("{")) == sorted(shown.values())


def test_many_spans_are_open_at_once(tmp_path: Path) -> None:
    tracer = recording_provider(tmp_path).get_tracer("test")
    spans = [tracer.start_span(f"span {n}") for n in range(100)]
    assert {span.name for span in Recording(tmp_path).open} == {f"span {n}" for n in range(100)}
    for span in spans[::2]:
        span.end()
    assert {span.name for span in Recording(tmp_path).open} == {f"span {n}" for n in range(1, 100, 2)}


def test_files_are_closed_at_their_limit(tmp_path: Path) -> None:
    tracer = recording_provider(tmp_path, max_file_bytes=5000).get_tracer("test")
    for n in range(20):
        with tracer.start_as_current_span(f"span {n}"):
            pass
    files = list(tmp_path.glob("*.jsonl"))
    assert len(files) > 2
    assert all(file.stat().st_size <= 5000 for file in files)
    assert len({file.name.split(".")[0] for file in files}) == 1
    assert len(Recording(tmp_path).spans) == 20


def leave_old_files(directory: Path, pid: int, age_days: float, size: int) -> Path:
    host = "_".join(SpanFile(str(directory)).stem.split("-")[1:2])
    file = directory / f"spans-{host}-{pid}-1-abcd.jsonl"
    file.write_bytes(b" " * size)
    then = time.time() - age_days * 86400
    os.utime(file, (then, then))
    return file


def gone_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_old_files_of_ended_processes_go_and_nothing_else(tmp_path: Path) -> None:
    old = leave_old_files(tmp_path, gone_pid(), 10, 100)
    fresh = leave_old_files(tmp_path, gone_pid(), 1, 100)
    alive = leave_old_files(tmp_path, os.getppid(), 10, 100)
    foreign = tmp_path / "notes.jsonl"
    foreign.write_text("mine")
    os.utime(foreign, (0, 0))
    with recording_provider(tmp_path, keep_days=5).get_tracer("test").start_as_current_span("span"):
        pass
    assert not old.exists()
    assert fresh.exists() and alive.exists() and foreign.exists()


def test_the_directory_stays_below_its_limit(tmp_path: Path) -> None:
    older, newer = (leave_old_files(tmp_path, gone_pid(), age, 4000) for age in (3, 2))
    with recording_provider(tmp_path, max_directory_bytes=13000).get_tracer("test").start_as_current_span("span"):
        pass
    assert not older.exists()
    assert newer.exists()
    assert len(list(tmp_path.glob("*.jsonl"))) == 2


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "link").symlink_to(real)
    with recording_provider(tmp_path / "link").get_tracer("test").start_as_current_span("span"):
        pass
    assert list(real.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_nothing_is_written_into_somebody_elses_directory(tmp_path: Path) -> None:
    directory = tmp_path / "theirs"
    directory.mkdir()
    os.chown(directory, 12345, 12345)
    with recording_provider(directory).get_tracer("test").start_as_current_span("span"):
        pass
    assert list(directory.iterdir()) == []


def test_a_slot_that_is_free_is_used_again(tmp_path: Path) -> None:
    tracer = recording_provider(tmp_path).get_tracer("test")
    for _ in range(100):
        with tracer.start_as_current_span("outer"), tracer.start_as_current_span("inner"):
            pass
    (file,) = tmp_path.glob("*.open")
    assert file.stat().st_size == 3 * 4096  # the header, a slot for each of two
    with tracer.start_as_current_span("going on") as span:
        span.set_attribute("later", 1)
        (shown,) = Recording(tmp_path).open
        assert (shown.name, shown.end) == ("going on", None)


def test_a_span_too_long_for_its_slot_shows_what_is_essential(tmp_path: Path) -> None:
    tracer = recording_provider(tmp_path).get_tracer("test")
    with tracer.start_as_current_span("long", attributes={"ray.task_id": "ab" * 24, "note": "x" * 5000}):
        (shown,) = Recording(tmp_path).open
        assert shown.attributes == {"ray.task_id": "ab" * 24}
    assert Recording(tmp_path).one("long").attributes["note"] == "x" * 5000
    assert Recording(tmp_path).open == []


def test_serve_gets_a_processor_that_writes_the_same_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAYTRACE_DIR", str(tmp_path))
    # Serve loads the function by name, wants a list, and puts its members into a provider of its own.
    provider = TracerProvider(shutdown_on_exit=False)
    for processor in raytrace_hook.serve_span_processors():
        provider.add_span_processor(processor)
    with provider.get_tracer("serve").start_as_current_span("proxy_http_request"):
        pass
    assert Recording(tmp_path).one("proxy_http_request").resource["raytrace.records_waits"] is False


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (1_795_466_800_971_576_188, "2026-11-23T20:46:40.971576188Z"),
        (1_795_466_800_000_000_001, "2026-11-23T20:46:40.000000001Z"),
        (1_795_466_801_000_000_000, "2026-11-23T20:46:41.000000000Z"),
        (1_999_999_999, "1970-01-01T00:00:01.999999999Z"),
        (999_999_999, "1970-01-01T00:00:00.999999999Z"),
        (0, "1970-01-01T00:00:00.000000000Z"),
    ],
)
def test_times_have_nine_digits(nanoseconds: int, text: str) -> None:
    assert timestamp(nanoseconds) == text
