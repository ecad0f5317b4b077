"""Where replicas of Ray Serve load models (`@serve.multiplexed`): a span in each request that waits for that."""

from __future__ import annotations

from typing import Any, Callable

from opentelemetry import trace

from raytrace_hook import names
from raytrace_hook.log import warn_once
from raytrace_hook.ray import internals, patches
from raytrace_hook.ray.patching import when_loaded
from raytrace_hook.ray.tracebacks import leave_out_this_frame
from raytrace_hook.spans import ids


def install() -> None:
    """Record these from now on; Ray Serve may be loaded later."""
    when_loaded(internals.SERVE_MODELS_MODULE, lambda: patches.patch_serve_models(_loading))


def _loading(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what gives a model, from those that are there or loaded now."""

    async def load_model(models: Any, model_id: Any, *arguments: Any, **keywords: Any) -> Any:
        span = _begin(models, model_id)
        try:
            if span is None:
                return await original(models, model_id, *arguments, **keywords)
            with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
                return await original(models, model_id, *arguments, **keywords)
        except BaseException as error:
            leave_out_this_frame(error)
            raise

    return load_model


def _begin(models: Any, model_id: Any) -> Any:
    try:
        if not internals.tracing_is_on() or model_id in models.models:
            return None
        return ids.get_tracer(__name__).start_span(names.MODEL_SPAN, attributes={names.MODEL: str(model_id)})
    except Exception as error:
        warn_once("where a replica of Ray Serve loads a model could not be recorded", error)
        return None
