"""Compiled graphs and placement groups are waited for like any result, but no task stands behind them."""

from __future__ import annotations

import json

import pytest
import ray

from .reader import Recording, run_program

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(ray.__version__.startswith("2.9."), reason="this Ray has no compiled graphs"),
]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    run = run_program("graphs.py", tmp_path_factory.mktemp("spans"))
    assert run.output.endswith("done\n"), run.errors
    assert "raytrace:" not in run.errors
    return run.recording


@pytest.mark.parametrize("name", ["get", "own get", "await"])
def test_the_get_of_a_compiled_graph_is_a_wait(recording: Recording, name: str) -> None:
    (wait,) = recording.children(recording.one(f"case {name}"))
    assert wait.name == "ray.get"
    assert wait.attributes["raytrace.awaited"] == "compiled graph"
    assert wait.attributes["raytrace.ready_task_ids"] == []
    assert "graphs.py:" in wait.attributes["raytrace.call_site"]
    assert recording.children(wait) == []


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
