"""Traces one job on a cluster that was started without tracing: nothing restarted, nothing installed on its nodes.

Imports no OpenTelemetry: on a node without it, this is what says so and lets the job run on.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Callable

from raytrace_hook.ray import internals, patches, tracing_patches

logger = logging.getLogger("raytrace_hook")

SETUP_HOOK = "raytrace_hook.job.enable"
NEXT_HOOK = "RAYTRACE_NEXT_SETUP_HOOK"
MARK = "RAYTRACE_JOB"
_PASSED_ON = ("RAYTRACE_", "OTEL_", "RAY_SERVE_TRACING_")
_switched_on = False


def runtime_env(user_env: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return a runtime_env for `ray.init` with which this job, and no other, is traced.

    The driver itself is traced from the moment it has connected. The package travels with the job; OpenTelemetry must
    be on the nodes (Ray's images have it) or in the `pip` of `user_env`.

    Args:
        user_env: the program's own runtime_env; it is merged, also its worker_process_setup_hook.
    """
    env = dict(user_env or {})
    package = str(Path(__file__).parent)
    if package not in (modules := list(env.get("py_modules") or ())):
        modules.append(package)
    env["py_modules"] = modules
    passed_on = {name: value for name, value in os.environ.items() if name.startswith(_PASSED_ON)}
    variables = {**passed_on, MARK: "1", **(env.get("env_vars") or {})}
    own_hook = env.get("worker_process_setup_hook")
    if callable(own_hook):
        env["worker_process_setup_hook"] = _followed_by(own_hook)
    else:
        if own_hook and own_hook != SETUP_HOOK:
            variables[NEXT_HOOK] = own_hook
        env["worker_process_setup_hook"] = SETUP_HOOK
    env["env_vars"] = variables
    patches.patch_connect(_enabling, "_raytrace_job")
    return env


def _followed_by(own_hook: Callable[[], Any]) -> Callable[[], Any]:
    def set_up() -> None:
        enable()
        own_hook()

    return set_up


def _enabling(connect: Callable[..., Any]) -> Callable[..., Any]:
    def connect_and_enable(*arguments: Any, **keywords: Any) -> Any:
        result = connect(*arguments, **keywords)
        try:
            _follow_connection()
        except Exception as error:
            logger.warning("raytrace: tracing could not be set up, the program goes on without: %s", error)
        return result

    return connect_and_enable


def _follow_connection() -> None:
    global _switched_on  # noqa: PLW0603 - Ray's own switch is one per process as well
    if not internals.is_driver():
        return
    if MARK in internals.job_environment():
        _switched_on = _switched_on or not internals.tracing_is_on()
        enable()
    elif _switched_on:
        # Another ray.init of the same program, without this runtime_env: its workers can't take Ray's trace context.
        _switched_on = False
        internals.switch_tracing_off()


def enable() -> None:
    """Switch tracing on in this process, unless it is on; in a worker then run the program's own setup hook."""
    try:
        if not internals.tracing_is_on():
            from raytrace_hook.setup import setup_tracing

            internals.switch_tracing_on()
            setup_tracing()
    except ImportError as error:
        logger.warning(
            "raytrace: nothing is recorded on node %s: %s. Install opentelemetry-sdk there, or let Ray do it with "
            'runtime_env({"pip": ["opentelemetry-sdk"]})',
            socket.gethostname(),
            error,
        )
        tracing_patches.patch_untraced_worker()
    except Exception as error:
        logger.warning("raytrace: tracing could not be set up, the program goes on without: %s", error)
    following = os.environ.get(NEXT_HOOK)
    if following and internals.is_worker():
        internals.load_attribute(following)()
