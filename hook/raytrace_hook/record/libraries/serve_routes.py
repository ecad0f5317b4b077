"""Requests of Ray Serve by a handle of a process that Serve does not trace: the driver, a task, an actor.

They wait there for a replica that takes them, as others do at a proxy. The span of that is named as Serve's own.
"""

from __future__ import annotations

from typing import Any, Callable

from opentelemetry import trace
from opentelemetry.trace import SpanKind

from raytrace_hook import names
from raytrace_hook.log import warn_once
from raytrace_hook.ray import internals, serve_patches
from raytrace_hook.ray.patching import when_loaded
from raytrace_hook.ray.tracebacks import leave_out_this_frame
from raytrace_hook.spans import ids

_ABOUT = ("request_id", "call_method", "route", "multiplexed_model_id")


def install() -> None:
    """Record these from now on; Ray Serve may be loaded later."""

    def patch() -> None:
        if internals.loaded(internals.SERVE_TRACING_MODULE) is not None:  # older versions trace no requests at all
            serve_patches.patch_serve_router(_routing)

    when_loaded(internals.SERVE_ROUTER_MODULE, patch)


def _routing(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what finds a replica for a request and sends it there."""

    async def assign_request(router: Any, request: Any, *arguments: Any, **keywords: Any) -> Any:
        span = _begin(router, request)
        try:
            if span is None:
                return await original(router, request, *arguments, **keywords)
            with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
                result = await original(router, request, *arguments, **keywords)
                span.set_attribute(names.SENT, value=True)
                return result
        except BaseException as error:
            leave_out_this_frame(error)
            raise

    return assign_request


def _begin(router: Any, request: Any) -> Any:
    try:
        if not internals.tracing_is_on() or not serve_patches.serve_is_traced_elsewhere():
            return None
        deployment = router.deployment_id
        about = {name: getattr(request, name, None) or "" for name in _ABOUT}
        about.update(deployment=deployment.name, app=deployment.app_name)
        name = f"route_to_replica {deployment.name} {about['call_method']}"
        return ids.get_tracer(__name__).start_span(name, kind=SpanKind.SERVER, attributes=about)
    except Exception as error:
        warn_once("a request of Ray Serve could not be recorded where it was made", error)
        return None
