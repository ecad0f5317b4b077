"""What is said of tasks and methods that run, and of their submission."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .reader import Recording, Span, run_program

pytestmark = pytest.mark.ray
SUBMITTED, DEPENDS = "raytrace.submitted_task_id", "raytrace.dependency_task_ids"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    scratch = tmp_path_factory.mktemp("scratch")
    run = run_program("running.py", tmp_path_factory.mktemp("spans"), str(scratch))
    assert "done" in run.output.splitlines(), run.errors
    assert "raytrace:" not in run.errors + run.output
    return run.recording


def ours(span: Span) -> dict[str, Any]:
    return {name[9:]: value for name, value in span.attributes.items() if name.startswith("raytrace.")}


def test_every_run_is_the_task_that_its_submission_names(recording: Recording) -> None:
    checked = 0
    for run in [*recording.spans, *recording.open]:
        if run.kind == "CONSUMER":
            submit = recording.by_id[run.parent_id or ""]
            if not run.name.startswith("__main__.nothing"):  # without results there is no id to learn
                assert submit.attributes[SUBMITTED] == run.attributes["ray.task_id"], run.name
                checked += 1
    assert checked > 30


def test_a_submission_is_called_after_its_task_where_nothing_is_sent_along(recording: Recording) -> None:
    ids = [span.span_id for span in recording.spans]
    assert len(set(ids)) == len(ids)
    (context,) = recording.children(recording.one("case context"), "__main__.context_sent ray.remote")
    (other,) = recording.children(recording.one("case another trace"), "__main__.context_sent ray.remote")
    (method,) = recording.children(recording.one("case context"), "Plain.context_sent ray.remote")
    assert method.attributes[SUBMITTED][:16] == method.span_id.removeprefix("0x")
    assert [run.name for run in recording.children(method)] == ["Plain.context_sent ray.remote_worker"]
    assert context.attributes[SUBMITTED][:16] == context.span_id.removeprefix("0x")
    assert other.attributes[SUBMITTED][:16] != other.span_id.removeprefix("0x")
    assert context.trace_id == recording.driver().trace_id != other.trace_id
    assert [run.trace_id for run in recording.children(other)] == [other.trace_id]


def test_attempts_submit_tasks_of_their_own(recording: Recording) -> None:
    attempts = recording.runs("__main__.submitting")
    submitted = [recording.children(run, "__main__.context_sent ray.remote") for run in attempts]
    assert len({submit.span_id for (submit,) in submitted}) == 2
    assert [len(recording.children(submit)) for (submit,) in submitted] == [1, 1]


def test_what_is_done_while_arguments_are_pickled_has_a_parent(recording: Recording) -> None:
    during = recording.by_id[recording.one("pickling").parent_id or ""]
    assert during.kind == "INTERNAL"
    assert recording.by_id[during.parent_id or ""].name == "__main__.context_sent ray.remote"
    assert during.name == "__main__.context_sent ray.remote arguments"


def test_dependencies_are_top_level_arguments_by_position_and_keyword(recording: Recording) -> None:
    first, second, both, on_pair = recording.submits("__main__.plain")
    assert first.attributes[DEPENDS] == []
    assert both.attributes[DEPENDS] == [first.attributes[SUBMITTED], second.attributes[SUBMITTED]]
    (pair,) = recording.submits("__main__.pair")
    assert on_pair.attributes[DEPENDS] == [pair.attributes[SUBMITTED]]


def test_methods_have_dependencies_too(recording: Recording) -> None:
    first = recording.submits("__main__.plain")[0]
    method, _ = recording.submits("Plain.method")
    assert method.attributes[DEPENDS] == [first.attributes[SUBMITTED]]


def test_demands_are_what_ray_scheduled_by(recording: Recording) -> None:
    ((_, attempts),) = recording.events
    demanded = {attempt["task_id"]: attempt["resources"] for attempt in attempts}
    (submit,) = recording.submits("__main__.demanding")
    assert json.loads(submit.attributes["raytrace.resources"]) == {"CPU": 0.5, "special": 1.0, "memory": 1000000}
    for name in ("__main__.demanding", "__main__.plain", "__main__.items", "Plain.__init__"):
        submit = recording.submits(name)[0]
        assert json.loads(submit.attributes["raytrace.resources"]) == demanded[submit.attributes[SUBMITTED]], name


def test_actors_that_hold_no_cpu_say_what_has_to_be_free_for_them(recording: Recording) -> None:
    told = {name: recording.submits(f"{name}.__init__")[0].attributes for name in ("Plain", "Threaded")}
    assert {name: one["raytrace.resources"] for name, one in told.items()} == dict.fromkeys(told, "{}")
    placed = {name: json.loads(one["raytrace.placement_resources"]) for name, one in told.items()}
    assert placed == {"Plain": {"CPU": 1}, "Threaded": {}}


def test_retries_are_numbered(recording: Recording) -> None:
    runs = recording.runs("__main__.flaky")
    assert [run.attributes["raytrace.attempt"] for run in runs] == [0, 1, 2]
    assert [run.status for run in runs] == ["ERROR", "ERROR", "UNSET"]
    assert len({run.parent_id for run in runs}) == 1


def test_a_killed_attempt_stays_open(recording: Recording) -> None:
    (survived,) = recording.runs("__main__.killed")
    assert survived.attributes["raytrace.attempt"] == 1
    (lost,) = (span for span in recording.open if span.name == "__main__.killed ray.remote_worker")
    assert lost.end is None
    assert lost.parent_id == survived.parent_id
    assert lost.attributes["raytrace.attempt"] == 0
    assert lost.attributes["ray.task_id"] == survived.attributes["ray.task_id"]
    assert lost.resource["process.pid"] == int(lost.attributes["ray.pid"])
    (inside,) = (span for span in recording.open if span.name == "inside killed")
    assert inside.parent_id == lost.span_id


def test_exactly_the_killed_attempts_are_open(recording: Recording) -> None:
    runs = sorted(span.name for span in recording.open if span.kind == "CONSUMER")
    assert runs == ["Phoenix.die_once ray.remote_worker", "__main__.killed ray.remote_worker"]


def test_a_restarted_actor_is_created_twice_with_numbered_attempts(recording: Recording) -> None:
    assert [run.attributes["raytrace.attempt"] for run in recording.runs("Phoenix.__init__")] == [0, 1]
    (risen,) = recording.runs("Phoenix.die_once")
    assert risen.attributes["raytrace.attempt"] == 1


@pytest.mark.parametrize("name", ["__main__.endless", "Async.forever"])
def test_cancelled_runs_say_so(recording: Recording, name: str) -> None:
    (run,) = recording.runs(name)
    assert run.attributes["raytrace.cancelled"] is True


def test_only_cancelled_runs_say_so(recording: Recording) -> None:
    assert sum("raytrace.cancelled" in span.attributes for span in recording.spans) == 2


@pytest.mark.parametrize(
    ("actor", "method", "concurrent"),
    [
        ("Plain", "method", False),
        ("Threaded", "method", True),
        ("Grouped", "read", True),
        ("Async", "method", True),
        ("AsyncYielding", "numbers", True),
        ("Yielding", "numbers", False),
    ],
)
def test_methods_say_whether_they_overlap(recording: Recording, actor: str, method: str, concurrent: bool) -> None:
    assert recording.runs(f"{actor}.{method}")[0].attributes["raytrace.concurrent"] is concurrent


def test_tasks_say_their_name_where_it_is_not_the_functions(recording: Recording) -> None:
    named = {span.name: ours(span).get("task_name") for span in recording.spans if span.kind == "CONSUMER"}
    (renamed,) = recording.runs("__main__.demanding")
    knows_names = tuple(map(int, recording.events[0][0]["ray_version"].split(".")[:2])) >= (2, 60)
    assert named.pop(renamed.name) == ("renamed" if knows_names else None)
    assert set(named.values()) == {None}


def test_named_actors_are_named(recording: Recording) -> None:
    assert recording.runs("Plain.method")[0].attributes["raytrace.actor_name"] == "bob"
    assert "raytrace.actor_name" not in recording.runs("Threaded.method")[0].attributes


@pytest.mark.parametrize(
    ("name", "item"),
    [("__main__.items", "item"), ("Yielding.numbers", "method item"), ("AsyncYielding.numbers", "async item")],
)
def test_a_generator_is_covered_by_its_span(recording: Recording, name: str, item: str) -> None:
    run = recording.runs(name)[0]
    inside = [span.name for span in recording.children(run) if span.name != "await"]
    assert inside[:2] == [f"{item} 0", f"{item} 1"]
    last = recording.children(run)[-1]
    assert run.end is not None and last.end is not None
    assert run.start < last.start < last.end < run.end


def test_a_generator_method_called_through_a_passed_handle_is_covered_too(recording: Recording) -> None:
    (use,) = recording.runs("Plain.use")
    (submit,) = recording.children(use, "Yielding.numbers ray.remote")
    (run,) = recording.children(submit)
    assert [span.name for span in recording.children(run)] == ["method item 0"]


def test_a_generator_that_fails_is_in_error(recording: Recording) -> None:
    (run,) = recording.runs("__main__.failing_items")
    assert run.status == "ERROR"
    (event,) = run.record["events"]
    assert event["attributes"]["exception.type"] == "ValueError"


def test_custom_spans_come_along_under_their_task(recording: Recording) -> None:
    customs = recording.named("custom")
    assert len(customs) == 4
    for custom in customs:
        run = recording.by_id[custom.parent_id or ""]
        assert run.name == "__main__.plain ray.remote_worker"
        assert custom.attributes == {"answer": 42, "ray.task_id": run.attributes["ray.task_id"]}


def test_resources_name_process_and_cluster(recording: Recording) -> None:
    driver = recording.driver()
    for span in recording.spans:
        resource = span.resource
        assert resource["raytrace.session"] == driver.resource["raytrace.session"]
        assert resource["ray.job_id"] == "01000000"
        assert len(resource["ray.node_id"]) == len(resource["ray.worker_id"]) == 56
        assert f"-{resource['process.pid']}-" in span.file.name
        assert resource["host.name"] and resource["service.instance.id"]
    assert len({span.resource["service.instance.id"] for span in recording.spans}) == len(
        {span.file for span in recording.spans}
    )


def test_all_of_a_program_is_one_trace_under_its_driver(recording: Recording) -> None:
    driver = recording.driver()
    assert driver.parent_id is None
    assert "running.py" in driver.attributes["raytrace.entrypoint"]
    (other,) = recording.named("case another trace")
    others = {other.trace_id}
    assert {span.trace_id for span in recording.spans} - others == {driver.trace_id}
    assert driver.status == "UNSET"


def test_task_events_have_every_attempt_with_its_states(recording: Recording) -> None:
    ((header, attempts),) = recording.events
    driver = recording.driver()
    assert header["raytrace"] == "task_events" and header["version"] == 1
    assert header["session"] == driver.resource["raytrace.session"]
    assert header["job_id"] == "01000000"
    known = {(attempt["task_id"], attempt["attempt"]): attempt for attempt in attempts}
    # A worker reports its part each second: what it had not when it was killed is lost, the owner's part is there.
    killed_pids = {span.attributes["ray.pid"] for span in recording.open if span.kind == "CONSUMER"}
    for run in recording.spans + recording.open:
        restarted = run.name.startswith("Phoenix.__init__") and run.attributes.get("raytrace.attempt") == 1
        if run.kind == "CONSUMER" and not restarted:
            attempt = known[run.attributes["ray.task_id"], run.attributes["raytrace.attempt"]]
            # Ray 2.9 does not say it of a task that it tries again.
            known_since = attempt["states"].get("PENDING_ARGS_AVAIL", attempt["states"]["PENDING_NODE_ASSIGNMENT"])
            assert known_since > 1_700_000_000_000_000_000
            if run.attributes["ray.pid"] not in killed_pids:
                assert attempt["states"]["RUNNING"] > known_since
                assert attempt["pid"] == int(run.attributes["ray.pid"])
    (killed,) = (attempt for attempt in attempts if attempt["name"] == "killed" and attempt["attempt"] == 0)
    assert "FAILED" in killed["states"]
    assert killed["error"]["type"] == "WORKER_DIED"
    (plain, *_) = (attempt for attempt in attempts if attempt["name"] == "renamed")
    assert {part["name"] for part in plain["profile"]} >= {"task:execute", "task:deserialize_arguments"}


def test_functions_and_methods_of_every_shape_give_what_they_give_without_tracing(tmp_path: Path) -> None:
    """With Ray's own hook, static methods, class methods and generators of actors fail for an unexpected argument."""
    run = run_program("shapes.py", tmp_path)
    assert [line for line in run.output.splitlines() if line] == ["29 called"], run.errors
    assert "raytrace:" not in run.errors + run.output
    assert len([span for span in run.recording.spans if span.kind == "CONSUMER"]) > 29
