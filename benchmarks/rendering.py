"""Spans as numbers to records as text, in whole columns: a record is written once, with holes that columns fill."""

import json
import re
from typing import Any

import numpy as np
import polars as pl

FUNCTIONS = ("__main__.train_shard", "__main__.load_part", "__main__.score_part", "__main__.main", "__main__.publish")
SPAN_NAMES = ("", "fit", "", "request", "upload")
_HOLE = re.compile(r'"<raw:(\w+)>"|<(\w+)>')
_NIL = "f" * 24
_NODES = 4


def _hex(rng: np.random.Generator, count: int, digits: int) -> list[str]:
    text = rng.bytes(count * digits // 2).hex()
    return [text[at : at + digits] for at in range(0, len(text), digits)]


class Renderer:
    """Gives blocks of `shapes.make_blocks` their texts: ids, times, and a record of each."""

    def __init__(self, seed: int, *, recorded: bool, nanoseconds: bool) -> None:
        self._rng = np.random.default_rng(seed + 1)
        self._recorded = recorded
        self._time_format = "%Y-%m-%dT%H:%M:%S%.9fZ" if nanoseconds else "%Y-%m-%dT%H:%M:%S%.6fZ"
        self._nodes = _hex(np.random.default_rng(seed + 2), _NODES, 56)

    def texts(self, block: pl.DataFrame) -> pl.DataFrame:
        """Add the columns that fill the holes."""
        count = block.height
        span_id = pl.Series(_hex(self._rng, count, 16))
        parent = block.get_column("parent_row")
        traces = block.get_column("trace")
        first = traces.min()
        of_trace = pl.Series(_hex(self._rng, int(traces.max()) - int(first) + 1, 32))  # type: ignore[arg-type]
        process = block.get_column("process")
        job = pl.format("0{}000000", (pl.col("job") + 1).cast(pl.String).str.pad_start(1, "0"))
        task = pl.format("{}{}{}{}", pl.col("trace_text").str.slice(0, 8), pl.col("task_text"), pl.lit(_NIL), job)
        known = block.with_columns(
            trace_text=of_trace.gather(traces - first),
            task_text=pl.col("task").clip(0).cast(pl.String).str.zfill(8),
            span_id=span_id,
            parent=pl.when(parent >= 0)
            .then(pl.format('"0x{}"', span_id.gather(parent.clip(0))))
            .otherwise(pl.lit("null")),
            pid=(process + 6000).cast(pl.String),
            node=pl.Series(self._nodes).gather(process % _NODES),
            worker=pl.format("{}", process).str.pad_start(8, "0") + "ab" * 24,
            instance=pl.format("{}-8364-4311-9f6c-b505930d8a1f", process.cast(pl.String).str.zfill(8)),
            function_text=pl.Series(FUNCTIONS).gather(block.get_column("function")),
            name_text=pl.Series(SPAN_NAMES).gather(block.get_column("function")),
            start_text=pl.col("start").cast(pl.Datetime("ns")).dt.strftime(self._time_format),
            end_text=pl.col("end").cast(pl.Datetime("ns")).dt.strftime(self._time_format),
            parent_id=pl.when(parent >= 0).then(span_id.gather(parent.clip(0))).otherwise(pl.lit("")),
            start_us=pl.col("start") // 1000,
            took_us=pl.col("end") // 1000 - pl.col("start") // 1000,
        )
        known = known.with_columns(job_id=job, task_id=task)
        submitted = known.filter(pl.col("kind") == "submit").group_by(pl.col("parent_row").alias("row"))
        ready = submitted.agg(ready=pl.format('"{}"', "task_id").str.join(", "), awaited=pl.len().cast(pl.String))
        of_wait = known.select(row="parent_row", wait=pl.col("row")).filter(known.get_column("kind") == "wait")
        return known.join(
            of_wait.join(ready, on="row").select(pl.col("wait").alias("row"), "ready", "awaited"), on="row", how="left"
        ).sort("row")

    def attributes(self, kind: str) -> dict[str, Any]:
        """Give the attributes of a kind of span, with holes."""
        ours: dict[str, Any] = {}
        if kind in ("submit", "task"):
            common = {
                "ray.remote": "function",
                "ray.function": "<function_text>",
                "ray.pid": "<pid>",
                "ray.job_id": "<job_id>",
                "ray.node_id": "<node>",
                "ray.worker_id": "<worker>",
            }
            if kind == "task":
                return common | {"ray.task_id": "<task_id>"} | ({"raytrace.attempt": 0} if self._recorded else {})
            if self._recorded:
                ours = {
                    "raytrace.dependency_task_ids": [],
                    "raytrace.submitted_task_id": "<task_id>",
                    "raytrace.resources": '{"CPU":1}',
                    "raytrace.call_site": "main.py:27 in main",
                }
            return common | ours
        if kind == "wait":
            return {"raytrace.ready_task_ids": "<raw:ready>", "raytrace.awaited_count": "<raw:awaited>"}
        return {"report.rows": 1000, "report.part": "<task_text>"} if kind == "custom" else {}

    def resource(self) -> dict[str, Any]:
        """Give the attributes of a process's resource, with holes."""
        sdk = {
            "telemetry.sdk.language": "python",
            "telemetry.sdk.name": "opentelemetry",
            "telemetry.sdk.version": "1.45.2",
            "service.instance.id": "<instance>",
        }
        if not self._recorded:
            return sdk | {"service.name": "unknown_service:python"}
        return sdk | {
            "process.pid": "<raw:pid>",
            "host.name": "host-a",
            "raytrace.records_waits": True,
            "service.name": "ray",
            "ray.node_id": "<node>",
            "ray.worker_id": "<worker>",
            "ray.job_id": "<job_id>",
            "raytrace.session": "session_2026-11-23_19-16-38_862917_8355",
        }

    def kinds(self) -> tuple[str, ...]:
        """Give the kinds of spans that are written: Ray itself records no waits."""
        kinds = ("root", "submit", "task", "custom", "wait")
        return kinds if self._recorded else kinds[:-1]


def name_of(kind: str) -> str:
    """Give a span's name, with holes."""
    return {
        "submit": "<function_text> ray.remote",
        "task": "<function_text> ray.remote_worker",
        "wait": "ray.get",
        "root": "ray.driver",
    }.get(kind, "<name_text>")


def kind_of(kind: str) -> str:
    """Give OpenTelemetry's kind of a kind of span."""
    return {"submit": "PRODUCER", "task": "CONSUMER"}.get(kind, "INTERNAL")


def fill(record: Any, indent: int | None, separators: tuple[str, str] | None) -> pl.Expr:
    """Write a record as JSON, its holes filled from columns: `<name>` in a string, `<raw:name>` for a whole value."""
    text = json.dumps(record, indent=indent, separators=separators)
    parts: list[pl.Expr] = []
    at = 0
    for hole in _HOLE.finditer(text):
        parts.append(pl.lit(text[at : hole.start()]))
        parts.append(_column(hole[1] or hole[2], indent))
        at = hole.end()
    return pl.concat_str([*parts, pl.lit(text[at:])])


def _column(name: str, indent: int | None) -> pl.Expr:
    if name == "ready_values":
        value = pl.col("ready").str.replace_all(r'("\w+")(?:, )?', r'{"stringValue":$1},')
        return pl.format("[{}]", value.str.strip_suffix(",").fill_null(""))
    if name != "ready":
        return pl.col(name).cast(pl.String).fill_null("0")
    listed = pl.col("ready").fill_null("")
    if indent is None:
        return pl.format("[{}]", listed.str.replace_all(", ", ",", literal=True))
    line = "\n" + " " * indent * 3
    return pl.format(f"[{line}{{}}\n{' ' * indent * 2}]", listed.str.replace_all(", ", f",{line}", literal=True))
