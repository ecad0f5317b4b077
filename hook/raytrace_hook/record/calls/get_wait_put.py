"""Calls of `ray.get`, `ray.wait` and `ray.put`, told from the local variables of Ray's functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from raytrace_hook import names
from raytrace_hook.log import warn_once
from raytrace_hook.ray import objects, patches
from raytrace_hook.record import sizes
from raytrace_hook.record.libraries import datasets, splits
from raytrace_hook.record.origin.call_sites import called_by_ray
from raytrace_hook.record.waiting import placement
from raytrace_hook.record.waiting.waits import MOST_AWAITED, Waits, covered


def install(waits: Waits) -> bool:
    """Record these calls from now on. Returns whether `ray.get` and `ray.wait` are recorded."""
    return patches.patch_calls(lambda name: _Call(waits, name))


class _Call:
    """One call."""

    __slots__ = ("_name", "_references", "_wait", "_waits")

    def __init__(self, waits: Waits, name: str) -> None:
        self._waits, self._name = waits, name
        self._wait: Any = None
        self._references: Sequence[Any] = ()

    def start(self, frame: Any) -> None:
        try:
            if covered.get() or called_by_ray():
                if self._name == names.GET_SPAN:
                    splits.note_call(frame)
                return
            if self._name == names.PUT_SPAN:
                sizes.begin_put()
            else:
                variables = frame.f_locals
                self._references = _asked_for(variables)
                if not self._references or _only_looks(variables):
                    return
            awaited = placement.awaited(self._references)
            self._wait = self._waits.begin(self._name, len(self._references), self._references, awaited)
        except Exception as error:
            warn_once(f"a {self._name} could not be recorded", error)

    def finish(self, frame: Any, error: BaseException | None) -> None:
        if self._wait is None:
            return
        try:
            self._finish(frame, error)
        except Exception as problem:
            warn_once(f"a {self._name} could not be recorded", problem)

    def _finish(self, frame: Any, error: BaseException | None) -> None:
        if self._name == names.PUT_SPAN:
            self._waits.end(self._wait, sizes.size_of_put, error)
        elif self._name == names.GET_SPAN:
            told = placement.which(self._references)
            self._waits.end(self._wait, lambda: {**self._got(error), **told}, error, objects.is_timeout(error))
        else:
            variables = frame.f_locals
            ready, asked = variables.get("ready_ids", ()), variables.get("num_returns", 0)
            if datasets.is_executing():
                came = objects.task_ids_of(ready)
                self._wait.works_between = True
                is_over = datasets.is_news(came)
                self._waits.end(self._wait, lambda: self._news(came, ready, is_over), error, may_go_on=not is_over)
                return
            timed_out = error is None and len(ready) < asked
            told = placement.which(self._references)
            self._waits.end(self._wait, lambda: {**self._waited(variables, error, timed_out), **told}, error, timed_out)

    def _news(self, came: list[str], ready: Any, is_over: bool) -> dict[str, Any]:
        """Tell what an execution's thread waited for: where nothing was news, for what was not ready."""
        return {names.READY_TASK_IDS: came} if is_over else came_and_missing(ready, self._references, True)

    def _got(self, error: BaseException | None) -> dict[str, Any]:
        if error is None:
            return {names.READY_TASK_IDS: objects.task_ids_of(self._references)}
        was_covered = covered.get()
        try:
            covered.set(True)
            ready = objects.ready_now(self._references)
        except BaseException:
            if isinstance(error, Exception):
                raise
            # In a task that was cancelled each call of Ray's is interrupted, as the wait was.
            ready = []
        finally:
            covered.set(was_covered)
        return came_and_missing(ready, self._references, objects.is_timeout(error))

    def _waited(self, variables: Any, error: BaseException | None, timed_out: bool) -> dict[str, Any]:
        if error is not None or timed_out:
            return came_and_missing(variables.get("ready_ids", ()), self._references, timed_out)
        return {names.READY_TASK_IDS: objects.task_ids_of(variables["ready_ids"])}


def came_and_missing(came: Iterable[Any], asked: Iterable[Any], timed_out: bool) -> dict[str, Any]:
    """Return what is said of a wait that failed, or ended before all it asked for was there."""
    ready = list(came)
    known = set(ready)
    found: dict[str, Any] = {names.READY_TASK_IDS: objects.task_ids_of(ready)}
    missing = objects.task_ids_of(one for one in asked if one not in known)[:MOST_AWAITED]
    if missing:
        found[names.AWAITED_TASK_IDS] = missing
    if timed_out:
        found[names.TIMED_OUT] = True
    return found


def _only_looks(variables: dict[str, Any]) -> bool:
    """Tell whether an execution's thread looks whether something is there, beside its waits for tasks."""
    return variables.get("timeout") == 0 and datasets.is_executing()


def _asked_for(variables: dict[str, Any]) -> Sequence[Any]:
    asked: Any
    asked = variables["ray_waitables"] if "ray_waitables" in variables else variables["object_refs"]
    if objects.is_object_ref(asked):
        return (asked,)
    if isinstance(asked, list) and asked and _is_waitable(asked[0]):
        return tuple(asked)
    return ()


def _is_waitable(value: Any) -> bool:
    return objects.is_object_ref(value) or hasattr(value, "_generator_ref")
