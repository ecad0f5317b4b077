"""A span of the SDK's that costs less, and what of a span is read past the SDK's own properties."""

from __future__ import annotations

import threading
import time
from typing import Any

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk import trace as sdk
from opentelemetry.sdk.util import BoundedList


class _MadeWhenAsked:
    """The events or links of a span: hardly any has some."""

    def __init__(self, limit: str) -> None:
        self._limit = limit

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, span: Any, owner: type | None = None) -> Any:
        made: Any = BoundedList(getattr(span._limits, self._limit))
        return span.__dict__.setdefault(self._name, made)


class LeanSpan(sdk._Span):
    """A span of the SDK's."""

    _events = _MadeWhenAsked("max_events")
    _links = _MadeWhenAsked("max_links")

    def get_span_context(self) -> Any:
        """Return the ids of the span; whoever asks for those that are to be others has them (see job_trace.py)."""
        own = self.__dict__
        if "_was_asked" in own:
            own["_was_asked"] = True
        return own["_context"]

    def end(self, end_time: int | None = None) -> None:
        """End the span, once; what it is written by gets the span itself, no copy."""
        own = self.__dict__
        processors = own["_span_processor"]._span_processors
        if len(processors) != 1:  # there is another one by now
            super().end(end_time)
            return
        is_first = False
        try:
            with self._lock:
                is_first = own["_end_time"] is None
                if is_first:
                    own["_end_time"] = time.time_ns() if end_time is None else end_time
                    own["_attributes"]._immutable = True
            if is_first:
                processors[0].on_end(self)
            else:
                super().end(end_time)  # it says so
        except BaseException:
            # A Ctrl-C that came just now is the program's. The span is written all the same, at worst twice.
            if is_first and own["_end_time"] is not None:
                processors[0].on_end(self)
            raise


def holding(own: Any, alike: dict[str, Any]) -> BoundedAttributes:
    """Return what holds these attributes of a span, in all else like another of which these are the fields."""
    holder = object.__new__(BoundedAttributes)
    holder.__dict__ = {**alike, "_dict": own, "_lock": threading.Lock()}
    return holder


def events_and_links(span: Any) -> tuple[Any, Any]:
    """Return a span's events and links; AttributeError where the SDK keeps them elsewhere."""
    if span.__class__ is LeanSpan:
        own = span.__dict__
        return own.get("_events", ()), own.get("_links", ())
    return span._events._dq, span._links._dq
