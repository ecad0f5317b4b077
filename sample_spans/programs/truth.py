"""What the programs share: they start Ray with a hook and write down what truly happens, beside the tracing.

Every process appends lines to its own file in TRUTH_DIR: a line when a body starts, one when it ends, and
marks.
"""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import ray

Body = dict[str, Any]
Mark = dict[str, Any]

_numbers = count()


def _append(line: dict[str, Any]) -> None:
    path = Path(os.environ["TRUTH_DIR"]) / f"{os.getpid()}.jsonl"
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")


def _identity() -> dict[str, Any]:
    """Task id, attempt and actor of the task that runs here; of the driver: nothing."""
    context = ray.get_runtime_context()
    if context.worker.mode != ray.WORKER_MODE:
        return {"task_id": None, "attempt": None, "actor_id": None}
    return {
        "task_id": context.get_task_id(),
        "attempt": context.worker.core_worker.get_current_task_attempt_number(),
        "actor_id": context.get_actor_id(),
    }


@contextmanager
def body(function: str, key: object, kind: str = "task") -> Iterator[None]:
    """Measures a body: of a task (`function` as in ray.function), or, with kind "span", of a custom span."""
    number = next(_numbers)
    identity = _identity()
    start_ns = time.time_ns()
    _append({"start": number, "kind": kind, "function": function, "key": key, **identity, "start_ns": start_ns})
    error = None
    try:
        yield
    except BaseException as raised:
        error = type(raised).__name__
        raise
    finally:
        _append({"end": number, "end_ns": time.time_ns(), "error": error})


def mark(name: str, **more: object) -> None:
    """Notes a moment."""
    _append({"mark": name, **more, "t_ns": time.time_ns()})


@contextmanager
def cluster(cpus: int = 2) -> Iterator[None]:
    """A Ray of its own, traced by the hook that CAPTURE_HOOK names."""
    mark("ray_init_start")
    ray.init(
        num_cpus=cpus,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="ERROR",
        _temp_dir=os.environ["CAPTURE_RAY_DIR"],
        _tracing_startup_hook=os.environ["CAPTURE_HOOK"],
    )
    mark("ray_init_end", node_ip=ray.util.get_node_ip_address())
    try:
        yield
    finally:
        mark("driver_end")
        ray.shutdown()


def read(directory: Path) -> tuple[list[Body], list[Mark]]:
    """All bodies and marks that the processes wrote, each in the order of time."""
    bodies: dict[tuple[int, int], Body] = {}
    marks: list[Mark] = []
    for path in directory.glob("*.jsonl"):
        pid = int(path.stem)
        for line in map(json.loads, path.read_text().splitlines()):
            if "mark" in line:
                marks.append({"name": line.pop("mark"), "pid": pid, **line})
            elif "start" in line:
                open_body = {"end_ns": None, "error": "killed", "pid": pid, **line}
                bodies[pid, open_body.pop("start")] = open_body
            else:
                bodies[pid, line.pop("end")].update(line)
    _end_killed(list(bodies.values()), marks)
    return sorted(bodies.values(), key=lambda found: found["start_ns"]), sorted(marks, key=lambda m: m["t_ns"])


def _end_killed(bodies: list[Body], marks: list[Mark]) -> None:
    """A killed body ended where it noted that it was about to be killed."""
    for found in bodies:
        if found["end_ns"] is None:
            found["end_ns"] = next(m["t_ns"] for m in marks if m["name"] == "killed" and m["pid"] == found["pid"])


def find(bodies: list[Body], key: object, function: str | None = None) -> Body:
    """The last body with that key (and function)."""
    return [b for b in bodies if b["key"] == key and function in (None, b["function"])][-1]


def last(bodies: list[Body]) -> Body:
    """The body that ended last."""
    return max(bodies, key=lambda found: found["end_ns"])
