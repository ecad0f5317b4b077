"""Ray Tune: whose trial a run is, the trials' functions as runs, and what the controller spends its time with.

A trial's function runs in a thread, from report to report: for those who wait for its results it is a generator.
"""

from __future__ import annotations

import json
import time
from typing import Any, Callable

from opentelemetry import context as context_api
from opentelemetry import trace

from raytrace_hook import names
from raytrace_hook.log import warn_once
from raytrace_hook.output.encode import redacted
from raytrace_hook.ray import internals, library_patches
from raytrace_hook.ray.patching import when_loaded
from raytrace_hook.ray.tracebacks import leave_out_this_frame
from raytrace_hook.record.libraries import sessions
from raytrace_hook.record.waiting.waits import Waits

_SECTIONS = {
    "scheduler.on_trial_result": names.SCHEDULER_SPAN,
    "scheduler.on_trial_add": names.SCHEDULER_SPAN,
    "choose_trial_to_run": names.SCHEDULER_SPAN,
    "search_alg.on_trial_result": names.SUGGEST_SPAN,
    "callbacks.on_trial_result": names.CALLBACKS_SPAN,
    "callbacks.on_step_begin": names.CALLBACKS_SPAN,
    "callbacks.on_step_end": names.CALLBACKS_SPAN,
    "callbacks.on_trial_save": names.CALLBACKS_SPAN,
}
"""What Tune calls the sections that it measures itself, and we their spans."""
_LEAST_NS = 1_000_000
"""What is shorter is done at every turn of the controller: it is left out."""
_LONGEST_PARAMETERS = 2000


def install(waits: Waits) -> None:
    """Record Tune from now on; it may be loaded later."""
    sessions.install(waits)
    when_loaded(library_patches.TRAINABLE, lambda: library_patches.patch_trainable(_training))
    when_loaded(
        library_patches.TUNE_CONTROLLER,
        lambda: library_patches.patch_trials(
            lambda original: _scheduling(original, waits), lambda original: _timed(original, waits, names.SUGGEST_SPAN)
        ),
    )
    when_loaded(
        library_patches.TUNE_CONTROLLER,
        lambda: library_patches.patch_tune_sections(lambda original: _measuring(original, waits)),
    )
    when_loaded(
        library_patches.TUNE_SEARCH,
        lambda: library_patches.patch_tune_search(lambda original: _timed(original, waits, names.SUGGEST_SPAN)),
    )
    when_loaded(
        library_patches.TUNE_CALLBACKS,
        lambda: library_patches.patch_tune_callbacks(lambda original: _timed(original, waits, names.CALLBACKS_SPAN)),
    )


def _training(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what computes a trial's next result: its run tells which."""

    def train(trainable: Any, *arguments: Any, **keywords: Any) -> Any:
        try:
            about: dict[str, Any] = {names.TRIAL: str(trainable.trial_id), names.REPORT: int(trainable._iteration)}
            trace.get_current_span().set_attributes(about)
        except Exception as error:
            warn_once("which trial a run is of could not be recorded", error)
        try:
            return original(trainable, *arguments, **keywords)
        except BaseException as error:
            leave_out_this_frame(error)
            raise

    return train


def _scheduling(original: Callable[..., Any], waits: Waits) -> Callable[..., Any]:
    """Wrap where a trial asks for its process."""

    def _schedule_trial_actor(controller: Any, trial: Any, *arguments: Any, **keywords: Any) -> Any:
        try:
            if internals.tracing_is_on():
                waits.mark(names.TRIAL_SPAN, context_api.get_current(), _about(trial))
        except Exception as error:
            warn_once("a trial could not be recorded", error)
        return original(controller, trial, *arguments, **keywords)

    return _schedule_trial_actor


def _about(trial: Any) -> dict[str, Any]:
    found = {names.TRIAL: str(trial.trial_id)}
    parameters = getattr(trial, "evaluated_params", None) or getattr(trial, "config", None) or {}
    plain = {str(name): value for name, value in parameters.items() if isinstance(value, (str, int, float, bool))}
    text = json.dumps(plain, separators=(",", ":"))
    if len(text) <= _LONGEST_PARAMETERS:
        found[names.PARAMETERS] = redacted(text)
    name = getattr(trial, "experiment_dir_name", None)
    if name:
        found[names.EXPERIMENT] = str(name)
    return found


def _timed(original: Callable[..., Any], waits: Waits, name: str) -> Callable[..., Any]:
    """Wrap what the controller asks, or tells, somebody else: how long that takes is recorded under this name."""

    def timed(*arguments: Any, **keywords: Any) -> Any:
        start_ns = time.time_ns()
        try:
            return original(*arguments, **keywords)
        except BaseException as error:
            leave_out_this_frame(error)
            raise
        finally:
            _mark(waits, name, start_ns)

    return timed


def _measuring(original: Callable[..., Any], waits: Waits) -> Callable[..., Any]:
    """Wrap what measures a section of the controller's work."""

    def warn_if_slow(section: str, *arguments: Any, **keywords: Any) -> Any:
        measured = original(section, *arguments, **keywords)
        name = _SECTIONS.get(section)
        return measured if name is None else _Measured(measured, waits, name)

    return warn_if_slow


class _Measured:
    """A section that Tune measures, measured by us, too."""

    __slots__ = ("_name", "_section", "_start_ns", "_waits")

    def __init__(self, section: Any, waits: Waits, name: str) -> None:
        self._section, self._waits, self._name = section, waits, name
        self._start_ns = 0

    def __enter__(self) -> Any:
        self._start_ns = time.time_ns()
        return self._section.__enter__()

    def __exit__(self, *error: Any) -> Any:
        _mark(self._waits, self._name, self._start_ns)
        return self._section.__exit__(*error)


def _mark(waits: Waits, name: str, start_ns: int) -> None:
    try:
        end_ns = time.time_ns()
        if end_ns - start_ns >= _LEAST_NS and internals.tracing_is_on():
            waits.mark(name, context_api.get_current(), {}, start_ns, end_ns)
    except Exception as error:
        warn_once(f"a {name} could not be recorded", error)
