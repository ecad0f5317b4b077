"""Ray's own record of every task attempt and its states, saved before the cluster that holds it is gone."""

from __future__ import annotations

import json
import math
import signal
import time
from typing import TYPE_CHECKING, Any

from raytrace_hook import names
from raytrace_hook.log import warn_once
from raytrace_hook.ray import gcs_events, internals
from raytrace_hook.record import submits

if TYPE_CHECKING:
    from raytrace_hook.output.writer import InputFile

_TERMINAL = ("FINISHED", "FAILED")
_POLL_S = 0.1
_MANY_EVENTS = 3000
"""From here on reading takes long enough to be done only once at the end, when all is there."""


class TaskEvents:
    """Saves the task events of the present job, every so often and at its end."""

    def __init__(self, file: InputFile, interval_s: float, wait_s: float) -> None:
        """`interval_s` between savings (0: only at the end); at the end wait up to `wait_s` for the last reports."""
        self._file = file
        self._interval_s = interval_s
        self._wait_s = wait_s
        self._header: dict[str, Any] = {}
        self._due = math.inf
        self._started = False

    def start(self) -> None:
        """Begin with the present connection."""
        ids = internals.process_ids()
        self._header = {
            "raytrace": "task_events",
            "version": 1,
            "session": ids.get(names.SESSION, ""),
            "job_id": ids.get("ray.job_id", ""),
            "ray_version": internals.ray_version(),
        }
        self._due = time.monotonic() + self._interval_s if self._interval_s > 0 else math.inf
        self._started = True

    def save_when_due(self) -> None:
        """Save what there is by now, if the last time is long enough ago."""
        started = time.monotonic()
        if started < self._due:
            return
        self._due = math.inf
        try:
            self._save(self._attempts())
        except Exception as error:
            warn_once("no task events from Ray", error)
            return
        # Of a driver with very many tasks this takes its time: never more than a fiftieth of it.
        ended = time.monotonic()
        self._due = ended + max(self._interval_s, 50 * (ended - started))

    def finish(self) -> None:
        """Save the last state, once the workers have reported it or `wait_s` are over; nothing the second time."""
        started, self._started = self._started, False
        if not started:
            return
        try:
            self._save_last()
        except Exception as error:
            warn_once("no task events from Ray", error)

    def _save_last(self) -> None:
        if _is_being_stopped():
            self._save(self._attempts())
            return
        deadline = time.monotonic() + self._wait_s
        while True:
            many = len(gcs_events.raw_task_events()) > _MANY_EVENTS
            if many:
                time.sleep(max(0.0, deadline - time.monotonic()))
            attempts = self._attempts()
            if many or time.monotonic() >= deadline or _complete(attempts):
                break
            time.sleep(_POLL_S)
        self._save(attempts)

    def _attempts(self) -> list[dict[str, Any]]:
        return gcs_events.attempts_of(gcs_events.raw_task_events(), self._header["job_id"])

    def _save(self, attempts: list[dict[str, Any]]) -> None:
        encode = json.JSONEncoder(separators=(",", ":"), default=str).encode
        lines = [encode({**self._header, "written_ns": time.time_ns()}), *map(encode, attempts), ""]
        self._file.replace_beside(".events", "\n".join(lines).encode("ascii"))


def _is_being_stopped() -> bool:
    # When Ray's process gets a SIGTERM, its handler sets an alarm: whoever has not ended in three seconds is aborted.
    return signal.getitimer(signal.ITIMER_REAL)[0] > 0


def _complete(attempts: list[dict[str, Any]]) -> bool:
    """Tell whether every attempt has reported its end: its owner the state, its worker the times of its parts."""
    submitted = submits.latest()
    ended = set()
    for attempt in attempts:
        if attempt["type"] == "DRIVER_TASK":
            continue
        states = attempt["states"]
        if not any(name in states for name in _TERMINAL):
            return False
        if "FINISHED" in states and attempt["error"] is None and not attempt["profile"]:
            return False
        ended.add(attempt["task_id"])
    return submitted <= ended
