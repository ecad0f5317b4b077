"""Loops of polls, which are one wait each, and what a wait asked for that did not come."""

from __future__ import annotations

from pathlib import Path

import pytest

from .reader import Recording, Span, run_program

pytestmark = pytest.mark.ray
READY, COUNT, POLLS = "raytrace.ready_task_ids", "raytrace.awaited_count", "raytrace.polls"
MISSING, TIMED_OUT = "raytrace.awaited_task_ids", "raytrace.timed_out"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    run = run_program("polling.py", tmp_path_factory.mktemp("spans"), "to the end")
    assert run.output == "done\n", run.errors
    assert "raytrace" not in run.errors
    return run.recording


def submitted(recording: Recording, name: str) -> list[str]:
    inside = recording.children(recording.one(f"case {name}"))
    return [span.attributes["raytrace.submitted_task_id"] for span in inside if span.kind == "PRODUCER"]


def waits(recording: Recording, name: str) -> list[Span]:
    inside = recording.children(recording.one(f"case {name}"))
    return [span for span in inside if READY in span.attributes]


@pytest.mark.parametrize(
    ("name", "wait"), [("poll", "ray.wait"), ("poll with sleep", "ray.wait"), ("poll with get", "ray.get")]
)
def test_a_loop_of_polls_is_one_wait_for_what_came_at_last(recording: Recording, name: str, wait: str) -> None:
    (one,) = waits(recording, name)
    assert one.name == wait
    assert one.attributes[READY] == submitted(recording, name)
    assert one.attributes[POLLS] > 2
    assert TIMED_OUT not in one.attributes and MISSING not in one.attributes
    assert one.status == "UNSET"
    assert "polling.py" in one.attributes["raytrace.call_site"]
    (run,) = (
        span for span in recording.runs("__main__.sleeper") if span.attributes["ray.task_id"] in one.attributes[READY]
    )
    assert one.start < (run.end or "") < (one.end or "")


@pytest.mark.parametrize("name", ["future", "thread 0", "thread 1", "thread 2"])
def test_polls_of_futures_and_of_threads_are_one_wait_too(recording: Recording, name: str) -> None:
    (one,) = waits(recording, name)
    assert one.attributes[READY] == submitted(recording, name)
    assert one.attributes[POLLS] > 2


def test_a_loop_that_asks_for_all_is_one_wait_until_all_are_there(recording: Recording) -> None:
    (one,) = waits(recording, "poll all")
    assert sorted(one.attributes[READY]) == sorted(submitted(recording, "poll all"))
    assert one.attributes[COUNT] == 3


def test_a_loop_over_what_is_left_is_a_wait_for_each_that_comes(recording: Recording) -> None:
    first, second = waits(recording, "poll what is left")
    assert [first.attributes[READY], second.attributes[READY]] == [
        [t] for t in submitted(recording, "poll what is left")
    ]
    assert [first.attributes[COUNT], second.attributes[COUNT]] == [2, 1]


def test_polls_with_a_submission_in_between_stay_apart(recording: Recording) -> None:
    slow, *others = submitted(recording, "poll and submit")
    found = waits(recording, "poll and submit")
    assert len(found) == len(others) + 1 > 2
    assert all(POLLS not in span.attributes for span in found)
    *timed_out, last = found
    assert {tuple(span.attributes[MISSING]) for span in timed_out} == {(slow,)}
    assert all(span.attributes[TIMED_OUT] is True and span.attributes[READY] == [] for span in timed_out)
    assert last.attributes[READY] == [slow] and TIMED_OUT not in last.attributes


def test_a_thread_that_works_between_its_polls_does_not_wait(recording: Recording) -> None:
    assert all(POLLS not in span.attributes for span in waits(recording, "poll and work"))
    assert len(waits(recording, "poll and work")) > 2


def test_a_wait_that_is_given_up_ends_with_its_last_poll(recording: Recording) -> None:
    (one,) = waits(recording, "give up")
    assert one.attributes[POLLS] == 3 and one.attributes[TIMED_OUT] is True
    assert one.attributes[READY] == [] and one.attributes[MISSING] == submitted(recording, "give up")
    case = recording.one("case give up")
    assert (one.end or "") < (case.end or "")


@pytest.mark.parametrize("function", ["__main__.polling_task", "Polling.poll"])
def test_polls_of_workers_are_one_wait(recording: Recording, function: str) -> None:
    (run,) = recording.runs(function)
    (one,) = (span for span in recording.children(run) if READY in span.attributes)
    assert one.attributes[POLLS] > 2 and len(one.attributes[READY]) == 1


def test_the_drivers_end_ends_its_polls(recording: Recording) -> None:
    last = recording.children(recording.driver(), "ray.get")[-1]
    assert last.attributes[TIMED_OUT] is True and len(last.attributes[MISSING]) == 2
    assert last.status == "ERROR"
    assert recording.open == [] or {span.name for span in recording.open} == {"__main__.sleeper ray.remote_worker"}


@pytest.mark.parametrize("how", ["between polls", "in a poll"])
def test_a_kill_loses_no_polls(tmp_path: Path, how: str) -> None:
    run = run_program("polling.py", tmp_path, how)
    assert run.code == -9, run.errors
    recording = run.recording
    (wait,) = (span for span in recording.open if span.name == "ray.get")
    assert len(wait.attributes[MISSING]) == 2
    assert wait.attributes[POLLS] == 1
    if how == "between polls":
        assert wait.end is not None and wait.attributes[TIMED_OUT] is True
    else:
        assert wait.end is None and TIMED_OUT not in wait.attributes
