"""Where replicas of Ray Serve load models (`@serve.multiplexed`): a span in each request that waits for that."""

from __future__ import annotations

from typing import Any, Callable

from raytrace_hook import names
from raytrace_hook.log import warn_once
from raytrace_hook.ray import internals, serve_patches
from raytrace_hook.ray.patching import when_loaded
from raytrace_hook.ray.tracebacks import leave_out_this_frame
from raytrace_hook.record.libraries.sections import Section


def install() -> None:
    """Record these from now on; Ray Serve may be loaded later."""
    when_loaded(internals.SERVE_MODELS_MODULE, lambda: serve_patches.patch_serve_models(_loading))


def _loading(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap what gives a model, from those that are there or loaded now."""

    async def load_model(models: Any, model_id: Any, *arguments: Any, **keywords: Any) -> Any:
        section = _section(models, model_id)
        try:
            if section is not None:
                section.enter()
            return await original(models, model_id, *arguments, **keywords)
        except BaseException as error:
            leave_out_this_frame(error)
            raise
        finally:
            if section is not None:
                section.end()

    return load_model


def _section(models: Any, model_id: Any) -> Section | None:
    """Return what records a load; None where the model is there."""
    try:
        return None if model_id in models.models else Section(names.MODEL_SPAN, {names.MODEL: str(model_id)})
    except Exception as error:
        warn_once("where a replica of Ray Serve loads a model could not be recorded", error)
        return None
