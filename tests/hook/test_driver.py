"""The driver's span, whatever the program's end."""

from __future__ import annotations

from pathlib import Path

import pytest

from .reader import Run, run_program

pytestmark = pytest.mark.ray


def ending(how: str, directory: Path) -> Run:
    return run_program("ending.py", directory, how)


@pytest.mark.parametrize(
    ("how", "code", "status"),
    [
        ("exception", 1, "ERROR"),
        ("finally", 1, "ERROR"),
        ("handled", 1, "UNSET"),
        ("told", 3, "ERROR"),
        ("exit", 7, "UNSET"),
        ("sigterm", 15, "ERROR"),
    ],
)
def test_the_span_is_ended_and_the_exit_unchanged(tmp_path: Path, how: str, code: int, status: str) -> None:
    run = ending(how, tmp_path)
    driver = run.recording.driver()
    # A driver of Ray that gets SIGTERM is aborted when it does not end within three seconds, traced or not.
    assert run.code in ((code, -6) if how == "sigterm" else (code,)), run.errors
    assert driver.status == status
    assert driver.end is not None
    assert run.recording.open == []
    assert len(run.recording.events) == 1
    if how == "told":
        assert driver.record["status"]["description"] == "exit code 3"
    if how == "sigterm":
        assert driver.record["status"]["description"] == "SIGTERM"
    if how in ("exception", "finally"):
        assert run.errors.rstrip().endswith("ValueError: on purpose")
        assert "raytrace_hook" not in run.errors
        assert driver.record["status"]["description"] == "ValueError: on purpose"


def test_a_killed_driver_is_open_with_what_it_did(tmp_path: Path) -> None:
    run = ending("sigkill", tmp_path)
    assert run.code == -9, run.errors
    driver, dying = sorted(run.recording.open, key=lambda span: span.start)
    assert (driver.name, dying.name) == ("ray.driver", "dying")
    assert dying.parent_id == driver.span_id
    assert run.recording.one("ray.get").parent_id == driver.span_id


def test_shutdown_ends_a_session_and_another_is_told_apart(tmp_path: Path) -> None:
    run = ending("twice", tmp_path)
    assert run.code == 0, run.errors
    recording = run.recording
    first, second = recording.named("ray.driver")
    assert (first.end or "") < recording.one("between").start < second.start < (second.end or "")
    assert first.trace_id != second.trace_id
    assert first.resource["raytrace.session"] != second.resource["raytrace.session"]
    assert first.file != second.file
    one, two = recording.runs("__main__.work")
    assert (one.trace_id, two.trace_id) == (first.trace_id, second.trace_id)
    assert one.resource["raytrace.session"] == first.resource["raytrace.session"]
    assert two.resource["raytrace.session"] == second.resource["raytrace.session"]
    assert recording.one("between").parent_id is None
    sessions = [header["session"] for header, _ in recording.events]
    assert sorted(sessions) == sorted(span.resource["raytrace.session"] for span in (first, second))
    for header, attempts in recording.events:
        assert header["job_id"] == "01000000"
        assert [attempt["name"] for attempt in attempts if attempt["type"] == "NORMAL_TASK"] == ["work"]


def test_a_fork_writes_a_file_of_its_own(tmp_path: Path) -> None:
    run = ending("fork", tmp_path)
    assert run.code == 0, run.errors
    recording = run.recording
    driver, child, parent = recording.driver(), recording.one("child"), recording.one("parent")
    assert parent.file == driver.file != child.file
    assert f"-{child.resource['process.pid']}-" in child.file.name
    assert child.parent_id == parent.parent_id == driver.span_id
    assert recording.open == []


def test_calling_the_hook_again_doubles_nothing(tmp_path: Path) -> None:
    run = ending("again", tmp_path)
    assert run.code == 0, run.errors
    recording = run.recording
    assert len(recording.runs("__main__.work")) == len(recording.submits("__main__.work")) == 2
    assert len(recording.named("ray.get")) == 2
    assert len(recording.named("ray.driver")) == 1
    assert len({span.span_id for span in recording.spans}) == len(recording.spans)
