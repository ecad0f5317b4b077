"""Ids of spans, and other random numbers, that take nothing from the program's own.

The SDK draws ids from Python's global generator: a program that seeds it would get other numbers than without tracing.
"""

from __future__ import annotations

import os
import random
import threading
from typing import Any

from opentelemetry import trace
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

_numbers = random.Random()
os.register_at_fork(after_in_child=_numbers.seed)  # else the child would give out the ids of its parent


class OwnIds(RandomIdGenerator):
    """Draws ids from a generator of our own."""

    def generate_span_id(self) -> int:
        """Return an id for a span; 0 is none."""
        return _numbers.getrandbits(64) or self.generate_span_id()

    def generate_trace_id(self) -> int:
        """Return an id for a trace; 0 is none."""
        return _numbers.getrandbits(128) or self.generate_trace_id()


class ChosenIds(OwnIds):
    """Gives the next span of a thread the id that was chosen for it; a trace that it begins, the same number."""

    def __init__(self) -> None:
        self._of_thread = threading.local()

    def choose(self, number: int) -> None:
        """Choose the id of the next span of this thread."""
        self._of_thread.next = number

    def generate_span_id(self) -> int:
        """Return the id that was chosen, else one for a span."""
        return self._of_thread.__dict__.pop("next", 0) or super().generate_span_id()

    def generate_trace_id(self) -> int:
        """Return the number that was chosen for the span, else an id for a trace."""
        return self._of_thread.__dict__.get("next", 0) or super().generate_trace_id()


_OWN = OwnIds()


def random_bits() -> int:
    """Return 64 random bits."""
    return _numbers.getrandbits(64)


def get_tracer(name: str, provider: Any = trace) -> Any:
    """Return a tracer for spans of ours; beside one of the program's provider, which keeps its ids."""
    tracer = provider.get_tracer(name)
    if type(getattr(tracer, "id_generator", None)) is RandomIdGenerator:
        tracer.id_generator = _OWN
    return tracer


def get_tracer_of_chosen(name: str, provider: Any, chosen: ChosenIds) -> Any:
    """Return a tracer as `get_tracer` does, which gives spans the chosen ids; not where the program has its own way."""
    tracer = get_tracer(name, provider)
    if type(getattr(tracer, "id_generator", None)) is OwnIds:
        tracer.id_generator = chosen
    return tracer


def draw_own_ids(provider: Any) -> None:
    """Let a provider that would not be there without us draw its ids from our generator."""
    if type(getattr(provider, "id_generator", None)) is RandomIdGenerator:
        provider.id_generator = _OWN
