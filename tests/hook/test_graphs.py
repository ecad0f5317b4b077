"""Compiled graphs and placement groups are waited for like any result, but no task of Ray's stands behind them."""

from __future__ import annotations

import json

import pytest
import ray

from .reader import Recording, Span, run_program

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(
        ray.__version__.startswith(("2.9.", "2.40.")),
        reason="this Ray has no compiled graphs, or none whose results actors and the driver take",
    ),
]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    run = run_program("graphs.py", tmp_path_factory.mktemp("spans"))
    assert run.output.endswith("done\n"), run.errors
    assert "raytrace:" not in run.errors
    return run.recording


@pytest.mark.parametrize("name", ["get", "own get", "await"])
def test_the_get_of_a_compiled_graph_is_a_wait(recording: Recording, name: str) -> None:
    (wait,) = _gets(recording, name)
    assert wait.attributes["raytrace.awaited"] == "compiled graph"
    assert "graphs.py:" in wait.attributes["raytrace.call_site"]
    assert recording.children(wait) == []


@pytest.mark.parametrize(("name", "executed"), [("get", "get"), ("own get", "own get"), ("await", "await")])
def test_it_waits_for_the_step_that_gives_the_result(recording: Recording, name: str, executed: str) -> None:
    (wait,) = [one for one in recording.children(recording.one(f"case {name}")) if one.name == "ray.get"]
    (submit,) = [one for one in recording.children(recording.one(f"case {executed}")) if one.kind == "PRODUCER"]
    (run,) = recording.children(submit)
    assert wait.attributes["raytrace.ready_task_ids"] == [run.attributes["ray.task_id"]]
    assert submit.attributes["raytrace.submitted_task_id"] == run.attributes["ray.task_id"]
    assert submit.attributes["raytrace.dependency_task_ids"] == []
    assert (submit.name, run.name) == ("Stage.step ray.remote", "Stage.step ray.remote_worker")
    assert submit.attributes["ray.actor_id"] == run.attributes["ray.actor_id"]
    assert "graphs.py:" in submit.attributes["raytrace.call_site"]
    assert run.attributes["raytrace.concurrency_group"] == "compiled graph"
    assert "raytrace.task_name" not in run.attributes


def test_each_execution_submits_each_step_and_says_what_a_step_takes(recording: Recording) -> None:
    submits = recording.children(recording.one("case steps"))
    steps = [one for one in submits if one.name.startswith("Stage.step")]
    checks = [one for one in submits if one.name.startswith("Other.check")]
    assert len(submits) == 4
    assert len(steps) == len(checks) == 2
    for step, check in zip(steps, checks, strict=True):
        assert check.attributes["raytrace.dependency_task_ids"] == [step.attributes["raytrace.submitted_task_id"]]
    for name, step, check in zip(("first", "failed"), steps, checks, strict=True):
        made = {one.attributes["raytrace.submitted_task_id"] for one in (step, check)}
        assert all(set(get.attributes["raytrace.ready_task_ids"]) == made for get in _gets(recording, name))
    runs = [run for check in checks for run in recording.children(check)]
    assert [run.status for run in runs] == ["UNSET", "ERROR"]
    assert len({run.attributes["ray.task_id"] for run in runs}) == 2


def _gets(recording: Recording, name: str) -> list[Span]:
    return [one for one in recording.children(recording.one(f"case {name}")) if one.name == "ray.get"]


def test_the_call_that_runs_the_steps_only_waits(recording: Recording) -> None:
    waits = [one for one in recording.named("await") if one.attributes["raytrace.awaited"] == "compiled graph to end"]
    runs = [recording.by_id[one.parent_id] for one in waits if one.parent_id]
    assert len(waits) == 4
    assert all(run.name.endswith("__ray_call__ ray.remote_worker") for run in runs)


@pytest.mark.parametrize(("name", "span"), [("ready", "ray.get"), ("group", "placement_group.wait")])
def test_a_wait_for_a_placement_group_says_for_what(recording: Recording, name: str, span: str) -> None:
    if name == "ready" and ray.__version__.startswith("2.40."):
        pytest.skip("there a task of Ray's waits for the group, and the program for that")
    (wait,) = recording.children(recording.one(f"case {name}"))
    assert wait.name == span
    assert wait.attributes["raytrace.awaited"] == "placement group (3 CPU)"
    assert wait.attributes["raytrace.ready_task_ids"] == []
    assert wait.attributes["raytrace.timed_out"] is True
    (removal,) = recording.children(recording.one("case remove"))
    assert wait.attributes["raytrace.placement_group_id"] == removal.attributes["raytrace.placement_group_id"]


def test_the_removal_of_a_placement_group_is_recorded(recording: Recording) -> None:
    (removal,) = recording.children(recording.one("case remove"))
    assert removal.name == "placement_group.remove"
    assert removal.start == removal.end
    assert len(removal.attributes["raytrace.placement_group_id"]) > 20
    assert "graphs.py:" in removal.attributes["raytrace.call_site"]


def test_a_submission_says_in_which_placement_group_it_is_to_run(recording: Recording) -> None:
    (submit,) = recording.children(recording.one("case inside"))
    (removal,) = recording.children(recording.one("case remove"))
    assert json.loads(submit.attributes["raytrace.placement_group_resources"]) == {"CPU": 3}
    assert submit.attributes["raytrace.placement_group_id"] == removal.attributes["raytrace.placement_group_id"]
