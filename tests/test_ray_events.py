"""Programs that no hook traced, told from Ray's own events: export logs, the History Server's files, `ray timeline`.

The program:

    driver    |s load|s train                                    |
    load           |=== 100..300 ===|
    train                            |====== 320..900 ======|      its part: |s part|
    part                               |== 400..700 ==|
"""

import base64
import dataclasses
import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from google.protobuf import json_format

import raytrace_analyze as rt
from raytrace_analyze.model import ProblemKind

MS = 1_000_000
BEGIN = 1_760_000_000_000_000_000
JOB = "01000000"
SESSION = "session_2026-11-26_02-00-00_000000_100"
DRIVER_TASK = f"{'f' * 40}{JOB}"
NODE, OTHER_NODE = "ab" * 28, "cd" * 28
Program = dict[str, dict[str, Any]]


def task_id(number: int) -> str:
    return f"{number:016x}{'f' * 24}{JOB}"


LOAD, TRAIN, PART = task_id(1), task_id(2), task_id(3)
PROGRAM: Program = {
    LOAD: {"name": "load", "parent": DRIVER_TASK, "submitted": 10, "runs": 100, "ended": 300, "pid": 11},
    TRAIN: {"name": "train", "parent": DRIVER_TASK, "submitted": 20, "runs": 320, "ended": 900, "pid": 12},
    PART: {"name": "part", "parent": TRAIN, "submitted": 350, "runs": 400, "ended": 700, "pid": 11},
}


def b64(text: str) -> str:
    return base64.b64encode(bytes.fromhex(text)).decode()


def worker(pid: int) -> str:
    return f"{pid:056x}"


def at(ms: int) -> int:
    return BEGIN + ms * MS


def stamp(ms: int) -> str:
    whole, rest = divmod(at(ms), 10**9)
    return f"{datetime.fromtimestamp(whole, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def export_log(program: Program = PROGRAM) -> Iterator[dict[str, Any]]:
    """As `event_EXPORT_TASK_*.log` has it: each attempt in two pieces, by its submitter and by its worker."""
    for key, told in program.items():
        info = {
            "type": "NORMAL_TASK",
            "language": "PYTHON",
            "func_or_class_name": told["name"],
            "task_id": b64(key),
            "parent_task_id": b64(told["parent"]),
            "required_resources": {"CPU": 1.0},
        }
        by_submitter = {
            "1": str(at(told["submitted"])),
            "2": str(at(told["submitted"] + 1)),
            "5": str(at(told["runs"] - 2)),
        }
        by_worker = {"8": str(at(told["runs"]))} | ({"11": str(at(told["ended"]))} if told["ended"] else {})
        pieces = (
            {"task_info": info, "state_updates": {"state_ts_ns": by_submitter}},
            {
                "state_updates": {
                    "node_id": b64(NODE),
                    "worker_id": b64(worker(told["pid"])),
                    "worker_pid": told["pid"],
                    "state_ts_ns": by_worker,
                }
            },
        )
        for data in pieces:
            whole = {"task_id": b64(key), "attempt_number": 0, "job_id": b64(JOB), **data}
            yield {"event_id": "x", "timestamp": 1, "source_type": "EXPORT_TASK", "event_data": whole}
    yield {
        "event_id": "y",
        "timestamp": 1,
        "source_type": "EXPORT_DRIVER_JOB",
        "event_data": {"job_id": b64(JOB), "driver_pid": 7, "entrypoint": "train.py", "start_time": at(0) // MS},
    }


def history(program: Program = PROGRAM, *, words: bool = False) -> Iterator[dict[str, Any]]:
    """As the aggregator posts it: camelCase, or with `words` the names of the schema."""
    base = {"severity": "INFO", "sessionName": SESSION, "timestamp": stamp(0), "sourceType": "CORE_WORKER"}
    events: list[dict[str, Any]] = []
    for key, told in program.items():
        same = {"taskId": b64(key), "taskAttempt": 0, "jobId": b64(JOB)}
        function = {"moduleName": "__main__", "className": "", "functionName": told["name"]}
        definition = {
            "taskType": "NORMAL_TASK",
            "taskFunc": {"pythonFunctionDescriptor": function},
            "parentTaskId": b64(told["parent"]),
            "requiredResources": {"CPU": 1.0},
        }
        ended = [("FINISHED", told["ended"])] if told["ended"] else []
        states = [("PENDING_ARGS_AVAIL", told["submitted"]), ("PENDING_NODE_ASSIGNMENT", told["submitted"] + 1)]
        transitions = [{"state": state, "timestamp": stamp(ms)} for state, ms in states]
        later = [{"state": state, "timestamp": stamp(ms)} for state, ms in [("RUNNING", told["runs"]), *ended]]
        place = {"nodeId": b64(NODE), "workerId": b64(worker(told["pid"])), "workerPid": told["pid"]}
        events += [
            {"eventType": "TASK_DEFINITION_EVENT", "taskDefinitionEvent": same | definition},
            {"eventType": "TASK_LIFECYCLE_EVENT", "taskLifecycleEvent": same | {"stateTransitions": transitions}},
            {"eventType": "TASK_LIFECYCLE_EVENT", "taskLifecycleEvent": same | place | {"stateTransitions": later}},
        ]
    driver = {"jobId": b64(JOB), "driverPid": "7", "driverNodeId": b64(NODE), "entrypoint": "train.py"}
    begun = [{"state": "CREATED", "timestamp": stamp(0)}]
    events += [
        {"eventType": "DRIVER_JOB_DEFINITION_EVENT", "driverJobDefinitionEvent": driver},
        {
            "eventType": "DRIVER_JOB_LIFECYCLE_EVENT",
            "driverJobLifecycleEvent": {"jobId": b64(JOB), "stateTransitions": begun},
        },
    ]
    for event in events:
        yield base | event if not words else in_words(base | event)


def in_words(value: Any) -> Any:
    if isinstance(value, list):
        return [in_words(one) for one in value]
    if isinstance(value, dict):
        return {
            "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in key)
            if key != "CPU"
            else key: in_words(one)
            for key, one in value.items()
        }
    return value


def timeline(program: Program = PROGRAM) -> list[dict[str, Any]]:
    """As `ray timeline` writes it."""
    return [
        {
            "cat": f"task::{told['name']}",
            "name": f"task::{told['name']}",
            "pid": "10.0.0.1",
            "tid": f"worker:{worker(told['pid'])}",
            "ts": at(told["runs"]) / 1000,
            "dur": (told["ended"] - told["runs"]) * 1000.0,
            "ph": "X",
            "args": {"task_id": key, "job_id": JOB, "attempt_number": 0, "func_or_class_name": told["name"]},
        }
        for key, told in program.items()
    ]


def lines(events: Any) -> bytes:
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def sources(kind: str, folder: Path) -> Path:
    """Write the program as one source has it; gives the folder."""
    in_session = folder / SESSION
    match kind:
        case "export log":
            events = list(export_log())
            write(in_session / "logs/export_events/event_EXPORT_TASK_7.log", lines(events[::2]))
            write(in_session / "logs/export_events/event_EXPORT_TASK_11.log", lines(events[1::2]))
        case "history":
            write(in_session / f"job_events/{JOB}/{NODE}_1.jsonl", lines(list(history())[::2]))
            write(in_session / f"job_events/{JOB}/{NODE}_2.jsonl.gz", gzip.compress(lines(list(history())[1::2])))
        case "history in words":
            write(folder / "a", lines(history(words=True)))
        case "posted":
            write(folder / "a", json.dumps(list(history())).encode())
    return folder


KINDS = ["export log", "history", "history in words", "posted"]


@pytest.fixture(params=KINDS)
def found(request: pytest.FixtureRequest, tmp_path: Path) -> rt.Ingested:
    return rt.load(sources(request.param, tmp_path))


def short(name: str | None) -> str:
    return (name or "").removeprefix("__main__.")


def test_submits_and_runs_are_told_from_the_states(found: rt.Ingested) -> None:
    assert not found.report.is_damaged
    spans = found.spans.with_columns(pl.col("start", "end").to_physical())
    assert spans["session"].unique().to_list() == [SESSION]
    rows = {(row["category"], short(row["function"])): row for row in spans.iter_rows(named=True)}
    for key, told in PROGRAM.items():
        run, submit = rows["task", told["name"]], rows["submit", told["name"]]
        assert (run["start"], run["end"]) == (at(told["runs"]), at(told["ended"]))
        assert (run["task_id"], run["pid"], run["node_id"], run["worker_id"]) == (
            key,
            told["pid"],
            NODE,
            worker(told["pid"]),
        )
        assert (submit["submitted_task_id"], submit["start"]) == (key, at(told["submitted"]))
        assert run["parent_id"] == submit["span_id"]
        assert run["state_pending_args_avail"] is not None
        assert json.loads(run["required_resources"]) == {"CPU": 1.0}
    assert rows["submit", "part"]["parent_id"] == rows["task", "train"]["span_id"]
    (driver,) = [row for row in rows.values() if row["category"] == "driver"]
    assert rows["submit", "load"]["parent_id"] == driver["span_id"]
    assert (driver["start"], driver["pid"]) == (at(0), 7)
    assert not spans["from_events"].any()


def test_path_and_statistics_and_stories_are_told_and_marked_as_inferred(found: rt.Ingested) -> None:
    path = rt.critical_path(found.spans)
    assert path.makespan_ns == 900 * MS
    assert path.scope.name == "train.py"
    on_path = [short(name) for name in path.segments.filter(category="self")["function"]]
    assert {"train", "part"} <= set(on_path)
    assert path.segments.filter(pl.col("function").str.ends_with("part"))["inferred"].any()
    stats = {short(row["function"]): row for row in rt.latency_stats(found.spans).iter_rows(named=True)}
    assert stats["load"]["run_p50_ns"] == 200 * MS
    assert stats["load"]["queue_p50_ns"] == 90 * MS
    story = rt.tell_story(found.spans, "part")
    assert "train" in str(dataclasses.asdict(story))


def test_what_is_read_twice_or_merged_counts_once(tmp_path: Path) -> None:
    for kind in ("export log", "history"):
        sources(kind, tmp_path / kind.replace(" ", "-"))
    both = rt.load(tmp_path)
    alone = rt.load(sources("history", tmp_path / "alone"))
    assert both.spans.height == alone.spans.height
    rt.write_table(both.spans, tmp_path / "t.parquet")
    again = rt.load([tmp_path / "t.parquet", tmp_path / "history"])
    assert again.spans.height == both.spans.height


def test_spans_of_a_hook_are_left_as_they_are_and_enriched(tmp_path: Path) -> None:
    """Where a hook recorded a job, its events add what they know to the rows, and make no spans."""
    capture = Path(__file__).parent.parent / "sample_spans" / "map_reduce-stock" / "spans"
    spans = rt.read_spans(capture)
    run = spans.filter(category="task").sort("start").row(0, named=True)
    told = {"name": "map_part", "parent": f"{'f' * 40}{JOB}", "submitted": 1, "runs": 5, "ended": 9, "pid": 3}
    events = [
        json.loads(json.dumps(event).replace(b64(NODE), b64(run["node_id"])))
        for event in export_log({run["task_id"]: told})
    ]
    write(tmp_path / "event_EXPORT_TASK_1.log", lines(events))
    both = rt.read_spans(capture, tmp_path)
    assert both.height == spans.height
    (row,) = both.filter(pl.col("task_id") == run["task_id"], pl.col("category") == "task").iter_rows(named=True)
    assert row["state_running"] is not None
    assert row["start"] == run["start"]


def test_a_failed_a_killed_and_a_running_attempt(tmp_path: Path) -> None:
    events = list(history())
    failed = {"errorType": "WORKER_DIED", "errorMessage": "killed by a signal"}
    for event in events:
        told = event.get("taskLifecycleEvent", {})
        if told.get("taskId") == b64(PART) and "nodeId" in told:
            told["stateTransitions"][-1]["state"] = "FAILED"
            told["rayErrorInfo"] = failed
        if told.get("taskId") == b64(TRAIN) and "nodeId" in told:
            told["stateTransitions"].pop()
        if told.get("taskId") == b64(LOAD) and "nodeId" in told:
            told["stateTransitions"] = []
    write(tmp_path / "a", lines(events))
    spans = rt.read_spans(tmp_path)
    rows = {short(row["function"]): row for row in spans.filter(category="task").iter_rows(named=True)}
    assert (rows["part"]["status"], rows["part"]["status_message"]) == ("ERROR", "WORKER_DIED: killed by a signal")
    assert rows["train"]["end"] is None
    assert rows["load"]["from_events"]
    assert rt.critical_path(spans).makespan_ns > 0


def test_an_actors_method_and_creation_name_their_actor(tmp_path: Path) -> None:
    actor = f"{'1a' * 12}{JOB}"
    method, creation = f"{'2b' * 8}{actor}", f"{'f' * 16}{actor}"
    function = {"moduleName": "app", "className": "Counter", "functionName": "add"}
    base = {"sessionName": SESSION, "timestamp": stamp(0)}
    states = [{"state": "PENDING_ARGS_AVAIL", "timestamp": stamp(1)}, {"state": "RUNNING", "timestamp": stamp(5)}]
    states.append({"state": "FINISHED", "timestamp": stamp(9)})
    events = []
    for key, name in ((method, "add"), (creation, "__init__")):
        same = {"taskId": b64(key), "taskAttempt": 0, "jobId": b64(JOB)}
        descriptor = {"pythonFunctionDescriptor": function | {"functionName": name}}
        kind = "actorTaskDefinitionEvent" if name == "add" else "taskDefinitionEvent"
        field = "actorFunc" if name == "add" else "taskFunc"
        events.append(base | {"eventType": "ACTOR_TASK_DEFINITION_EVENT", kind: same | {field: descriptor}})
        events.append(
            base | {"eventType": "TASK_LIFECYCLE_EVENT", "taskLifecycleEvent": same | {"stateTransitions": states}}
        )
    write(tmp_path / "a", lines(events))
    spans = rt.read_spans(tmp_path).filter(category="task")
    assert set(spans["actor_id"]) == {actor}
    assert set(spans["function"]) == {"Counter.add", "Counter.__init__"}


def test_the_timeline_tells_runs_only(tmp_path: Path) -> None:
    write(tmp_path / "timeline.json", json.dumps(timeline()).encode())
    found = rt.load(tmp_path)
    spans = found.spans
    assert set(spans["category"].cast(pl.String)) == {"task"}
    assert {short(name) for name in spans["function"]} == {"load", "train", "part"}
    assert rt.latency_stats(spans).height == 3
    path = rt.critical_path(spans)
    assert path.makespan_ns == 800 * MS
    assert path.segments["inferred"].any()


@pytest.mark.parametrize("kind", ["history", "export log"])
def test_damage_is_named_and_costs_no_other_event(kind: str, tmp_path: Path) -> None:
    events = list(history() if kind == "history" else export_log())
    content = lines(events)
    cut = content[:200] + b"\n" + content + b'{"event_id": "z", "source_type": "EXPORT_TASK", "event_da'
    path = write(tmp_path / SESSION / "a.log", cut)
    found = rt.load(path)
    kinds = [problem.kind for problem in found.report.problems]
    assert kinds == [ProblemKind.DAMAGED_RECORD, ProblemKind.CUT_RECORD]
    assert found.spans.filter(category="task").height == 3


@pytest.mark.parametrize("value", [None, 7, "x", [], {}, [1], {"a": 1}, "AAAA", -1, 1e300, "0", True])
def test_values_of_other_types_are_no_traceback(value: Any, tmp_path: Path) -> None:
    """Each value of each event in turn is something else."""
    for number, make in enumerate((export_log, history)):
        events = [event for event in make() if "TASK" in json.dumps(event)]
        spoiled = [replaced(event, path, value) for event in events[:2] for path in paths(event)]
        write(tmp_path / str(number), lines([*spoiled, *make()]))
        rt.load(tmp_path / str(number))


def paths(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if above:
        yield above
    for key, one in value.items() if isinstance(value, dict) else ():
        yield from paths(one, (*above, key))


def replaced(event: dict[str, Any], path: tuple[Any, ...], value: Any) -> dict[str, Any]:
    copy = json.loads(json.dumps(event))
    inner = copy
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return copy


@pytest.mark.parametrize("words", [False, True])
def test_what_rays_own_encoder_writes_is_read(words: bool, tmp_path: Path) -> None:
    """The events as Ray's classes hold them, in the JSON that its aggregator and its export logs make of them."""
    base = pytest.importorskip("ray.core.generated.events_base_event_pb2")
    exported = pytest.importorskip("ray.core.generated.export_task_event_pb2")
    compat = pytest.importorskip("ray._private.protobuf_compat")
    text = [
        compat.message_to_json(
            json_format.ParseDict(event, base.RayEvent()),
            always_print_fields_with_no_presence=True,
            preserving_proto_field_name=words,
        )
        for event in history()
    ]
    write(tmp_path / "posted" / "a", lines(map(json.loads, text)))
    events = list(export_log())[:-1]
    for event in events:
        message = json_format.ParseDict(event["event_data"], exported.ExportTaskEventData())
        event["event_data"] = json.loads(json_format.MessageToJson(message, preserving_proto_field_name=True))
    write(tmp_path / SESSION / "logs" / "event_EXPORT_TASK_1.log", lines(events))
    sources("history", tmp_path / "plain")
    plain = rt.read_spans(tmp_path / "plain")
    same = ["span_id", "parent_id", "category", "function", "start", "end", "pid", "node_id", "worker_id", "status"]
    posted = rt.load(tmp_path / "posted")
    assert not posted.report.is_damaged
    assert posted.spans.select(same).equals(plain.select(same))
    log = rt.read_spans(tmp_path / SESSION).filter(category="task")
    runs = plain.filter(category="task")
    times = ["task_id", "start", "end", "pid", "worker_id", "state_pending_args_avail"]
    assert log.select(times).equals(runs.select(times))


REAL = Path(__file__).parent.parent / "sample_spans" / "events"
SOURCES = {"history": "map_reduce", "timeline": "map_reduce", "export_events": "map_reduce-export"}


@pytest.mark.parametrize("source", SOURCES)
def test_every_body_of_a_real_program_lies_in_its_run(source: str) -> None:
    folder = REAL / SOURCES[source]
    found = rt.load(folder / source)
    assert not found.report.is_damaged
    runs = {row["task_id"]: row for row in found.spans.filter(category="task").iter_rows(named=True)}
    bodies = json.loads((folder / "truth.json").read_text())["task_bodies"]
    assert len(runs) == len(bodies) == 15
    for body in bodies:
        run = runs[body["task_id"]]
        assert run["function"].endswith(body["function"].removeprefix("__main__."))
        assert run["start"].timestamp() * 1e9 <= body["start_ns"] + 1e6
        assert run["end"].timestamp() * 1e9 >= body["end_ns"] - 1e6
        assert source == "timeline" or run["pid"] == body["pid"]


@pytest.mark.parametrize("source", ["history", "export_events"])
def test_a_real_program_is_told_from_its_events(source: str) -> None:
    folder = REAL / SOURCES[source]
    spans = rt.read_spans(folder / source)
    path = rt.critical_path(spans)
    bodies = {body["key"]: body["task_id"] for body in json.loads((folder / "truth.json").read_text())["task_bodies"]}
    chain = [bodies[key] for key in (5, "L1.2", "L2.1", "L3.0")]
    runs = path.segments.filter(category="self").get_column("task_id").drop_nulls().unique(maintain_order=True)
    assert [task for task in runs if task in chain] == chain
    assert set(runs.to_list()[-3:]) == set(chain[1:])
    assert "map_part" in (rt.summary(spans).decided_by or "")
    assert path.segments["duration_ns"].sum() == path.makespan_ns
    assert path.segments["inferred"].any()
    assert path.segments["function"].str.contains("reduce_pair").any()
    stats = {row["function"].rpartition(".")[2]: row for row in rt.latency_stats(spans).iter_rows(named=True)}
    assert (stats["map_part"]["count"], stats["reduce_pair"]["count"]) == (8, 7)
    assert stats["map_part"]["queue_p50_ns"] > 0
    assert rt.tell_story(spans, "map_part").steps.height > 0
