"""Ray Serve's own spans in our files, both ways in which Serve loads an exporter."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

import raytrace_analyze as rt

from .reader import free_port, run_program

pytest.importorskip("uvicorn", reason="Ray Serve is not installed")
pytest.importorskip("fastapi", reason="Ray Serve is not installed")
pytest.importorskip("ray.serve._private.tracing_utils", reason="this version's Ray Serve has no tracing")
pytestmark = pytest.mark.ray

BY_ENVIRONMENT = {
    "RAY_SERVE_TRACING_EXPORTER_IMPORT_PATH": "raytrace_hook:serve_span_processors",
    "RAY_SERVE_TRACING_SAMPLING_RATIO": "1",
}
HANDLE_CALL = ["replica_handle_request Front called", "route_to_replica Doubler double"]
AT_THE_END = "replica_handle_request Doubler double"
PROXY = ["proxy_http_request Front GET /", "route_to_replica Front __call__"]


def serve(directory: Path, how: str, **settings: str) -> pl.DataFrame:
    run = run_program("serving.py", directory, how, str(free_port()), **settings)
    assert run.output.endswith("\ndone\n"), run.errors
    assert "Overriding of current TracerProvider" not in run.errors + run.output
    merged = rt.load([directory])
    assert merged.report.problems == ()
    return merged.spans


def test_proxy_router_and_replica_of_a_request_are_one_trace(tmp_path: Path) -> None:
    spans = serve(tmp_path, "environment", **BY_ENVIRONMENT)
    by_id = {row["span_id"]: row for row in spans.iter_rows(named=True)}

    def chain(span_id: str | None) -> list[str]:
        row = by_id.get(span_id or "")
        return [] if row is None else [*chain(row["parent_id"]), row["name"]]

    called, http = sorted(map(chain, spans.filter(name=AT_THE_END)["span_id"]), key=len)
    assert http == [*PROXY, "replica_handle_request Front __call__", HANDLE_CALL[1], AT_THE_END]
    assert called == [*HANDLE_CALL, AT_THE_END]
    assert spans["end"].null_count() == 0


@pytest.mark.slow
def test_serve_start_takes_the_exporter_in_its_configuration(tmp_path: Path) -> None:
    pytest.importorskip("ray.serve.schema")
    from ray.serve import schema

    if not hasattr(schema, "TracingConfig"):
        pytest.skip("this version of Ray has no TracingConfig")
    names = set(serve(tmp_path, "config")["name"])
    assert {*HANDLE_CALL, AT_THE_END, "replica_handle_request Front __call__"} <= names


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory) -> tuple[pl.DataFrame, Path]:
    folder = tmp_path_factory.mktemp("beside")
    run = run_program("serving.py", folder, "both", str(free_port()), **BY_ENVIRONMENT)
    assert run.output.endswith("\ndone\n"), run.errors
    return rt.read_spans(folder), Path(run.output.split("\n")[-3])


def test_beside_the_hook_serves_sampling_holds_and_each_request_is_a_trace(beside: tuple[pl.DataFrame, Path]) -> None:
    spans, _ = beside
    (front,) = spans.filter(name="proxy_http_request Front GET /").iter_rows(named=True)
    creation = spans.filter(name="ProxyActor.__init__ ray.remote_worker")
    assert front["parent_id"] is None
    assert creation.height == 1 and front["trace_id"] not in set(creation["trace_id"])
    assert spans.filter(name=AT_THE_END).height == 2


def test_requests_of_a_handler_that_are_gathered_are_waited_for(beside: tuple[pl.DataFrame, Path]) -> None:
    spans, _ = beside
    (both,) = spans.filter(name="replica_handle_request Front both").iter_rows(named=True)
    routes = spans.filter(pl.col("parent_id") == both["span_id"], pl.col("name").str.starts_with("route_to_replica"))
    sent = spans.filter(pl.col("parent_id").is_in(routes.get_column("span_id").implode()), kind="PRODUCER")
    waits = spans.filter(pl.col("parent_id") == both["span_id"], pl.col("category") == "wait")
    waited = set(waits.get_column("ready_task_ids").explode())
    assert waited == set(sent.get_column("submitted_task_id")) and len(waited) == 2
    path = rt.critical_path(spans, request=json.loads(both["attributes"])["request_id"])
    assert path.by("function").sort("total_ns", descending=True).get_column("function")[0] == "Doubler.after"
    # Serve's own wait for the handler, which runs in another thread, says nothing.
    assert not spans.filter(name="await").get_column("attributes").str.contains("asyncio.Future").any()


def test_a_request_by_a_handle_of_the_driver_waits_for_its_replica_there(beside: tuple[pl.DataFrame, Path]) -> None:
    spans, _ = beside
    (route,) = spans.filter(name="route_to_replica Front called").iter_rows(named=True)
    (driver,) = spans.filter(category="driver").iter_rows(named=True)
    (handled,) = spans.filter(name="replica_handle_request Front called").iter_rows(named=True)
    assert (route["parent_id"], route["pid"]) == (driver["span_id"], driver["pid"])
    assert json.loads(route["attributes"])["raytrace.sent"] is True
    above = handled["parent_id"]
    while above != route["span_id"]:
        (above,) = spans.filter(span_id=above).get_column("parent_id")
    path = rt.critical_path(spans, request=json.loads(route["attributes"])["request_id"])
    assert path.by("function").sort("total_ns", descending=True).get_column("function")[0] != "(driver)"


def test_a_thread_waits_for_a_response_from_the_call_on(beside: tuple[pl.DataFrame, Path]) -> None:
    spans, _ = beside
    (route,) = spans.filter(name="route_to_replica Front called").iter_rows(named=True)
    (handled,) = spans.filter(name="replica_handle_request Front called").iter_rows(named=True)
    (run,) = spans.filter(span_id=handled["parent_id"]).iter_rows(named=True)
    of_driver = pl.col("parent_id").is_in(spans.filter(category="driver").get_column("span_id").implode())
    waits = spans.filter(of_driver, name="ray.get").filter(pl.col("ready_task_ids").list.contains(run["task_id"]))
    (wait,) = waits.iter_rows(named=True)
    assert wait["start"] < route["end"] and handled["start"] < wait["end"]
    assert "serving.py" in json.loads(wait["attributes"])["raytrace.call_site"]


def test_a_request_waits_for_its_model_once(beside: tuple[pl.DataFrame, Path]) -> None:
    spans, _ = beside
    (load,) = spans.filter(name="ray.serve.load_model").iter_rows(named=True)
    assert json.loads(load["attributes"])["raytrace.model"] == "m"
    (found,) = rt.serve(spans).filter(pl.col("method") == "modelled").to_dicts()
    assert found["load_mean_ns"] > found["handler_mean_ns"]


def test_a_request_waits_for_others_to_fill_its_batch(beside: tuple[pl.DataFrame, Path]) -> None:
    spans, _ = beside
    (found,) = rt.serve(spans).filter(method="batched").to_dicts()
    assert (found["requests"], found["batch_size"], found["max_batch_size"]) == (2, 2, 8)
    assert found["fill_mean_ns"] > found["handler_mean_ns"]
    # The two share what their batch takes of the event loop.
    assert 25e6 <= found["loop_mean_ns"] < found["total_mean_ns"]


def test_a_handler_that_keeps_its_event_loop_while_it_sleeps_is_told_with_its_line(
    beside: tuple[pl.DataFrame, Path],
) -> None:
    spans, _ = beside
    found = {row["method"]: row for row in rt.serve(spans).iter_rows(named=True)}
    held = found["holding"]
    assert (held["deployment"], held["requests"]) == ("Doubler", 3)
    assert 0.3e9 <= held["loop_mean_ns"] < held["total_mean_ns"]
    assert held["loop_idle_mean_ns"] > held["loop_mean_ns"] / 2 > held["cpu_mean_ns"]
    # What a handler does that streams is seen in part only.
    assert found["streamed"]["loop_mean_ns"] is None
    # What is awaited keeps nobody, also where it takes as long.
    assert found["after"]["loop_mean_ns"] < found["after"]["handler_mean_ns"] / 2
    handled = spans.filter(name="replica_handle_request Doubler holding").get_column("attributes")
    assert all("serving.py" in json.loads(text)["raytrace.stacks"] for text in handled)


def test_when_a_request_was_answered_is_told(beside: tuple[pl.DataFrame, Path]) -> None:
    spans, _ = beside
    (proxy,) = spans.filter(name="proxy_http_request Front GET /").iter_rows(named=True)
    answered = int(json.loads(proxy["attributes"])["raytrace.answered_ns"])
    assert proxy["start"].timestamp() * 1e9 < answered <= proxy["end"].timestamp() * 1e9 + 1_000


def test_nobody_complains_of_spans_in_the_logs_of_serve(beside: tuple[pl.DataFrame, Path]) -> None:
    files = [file for file in (beside[1] / "logs").rglob("*") if file.suffix in (".log", ".err", ".out")]
    assert files
    assert [file for file in files if "ended span" in file.read_text("utf-8", "replace")] == []


def test_beside_the_hook_serve_records_no_request_that_it_does_not_sample(tmp_path: Path) -> None:
    spans = serve(tmp_path, "both", **{**BY_ENVIRONMENT, "RAY_SERVE_TRACING_SAMPLING_RATIO": "0"})
    assert spans.filter(pl.col("name").str.starts_with("proxy_http_request")).height == 0
    assert spans.filter(pl.col("name").str.starts_with("ProxyActor.__init__")).height > 0
