"""A wait that goes on, and the record of it among the open spans."""

from __future__ import annotations

import time
from typing import Any

from opentelemetry.trace import SpanContext

from raytrace_hook import names
from raytrace_hook.output.encode import encode_value, timestamp
from raytrace_hook.record.origin.call_sites import caller
from raytrace_hook.record.waiting.flows import Flow
from raytrace_hook.spans import ids


class Wait:
    """A wait that goes on."""

    __slots__ = (
        "__weakref__", "asked", "awaited", "context", "count", "end_ns", "error", "flow", "found", "held_by",
        "is_located", "is_shown", "key", "library", "measured_ns", "name", "parent", "polls", "ready", "site",
        "start_ns", "works_between",
    )  # fmt: skip

    def __init__(self, name: str, context: Any, parent: SpanContext) -> None:
        self.start_ns = time.time_ns()
        self.name = name
        self.count = 0
        """How many objects are asked for; 0 for a put."""
        self.asked: list[str] = []
        """The first of the tasks whose results are asked for."""
        self.awaited = ""
        """What is waited for where that is not a result of Ray's."""
        self.held_by: list[str] = []
        """Where that is a lock, the spans of the runs that hold it."""
        self.key = ids.random_bits()
        """Its slot among the open spans."""
        self.is_shown = False
        self.context = context
        self.parent = parent
        self.is_located = False
        self.site: str | None = None
        """Where the call was made."""
        self.library: str | None = None
        """Which of Ray's libraries made it; None for the program itself."""
        self.measured_ns = self.start_ns
        """Where the call itself began, after our own work: what decides whether it was short."""
        self.polls = 0
        """How many calls came back with nothing before the present one."""
        self.works_between = False
        """Whether what the thread does between two polls is nothing but asking."""
        self.end_ns = 0
        self.ready: dict[str, None] = {}
        """What the calls came back with until now."""
        self.found: dict[str, Any] = {}
        self.flow: Flow | None = None
        """The run of an asynchronous method that waits here."""
        self.error = ""
        """What failed, as text: the exception itself would keep alive what its frames hold."""


def open_record(wait: Wait, end_ns: int) -> str:
    """Return a wait as a span that is open; that ended at `end_ns` where its last poll came back (0: it did not)."""
    # Written out by hand: it is made for every wait, also for those too short to become a span.
    parent = wait.parent
    trace_id = parent.trace_id or wait.key
    parent_id = f'"0x{parent.span_id.to_bytes(8, "big").hex()}"' if parent.is_valid else "null"
    end = f'"{timestamp(end_ns)}"' if end_ns else "null"
    return (
        f'{{"name":"{wait.name}","context":{{"trace_id":"0x{trace_id.to_bytes(16, "big").hex()}",'
        f'"span_id":"0x{wait.key.to_bytes(8, "big").hex()}","trace_state":"[]"}},'
        f'"kind":"SpanKind.INTERNAL","parent_id":{parent_id},'
        f'"start_time":"{timestamp(wait.start_ns)}","end_time":{end},"status":{{"status_code":"UNSET"}},'
        f'"attributes":{{{_open_attributes(wait, end_ns)}}},"events":[],"links":[]}}'
    )


def locate(wait: Wait) -> None:
    """Note who makes the present call, once: it is to be asked for while that is to be seen on the stack."""
    if not wait.is_located:
        site, wait.library = caller()
        wait.site = wait.site or site
        wait.is_located = True


def _open_attributes(wait: Wait, end_ns: int) -> str:
    shown = []
    if wait.count:
        shown.append(f'"{names.AWAITED_COUNT}":{wait.count}')
    if wait.asked:
        shown.append(f'"{names.AWAITED_TASK_IDS}":{encode_value(wait.asked)}')
    if wait.awaited:
        shown.append(f'"{names.READY_TASK_IDS}":[],"{names.AWAITED}":{encode_value(wait.awaited)}')
    if wait.held_by:
        shown.append(f'"{names.HELD_BY}":{encode_value(wait.held_by)}')
    if wait.polls:
        shown.append(f'"{names.POLLS}":{wait.polls}')
    if end_ns and names.TIMED_OUT in wait.found:
        shown.append(f'"{names.TIMED_OUT}":true')
    if wait.site is not None:
        shown.append(f'"{names.CALL_SITE}":{encode_value(wait.site)}')
    return ",".join(shown)
