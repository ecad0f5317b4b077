"""Where the time of Ray Serve's requests goes, from the spans of its own tracing and from what the hook adds.

proxy   |===P==================================|
router    |===R============|
sends       |s| (refused) |s|
replica                      |===H========|
router                         |=R2=|
another                          |=H2=|
"""

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import raytrace_analyze as rt
from raytrace_analyze.path.options import PathOptions
from raytrace_analyze.views.summary_view import summary_frame, summary_lines
from raytrace_analyze.vocabulary.options import Queues

from .command_line import cli
from .span_files import RESOURCE, pretty
from .tables import Row, run, span, submit, table, wait

PARTS = ("proxy", "router", "way", "handler", "downstream", "back")
BATCHED = ("fill", "turn")


def told(deployment: str, **more: str) -> str:
    about = {"deployment": deployment, "app": "app", "call_method": "__call__", "route": "/", **more}
    return json.dumps(about)


def request(number: int, at: int, wait: int = 300, *, hook: bool = True) -> list[Row]:
    """A request at `at`, which waited so long in the router's queue; with what the hook records of its sends."""
    of = {"trace_id": f"t{number}", "status": "OK"}
    front, back = {**of, "function": "Front.__call__"}, {**of, "function": "Back.infer"}
    name, began = f"r{number}", at + 20 + wait
    asked, inner = told("Front", request_id=name), told("Back", call_method="infer", request_id=name)
    spans = [
        span(f"P{name}", at, began + 500, None, **of, function="(proxy)", name="proxy_http_request Front GET /",
             attributes=asked),
        span(f"R{name}", at + 20, began + 10, f"P{name}", **front, name="route_to_replica Front __call__",
             attributes=asked),
        span(f"H{name}", began, began + 400, f"R{name}", **front, pid=2, attributes=asked,
             name="replica_handle_request Front __call__"),
        span(f"R2{name}", began + 100, began + 150, f"H{name}", **back, pid=2, name="route_to_replica Back infer",
             attributes=inner),
        span(f"H2{name}", began + 140, began + 300, f"R2{name}", **back, pid=3, attributes=inner,
             name="replica_handle_request Back infer"),
    ]  # fmt: skip
    send = {"trace_id": f"t{number}", "name": "ServeReplica:app:Front.handle_request_with_rejection ray.remote"}
    sends = [submit(f"s{k}{name}", at + 20 + k * wait - 5 * k, at + 20 + k * wait, f"R{name}", **send) for k in (0, 1)]
    return [*spans, *(sends if hook else [])]


def test_the_summary_says_where_the_time_of_requests_is_whoever_sent_them() -> None:
    def said(wait_ns: int) -> tuple[str, rt.Summary]:
        of_job = {"function": "ServeReplica:app:Front.__init__", "trace_id": "job"}
        job = [
            span("driver", 0, 100_000, name="ray.driver", trace_id="job"),
            submit("s", 0, 5, "driver", submitted_task_id="T", **of_job),
            run("r", 10, 390, "s", "T", **of_job),
        ]
        asked = [row for number in range(4) for row in request(number, 10_000 * number, wait_ns)]
        found = rt.summary(table(*job, *asked, recorded=True), job="01")
        return " ".join(summary_lines(found)), found

    text, found = said(3000)
    assert "Of 4 requests of `Front.__call__` (p50 3.52 µs) 85.1 % of the time is in the router's queue" in text
    assert found.requests is not None and found.requests.part == "router"
    assert (
        summary_frame(found).row(by_predicate=pl.col("row") == "requests", named=True)["function"] == "Front.__call__"
    )
    # Who waits for another deployment is not what takes the time.
    text, _ = said(3)
    assert "is downstream" not in text and "% of the time is in the handler itself" in text


def test_the_time_of_a_request_is_told_apart() -> None:
    spans = table(*(row for number in range(4) for row in request(number, 10_000 * number)), recorded=True)
    front = rt.serve(spans).row(by_predicate=pl.col("deployment") == "Front", named=True)
    assert (front["requests"], front["errors"], front["is_ingress"], front["route"]) == (4, 0, True, "/")
    assert front["total_p50_ns"] == front["total_p99_ns"] == front["total_mean_ns"] == 820
    parts = {part: front[f"{part}_mean_ns"] for part in PARTS}
    assert parts == {"proxy": 20, "router": 295, "way": 5, "handler": 200, "downstream": 200, "back": 100}
    assert sum(parts.values()) == 820
    assert front["sends"] == 2
    back = rt.serve(spans).row(by_predicate=pl.col("deployment") == "Back", named=True)
    assert (back["method"], back["is_ingress"], back["proxy_mean_ns"], back["back_mean_ns"]) == (
        "infer", False, None, None,
    )  # fmt: skip
    assert (back["router_mean_ns"], back["handler_mean_ns"], back["total_mean_ns"]) == (40, 160, 200)


def test_a_request_ends_for_its_client_when_the_answer_is_sent() -> None:
    rows = request(0, 0)
    for row in rows:
        if row["span_id"] == "Pr0":
            row["attributes"] = told("Front", request_id="r0", **{"raytrace.answered_ns": "700"})
    (front,) = rt.serve(table(*rows, recorded=True)).filter(pl.col("deployment") == "Front").to_dicts()
    parts = {part: front[f"{part}_mean_ns"] for part in PARTS}
    # The handler goes on until 720: what it does after the answer is no part of the request.
    assert front["total_mean_ns"] == sum(parts.values()) == 700
    assert (parts["handler"], parts["back"]) == (180, 0)


def test_a_handler_that_raised_failed_though_its_span_has_no_status() -> None:
    raised = json.dumps([{"name": "exception", "attributes": {"exception.type": "KeyError"}}])
    rows = [*request(0, 0), *request(1, 10_000)]
    for row in rows:
        row["status"] = "UNSET"
        if row["span_id"] == "H2r0":
            row["events"] = raised
    errors = dict(rt.serve(table(*rows, recorded=True)).select("deployment", "errors").iter_rows())
    assert errors == {"Front": 0, "Back": 1}


@pytest.mark.parametrize("told_by", ["pid", "source"])
def test_a_trace_that_is_begun_anew_within_a_request_is_part_of_it(told_by: str) -> None:
    """As FastAPI does: what it serves within the handler has no parent, and the calls of the handler lie below that."""
    rows = []
    for number in range(2):  # at the same time, in the same replica
        rows += request(number, 10 * number)
        began = 10 * number + 320
        for row in rows[-7:]:
            if row["span_id"].startswith(("R2", "H2")):
                row["trace_id"] = f"anew{number}"
            if row["span_id"].startswith("R2"):
                row["parent_id"] = f"E{number}"
        rows.append(span(f"E{number}", began + 50, began + 390, trace_id=f"anew{number}", pid=2, name="GET /"))
    if told_by == "source":  # as in the files of Serve's own tracing
        rows = [row | {"source": f"file-{row['pid']}", "pid": None} for row in rows]
    spans = table(*rows, recorded=True)
    found = {row["deployment"]: row for row in rt.serve(spans).iter_rows(named=True)}
    assert (found["Front"]["handler_mean_ns"], found["Front"]["downstream_mean_ns"]) == (200, 200)
    assert (found["Back"]["requests"], found["Back"]["is_ingress"]) == (2, False)
    scopes = rt.critical_paths(spans, scopes="requests")
    assert scopes.get_column("scope").unique().sort().to_list() == ["r0", "r1"]
    assert "Back.infer" in rt.critical_path(spans, request="r1").segments.get_column("function").to_list()


def test_a_slow_replica_is_named_and_replicas_alike_are_not() -> None:
    def handled(name: str, number: int, took: int) -> Row:
        at = 1_000_000_000 * number
        return span(f"{name}{number}", at, at + took * 1_000_000, trace_id=f"{name}{number}",
                    name="replica_handle_request Front __call__",
                    attributes=told("Front", request_id=f"{name}{number}", replica_id=name))  # fmt: skip

    quick = [handled("quick", number, 30) for number in range(9)]
    slow = [handled("slow", number, 500) for number in range(3)]
    (front,) = rt.serve(table(*quick, *slow)).to_dicts()
    assert (front["slow_replica"], front["slow_replica_requests"]) == ("slow", 3)
    assert (front["slow_replica_handler_ns"], front["other_replicas_handler_ns"]) == (500_000_000, 30_000_000)
    alike = [handled("other", number, 40) for number in range(3)]
    for rows in ([*quick, *alike], quick, [*quick, *slow[:2]]):
        assert rt.serve(table(*rows)).get_column("slow_replica").to_list() == [None]


def kept(number: int, idle_ms: int, cpu_ms: int, *, every_ms: int = 100) -> Row:
    """A request whose handler kept its event loop, idle at one line for a while and on the CPU for another."""
    at = number * every_ms * 1_000_000
    told_of = {"raytrace.loop_ns": (idle_ms + cpu_ms) * 1_000_000, "raytrace.loop_idle_ns": idle_ms * 1_000_000,
               "raytrace.handler_cpu_ns": cpu_ms * 1_000_000}  # fmt: skip
    attributes = json.loads(told("Front", request_id=f"k{number}", replica_id="one"))
    stacks = {"raytrace.cpu_ns": 0, "raytrace.stacks": "idle;Front.__call__ (/p/app.py:12) 3"}
    return span(f"K{number}", at, at + 90_000_000, trace_id=f"k{number}", pid=2,
                name="replica_handle_request Front __call__",
                attributes=json.dumps({**attributes, **told_of, **stacks}))  # fmt: skip


def test_handlers_that_keep_their_event_loop_are_named_and_what_is_idle_there_is_advice(tmp_path: Path) -> None:
    driver = span("D", 0, 1_000_000_000, trace_id="d", category="driver", name="ray.driver")
    (front,) = rt.serve(table(*(kept(number, 70, 1) for number in range(10)), recorded=True)).to_dicts()
    assert (front["loop_mean_ns"], front["loop_idle_mean_ns"], front["cpu_mean_ns"]) == (
        71_000_000,
        70_000_000,
        1_000_000,
    )
    assert front["loop_share"] == pytest.approx(710 / 990)

    def seen(*rows: Row) -> tuple[str, list[tuple[str, str]]]:
        file = tmp_path / "spans.parquet"
        rt.write_table(table(driver, *rows, recorded=True), file)
        findings = rt.advise(rt.read_spans(file))
        blocked = findings.filter(pattern="blocked-loop").select("function", "line").rows()
        return " ".join(cli("serve", file).stdout.split()), blocked

    said, found = seen(*(kept(number, 70, 1) for number in range(10)))
    assert "Front.__call__ keeps the event loop of its replica 71.7 % of the time, 71.0 ms a request" in said
    assert "70.0 ms of that idle" in said
    assert found == [("Front.__call__", 12)]
    said, found = seen(*(kept(number, 0, 71) for number in range(10)))
    assert "71.0 ms on the CPU" in said and found == []
    said, found = seen(*(kept(number, 70, 1, every_ms=1_000) for number in range(10)))
    assert "event loop" not in said and found == []


def test_the_path_of_a_request_goes_on_to_what_its_handler_is_idle_in() -> None:
    rows = request(0, 0)
    for row in rows:
        for name in ("start", "end"):
            row[name] = row[name] and row[name] * 1_000_000
        if row["span_id"] == "Hr0":
            slept = {"start_ns": 470_000_000, "end_ns": row["end"], "in": "time.sleep", "at": "/p/app.py:12"}
            seen = {"raytrace.cpu_ns": 0, "raytrace.idle": json.dumps({"stretches": [slept]})}
            row["attributes"] = json.dumps({**json.loads(row["attributes"]), **seen})
    path = rt.critical_path(table(*rows, recorded=True), request="r0").segments
    (asleep,) = path.filter(activity="idle").iter_rows(named=True)
    assert (asleep["function"], asleep["idle_in"], asleep["idle_at"]) == (
        "Front.__call__",
        "time.sleep",
        "/p/app.py:12",
    )
    assert asleep["duration_ns"] == 250_000_000


def test_without_the_hook_the_way_is_part_of_the_queue_and_not_zero() -> None:
    (front,) = rt.serve(table(*request(0, 0, hook=False))).filter(pl.col("deployment") == "Front").to_dicts()
    assert (front["router_mean_ns"], front["way_mean_ns"], front["sends"]) == (300, None, None)
    assert front["replicas"] is None


def test_the_tail_against_the_rest() -> None:
    waits = [100] * 9 + [5_000]
    rows = (row for number, wait in enumerate(waits) for row in request(number, 10_000 * number, wait))
    found = rt.serve(table(*rows, recorded=True), tail="p90").filter(pl.col("deployment") == "Front")
    slow, rest = (found.row(by_predicate=pl.col("in_tail") == wanted, named=True) for wanted in (True, False))
    assert (slow["requests"], rest["requests"]) == (1, 9)
    assert slow["router_mean_ns"] - rest["router_mean_ns"] == 4_900
    assert slow["handler_mean_ns"] == rest["handler_mean_ns"]
    with pytest.raises(rt.UsageError, match="p99"):
        rt.serve(table(*request(0, 0)), tail="slow")


def test_a_request_that_no_replica_took_failed_and_one_by_a_handle_begins_at_the_replica() -> None:
    lost = [row for row in request(0, 0) if not row["span_id"].startswith(("H", "R2"))]
    handle = span("H9", 50, 90, "unknown", name="replica_handle_request Front other", trace_id="t9",
                  attributes=told("Front", call_method="other", route=""))  # fmt: skip
    found = rt.serve(table(*lost, handle, recorded=True))
    (front,) = found.filter(pl.col("method") == "__call__").to_dicts()
    assert (front["errors"], front["handler_mean_ns"], front["router_mean_ns"]) == (1, None, 310)
    (other,) = found.filter(pl.col("method") == "other").to_dicts()
    assert (other["total_mean_ns"], other["router_mean_ns"], other["is_ingress"]) == (40, None, False)


def test_the_parts_add_up_to_the_mean_where_some_requests_were_refused() -> None:
    refused = [row for row in request(0, 0) if not row["span_id"].startswith(("H", "R2"))]
    spans = table(*refused, *(row for number in (1, 2, 3) for row in request(number, 10_000 * number)), recorded=True)
    front = rt.serve(spans).row(by_predicate=pl.col("deployment") == "Front", named=True)
    assert (front["requests"], front["errors"], front["handler_mean_ns"]) == (4, 1, 150)
    assert sum(front[f"{part}_mean_ns"] for part in PARTS) == pytest.approx(front["total_mean_ns"], abs=3)


def batched(number: int, at: int, filled: int, began: int, size: int = 2) -> list[Row]:
    """A request whose handler waits for its batch to be filled, and then for that to begin."""
    rows = request(number, at)
    handler = f"Hr{number}"
    of = {"trace_id": f"t{number}", "pid": 2, "ready_task_ids": []}
    sizes = {"raytrace.batch_size": size, "raytrace.max_batch_size": 8}
    fill = json.dumps({"raytrace.awaited": "batch of embed to fill", **sizes})
    turn = json.dumps({"raytrace.awaited": "batch of embed to begin"})
    asked = at + 330
    return [
        *rows,
        span(f"F{number}", asked, filled, handler, **of, name="ray.serve.batch_fill", attributes=fill),
        *([span(f"B{number}", filled, began, handler, **of, name="ray.serve.batch_turn", attributes=turn)]
          if began > filled else []),
    ]  # fmt: skip


def test_waits_for_a_batch_are_neither_the_handlers_work_nor_downstream() -> None:
    """The handler runs from 320 to 720; it is downstream from 420 to 620, in part while its batch fills."""
    spans = table(*batched(0, 0, 430, 430), *batched(1, 10_000, 10_360, 10_400, size=4), recorded=True)
    found = {row["deployment"]: row for row in rt.serve(spans).iter_rows(named=True)}
    front = found["Front"]
    assert (front["fill_mean_ns"], front["turn_mean_ns"]) == ((90 + 30) / 2, 40 / 2)
    assert front["downstream_mean_ns"] == 200
    assert sum(front[f"{part}_mean_ns"] for part in (*PARTS, *BATCHED)) == front["total_mean_ns"] == 820
    assert (front["batch_size"], front["max_batch_size"]) == (3, 8)
    assert found["Back"]["fill_mean_ns"] is found["Back"]["batch_size"] is None
    path = rt.critical_path(spans, request="r1").segments
    waits = path.filter(category="wait", function="Front.__call__").select("idle_in", "duration_ns").rows()
    assert waits == [("batch of embed to fill", 30), ("batch of embed to begin", 40)]


def test_what_a_request_waits_for_its_model_is_told() -> None:
    """handler |== |load ......|    ==|, of one request of two."""
    rows = [*request(0, 0), *request(1, 10_000)]
    load = span("L", 340, 400, "Hr0", trace_id="t0", pid=2, name="ray.serve.load_model",
                attributes=json.dumps({"raytrace.model": "m"}))  # fmt: skip
    (front,) = rt.serve(table(*rows, load, recorded=True)).filter(pl.col("deployment") == "Front").to_dicts()
    assert (front["load_mean_ns"], front["handler_mean_ns"]) == (30, 170)
    assert sum(front[f"{part}_mean_ns"] for part in (*PARTS, "load")) == front["total_mean_ns"] == 820
    path = rt.critical_path(table(*rows, load, recorded=True), request="r0").segments
    assert path.filter(name="ray.serve.load_model").get_column("duration_ns").sum() == 60
    (without,) = rt.serve(table(*request(0, 0), recorded=True)).filter(pl.col("deployment") == "Front").to_dicts()
    assert without["load_mean_ns"] is None


def by_handle(number: int, at: int, *, sent: bool = True, taken: bool = True) -> list[Row]:
    """A request by a handle of a driver; its router goes on to ask replicas, for others, when it has sent that."""
    rows = [row for row in nested(number, at) if not row["span_id"].startswith("P")]
    for row in rows:
        if row["span_id"] == f"Rr{number}":
            row["parent_id"] = None
            row["attributes"] = told("Front", request_id=f"r{number}", **({"raytrace.sent": "true"} if sent else {}))
    own = {"function": "ServeReplica:app:Front.get_num_ongoing_requests", "trace_id": f"t{number}"}
    probe = submit(f"p{number}", at + 400, at + 401, f"Rr{number}", submitted_task_id=f"probe{number}", **own)
    asked = run(f"q{number}", at + 1_900, at + 2_000, f"p{number}", f"probe{number}", **own)
    # So does what tells Serve of its models now and then, in the context of the request that it began with.
    of_model = {"function": "ServeController.record_request_routing_info", "trace_id": f"t{number}"}
    rows += [
        submit(f"m{number}", at + 3_000, at + 3_001, f"Hr{number}", submitted_task_id=f"model{number}", **of_model),
        run(f"n{number}", at + 3_005, at + 3_010, f"m{number}", f"model{number}", **of_model),
    ]
    rows = rows if taken else [row for row in rows if not row["span_id"].startswith(("H", "R2", "C"))]
    return [*rows, probe, asked]


def test_a_request_by_a_handle_of_a_driver_waits_for_its_replica_before_that_has_it() -> None:
    spans = table(*by_handle(0, 0), *by_handle(1, 10_000), recorded=True)
    (front,) = rt.serve(spans).filter(pl.col("deployment") == "Front").to_dicts()
    assert (front["requests"], front["is_ingress"], front["total_mean_ns"], front["router_mean_ns"]) == (
        2, False, 700, 295,
    )  # fmt: skip
    path = rt.critical_path(spans, request="r1")
    assert path.makespan_ns == 705
    own = path.segments.filter(pl.col("name") == "route_to_replica Front __call__")
    assert set(own.select("category", "cause").iter_rows()) == {("queue", "replica")}
    assert "(driver)" not in path.segments.get_column("function").to_list()
    assert not path.segments.get_column("inferred").any()
    assert dict(path.by("function").select("function", "total_ns").iter_rows())["Front.__call__"] >= 285 + 200


def test_a_request_that_a_replica_took_where_nothing_is_traced_has_not_failed() -> None:
    spans = table(*by_handle(0, 0), *by_handle(1, 10_000, taken=False), *by_handle(2, 20_000, sent=False, taken=False))
    (front,) = rt.serve(spans).filter(pl.col("deployment") == "Front").to_dicts()
    assert (front["requests"], front["errors"]) == (2, 1)


def one_at_a_time(*, ms: int = 1_000_000, at_once: int = 1, count: int = 4) -> list[Row]:
    """Some requests by handles of a driver at once, 100 ms each; the replica takes `at_once` of them at a time.

    request 0  [===]
    request 1  ....[===]        asked for in vain twice, and sent when the one before was over
    request 2  ........[===]
    request 3  ............[===]
    driver     [get           ]
    """
    of = {"trace_id": "t", "status": "OK"}
    call = "ServeReplica:app:Front.handle_request_with_rejection"
    rows = [span("d", 0, (100 * count + 100) * ms, None, name="ray.driver", category="driver", **of)]
    for number in range(count):
        sent = (number // at_once) * 102 * ms + 2 * ms
        about = told("Front", request_id=f"r{number}", replica_id="replica")
        front = {**of, "function": "Front.__call__", "attributes": about}
        own = {**of, "function": call, "name": f"{call} ray.remote"}
        probe = {**of, "function": "ServeReplica:app:Front.get_num_ongoing_requests"}
        rows += [
            span(f"R{number}", ms, sent + 2 * ms, "d", **front, name="route_to_replica Front __call__"),
            *(submit(f"p{k}{number}", k * 30 * ms, k * 30 * ms + 1, f"R{number}", **probe)
              for k in (1, 2) if k * 30 * ms < sent),
            submit(f"s{number}", sent, sent + ms // 2, f"R{number}", submitted_task_id=f"task{number}", **own),
            run(f"C{number}", sent + ms, sent + 101 * ms, f"s{number}", f"task{number}", **{**own, "pid": 2}),
            span(f"H{number}", sent + ms, sent + 101 * ms, f"C{number}", **{**front, "pid": 2},
                 name="replica_handle_request Front __call__"),
        ]  # fmt: skip
    last = max(row["end"] for row in rows[1:] if row["span_id"].startswith("C"))
    return [*rows, wait("g", 2 * ms, last + ms, "d", [f"task{number}" for number in range(count)], **of)]


@pytest.mark.parametrize(("at_once", "rounds"), [(1, 4), (2, 2)])
def test_a_request_waits_for_the_one_whose_end_made_room_at_the_replica(at_once: int, rounds: int) -> None:
    ms = 1_000_000
    spans = table(*one_at_a_time(at_once=at_once), recorded=True)
    path = rt.critical_path(spans)
    handled = path.segments.filter(name="replica_handle_request Front __call__")
    assert handled.get_column("duration_ns").sum() == rounds * 100 * ms
    assert path.segments.filter(cause="replica").get_column("duration_ns").sum() < 5 * ms * rounds
    assert not path.segments.get_column("inferred").any()
    after = rt.what_if(spans, speedup={"Front.__call__": 2})
    assert after.saved_ns == rounds * 50 * ms
    shown = rt.critical_path(spans, options=PathOptions(queues=Queues.SHOW)).segments
    assert shown.filter(cause="replica").get_column("duration_ns").sum() > (rounds - 1) * 100 * ms


def test_a_request_that_finds_room_at_once_waits_for_no_other_one() -> None:
    spans = table(*one_at_a_time(at_once=4), recorded=True)
    path = rt.critical_path(spans).segments.filter(name="replica_handle_request Front __call__")
    assert path.get_column("duration_ns").to_list() == [100_000_000]


def test_advise_says_that_requests_wait_for_a_replica_and_what_room_would_save() -> None:
    spans = table(*one_at_a_time(count=6), recorded=True)
    (found,) = rt.advise(spans).filter(pattern="replica-queue").to_dicts()
    assert found["function"] == "Front.__call__" and "waits 256 ms of 357 ms" in found["what"]
    assert 500_000_000 <= found["saved_ns"] <= 520_000_000
    assert rt.summary(spans).remedies[0].pattern == "replica-queue"
    none = rt.advise(table(*one_at_a_time(count=6, at_once=6), recorded=True))
    assert "replica-queue" not in none.get_column("pattern").to_list()


def over_http(number: int, at: int, ms: int = 1_000_000) -> list[Row]:
    """A request over HTTP that waits for others to fill its batch most of its time."""
    rows = [
        {
            **row,
            "pid": 2 if row["span_id"][0] == "H" else 7,
            "start": at + row["start"] * ms,
            "end": at + row["end"] * ms,
        }
        for row in request(number, 0, 300)
        if not row["span_id"].startswith(("R2", "H2"))
    ]
    fills = {"trace_id": f"t{number}", "pid": 2, "name": "ray.serve.batch_fill",
             "attributes": json.dumps({"raytrace.batch_size": 1, "raytrace.max_batch_size": 8})}  # fmt: skip
    return [*rows, span(f"F{number}", at + 320 * ms, at + 700 * ms, f"Hr{number}", ready_task_ids=[], **fills)]


def test_advise_claims_no_saving_for_requests_of_clients_but_says_that_they_wait_and_that_they_were_under_way() -> None:
    ms = 1_000_000
    requests = [row for number in range(6) for row in over_http(number, number * 850 * ms)]
    idle = {"stretches": [{"start_ns": 0, "end_ns": 5_100 * ms, "in": "asyncio.runners.run", "at": "load.py:7",
                           "loops": True}], "left_out_ns": 0}  # fmt: skip
    about = {"raytrace.cpu_ns": 20 * ms, "raytrace.idle": json.dumps(idle)}
    driver = span("d", 0, 5_200 * ms, None, name="ray.driver", category="driver", attributes=json.dumps(about))
    found = {row["pattern"]: row for row in rt.advise(table(driver, *requests, recorded=True)).to_dicts()}
    assert found["batch-wait"]["saved_ns"] == 0 and "no saving is claimed" in found["batch-wait"]["remedy"]
    assert "over HTTP were under way, most of them to `Front.__call__`" in found["driver-idle"]["what"]
    assert found["batch-wait"]["finding"] < found["driver-idle"]["finding"]
    (look,) = rt.summary(table(driver, *requests, recorded=True)).remedies
    assert (look.kind, look.pattern) == ("look", "batch-wait")
    # Beside what saves a little, that is said too.
    work = [submit("s", 5_200 * ms, 5_201 * ms, "d", submitted_task_id="T", function="f"),
            run("r", 5_202 * ms, 5_900 * ms, "s", "T", function="f"),
            wait("w", 5_201 * ms, 5_901 * ms, "d", ["T"])]  # fmt: skip
    longer = {**driver, "end": 5_901 * ms}
    first, second = rt.summary(table(longer, *requests, *work, recorded=True)).remedies
    assert (first.kind, first.function) == ("speedup", "f")
    assert (second.kind, second.pattern) == ("look", "batch-wait")
    alone = {row["pattern"]: row for row in rt.advise(table(driver, recorded=True)).to_dicts()}
    assert "outside of Ray" in alone["driver-idle"]["what"]


def test_how_long_replicas_took_to_start() -> None:
    def replica(number: int, ready: int) -> list[Row]:
        of = {"actor_id": f"a{number}", "trace_id": f"r{number}"}
        made = {"function": "ray.serve._private.replica.ServeReplica:app:Front.__init__"}
        set_up = {"function": "ServeReplica:app:Front.initialize_and_get_metadata"}
        return [
            submit(f"c{number}", 100, 110, **made, **of),
            run(f"i{number}", 500, 700, f"c{number}", **{**made, "function": "ServeReplica:app:Front.__init__"}, **of),
            submit(f"q{number}", 120, 130, **set_up, **of),
            run(f"z{number}", 700, ready, f"q{number}", **set_up, **of),
        ]

    spans = table(*request(0, 10_000), *replica(0, 1_100), *replica(1, 2_100), recorded=True)
    (front,) = rt.serve(spans).filter(pl.col("deployment") == "Front").to_dicts()
    assert (front["replicas"], front["replica_start_p50_ns"], front["replica_start_max_ns"]) == (2, 1_500, 2_000)
    assert front["replicas_died"] == 0
    died = {"status": "ERROR", "status_message": "ACTOR_DIED", "actor_id": "a0", "trace_id": "r0"}
    handles = {"function": "ServeReplica:app:Front.handle_request"}
    last = [submit("sh", 3_000, 3_010, trace_id="r0"), run("h", 3_020, 3_100, "sh", **handles, **died)]
    (front,) = rt.serve(pl.concat([spans, table(*last, recorded=True)])).filter(deployment="Front").to_dicts()
    assert (front["replicas"], front["replicas_died"], front["replicas_not_ready"]) == (2, 1, 0)


def test_a_replica_that_is_stopped_while_it_is_set_up_was_never_ready_and_has_handled_nothing() -> None:
    named = "ServeReplica:app:Front"
    rows = request(0, 10_000)
    for number, end in enumerate((1_100, 9_000)):
        of = {"actor_id": f"a{number}", "trace_id": f"r{number}"}
        stopped = {"status": "ERROR", "status_message": "ACTOR_DIED"} if number else {}
        rows += [
            submit(f"c{number}", 100, 110, function=f"{named}.__init__", **of),
            run(f"i{number}", 500, 700, f"c{number}", function=f"{named}.__init__", **of),
            submit(f"q{number}", 120, 130, function=f"{named}.initialize_and_get_metadata", **of),
            run(f"z{number}", 700, end, f"q{number}", function=f"{named}.initialize_and_get_metadata", **of, **stopped),
        ]
    (front,) = rt.serve(table(*rows, recorded=True)).filter(deployment="Front").to_dicts()
    assert (front["replicas"], front["replicas_died"], front["replicas_not_ready"]) == (2, 0, 1)
    assert front["replica_start_max_ns"] == 1_000


def test_requests_that_were_refused_count_in_no_time() -> None:
    answered = request(0, 10_000)
    refused = json.dumps(
        [{"name": "exception", "attributes": {"exception.type": "ray.serve.exceptions.BackPressureError"}}]
    )
    rows = [*answered]
    for number in range(1, 5):
        proxy, route, *_ = request(number, 20_000 * number)
        of = {"start": proxy["start"], "end": proxy["start"] + 30}
        rows += [{**proxy, **of, "status": "ERROR", "events": refused}, {**route, **of}]
    (alone,) = rt.serve(table(*answered, recorded=True)).filter(deployment="Front").to_dicts()
    spans = table(*rows, recorded=True)
    (front,) = rt.serve(spans).filter(deployment="Front").to_dicts()
    assert (front["requests"], front["errors"], front["refused"]) == (5, 4, 4)
    times = [name for name in front if name.endswith("_ns")]
    assert [front[name] for name in times] == [alone[name] for name in times]
    tail, rest = rt.serve(spans, tail="p50").filter(deployment="Front").to_dicts()
    assert (tail["in_tail"], tail["requests"], rest["requests"], rest["total_p50_ns"]) == (True, 1, 4, None)


def test_no_requests_is_an_empty_table() -> None:
    assert rt.serve(table(submit("s", 0, 1), run("r", 1, 2, "s"))).is_empty()


def nested(number: int, at: int) -> list[Row]:
    """The same request as the hook records it where the handler's part lies in the run of the call that brought it."""
    name = f"r{number}"
    rows = request(number, at)
    began = at + 320
    for row in rows:
        if row["span_id"] == f"H{name}":
            row["parent_id"] = f"C{name}"
        if row["span_id"].startswith("s1"):
            row["submitted_task_id"] = f"task{number}"
    own = {"function": "ServeReplica:app:Front.handle_request_with_rejection", "trace_id": f"t{number}"}
    return [*rows, run(f"C{name}", began - 1, began + 405, f"s1{name}", f"task{number}", **{**own, "pid": 2})]


@pytest.mark.parametrize("how", [request, nested])
def test_the_path_of_a_request_goes_through_its_replica(how: Callable[[int, int], list[Row]]) -> None:
    other = [submit("x", 0, 1, trace_id="control"), run("y", 1, 90_000, "x", trace_id="control")]
    spans = table(*how(0, 0), *how(1, 10_000), *other, recorded=True)
    path = rt.critical_path(spans, request="r1")
    assert (path.scope.kind, path.scope.id, path.makespan_ns) == ("request", "r1", 820)
    by = dict(path.by("function").select("function", "total_ns").iter_rows())
    assert by["(proxy)"] == 20 + (100 if how is request else 95)
    assert by["Front.__call__"] >= 295 + 100
    assert not path.segments.get_column("inferred").any() or how is request
    everything = rt.critical_paths(spans, scopes="requests")
    assert everything.get_column("scope").unique().sort().to_list() == ["r0", "r1"]
    sums = rt.path_aggregates(spans, scopes="requests", tail="p50")
    assert sums.filter(pl.col("function") == "Front.__call__").get_column("scopes").item() == 2
    (front,) = rt.serve(spans).filter(pl.col("deployment") == "Front").to_dicts()
    assert (front["router_mean_ns"], front["downstream_mean_ns"], front["requests"]) == (295, 200, 2)


def test_the_files_of_serves_own_tracing_are_enough(tmp_path: Path) -> None:
    def record(number: int, above: int | None, name: str, start: int, end: int) -> bytes:
        clock = "2026-11-23T08:55:46.{:06d}Z"
        return pretty(
            {
                "name": name,
                "context": {"trace_id": f"0x{7:032x}", "span_id": f"0x{number:016x}", "trace_state": "[]"},
                "kind": "SpanKind.SERVER",
                "parent_id": None if above is None else f"0x{above:016x}",
                "start_time": clock.format(start),
                "end_time": clock.format(end),
                "status": {"status_code": "OK"},
                "attributes": {"deployment": "Front", "app": "app", "call_method": "__call__", "request_id": "r7"},
                "events": [],
                "links": [],
                "resource": RESOURCE,
            }
        )

    proxy = record(1, None, "proxy_http_request Front GET /", 0, 900) + record(
        2, 1, "route_to_replica Front __call__", 20, 320
    )
    (tmp_path / "proxy_1_tracing.json").write_bytes(proxy)
    (tmp_path / "replica_tracing.json").write_bytes(record(3, 2, "replica_handle_request Front __call__", 310, 800))
    spans = rt.read_spans(tmp_path)
    assert spans.sort("start").get_column("function").to_list() == ["(proxy)", "Front.__call__", "Front.__call__"]
    (front,) = rt.serve(spans).to_dicts()
    told_us = {part: front[f"{part}_mean_ns"] for part in PARTS}
    assert told_us == {
        "proxy": 20_000, "router": 290_000, "way": None, "handler": 490_000, "downstream": 0, "back": 100_000,
    }  # fmt: skip
    path = rt.critical_path(spans, request="r7")
    by = dict(path.by("function").select("function", "total_ns").iter_rows())
    assert by == {"Front.__call__": 780_000, "(proxy)": 120_000}


def test_an_unknown_request_is_a_message() -> None:
    with pytest.raises(rt.UsageError, match="no request 'zz' in these spans; there is r0"):
        rt.critical_path(table(*request(0, 0)), request="zz")
    with pytest.raises(rt.UsageError, match="no requests of Ray Serve"):
        rt.critical_path(table(submit("s", 0, 1), run("r", 1, 2, "s")), request="r0")
    assert rt.critical_paths(table(submit("s", 0, 1), run("r", 1, 2, "s")), scopes="requests").is_empty()


def test_what_serve_runs_for_itself_is_one_line() -> None:
    control = [
        row
        for number, name in enumerate(("ServeController.listen_for_change", "ProxyActor.ready"))
        for row in (
            submit(f"x{number}", 0, 1, function=f"ray.serve.{name}"),
            run(f"y{number}", 2, 9_000, f"x{number}", function=name),
        )
    ]
    spans = table(*nested(0, 10), *control, recorded=True)
    functions = rt.latency_stats(spans, internals=False).get_column("function")
    assert "(Ray's own)" in functions and not functions.str.contains("Controller|ProxyActor").any()
    assert rt.latency_stats(spans).get_column("function").str.contains("Controller").any()
    own = rt.latency_stats(spans, internals=False).filter(pl.col("function") == "(Ray's own)")
    assert own.get_column("count").item() == 2


def test_what_a_library_runs_for_itself_is_one_line_of_where_the_path_went(tmp_path: Path) -> None:
    calls = {"_StatsActor.__init__": (2, 400), "_StatsActor.register": (410, 600), "f": (610, 990)}
    rows: list[Row] = [span("d", 0, 1_000, name="ray.driver")]
    for number, (function, (start, end)) in enumerate(calls.items()):
        rows += [
            submit(f"s{number}", start - 2, start - 1, "d", function=function, submitted_task_id=f"T{number}"),
            run(f"r{number}", start, end, f"s{number}", f"T{number}", function=function),
            wait(f"w{number}", start - 1, end + 1, "d", [f"T{number}"]),
        ]
    spans = table(*rows, recorded=True)
    own = rt.critical_path(spans).by("function", internals=False).filter(function="(Ray's own)")
    assert own.get_column("self_ns").to_list() == [588]
    rt.write_table(spans, tmp_path / "spans.parquet")

    def first_column(*options: str) -> list[str]:
        shown = cli("critical-path", tmp_path / "spans.parquet", *options).stdout
        rest = shown.split("\nfunction ", 1)[1]
        return [line.split("  ")[0] for line in rest.splitlines()[1:] if line][: len(calls) + 1]

    assert first_column()[:4] == ["f", "(driver)", "(Ray's own)", "all"]
    assert "_StatsActor.register" in first_column("--internals")


def test_a_table_beside_the_files_that_it_came_from_contradicts_none_of_them(tmp_path: Path) -> None:
    of_names = {
        "proxy_http_request Front GET /": "SpanKind.SERVER",
        "route_to_replica Front __call__": "SpanKind.INTERNAL",
        "replica_handle_request Front __call__": "SpanKind.SERVER",
    }
    spans = [
        {
            "name": name,
            "context": {"trace_id": f"0x{1:032x}", "span_id": f"0x{number:016x}"},
            "kind": kind,
            "parent_id": f"0x{number - 1:016x}" if number > 1 else None,
            "start_time": f"2026-11-23T08:55:46.{number}00000Z",
            "end_time": f"2026-11-23T08:55:47.{number}00000Z",
            "attributes": {"deployment": "Front", "request_id": "r1"},
            "resource": RESOURCE,
        }
        for number, (name, kind) in enumerate(of_names.items(), start=1)
    ]
    (tmp_path / "spans.jsonl").write_bytes(b"".join(pretty(one) for one in spans))
    alone = rt.load(tmp_path)
    assert "CONSUMER" in alone.spans.get_column("kind")
    rt.write_table(alone.spans, tmp_path / "spans.parquet")
    both = rt.load(tmp_path)
    assert both.spans.height == 3
    assert not both.report.problems


@pytest.mark.parametrize(("idle_in", "is_claimed"), [("asyncio.runners.run", False), ("time.sleep", True)])
def test_a_driver_that_may_be_the_client_of_requests_waits_for_them(idle_in: str, is_claimed: bool) -> None:
    """driver   works |runs an event loop ..................| works
    requests          |P=======||P=======||P=======||P======|
    """
    ms = 1_000_000
    requests = [
        row | {"start": row["start"] * ms, "end": row["end"] * ms, "pid": row["pid"] + 10, "worker_id": "of Serve"}
        for number in range(4)
        for row in request(number, 100 + 830 * number)
    ]
    stretch = {"start_ns": 100 * ms, "end_ns": 3410 * ms, "in": idle_in, "at": "/p/client.py:9"}
    about = {"raytrace.cpu_ns": 90 * ms, "raytrace.idle": json.dumps({"stretches": [stretch], "left_out_ns": 0})}
    job = [
        span("driver", 0, 3500 * ms, name="ray.driver", trace_id="job", attributes=json.dumps(about)),
        submit("s", 1 * ms, 2 * ms, "driver", submitted_task_id="T", trace_id="job"),
        run("r", 3 * ms, 90 * ms, "s", "T", trace_id="job"),
        wait("w", 2 * ms, 91 * ms, "driver", ["T"], trace_id="job"),
    ]
    (found,) = rt.advise(table(*job, *requests, recorded=True), job="01").filter(pattern="driver-idle").to_dicts()
    assert (found["saved_ns"] > 0) == is_claimed
    assert ("Front.__call__" in found["what"]) != is_claimed


def test_a_request_is_no_task_that_never_started() -> None:
    # As the hook records it: a call of the replica, which is a task of Ray's own, brings the request there.
    rows = [*request(0, 0), *request(1, 10_000)]
    rows[-5]["end"] += 50  # the handler of the second
    for row in [row for row in rows if row["span_id"].startswith("Hr")]:
        call = f"c{row['span_id']}"
        about = {"function": "ServeReplica:app:Front.handle_request_with_rejection", "trace_id": row["trace_id"]}
        rows.append(run(call, row["start"] - 1, row["end"] + 1, f"s1{row['span_id'][1:]}", f"T{call}", **about))
        row["parent_id"], row["task_id"] = call, f"T{call}"
    spans = table(*rows, recorded=True)
    for ask in (lambda: rt.tell_story(spans, "Front.__call__"), lambda: rt.critical_path(spans, task="Front.__call__")):
        with pytest.raises(rt.UsageError, match=r"`raytrace-analyze serve` tells of them all.* --request r1`"):
            ask()
