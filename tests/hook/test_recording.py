"""What is recorded beside waits for results: callbacks, suspensions, generators, ends, turns, sizes."""

from __future__ import annotations

import json

import pytest
import ray

from .reader import Recording, Span, run_program

pytestmark = pytest.mark.ray
READY, AWAITED = "raytrace.ready_task_ids", "raytrace.awaited"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    run = run_program("recording.py", tmp_path_factory.mktemp("spans"), "hang", timeout=300)
    assert run.output.endswith("done\n"), run.errors
    assert "raytrace:" not in run.errors
    return run.recording


def submitted(recording: Recording, name: str) -> list[str]:
    inside = recording.children(recording.one(f"case {name}"))
    return [span.attributes["raytrace.submitted_task_id"] for span in inside if span.kind == "PRODUCER"]


def suspensions(recording: Recording, method: str) -> list[Span]:
    return [span for span in recording.children(recording.runs(method)[0], "await") if AWAITED in span.attributes]


@pytest.mark.parametrize("name", ["callback", "pool callback"])
def test_a_result_that_comes_in_a_callback_is_a_delivery(recording: Recording, name: str) -> None:
    (delivery,) = recording.children(recording.one(f"case {name}"), "ray.delivery")
    assert delivery.start == delivery.end
    assert delivery.attributes[READY] == submitted(recording, name)


def test_a_delivery_after_its_span_has_ended_is_the_drivers(recording: Recording) -> None:
    deliveries = recording.children(recording.driver(), "ray.delivery")
    assert submitted(recording, "callback that came late") in [one.attributes[READY] for one in deliveries]


def test_what_somebody_waits_for_is_no_delivery(recording: Recording) -> None:
    assert recording.children(recording.one("case pool wait"), "ray.delivery") == []
    (waited_for,) = submitted(recording, "pool wait")
    assert all(waited_for not in one.attributes[READY] for one in recording.named("ray.delivery"))


def test_a_thread_of_an_actor_that_waits_for_another_has_a_wait(recording: Recording) -> None:
    (wait,) = recording.children(recording.runs("Threaded.wait")[0], "await")
    assert wait.attributes[AWAITED] == "threading.Event.wait"
    assert wait.attributes["raytrace.sampled_times"] is True
    assert wait.attributes[READY] == []
    assert wait.attributes["raytrace.call_site"].rpartition(":")[0].endswith("recording.py")


@pytest.mark.parametrize(
    ("method", "awaited"),
    [
        ("Async.wait", "asyncio.Event.wait"),
        ("Async.release", "asyncio.sleep"),
        ("Async.wait_for", "asyncio.Queue.get"),
        ("Async.failing", "asyncio.sleep"),
    ],
)
def test_an_asynchronous_method_says_what_it_waits_in(recording: Recording, method: str, awaited: str) -> None:
    (one,) = suspensions(recording, method)
    assert one.attributes[AWAITED] == awaited
    assert one.attributes[READY] == []
    assert one.kind == "INTERNAL"
    (run,) = recording.runs(method)
    assert run.start < one.start < (one.end or "") < (run.end or "")
    assert "recording.py:" in one.attributes["raytrace.call_site"]


def test_waits_for_results_of_ray_are_not_doubled(recording: Recording) -> None:
    (run,) = recording.runs("Async.only_ray")
    waits = recording.children(run, "await")
    assert sum(len(wait.attributes[READY]) for wait in waits) == 3
    of_ray = [(wait.start, wait.end or "") for wait in waits if wait.attributes[READY]]
    # The way to Ray and back to the coroutine may take long on a busy machine; nothing is told beside Ray's own waits.
    beside = [(wait.start, wait.end or "") for wait in waits if not wait.attributes[READY]]
    assert all(end <= begun or ended <= start for start, end in beside for begun, ended in of_ray)


def test_what_remains_beside_results_of_ray_is_a_wait_of_its_own(recording: Recording) -> None:
    (run,) = recording.runs("Async.both")
    (result,) = (wait for wait in recording.children(run, "await") if wait.attributes[READY])
    rest = suspensions(recording, "Async.both")[-1]
    assert rest.attributes[AWAITED] == "asyncio.gather"
    assert rest.start == result.end


def test_pauses_too_short_are_counted(recording: Recording) -> None:
    (run,) = recording.runs("Async.many")
    assert run.attributes["raytrace.short_waits"] + len(suspensions(recording, "Async.many")) == 50


def test_a_method_that_hangs_shows_in_what(recording: Recording) -> None:
    waits = {span.attributes[AWAITED]: span for span in recording.open if span.name == "await"}
    hanging = waits["asyncio.Event.wait"]
    assert hanging.attributes[READY] == []
    assert hanging.parent_id in {span.span_id for span in recording.open if span.name.startswith("Async.wait ")}


def test_who_holds_the_lock_that_a_method_waits_for_stands_with_its_wait(recording: Recording) -> None:
    waits = {span.attributes[AWAITED]: span for span in recording.open if span.name == "await"}
    (run,) = (span for span in recording.open if span.name.startswith("Locked.twice "))
    assert [f"0x{span_id}" for span_id in waits["asyncio.Lock.acquire"].attributes["raytrace.held_by"]] == [run.span_id]


def times(run: Span) -> list[int]:
    found: list[int] = json.loads(run.attributes["raytrace.item_ready"])
    assert found == sorted(found)
    return found


def test_a_generator_says_when_its_items_were_there(recording: Recording) -> None:
    (run,) = recording.runs("__main__.free")
    assert run.attributes["raytrace.items"] == len(times(run)) == 3
    (asynchronous,) = recording.runs("Async.items")
    assert asynchronous.attributes["raytrace.items"] == len(times(asynchronous)) == 3
    assert [span.attributes[AWAITED] for span in suspensions(recording, "Async.items")] == ["asyncio.sleep"] * 3


def test_of_very_many_items_every_fourth_is_told(recording: Recording) -> None:
    (run,) = recording.runs("__main__.very_many")
    assert run.attributes["raytrace.items"] == 1000
    assert len(times(run)) == 250


def test_waits_for_items_say_which(recording: Recording) -> None:
    (submit,) = recording.submits("__main__.free")
    task_id = submit.attributes["raytrace.submitted_task_id"]
    waits = [span for span in recording.named("ray.next") if span.attributes[READY] == [task_id]]
    assert [span.attributes.get("raytrace.item") for span in waits] == [0, 1, 2, None]


def test_a_generator_that_is_held_back_waits_for_its_consumer(recording: Recording) -> None:
    (run,) = recording.runs("__main__.held_back")
    held = recording.children(run, "back-pressure")
    assert [span.attributes["raytrace.item"] for span in held][-3:] == [2, 3, 4]
    assert all(span.attributes[READY] == [] for span in held)
    (free,) = recording.runs("__main__.free")
    assert recording.children(free) == []


@pytest.mark.parametrize(
    ("method", "group", "at_once", "on_event_loop"),
    [
        ("Grouped.read", "io", 2, False),
        ("Grouped.work", "compute", 1, False),
        ("Grouped.plain", None, 1, False),
        ("Threaded.method", None, 3, False),
        ("Plain.method", None, 1, False),
        ("Async.sync", None, 1000, True),
        ("Async.value", None, 1000, True),
    ],
)
def test_methods_say_whose_turn_it_is(
    recording: Recording, method: str, group: str | None, at_once: int, on_event_loop: bool
) -> None:
    attributes = recording.runs(method)[0].attributes
    assert attributes.get("raytrace.concurrency_group") == group
    assert attributes["raytrace.max_concurrency"] == at_once
    assert attributes["raytrace.on_event_loop"] is on_event_loop


def test_a_group_that_a_call_asks_for_is_its_group(recording: Recording) -> None:
    _, asked = recording.runs("Grouped.plain")
    assert asked.attributes["raytrace.concurrency_group"] == "io"
    assert asked.attributes["raytrace.max_concurrency"] == 2


def test_submissions_say_what_their_arguments_take(recording: Recording) -> None:
    large, none, by_reference = recording.children(recording.one("case arguments"), "Plain.method ray.remote")
    assert 2_000_000 < large.attributes["raytrace.argument_bytes"] < 2_010_000
    assert "raytrace.argument_bytes" not in none.attributes
    assert "raytrace.argument_bytes" not in by_reference.attributes
    assert by_reference.attributes["raytrace.put_arguments"] == 1
    assert "raytrace.put_arguments" not in large.attributes


def test_the_submission_that_exports_a_function_says_how_large_it_is_where_that_is_much(recording: Recording) -> None:
    first, second = recording.children(recording.one("case code"), "__main__.carrying ray.remote")
    assert 200_000 < first.attributes["raytrace.code_bytes"] < 210_000
    assert "raytrace.code_bytes" not in second.attributes
    assert all("raytrace.code_bytes" not in one.attributes for one in recording.submits("Plain.method"))


def test_what_ends_a_task_or_an_actor_is_recorded(recording: Recording) -> None:
    ends = recording.one("case ends")
    cancel, _ = recording.children(ends, "ray.cancel")
    (endless,) = recording.children(ends, "__main__.endless ray.remote")
    assert cancel.attributes["raytrace.target_task_id"] == endless.attributes["raytrace.submitted_task_id"]
    assert "recording.py:" in cancel.attributes["raytrace.call_site"]
    (kill,) = recording.children(ends, "ray.kill")
    assert kill.attributes["ray.actor_id"] == recording.submits("Threaded.__init__")[0].attributes["ray.actor_id"]


def test_a_wait_that_a_cancelled_task_was_in_is_recorded(recording: Recording) -> None:
    (run,) = recording.runs("__main__.blocked")
    assert run.attributes["raytrace.cancelled"] is True
    (submit,) = recording.children(run, "__main__.sleeper ray.remote")
    (get,) = recording.children(run, "ray.get")
    assert get.attributes["raytrace.awaited_task_ids"] == [submit.attributes["raytrace.submitted_task_id"]]
    assert (get.status, get.attributes["raytrace.ready_task_ids"]) == ("ERROR", [])
    assert run.span_id not in {span.parent_id for span in recording.open}


@pytest.mark.parametrize("method", ["Plain.leave", "AsyncPlain.leave"])
def test_an_actor_that_leaves_kills_itself(recording: Recording, method: str) -> None:
    (run,) = recording.runs(method)
    (kill,) = recording.children(run, "ray.kill")
    assert kill.attributes["ray.actor_id"] == run.attributes["ray.actor_id"]
    assert run.status == "ERROR"


@pytest.mark.parametrize(("function", "text"), [("bad_str", "BadStr: "), ("leaving", "SystemExit: 3")])
def test_runs_that_fail_without_a_word_are_in_error(recording: Recording, function: str, text: str) -> None:
    (run,) = recording.runs(f"__main__.{function}")
    assert run.status == "ERROR"
    assert run.record["status"]["description"].startswith(text)


@pytest.mark.skipif(ray.__version__.startswith("2.9."), reason="this Ray's head gives no table of actors that are over")
def test_when_actors_were_over_stands_with_their_creations(recording: Recording) -> None:
    ((_, attempts),) = recording.events
    creations = [attempt for attempt in attempts if attempt["type"] == "ACTOR_CREATION_TASK"]
    states = {attempt["name"].split(".")[0]: attempt["states"] for attempt in creations}
    assert states["Threaded"]["ACTOR_DEAD"] > states["Threaded"]["FINISHED"]
    # Older versions of Ray do not say that nobody had a handle any more.
    let_go = {"ACTOR_LET_GO", "ACTOR_DEAD"} & set(states["Grouped"])
    assert let_go and states["Grouped"][let_go.pop()] > states["Grouped"]["FINISHED"]
    assert not {"ACTOR_LET_GO", "ACTOR_DEAD"} & set(states["Async"])
