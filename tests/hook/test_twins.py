"""What hook and analyser each state for themselves: formats, words and limits are the same."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from raytrace_hook import config, names, setup
from raytrace_hook.output import limits, redact
from raytrace_hook.output.in_flight import OpenSpans
from raytrace_hook.output.writer import SpanFile
from raytrace_hook.ray import gcs_events
from raytrace_hook.record import task_events
from raytrace_hook.record.generators import items
from raytrace_hook.record.libraries import (
    back_pressure,
    compiled_graphs,
    datasets,
    graph_steps,
    serve,
    serve_batches,
    thread_runs,
)
from raytrace_hook.record.origin import on_behalf
from raytrace_hook.record.program import driver, exits
from raytrace_hook.record.waiting import blocked, placement, suspensions
from raytrace_hook.sampling import places, sampler
from raytrace_hook.sampling.profile import Look, Profile
from raytrace_hook.spans import facts

from raytrace_analyze.analyses.libraries.data import operators
from raytrace_analyze.cluster.node import usual_places
from raytrace_analyze.decode import concatenated
from raytrace_analyze.decode.records import columns
from raytrace_analyze.decode.task_events import STATES, TASK_EVENTS, decode_task_events
from raytrace_analyze.ingest.loading import load
from raytrace_analyze.model import Compression, InputFile
from raytrace_analyze.names import awaited, functions
from raytrace_analyze.names import serve as serve_names
from raytrace_analyze.names import spans as span_names
from raytrace_analyze.path import outcome
from raytrace_analyze.ray_programs import cluster_probe, run_folder
from raytrace_analyze.sampled import samples
from raytrace_analyze.schema import TABLE
from raytrace_analyze.table import without_attributes
from raytrace_analyze.waits import waited

MS = 1_000_000


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (names.RUN_SUFFIX, span_names.RUN_SUFFIX),
        (blocked._LOCKS, awaited.TAKING),
        (suspensions._SLEEP, awaited.SLEEP),
        (items._CONSUMER, awaited.CONSUMER),
        (compiled_graphs._AWAITED, awaited.COMPILED_GRAPH),
        (graph_steps.AWAITED_END, awaited.GRAPH_END),
        (placement._SEVERAL, awaited.PLACEMENT_GROUPS),
        (placement._described(None), awaited.PLACEMENT_GROUP),
        (datasets._FUNCTION, functions.EXECUTOR),
        (on_behalf._OPERATORS, functions.OPERATOR_TASKS),
        (facts._NO_JOB, columns._NO_JOB),
        (redact._OURS, without_attributes._KEPT),
        (sampler.MIN_AGE_NS, samples.SAMPLED_FROM_NS),
        (setup._PRESENT, cluster_probe.PRESENT),
    ],
)
def test_words_and_limits_are_the_same(written: object, read: object) -> None:
    assert written == read


def test_words_begin_as_they_are_looked_for() -> None:
    about = serve_batches._awaited(SimpleNamespace(_function_name="predict"), "begin")
    assert about[names.AWAITED].startswith(awaited.BATCH)
    assert serve_names.is_proxy(pl.Series([f"{serve._PROXY_SPAN}http_request"])).to_list() == [True]
    assert driver._STOPPED in outcome.STOPPED
    for code in (3, "text"):
        assert exits.text_of(SystemExit(code)).startswith(outcome._EXIT_CODE)


def test_every_name_of_a_span_is_the_same_constant_in_both() -> None:
    written = {value for name, value in vars(names).items() if name.endswith("_SPAN")}
    read = {value for name, value in vars(span_names).items() if name[0].isupper() and isinstance(value, str)}
    assert read - written == {span_names.SUBMIT_SUFFIX, span_names.RUN_SUFFIX}
    text = Path(thread_runs.__file__).read_text()
    assert span_names.SUBMIT_SUFFIX in text


def test_files_are_named_and_found_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stem = SpanFile(str(tmp_path)).stem
    assert limits._NAME.fullmatch(f"{stem}.jsonl")
    assert stem.startswith(run_folder.OURS)
    monkeypatch.delenv("RAYTRACE_DIR", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = tmp_path / Path(config.default_directory()).name
    folder.mkdir()
    assert folder in usual_places()


def test_open_spans_are_read_and_told_apart(tmp_path: Path) -> None:
    file = SpanFile(str(tmp_path))
    spans = OpenSpans(file, lambda: '{"attributes":{}}')
    context = {"trace_id": f"0x{1:032x}", "span_id": f"0x{2:016x}"}
    record = {"name": "f", "context": context, "kind": "SpanKind.INTERNAL", "parent_id": None, "attributes": {}}
    spans.set(1, json.dumps({**record, "start_time": "2026-01-01T00:00:00.000000Z"}))
    (found,) = load(tmp_path).spans.select("name", "end").rows()
    assert found == ("f", None)
    content = next(tmp_path.glob("*.open")).read_bytes()
    assert concatenated.has_side_file([content])
    slots = concatenated._SLOT_BYTES.search(content)
    assert slots is not None and int(slots[1]) == spans._slot_bytes


def an_event() -> Any:
    """An event of Ray's with everything in it that the hook saves."""
    part = SimpleNamespace(event_name="task:execute", start_time=1, end_time=2)
    ids = {"parent_task_id": b"\2", "actor_id": b"\3"}
    return SimpleNamespace(
        task_id=b"\1",
        attempt_number=1,
        job_id=b"\4",
        task_info=SimpleNamespace(type=0, name="f", func_or_class_name="f", required_resources={"CPU": 1.0}, **ids),
        state_updates=SimpleNamespace(
            node_id=b"\5",
            worker_id=b"\6",
            worker_pid=7,
            state_ts_ns={number: number + 1 for number in range(len(STATES))},
            error_info=SimpleNamespace(error_type=0, error_message="gone"),
            HasField=lambda name: name == "error_info",
        ),
        profile_events=SimpleNamespace(events=[part]),
    )


def test_all_that_is_saved_of_an_attempt_is_read(tmp_path: Path) -> None:
    ray = SimpleNamespace(
        TaskType=SimpleNamespace(Name=lambda _: "NORMAL_TASK"),
        TaskStatus=SimpleNamespace(Name=STATES.__getitem__),
        ErrorType=SimpleNamespace(Name=lambda _: "WORKER_DIED"),
    )
    attempt = gcs_events._attempt(an_event(), ray)
    header = {"raytrace": "task_events", "version": 1, "session": "s", "job_id": "04", "forgotten": 0}
    path = tmp_path / "spans-x.events"
    path.write_bytes(task_events._line(header) + task_events._line(attempt))
    assert concatenated.has_side_file([path.read_bytes()])
    table, problems = decode_task_events(InputFile(path, "task events", Compression.NONE, path.stat().st_size))
    assert not problems and table.schema == TASK_EVENTS
    assert [name for name in table.columns if table[0].get_column(name).null_count()] == []


def test_states_have_columns() -> None:
    assert set(gcs_events._OLD_STATES.values()) <= set(STATES)
    wanted = {f"state_{state.lower()}" for state in (*STATES, gcs_events._DEAD, gcs_events._LET_GO)}
    assert wanted <= set(TABLE)


def test_all_that_the_sampler_tells_is_read() -> None:
    seen = Profile()
    place = places.place_of(sys._getframe())
    at = 0
    for number in range(60):  # more stretches than are told one by one
        for _ in range(3):
            seen.add(look(at, at + 200 * MS, busy=1 * MS, place=place, wait=f"lock {number}.acquire"))
            at += 200 * MS
        seen.add(look(at, at + 300 * MS, busy=300 * MS, place=place, wait=None, is_busy=True))
        at += 300 * MS
    seen.end()
    told = seen.attributes()
    idle, left_out = samples._idle(told[names.IDLE], 0)
    stretches = json.loads(told[names.IDLE])
    assert len(idle) == len(stretches["stretches"]) > 0
    assert (idle[0].place[0], idle[0].busy_ns > 0) == (stretches["stretches"][0]["in"], True)
    assert left_out.idle_ns == stretches["left_out_ns"] > 0
    assert left_out.busy_ns == stretches["left_out_busy_ns"] > 0
    assert len(left_out.places) == len(stretches["left_out_in"]) > 0
    busy = samples._busy(told[names.BUSY], 0)
    assert len(busy) == len(json.loads(told[names.BUSY])) > 0


def look(before: int, at: int, *, busy: int, place: Any, wait: str | None, is_busy: bool = False) -> Look:
    return Look(before, at, busy, busy, 1, is_busy, place, wait)


def test_when_items_were_there_is_read() -> None:
    noted: Any = items.Items(None, 0)
    for _ in range(5):
        noted.come()
    about: dict[str, Any] = {}
    noted.tell(SimpleNamespace(set_attribute=about.__setitem__))
    every, times = waited._times(about)
    assert (every, times) == (1, json.loads(about[names.ITEM_READY]))


def test_back_pressure_is_read() -> None:
    held = back_pressure.BackPressure()
    held.since_ns, held.policy = 1, "full"
    held.end(10_000 * MS)
    told = {"submission": held.told(), "output": held.told()}
    found = operators._held(json.dumps(told))
    assert (found["held_submission_ns"], found["held_output_ns"], found["held_by"]) == (
        10_000 * MS - 1,
        10_000 * MS - 1,
        "full",
    )
    assert operators._stretches(told) == [(1, 10_000 * MS)]
    source = Path(datasets.__file__).read_text()
    assert all(re.search(rf'"{way}"', source) for way in told)
