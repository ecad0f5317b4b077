"""Lets exceptions whose text can't be had pass through spans as they are; OpenTelemetry would ask them for it."""

from __future__ import annotations

from typing import Any, Callable

from opentelemetry.trace import Status, StatusCode

from raytrace_hook.ray.tracebacks import error_text, has_text


def letting_through(use_span: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap OpenTelemetry's `use_span`: an exception whose text can't be had goes on through it as it is."""

    def use_span_and_let_through(*arguments: Any, **keywords: Any) -> Any:
        return _LettingThrough(use_span(*arguments, **keywords))

    return use_span_and_let_through


class _LettingThrough:
    __slots__ = ("_inner", "_span")

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __enter__(self) -> Any:
        self._span = self._inner.__enter__()
        return self._span

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> Any:
        if error is not None and not has_text(error):
            self._span.set_status(Status(StatusCode.ERROR, error_text(error)))
            self._inner.__exit__(None, None, None)
            return False
        return self._inner.__exit__(kind, error, traceback)
