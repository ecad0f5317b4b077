"""Lets tracers travel with the functions that use them.

A tracer in a module's global variable is pickled with every task function of a script that uses it. Before a provider
is set that works, afterwards it holds locks and fails: a program must not break because it is traced.
"""

from __future__ import annotations

import copyreg
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace import Tracer

from raytrace_hook.log import warn_once


def install() -> None:
    """Make tracers picklable: they arrive as what `get_tracer` gives in the other process."""
    try:
        copyreg.pickle(trace.ProxyTracer, _reduce_proxy)
        copyreg.pickle(Tracer, _reduce_tracer)
    except Exception as error:
        warn_once("tracers can't be pickled", error)


def _reduce_proxy(tracer: Any) -> tuple[Any, tuple[Any, ...]]:
    version = getattr(tracer, "_instrumenting_library_version", None)
    return trace.get_tracer, (tracer._instrumenting_module_name, version)


def _reduce_tracer(tracer: Any) -> tuple[Any, tuple[Any, ...]]:
    scope = tracer.instrumentation_scope if hasattr(tracer, "instrumentation_scope") else tracer._instrumentation_scope
    return trace.get_tracer, (scope.name, scope.version)
