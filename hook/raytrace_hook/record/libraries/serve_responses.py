"""Waits for responses of Ray Serve in a thread: `handle.remote(...).result()`, for the replica and for its answer.

Such a call waits for the router until that has sent the request, and then for the result of what it sent. The second
is a `ray.get`, the first none of Ray's own waits; both are one wait for one answer.
"""

from __future__ import annotations

from typing import Any, Callable

from raytrace_hook import names
from raytrace_hook.ray import objects, serve_patches
from raytrace_hook.ray.internals import SERVE_HANDLE_MODULE
from raytrace_hook.ray.patching import when_loaded
from raytrace_hook.ray.tracebacks import leave_out_this_frame
from raytrace_hook.record.waiting.waits import Waits, covered


def install(waits: Waits) -> None:
    """Record these waits from now on; Ray Serve may be loaded later."""

    def waited(original: Callable[..., Any]) -> Callable[..., Any]:
        def result(response: Any, *arguments: Any, **keywords: Any) -> Any:
            # Once the request was sent, what is left is a `ray.get`; other versions do not tell that.
            if getattr(response, "_replica_result", response) is not None or covered.get():
                return original(response, *arguments, **keywords)
            wait = waits.begin(names.GET_SPAN, 1)
            failed: BaseException | None = None
            try:
                covered.set(True)
                return original(response, *arguments, **keywords)
            except BaseException as error:
                failed = error
                leave_out_this_frame(error)
                raise
            finally:
                covered.set(False)
                waits.end(wait, lambda: _came(response, failed), failed, objects.is_timeout(failed))
                failed = None

        return result

    when_loaded(SERVE_HANDLE_MODULE, lambda: serve_patches.patch_serve_responses(waited))


def _came(response: Any, failed: BaseException | None) -> dict[str, Any]:
    sent = getattr(response._replica_result, "_obj_ref", None)
    tasks = objects.task_ids_of([sent]) if objects.is_object_ref(sent) else []
    if objects.is_timeout(failed):
        return {names.READY_TASK_IDS: [], names.AWAITED_TASK_IDS: tasks, names.TIMED_OUT: True}
    if tasks:
        return {names.READY_TASK_IDS: tasks}
    return {names.READY_TASK_IDS: [], names.AWAITED: "a replica of Ray Serve"}
