"""What a program waits for, from a program that waits in every way there is."""

from __future__ import annotations

import pytest

from .reader import Recording, Span, run_program

pytestmark = pytest.mark.ray
READY, COUNT = "raytrace.ready_task_ids", "raytrace.awaited_count"


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    run = run_program("waiting.py", tmp_path_factory.mktemp("spans"), RAYTRACE_MIN_WAIT_US="0")
    assert run.output == "done\n", run.errors
    assert "raytrace" not in run.errors
    return run.recording


def case(recording: Recording, name: str, wait: str) -> list[Span]:
    return recording.children(recording.one(f"case {name}"), wait)


def submitted(recording: Recording, name: str) -> list[str]:
    inside = recording.children(recording.one(f"case {name}"))
    return [span.attributes["raytrace.submitted_task_id"] for span in inside if span.kind == "PRODUCER"]


def test_get_of_one_names_its_task(recording: Recording) -> None:
    (get,) = case(recording, "get one", "ray.get")
    assert get.attributes[READY] == submitted(recording, "get one")
    assert get.attributes[COUNT] == 1
    assert get.kind == "INTERNAL"


def test_get_of_several_leaves_puts_out_of_the_ids_but_counts_them(recording: Recording) -> None:
    (get,) = case(recording, "get list", "ray.get")
    assert get.attributes[READY] == submitted(recording, "get list")
    assert len(get.attributes[READY]) == 2
    assert get.attributes[COUNT] == 3


def test_get_names_all_of_very_many_tasks(recording: Recording) -> None:
    (get,) = case(recording, "get many", "ray.get")
    assert get.attributes[COUNT] == 500
    assert get.attributes[READY] == submitted(recording, "get many")


def test_get_that_times_out_says_what_was_ready(recording: Recording) -> None:
    (get,) = case(recording, "get timeout", "ray.get")
    _, fast = submitted(recording, "get timeout")
    assert get.attributes[READY] == [fast]
    assert get.attributes[COUNT] == 2
    assert get.status == "ERROR"


def test_get_of_a_failed_task_names_it(recording: Recording) -> None:
    (get,) = case(recording, "get failing", "ray.get")
    assert get.attributes[READY] == submitted(recording, "get failing")
    assert get.record["status"]["description"].startswith("RayTaskError")


def test_wait_names_only_what_was_ready(recording: Recording) -> None:
    waits = case(recording, "wait loop", "ray.wait")
    assert [wait.attributes[COUNT] for wait in waits] == [4, 3, 2, 1]
    ready = [task for wait in waits for task in wait.attributes[READY]]
    assert sorted(ready) == sorted(submitted(recording, "wait loop"))


def test_wait_that_times_out_names_nothing(recording: Recording) -> None:
    (wait,) = case(recording, "wait timeout", "ray.wait")
    assert wait.attributes[READY] == []


def test_put_tells_its_size_and_has_no_task(recording: Recording) -> None:
    (put,) = case(recording, "put", "ray.put")
    assert 100_000 <= put.attributes["raytrace.put_bytes"] < 101_000
    assert READY not in put.attributes
    for get in case(recording, "put", "ray.get"):
        assert get.attributes[READY] == []


def test_task_waits_inside_its_own_spans(recording: Recording) -> None:
    (run,) = recording.runs("__main__.nested")
    (get,) = case(recording, "in task", "ray.get")
    (inner,) = recording.children(run, "case in task")
    assert get.parent_id == inner.span_id
    assert get.attributes[READY] == submitted(recording, "nested")[:1]


def test_thread_of_a_task_carries_the_task(recording: Recording) -> None:
    (run,) = recording.runs("__main__.nested")
    orphans = [span for span in recording.spans if span.parent_id is None and span.name != "ray.driver"]
    assert sorted(span.name for span in orphans) == ["__main__.sleeper ray.remote", "ray.get"]
    assert {span.attributes["ray.task_id"] for span in orphans} == {run.attributes["ray.task_id"]}


def test_threads_of_the_driver_belong_to_its_span(recording: Recording) -> None:
    assert recording.one("case driver thread").parent_id == recording.driver().span_id
    assert len(case(recording, "driver thread", "ray.get")) == 1


def test_future_is_a_wait_only_while_a_thread_blocks_on_it(recording: Recording) -> None:
    (blocked,) = case(recording, "future", "await")
    assert blocked.attributes[READY] == submitted(recording, "future")
    assert case(recording, "future unwaited", "await") == []


@pytest.mark.parametrize("name", ["as_completed", "futures wait"])
def test_futures_loops_name_what_completed(recording: Recording, name: str) -> None:
    waits = case(recording, name, "await")
    ready = [task for wait in waits for task in wait.attributes[READY]]
    assert sorted(ready) == sorted(submitted(recording, name))


def test_as_completed_waits_for_the_faster_first(recording: Recording) -> None:
    waits = case(recording, "as_completed", "await")
    assert [wait.attributes[READY] for wait in waits] == [[t] for t in reversed(submitted(recording, "as_completed"))]


@pytest.mark.parametrize("name", ["await one", "gather", "driver await"])
def test_await_names_the_awaited(recording: Recording, name: str) -> None:
    # A coroutine that gives way once more after its results are there may have an `await` for that, too.
    waits = [wait for wait in case(recording, name, "await") if "raytrace.awaited" not in wait.attributes]
    assert [wait.attributes[READY] for wait in waits] == [[task] for task in submitted(recording, name)]


def test_iteration_over_a_generator_waits_for_its_task(recording: Recording) -> None:
    waits = case(recording, "generator", "ray.next")
    assert len(waits) == 4  # three items and the end
    assert all(wait.attributes[READY] == submitted(recording, "generator") for wait in waits)
    assert case(recording, "generator", "ray.wait") == []


def test_asynchronous_iteration_waits_for_its_task(recording: Recording) -> None:
    waits = case(recording, "async for", "ray.next")
    assert len(waits) >= 2
    assert all(wait.attributes[READY] == submitted(recording, "async for") for wait in waits)


def test_iteration_that_times_out_names_nothing(recording: Recording) -> None:
    (wait,) = case(recording, "next timeout", "ray.next")
    assert wait.attributes[READY] == []


def test_a_process_pool_is_waited_for_like_its_calls(recording: Recording) -> None:
    (started,) = case(recording, "process pool", "ray.get")
    assert len(started.attributes[READY]) == 1
    (mapped,) = case(recording, "process pool map", "ray.get")
    assert sorted(mapped.attributes[READY]) == sorted(submitted(recording, "process pool map"))
    in_turn = case(recording, "process pool imap", "ray.get")
    assert sorted(wait.attributes[READY][0] for wait in in_turn) == sorted(submitted(recording, "process pool imap"))


def test_helpers_of_ray_that_a_user_waits_in_are_recorded(recording: Recording) -> None:
    waits = case(recording, "pool", "ray.wait")
    assert len(waits) == 3


def test_waits_hold_no_nested_waits(recording: Recording) -> None:
    names = {"ray.get", "ray.wait", "ray.next", "await", "ray.put"}
    inside = [span for span in recording.spans if span.name in names and span.parent_id in recording.by_id]
    assert inside
    assert not [span for span in inside if recording.by_id[span.parent_id or ""].name in names]


def test_nothing_is_left_open(recording: Recording) -> None:
    assert recording.open == []


def test_processes_say_that_they_record_waits(recording: Recording) -> None:
    assert all(span.resource["raytrace.records_waits"] is True for span in recording.spans)
