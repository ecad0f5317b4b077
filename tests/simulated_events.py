"""The simulator's programs with Ray's task events, and with what each task waited for in truth."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import polars as pl

from raytrace_analyze.decode.task_events import TASK_EVENTS
from tests import simulator


@dataclass(frozen=True)
class Truth:
    """What a task's attempt waited for, in ns since the epoch."""

    ready: int
    """Its arguments, or the delay before it, were over."""
    granted: int
    """It was given a slot."""
    started: int
    is_new_worker: bool


@dataclass(frozen=True)
class Observed:
    """The spans of a program, its task events, and the truth by (task id, attempt): of tasks, not of methods."""

    spans: pl.DataFrame
    task_events: pl.DataFrame
    truth: dict[tuple[str, int], Truth]


class _Cluster(simulator._Cluster):
    """Stamps the states on the way."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.stamps: dict[tuple[str, int], dict[str, int]] = defaultdict(dict)
        self.new_worker: set[tuple[str, int]] = set()

    def _stamp(self, future: simulator.Future, state: str) -> None:
        self.stamps[future.task_id, future.attempt][state] = self.now

    def _ready(self, future: simulator.Future, by: simulator.Moment) -> None:
        self._stamp(future, "pending_node_assignment")
        super()._ready(future, by)

    def _dispatch_to(self, future: simulator.Future, node: simulator.Node, freed: simulator.Worker | None) -> None:
        self._stamp(future, "granted")
        super()._dispatch_to(future, node, freed)

    def _start(self, future: simulator.Future, worker: simulator.Worker, released: Any) -> None:
        if worker.last_run is None:
            self.new_worker.add((future.task_id, future.attempt))
        self._stamp(future, "running")
        super()._start(future, worker, released)

    def _end(self, future: simulator.Future, frame: simulator.Frame, failure: Any) -> None:
        self._stamp(future, "finished" if failure is None else "failed")
        super()._end(future, frame, failure)


def observe(seed: int) -> Observed:
    """Run the random program of a seed."""
    made: list[_Cluster] = []

    def make(*arguments: Any, **options: Any) -> _Cluster:
        made.append(_Cluster(*arguments, **options))
        return made[-1]

    with patch.object(simulator, "_Cluster", make):
        spans = simulator.simulate(seed).spans
    cluster = made[0]
    truth, rows = {}, []
    for (task_id, attempt), stamps in cluster.stamps.items():
        states = {name: stamps.get(name) for name in ("pending_node_assignment", "running", "finished", "failed")}
        rows.append({"session": "session-1", "task_id": task_id, "attempt": attempt, **states})
        if "granted" in stamps:
            is_new = (task_id, attempt) in cluster.new_worker
            times = (stamps["pending_node_assignment"], stamps["granted"], stamps["running"])
            truth[task_id, attempt] = Truth(*times, is_new)
    return Observed(spans, event_table(rows), truth)


def event_table(rows: list[dict[str, Any]]) -> pl.DataFrame:
    """Make a table of task events (columns of `TASK_EVENTS`) of rows with times in whole ns."""
    plain = {name: pl.Int64 if isinstance(dtype, pl.Datetime) else dtype for name, dtype in TASK_EVENTS.items()}
    whole = [dict.fromkeys(TASK_EVENTS) | row for row in rows]
    return pl.DataFrame(whole, schema=plain).cast(dict(TASK_EVENTS))
