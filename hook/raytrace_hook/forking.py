"""What a forked process has to begin anew."""

from __future__ import annotations

import os
import weakref
from typing import Callable


def call_in_child(method: Callable[[], None]) -> None:
    """Have a method called in each process that is forked, as long as its object is there.

    Registered as it is, a method would keep its object, and what that has open, to the end of the process.
    """
    reference = weakref.WeakMethod(method)

    def call() -> None:
        method = reference()
        if method is not None:
            method()

    os.register_at_fork(after_in_child=call)
