"""Ray's own record of every task attempt and its states, saved before the cluster that holds it is gone.

Ray's head keeps only so many attempts, and drops others. What it has told once is kept here.
"""

from __future__ import annotations

import itertools
import json
import math
import signal
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from raytrace_hook import names
from raytrace_hook.log import warn_once
from raytrace_hook.output.encode import redacted
from raytrace_hook.ray import gcs_events, internals
from raytrace_hook.record import submits

if TYPE_CHECKING:
    from raytrace_hook.output.writer import SpanFile

_TERMINAL = ("FINISHED", "FAILED")
_POLL_S = 0.1
_MOST_TIME = 1 / 50
"""Of the driver's: what savings may take before its end."""
_EVENT_S = 100e-6
"""What saving one attempt takes at least, a guess for the time before the first one has been measured."""
_MANY_EVENTS = 3000
"""From here on reading takes long enough to be done only once at the end, when all is there."""


class TaskEvents:
    """Saves the task events of the present job, every so often and at its end."""

    def __init__(self, file: SpanFile, interval_s: float, wait_s: float) -> None:
        """`interval_s` between savings (0: only at the end); at the end wait up to `wait_s` for the last reports."""
        self._file = file
        self._interval_s = interval_s
        self._wait_s = wait_s
        self._header: dict[str, Any] = {}
        self._due = math.inf
        self._began = 0.0
        self._submitted = 0
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
        self._began, self._submitted = time.monotonic(), submits.count()
        self._due = self._began + self._interval_s if self._interval_s > 0 else math.inf
        self._started = True

    def save_when_due(self) -> None:
        """Save what there is by now, if the last time is long enough ago."""
        started = time.monotonic()
        if started < self._due or started - self._began < self._least_s() / _MOST_TIME:
            return
        self._due = math.inf
        try:
            self._save(self._attempts())
        except Exception as error:
            # What answers may not be there yet, or not any more: the next time it is asked again.
            warn_once(_refusal(), error)
        ended = time.monotonic()
        self._due = ended + max(self._interval_s, (ended - started) / _MOST_TIME)

    def _least_s(self) -> float:
        """Return what a saving takes at least, of as many tasks as this driver has submitted."""
        attempts = submits.count() - self._submitted
        return _EVENT_S * (min(attempts, gcs_events.most_attempts()) if attempts >= _MANY_EVENTS else 0)

    def finish(self) -> None:
        """Save the last state, once the workers have reported it or `wait_s` are over; nothing the second time."""
        started, self._started = self._started, False
        if not started:
            return
        try:
            self._save_last()
        except Exception as error:
            warn_once(_refusal(), error)

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
        raw = gcs_events.raw_task_events()
        if len(raw) >= gcs_events.most_attempts():
            self._header["dropped"] = gcs_events.dropped()
            warn_once(
                f"Ray's head keeps {len(raw)} task attempts and drops others; what it has told is kept here, the rest "
                "is not known. RAY_task_events_max_num_task_in_gcs, where the cluster starts, lets it keep more"
            )
        attempts = gcs_events.attempts_of(raw, self._header["job_id"])
        self._add_ends_of_actors(attempts)
        for error in filter(None, (attempt["error"] for attempt in attempts)):
            error["message"] = redacted(error["message"])
        return attempts

    def _add_ends_of_actors(self, attempts: list[dict[str, Any]]) -> None:
        """Note with the creations of actors when these were over: until then they held what they asked for."""
        self._ends = gcs_events.actor_ends(self._header["job_id"]) if attempts else {}
        for attempt in attempts:
            if attempt["type"] == gcs_events.CREATION:
                attempt["states"].update(self._ends.get(attempt["actor_id"], {}))

    def _ends_alone(self, attempts: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the ends of actors of which Ray keeps no attempts, as Serve asks it to."""
        known = {attempt["actor_id"] for attempt in attempts if attempt["type"] == gcs_events.CREATION}
        job_id = self._header["job_id"]
        others = ((actor_id, states) for actor_id, states in self._ends.items() if actor_id not in known)
        return [gcs_events.end_alone(job_id, actor_id, states) for actor_id, states in others]

    def _save(self, attempts: list[dict[str, Any]]) -> None:
        """Add what is known now to what was saved before."""
        fresh = {_key(attempt): attempt for attempt in (*attempts, *self._ends_alone(attempts))}
        forgotten = 0
        for line in self._saved():
            if _key_in(line) not in fresh:
                forgotten += 1
        header = {**self._header, "forgotten": forgotten, "written_ns": time.time_ns()}
        self._file.replace_beside(".events", itertools.chain([_line(header)], self._merged(fresh)))

    def _merged(self, fresh: dict[bytes, dict[str, Any]]) -> Iterator[bytes]:
        for line in self._saved():
            attempt = fresh.pop(_key_in(line), None)
            yield line if attempt is None else _line(_with_what_was_known(attempt, line))
        yield from map(_line, fresh.values())

    def _saved(self) -> Iterator[bytes]:
        return itertools.islice(self._file.lines_beside(".events"), 1, None)


_encode = json.JSONEncoder(separators=(",", ":"), default=str).encode


def _line(values: dict[str, Any]) -> bytes:
    return f"{_encode(values)}\n".encode("ascii")


_AFTER_KEY = b',"job_id"'


def _key(attempt: dict[str, Any]) -> bytes:
    return _key_in(_line({name: attempt[name] for name in ("task_id", "attempt", "job_id")}))


def _key_in(line: bytes) -> bytes:
    """Return what a line begins with: the task's id and the number of the attempt."""
    return line.partition(_AFTER_KEY)[0]


def _with_what_was_known(attempt: dict[str, Any], line: bytes) -> dict[str, Any]:
    """Complete an attempt by what was saved of it: Ray may have dropped it and heard of it again since."""
    known: dict[str, Any] = json.loads(line)
    found = {name: value or known.get(name) or value for name, value in attempt.items()}
    found["states"] = {**known["states"], **attempt["states"]}
    parts = {_encode(part): part for part in (*known["profile"], *attempt["profile"])}
    found["profile"] = sorted(parts.values(), key=lambda part: part["start_ns"])
    return found


def _refusal() -> str:
    if gcs_events.is_with_dashboard():
        return (
            "no task events: Ray keeps them with its dashboard (RAY_enable_task_events_to_dashboard_head), which does "
            "not answer; start it (include_dashboard=True), or leave them with the head"
        )
    return "no task events from Ray"


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
