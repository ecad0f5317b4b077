"""Where in the program a submission or a wait stands; what the cluster has."""

from __future__ import annotations

import json

import pytest

from .reader import PROGRAMS, Recording, run_program

pytestmark = pytest.mark.ray
PROGRAM = PROGRAMS / "calling.py"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    run = run_program("calling.py", tmp_path_factory.mktemp("spans"), RAYTRACE_MIN_WAIT_US="0")
    assert run.output == "done\n", run.errors
    return run.recording


def line(comment: str) -> str:
    number = next(n for n, text in enumerate(PROGRAM.read_text().splitlines(), 1) if text.endswith(f"# {comment}"))
    return f"{PROGRAM}:{number}"


def sites(recording: Recording, name: str) -> list[list[str]]:
    return [span.attributes["raytrace.call_site"].split("\n") for span in recording.named(name)]


def test_a_call_names_its_line_and_who_called_it(recording: Recording) -> None:
    by_helper = [line("called by a helper"), line("who calls the helper")]
    assert sites(recording, "ray.get") == [by_helper]
    assert sites(recording, "__main__.instant ray.remote")[0] == by_helper


def test_a_call_in_a_task_names_the_line_in_its_body(recording: Recording) -> None:
    assert sites(recording, "await") == [[line("awaited here")]]
    assert sites(recording, "__main__.instant ray.remote")[1] == [line("awaited here")]


def test_actors_and_waits_name_their_lines(recording: Recording) -> None:
    assert sites(recording, "Caller.__init__ ray.remote") == [[line("made here")]]
    assert sites(recording, "ray.wait")[0] == [line("waited for here")]


def test_a_comprehension_and_the_function_around_it_are_one_place(recording: Recording) -> None:
    assert sites(recording, "__main__.instant ray.remote")[2:] == [[line("inside a comprehension")]] * 2


def test_the_driver_says_what_the_cluster_has(recording: Recording) -> None:
    resources = json.loads(recording.driver().attributes["raytrace.cluster_resources"])
    assert resources["CPU"] == 2
    assert not any(name.startswith("node:") for name in resources)
