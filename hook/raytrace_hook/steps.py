"""Steps that a program marks itself: `with raytrace_hook.step(i):` around an iteration of a loop."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any


class step:
    """Mark what is done within as one step, `number`, of the flow that does it; without tracing this does nothing."""

    __slots__ = ("_number", "_span", "_token")

    def __init__(self, number: int) -> None:
        """`number` is the step's, as the program counts."""
        self._number = number
        self._span: Any = None
        self._token: Any = None

    def __enter__(self) -> step:
        marks = sys.modules.get("raytrace_hook.record.libraries.steps")
        if marks is not None:
            self._span, self._token = marks.begin(self._number)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._span is not None:
            sys.modules["raytrace_hook.record.libraries.steps"].end(self._span, self._token, error)
