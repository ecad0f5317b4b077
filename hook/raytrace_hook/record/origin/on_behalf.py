"""Runs of Ray's libraries that stand in for the program's own code: what they wait for, the program waits for.

A program that calls `trainer.fit()` waits for a controller, which waits for workers. The call that the program makes
carries a mark along, and what the library calls in there carries it on; a library's threads and actors that work for
themselves have none. The tasks of an operator of Ray Data are the program's work, whoever submits them.
"""

from __future__ import annotations

from typing import Any

from opentelemetry import context as context_api

_LIBRARIES = ("ray.train.", "ray.tune.")
_OPERATORS = "ray.data._internal."
_KEY = context_api.create_key("raytrace-on-behalf")
CARRIED = "raytrace-on-behalf"
"""What the mark is called in the trace context that comes with a call."""


def is_library(module: str) -> bool:
    """Tell whether actors of this module's classes can stand in for a program."""
    return module.startswith(_LIBRARIES)


def is_operator(task: Any) -> bool:
    """Tell whether a remote function is what an operator of Ray Data runs."""
    return str(getattr(task, "_function_name", "")).startswith(_OPERATORS)


def is_on_behalf() -> bool:
    """Tell whether the present run stands in for the program."""
    return context_api.get_value(_KEY) is True


def marked(context: Any) -> Any:
    """Return the same context, marked."""
    return context_api.set_value(_KEY, True, context)
