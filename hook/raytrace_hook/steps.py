"""Steps that a program marks itself: `with raytrace_hook.step(i):` around an iteration of a loop."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any


class step:
    """Mark what is done within as one step, `number`, of the flow that does it; without tracing this does nothing."""

    __slots__ = ("_number", "_section")

    def __init__(self, number: int) -> None:
        """`number` is the step's, as the program counts."""
        self._number = number
        self._section: Any = None

    def __enter__(self) -> step:
        marks = sys.modules.get("raytrace_hook.record.libraries.steps")
        try:
            self._section = None if marks is None else marks.step_of(self._number)
            if self._section is not None:
                self._section.enter()
        except BaseException as error:  # a Ctrl-C: nobody calls `__exit__` then
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        section = self._section
        if section is None:
            return
        try:
            section.end(error)
        except BaseException as interruption:
            section.end(interruption)
            raise
