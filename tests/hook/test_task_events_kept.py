"""What Ray has forgotten: each saving adds to the one before, and dropped counts are told."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from raytrace_hook import log
from raytrace_hook.output.writer import SpanFile
from raytrace_hook.ray import gcs_events
from raytrace_hook.record import submits
from raytrace_hook.record.task_events import TaskEvents

from .reader import Recording


def attempt(task: str, **values: Any) -> dict[str, Any]:
    known = {"states": {"RUNNING": 1, "FINISHED": 2}, "profile": [], "error": None, "actor_id": None}
    return {"task_id": task * 24, "attempt": 0, "job_id": "01000000", "type": "NORMAL_TASK", **known, **values}


class Head:
    """Stands for Ray's head."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.attempts: list[dict[str, Any]] = []
        self.limit = 1000
        monkeypatch.setattr(gcs_events, "raw_task_events", lambda: self.attempts)
        monkeypatch.setattr(gcs_events, "attempts_of", lambda raw, job: list(raw))
        monkeypatch.setattr(gcs_events, "most_attempts", lambda: self.limit)
        monkeypatch.setattr(gcs_events, "dropped", lambda: {"attempts": 7, "profile_events": 3})
        monkeypatch.setattr(log, "_said", set())


@pytest.fixture
def head(monkeypatch: pytest.MonkeyPatch) -> Head:
    return Head(monkeypatch)


def saved(directory: Path) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    ((header, attempts),) = Recording(directory).events
    return header, {one["task_id"][:2]: one for one in attempts}


def test_a_saving_never_loses_what_an_earlier_one_had(tmp_path: Path, head: Head) -> None:
    events = TaskEvents(SpanFile(str(tmp_path)), interval_s=0, wait_s=0)
    events.start()
    head.attempts = [attempt("aa"), attempt("bb")]
    events._save(events._attempts())
    head.attempts = [attempt("bb"), attempt("cc")]
    events._save(events._attempts())
    header, attempts = saved(tmp_path)
    assert sorted(attempts) == ["aa", "bb", "cc"]
    assert header["forgotten"] == 1
    head.attempts = []
    events._save(events._attempts())
    header, attempts = saved(tmp_path)
    assert sorted(attempts) == ["aa", "bb", "cc"]
    assert header["forgotten"] == 3


def test_the_end_of_an_actor_is_told_also_where_ray_keeps_none_of_its_attempts(
    tmp_path: Path, head: Head, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = {"a" * 32: {"ACTOR_DEAD": 7}, "b" * 32: {"ACTOR_LET_GO": 9}}
    monkeypatch.setattr(gcs_events, "actor_ends", lambda job: ends)
    events = TaskEvents(SpanFile(str(tmp_path)), interval_s=0, wait_s=0)
    events.start()
    made = attempt("f", task_id="f" * 16 + "a" * 32, type="ACTOR_CREATION_TASK", actor_id="a" * 32)
    head.attempts = [made]
    events._save(events._attempts())
    ((_, attempts),) = Recording(tmp_path).events
    told = {one["actor_id"]: (one["type"], one["states"]) for one in attempts}
    assert told == {
        "a" * 32: ("ACTOR_CREATION_TASK", {"RUNNING": 1, "FINISHED": 2, "ACTOR_DEAD": 7}),
        "b" * 32: ("ACTOR_CREATION_TASK", {"ACTOR_LET_GO": 9}),
    }
    assert {one["task_id"] for one in attempts} == {"f" * 16 + actor for actor in ends}


def test_very_many_tasks_are_saved_late(tmp_path: Path, head: Head, monkeypatch: pytest.MonkeyPatch) -> None:
    head.attempts, head.limit = [attempt("aa")], 1_000_000
    before = submits.count()
    for tasks, is_saved in ((0, True), (100_000, False)):
        monkeypatch.setattr(submits, "count", lambda: before)
        events = TaskEvents(SpanFile(str(tmp_path / str(tasks))), interval_s=0.001, wait_s=0)
        events.start()
        monkeypatch.setattr(submits, "count", lambda so_far=before + tasks: so_far)
        time.sleep(0.01)
        events.save_when_due()
        assert bool(list((tmp_path / str(tasks)).glob("*.events"))) is is_saved


def test_what_comes_back_in_part_is_completed(tmp_path: Path, head: Head) -> None:
    events = TaskEvents(SpanFile(str(tmp_path)), interval_s=0, wait_s=0)
    events.start()
    one, other = ({"name": name, "start_ns": at, "end_ns": at + 1} for name, at in (("a", 1), ("b", 5)))
    head.attempts = [attempt("aa", profile=[one], actor_id="12")]
    events._save(events._attempts())
    head.attempts = [attempt("aa", states={"FAILED": 9}, profile=[other])]
    events._save(events._attempts())
    events._save(events._attempts())
    _, attempts = saved(tmp_path)
    assert attempts["aa"]["states"] == {"RUNNING": 1, "FINISHED": 2, "FAILED": 9}
    assert attempts["aa"]["profile"] == [one, other]
    assert attempts["aa"]["actor_id"] == "12"


def test_a_head_that_drops_attempts_is_told(tmp_path: Path, head: Head, caplog: pytest.LogCaptureFixture) -> None:
    events = TaskEvents(SpanFile(str(tmp_path)), interval_s=0, wait_s=0)
    events.start()
    head.attempts, head.limit = [attempt("aa"), attempt("bb")], 2
    events._save(events._attempts())
    header, _ = saved(tmp_path)
    assert header["dropped"] == {"attempts": 7, "profile_events": 3}
    assert "RAY_task_events_max_num_task_in_gcs" in caplog.text


def test_events_that_are_with_the_dashboard_are_said_once(
    tmp_path: Path, head: Head, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse() -> list[Any]:
        raise RuntimeError("Could not find the dashboard address")

    monkeypatch.setattr(gcs_events, "raw_task_events", refuse)
    monkeypatch.setattr(gcs_events, "is_with_dashboard", lambda: True)
    events = TaskEvents(SpanFile(str(tmp_path)), interval_s=0.001, wait_s=0)
    events.start()
    for _ in range(3):
        events._due = 0
        events.save_when_due()
    assert caplog.text.count("RAY_enable_task_events_to_dashboard_head") == 1
