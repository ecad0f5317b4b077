"""The spans of the steps that a program marks. Loaded by the set-up only: without it, marks do nothing."""

from __future__ import annotations

from typing import Any

from raytrace_hook import names
from raytrace_hook.log import warn_once
from raytrace_hook.ray import internals
from raytrace_hook.record.libraries.sections import Section
from raytrace_hook.record.origin.call_sites import call_site


def step_of(number: int) -> Section | None:
    """Return what records a step that is about to begin; None where nothing is traced."""
    try:
        if not internals.tracing_is_on():
            return None
        attributes: dict[str, Any] = {names.STEP: int(number)}
        site = call_site()
        if site is not None:
            attributes[names.CALL_SITE] = site
        return Section(names.STEP_SPAN, attributes)
    except Exception as error:
        warn_once("a step could not be marked", error)
        return None
