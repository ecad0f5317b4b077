"""The driver's life as one span, `ray.driver`: root of everything that the driver does."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any

from opentelemetry import context as context_api
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, Status, StatusCode

from raytrace_hook import names
from raytrace_hook.log import warn_once
from raytrace_hook.output.encode import redacted
from raytrace_hook.ray import internals, patches
from raytrace_hook.record.program import exits
from raytrace_hook.record.program.pulse import Pulse
from raytrace_hook.spans import job_trace
from raytrace_hook.spans.ids import get_tracer

if TYPE_CHECKING:
    from typing import Callable

    from raytrace_hook.output.writer import SpanFile
    from raytrace_hook.record.processor import SpanFileProcessor
    from raytrace_hook.record.task_events import TaskEvents

_LONGEST_ENTRYPOINT = 500
_STOPPED = "SIGTERM"
"""What is said of a driver that somebody stopped."""


class Driver:
    """Follows the connections of a driver to Ray: each gets a span (if wanted), and its task events are saved."""

    def __init__(
        self,
        file: SpanFile,
        task_events: TaskEvents,
        processor: SpanFileProcessor,
        before_end: Callable[[], None],
        with_span: bool,
    ) -> None:
        self._file = file
        self._before_end = before_end
        """Records what has to be told before the driver's span ends."""
        self._processor = processor
        self._pulse = Pulse((self._say_alive, self._note_resources, task_events.save_when_due))
        self._task_events = task_events
        self._with_span = with_span
        self._fallback = _install_fallback() if with_span else None
        self._connection: Any = None
        self._span: Span | None = None
        self._undecided: tuple[Span, int, exits.Raised] | None = None
        """The span of a connection that was given up while an exception was under way, and when that was (ns)."""
        self._stop = exits.StopSignal()
        self._resources_noted = False
        self._pid = os.getpid()

    def install(self) -> None:
        """Follow this process from now on."""
        # After the provider's own handler, so before it runs: exporters still take the span.
        atexit.register(self._at_exit)
        patches.patch_shutdown(self._around_shutdown)
        patches.patch_connect(self._around_connect, "_raytrace_driver")

    def start(self) -> None:
        """Begin a span for the present connection, unless it has one."""
        connection = internals.core_worker()
        if connection is None or connection is self._connection or not internals.is_driver():
            return
        if not internals.tracing_is_on():
            return
        self.finish()
        self._decide(None)  # the program goes on
        self._stop.watch()
        if self._connection is not None:
            self._file.start_anew()
        self._connection = connection
        self._task_events.start()
        if self._with_span:
            ids = internals.process_ids()
            attributes = {name: value for name, value in ids.items() if name.startswith("ray.")}
            attributes[names.ENTRYPOINT] = redacted(entrypoint())
            self._span = job_trace.start_root(get_tracer(__name__), names.DRIVER_SPAN, attributes)
            self._processor.watch_main_thread(self._span.get_span_context().span_id)
            self._resources_noted = False
            if self._fallback is not None:
                self._fallback.context = trace.set_span_in_context(self._span, Context())
        self._pulse.start()

    def finish(self, error: BaseException | None = None, raised: exits.Raised | None = None) -> None:
        """End the span, then save the task events; nothing the second time.

        Where an exception is under way (`raised`), how the program ends is not known yet: `_decide` ends the span then.
        """
        if os.getpid() != self._pid:
            return
        self._before_end()
        self._pulse.stop()  # before the record that it renews is cleared
        span, self._span = self._span, None
        if span is not None:
            if self._fallback is not None:
                self._fallback.context = None
            if self._stop.has_come():
                span.set_status(Status(StatusCode.ERROR, _STOPPED))
            elif error is not None:
                span.set_status(Status(StatusCode.ERROR, exits.text_of(error)))
            elif raised is not None:
                self._undecided = span, time.time_ns(), raised
                self._processor.hold(span)
            if self._undecided is None:
                span.end()
        self._task_events.finish()
        self._file.check()
        if self._file.lost:
            warn_once(f"{self._file.lost} spans of this process are lost: {self._file.lost_because}")

    def _decide(self, error: BaseException | None) -> None:
        """End the span that had still to be ended; `error` is what ends the program, if something does."""
        undecided, self._undecided = self._undecided, None
        if undecided is None or os.getpid() != self._pid:
            return
        span, ended_ns, raised = undecided
        if error is not None and raised.led_to(error):
            span.set_status(Status(StatusCode.ERROR, exits.text_of(error)))
        span.end(ended_ns)

    def _say_alive(self) -> None:
        if self._span is not None:
            self._processor.show_alive(self._span.get_span_context().span_id)

    def _note_resources(self) -> None:
        """Note what the cluster has, as soon as it can be asked; a failure says that it cannot be yet."""
        if self._span is not None and not self._resources_noted:
            with contextlib.suppress(Exception):
                found = json.dumps(internals.cluster_resources(), separators=(",", ":"))
                self._processor.tell_more(self._span, {names.CLUSTER_RESOURCES: found})
                self._resources_noted = True

    def _at_exit(self) -> None:
        error = internals.entrypoint_error() or exits.noted_exit()
        _quietly(lambda: self.finish(error))
        _quietly(lambda: self._decide(error))

    def _around_shutdown(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def shutdown(*arguments: Any, **keywords: Any) -> Any:
            raised = exits.Raised.now()
            _quietly(lambda: self.finish(raised=raised))
            return original(*arguments, **keywords)

        return shutdown

    def _around_connect(self, original: Callable[..., Any]) -> Callable[..., Any]:
        def connect(*arguments: Any, **keywords: Any) -> Any:
            result = original(*arguments, **keywords)
            try:
                self.start()
            except Exception as error:
                warn_once("the driver's span could not be started", error)
            return result

        return connect


def _quietly(record: Callable[[], None]) -> None:
    try:
        record()
    except Exception as problem:
        warn_once("the driver's end could not be recorded", problem)


def entrypoint() -> str:
    """Return the program that runs, as it was called."""
    arguments = list(getattr(sys, "argv", [])) or [""]
    if arguments[0] in ("", "-c", "-m"):
        arguments[0] = f"python {arguments[0]}".strip()
    return " ".join(arguments)[:_LONGEST_ENTRYPOINT]


class _FallbackContext:
    """OpenTelemetry's runtime context, with the driver's span where a thread has no context of its own."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner
        self.context: Context | None = None

    def attach(self, context: Context) -> Any:
        return self.inner.attach(context)

    def detach(self, token: Any) -> None:
        self.inner.detach(token)

    def get_current(self) -> Context:
        current: Context = self.inner.get_current()
        return current or self.context or current


def _install_fallback() -> _FallbackContext | None:
    try:
        context_api.get_current()
        inner: Any = context_api._RUNTIME_CONTEXT
        if isinstance(inner, _FallbackContext):
            return inner
        fallback = _FallbackContext(inner)
        context_api._RUNTIME_CONTEXT = fallback  # type: ignore[assignment] # a context by its methods
        if not isinstance(context_api.get_current(), Context):
            raise TypeError("not a context")
    except Exception as error:
        warn_once("spans of a driver's threads will be roots", error)
        return None
    return fallback
