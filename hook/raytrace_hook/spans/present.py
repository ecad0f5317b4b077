"""A context as the present one, which is put back whatever comes in between.

An exception may come at any step (a Ctrl-C, a cancelled task). What would stay the present context then would be that
of all that follows in the thread. So whoever takes a context does so inside its `try`, and puts the one before back
there and, once more, where it handles what was raised: it may have been raised just then.
"""

from __future__ import annotations

import contextlib
from typing import Any

from opentelemetry import context as context_api
from opentelemetry.context import Context

ENDS_AT_ONCE = "raytrace_ends_at_once"
"""Stands in a context under which a span is started that ends at once: that one need not be shown as open."""


class Present:
    """A context while it is the present one."""

    __slots__ = ("_before", "_token")

    def __init__(self) -> None:
        self._before: Context | None = None
        """The one before; None where this is not the present one."""
        self._token: Any = None

    def take(self, context: Context) -> None:
        """Make a context the present one."""
        runtime: Any = context_api._RUNTIME_CONTEXT
        if runtime is None:  # older versions of OpenTelemetry make it when it is first asked
            context_api.get_current()
            runtime = context_api._RUNTIME_CONTEXT
        # Of a driver's thread without a context, that: not the one which stands in for it (see program/driver.py).
        self._before = getattr(runtime, "inner", runtime).get_current()
        self._token = context_api.attach(context)

    def put_back(self) -> None:
        """Make the one before the present one again; nothing where it is."""
        before, token = self._before, self._token
        if before is None:
            return
        if token is None:  # `take` was interrupted, before or after it did it
            context_api.attach(before)
        else:
            # It may have been left in another context than it was entered in, or this is done already.
            with contextlib.suppress(ValueError, RuntimeError):
                context_api._RUNTIME_CONTEXT.detach(token)
        self._before = None
