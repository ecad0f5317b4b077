"""OpenTelemetry's instrumentations of other libraries, switched on by name."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata
from typing import Any

from raytrace_hook.log import warn_once

_GROUP = "opentelemetry_instrumentor"


def switch_on(names: Iterable[str]) -> None:
    """Switch on the instrumentations of these names, like "requests"; one that is not installed is reported."""
    for name in dict.fromkeys(names):
        try:
            found = [point for point in _entry_points() if point.name == name]
            if not found:
                warn_once(f"there is no instrumentation {name!r}: install opentelemetry-instrumentation-{name}")
                continue
            instrumentor: Any = found[0].load()()
            if not getattr(instrumentor, "is_instrumented_by_opentelemetry", False):
                instrumentor.instrument()
        except Exception as error:
            warn_once(f"the instrumentation {name!r} could not be switched on", error)


def _entry_points() -> Iterable[Any]:
    points: Any = metadata.entry_points()
    if hasattr(points, "select"):
        return points.select(group=_GROUP)  # type: ignore[no-any-return] # untyped in Python 3.9
    return points.get(_GROUP, ())  # type: ignore[no-any-return] # a dictionary in Python 3.9
