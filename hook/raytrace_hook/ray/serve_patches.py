"""Where Ray Serve is patched: one function a place, each safe on its own (see `patching.patched`)."""

from __future__ import annotations

import inspect
import os
from typing import Any, Callable

from raytrace_hook.ray.internals import (
    SERVE_BATCHING_MODULE,
    SERVE_HANDLE_MODULE,
    SERVE_MODELS_MODULE,
    SERVE_PROXY_MODULE,
    SERVE_REPLICA_MODULE,
    SERVE_ROUTER_MODULE,
    SERVE_TRACING_MODULE,
    load,
)
from raytrace_hook.ray.patching import Overlay, Wrapper, patched, replace_attribute


@patched("the sampling of Ray Serve's own spans", of_library=True)
def patch_serve_provider(provider: Any) -> None:
    """Let Serve's tracing set, and use, `provider` in place of the process's."""
    module = load(SERVE_TRACING_MODULE)
    original = module.trace
    if not hasattr(original, "_raytrace_original"):
        own = {name: getattr(provider, name) for name in ("set_tracer_provider", "get_tracer_provider", "get_tracer")}
        module.trace = Overlay(original, **own, _raytrace_original=original)


@patched("spans of Ray Serve's requests", of_library=True)
def patch_serve_exporter(path: str) -> None:
    """Let Serve trace requests, with the exporter at `path`, where nobody has told it whether it should."""
    module = load(SERVE_TRACING_MODULE)
    name = "RAY_SERVE_TRACING_EXPORTER_IMPORT_PATH"
    if name not in os.environ and not getattr(module, name):
        setattr(module, name, path)


@patched("a trace for each request of Ray Serve", of_library=True)
def patch_serve_context(here: Wrapper, sent: Wrapper) -> None:
    """Wrap what tells the parent of Serve's spans: where they start, and as it came with a request."""
    module = load(SERVE_TRACING_MODULE)
    replace_attribute(module, "get_trace_context", here)
    replace_attribute(module, "extract_propagated_context", sent)


@patched("which of Ray Serve's spans is the present one", of_library=True)
def patch_serve_stack(append: Callable[..., Any], pop: Callable[..., Any]) -> None:
    """Wrap what keeps the present context's spans of Serve's; both get the variable that holds them first."""
    module = load(SERVE_TRACING_MODULE)
    stack = module.TRACE_STACK
    replace_attribute(module, "_append_trace_stack", lambda original: append(original, stack))
    replace_attribute(module, "_pop_trace_stack", lambda original: pop(original, stack))


def serve_spans() -> list[Any]:
    """Return Serve's spans that are open in the present context, the innermost last."""
    found: list[Any] = load(SERVE_TRACING_MODULE).TRACE_STACK.get([])
    return found


@patched("requests of Ray Serve", of_library=True)
def patch_serve_proxy(wrapper: Wrapper) -> None:
    """Wrap what answers a client's request over HTTP, where Serve traces that."""
    load(SERVE_TRACING_MODULE)
    replace_attribute(load(SERVE_PROXY_MODULE).HTTPProxy, "__call__", wrapper)


@patched("where requests of Ray Serve by a handle are sent to a replica", of_library=True)
def patch_serve_router(wrapper: Wrapper) -> None:
    """Wrap what finds a replica for a request, where Serve can trace what that does with it."""
    module = load(SERVE_ROUTER_MODULE)
    replace_attribute(getattr(module, "AsyncioRouter", None) or module.Router, "assign_request", wrapper)


def serve_is_traced_elsewhere() -> bool:
    """Tell whether Serve traces requests in its own processes, of which this is none."""
    module = load(SERVE_TRACING_MODULE)
    return bool(module.RAY_SERVE_TRACING_EXPORTER_IMPORT_PATH) and not module.is_tracing_enabled()


@patched("what handlers of Ray Serve do", of_library=True)
def patch_serve_handlers(wrapper: Wrapper) -> None:
    """Wrap what calls the program's code in a replica, where Serve traces requests."""
    load(SERVE_TRACING_MODULE)
    replace_attribute(load(SERVE_REPLICA_MODULE).UserCallableWrapper, "_call_func_or_gen", wrapper)


_WITH_BATCH = 3
"""How many parameters what runs a batch has that is given: the queue, the function, the batch."""


@patched("waits of Ray Serve's requests for their batches", of_library=True)
def patch_serve_batches(queueing: Wrapper, forming: Wrapper, running: Wrapper) -> None:
    """Wrap what queues a request for a batch, what gives the next batch, and, where it is given one, what runs it."""
    queue = load(SERVE_BATCHING_MODULE)._BatchQueue
    replace_attribute(queue, "put", queueing)
    replace_attribute(queue, "wait_for_batch", forming)
    for name in ("_process_batch_inner", "_process_batch"):
        run = getattr(queue, name, None)
        if run is not None and len(inspect.signature(run).parameters) >= _WITH_BATCH:
            replace_attribute(queue, name, running)
            return


@patched("waits for responses of Ray Serve in a thread", of_library=True)
def patch_serve_responses(wrapper: Wrapper) -> None:
    """Wrap what waits for a response to a request by a handle."""
    replace_attribute(load(SERVE_HANDLE_MODULE).DeploymentResponse, "result", wrapper)


@patched("where replicas of Ray Serve load models", of_library=True)
def patch_serve_models(wrapper: Wrapper) -> None:
    """Wrap what gives a replica's model, and loads it where it is not there."""
    replace_attribute(load(SERVE_MODELS_MODULE)._ModelMultiplexWrapper, "load_model", wrapper)
