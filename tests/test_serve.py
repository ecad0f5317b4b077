"""Where the time of Ray Serve's requests goes, from the spans of its own tracing and from what the hook adds.

proxy   |===P==================================|
router    |===R============|
sends       |s| (refused) |s|
replica                      |===H========|
router                         |=R2=|
another                          |=H2=|
"""

import json

import polars as pl
import pytest

import raytrace_analyze as rt

from .tables import Row, run, span, submit, table

PARTS = ("proxy", "router", "way", "handler", "downstream", "back")


def told(deployment: str, **more: str) -> str:
    about = {"deployment": deployment, "app": "app", "call_method": "__call__", "route": "/", **more}
    return json.dumps(about)


def request(number: int, at: int, wait: int = 300, *, hook: bool = True) -> list[Row]:
    """A request at `at`, which waited so long in the router's queue; with what the hook records of its sends."""
    of = {"trace_id": f"t{number}", "status": "OK"}
    name, began = f"r{number}", at + 20 + wait
    spans = [
        span(f"P{name}", at, began + 500, None, **of, name="proxy_http_request Front GET /", attributes=told("Front")),
        span(f"R{name}", at + 20, began + 10, f"P{name}", **of, name="route_to_replica Front __call__",
             attributes=told("Front", request_id=name)),
        span(f"H{name}", began, began + 400, f"R{name}", **of, pid=2, name="replica_handle_request Front __call__",
             attributes=told("Front", request_id=name)),
        span(f"R2{name}", began + 100, began + 150, f"H{name}", **of, pid=2, name="route_to_replica Back infer",
             attributes=told("Back", call_method="infer", request_id=name)),
        span(f"H2{name}", began + 140, began + 300, f"R2{name}", **of, pid=3, name="replica_handle_request Back infer",
             attributes=told("Back", call_method="infer", request_id=name)),
    ]  # fmt: skip
    send = {"trace_id": f"t{number}", "name": "ServeReplica:app:Front.handle_request_with_rejection ray.remote"}
    sends = [submit(f"s{k}{name}", at + 20 + k * wait - 5 * k, at + 20 + k * wait, f"R{name}", **send) for k in (0, 1)]
    return [*spans, *(sends if hook else [])]


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


def test_no_requests_is_an_empty_table() -> None:
    assert rt.serve(table(submit("s", 0, 1), run("r", 1, 2, "s"))).is_empty()
