"""What all that `doctor` says is made of."""

from collections.abc import Callable, Mapping
from typing import Any

from raytrace_analyze.diagnosis.checks import Check

HOW_TO_START = (
    'start Ray with --tracing-startup-hook "raytrace_hook:setup_tracing", or in the program '
    'ray.init(_tracing_startup_hook="raytrace_hook:setup_tracing")'
)
HOW_TO_RECORD = f"to record what is waited for, {HOW_TO_START}"

Facts = Mapping[str, Any]
Words = tuple[str, str]
"""How it is, and what to do; the latter empty where there is nothing to do."""

WordsOf = Mapping[Check, Callable[[Facts], Words]]
"""By what is looked at: how to say what was found."""


def listed(names: Any) -> str:
    """Give names in a row."""
    return ", ".join(map(str, names))
