"""When a generator's items were there, and how long it was held back for them to be taken."""

from __future__ import annotations

import json
import time
from collections.abc import Generator
from typing import Any

from opentelemetry import context as context_api
from opentelemetry.trace import Span

from raytrace_hook import names
from raytrace_hook.log import warn_once
from raytrace_hook.record.waiting.open_wait import Wait
from raytrace_hook.record.waiting.waits import Waits

_MOST_TIMES = 256
_CONSUMER = "consumer"


class Items:
    """The items that a generator task has yielded."""

    __slots__ = ("_allowed", "_every", "_open", "_times", "_waits", "count", "yielded_ns")

    def __init__(self, waits: Waits | None, allowed: int) -> None:
        """`allowed` is how many items Ray lets it be ahead of its consumer; 0: any number."""
        self._waits, self._allowed = waits, allowed
        self._times: list[int] = []
        self._open: Wait | None = None
        """What the record of open spans shows while it may be held back."""
        self._every = 1
        """Only the times of every so many items are kept."""
        self.count = 0
        self.yielded_ns = 0

    def come(self) -> None:
        """Note that an item is there."""
        self.yielded_ns = now_ns = time.time_ns()
        if self.count % self._every == 0:
            self._times.append(now_ns)
            if len(self._times) > _MOST_TIMES:
                self._times = self._times[::2]
                self._every *= 2
        self.count += 1
        if self._waits is not None and self._allowed and self.count >= self._allowed:
            self._open = self._waits.begin(names.BACK_PRESSURE_SPAN, 0, awaited=_CONSUMER, start_ns=now_ns)

    def go_on(self, told: Any = None) -> None:
        """Note that the generator is asked for more: if it was held back until now, it waited.

        `told` is what Ray sends into the generator; from 2.60 on it says how long storing the item took.
        """
        if self._waits is None or not self._allowed or self.count < self._allowed:
            return
        shown, self._open = self._open, None
        try:
            end_ns = time.time_ns()
            held_ns = self.yielded_ns + int(getattr(told, "object_creation_dur_s", 0) * 1e9)
            if self._waits.is_long(end_ns - held_ns):
                found = {names.READY_TASK_IDS: [], names.AWAITED: _CONSUMER, names.ITEM: self.count - 1}
                context = context_api.get_current() if shown is None else shown.context
                self._waits.mark(names.BACK_PRESSURE_SPAN, context, found, held_ns, end_ns, shown)
            self._waits.forget(shown)
        except Exception as error:
            warn_once("back-pressure could not be recorded", error)

    def tell(self, span: Span) -> None:
        """Say of the run when its items were there, as it ends."""
        if self._waits is not None and self._open is not None:
            self.go_on()  # it was ended while it was held back
        if self.count:
            span.set_attribute(names.ITEMS, self.count)
            span.set_attribute(names.ITEM_READY, json.dumps(self._times, separators=(",", ":")))


class Watched:
    """A generator with its items noted, for `yield from`."""

    __slots__ = ("_generator", "_items")

    def __init__(self, generator: Generator[Any, Any, Any], items: Items) -> None:
        self._generator, self._items = generator, items

    def __iter__(self) -> Watched:
        return self

    def __next__(self) -> Any:
        return self.send(None)

    def send(self, value: Any) -> Any:
        """Go on, with a value that the generator may look at."""
        if self._items.count:
            self._items.go_on(value)
        item = self._generator.send(value)
        self._items.come()
        return item

    def throw(self, *error: Any) -> Any:
        """Go on with an error."""
        item = self._generator.throw(*error)
        self._items.come()
        return item

    def close(self) -> None:
        """End it."""
        self._generator.close()
