"""The span processor that writes every ended span into the process's file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import SpanProcessor

from raytrace_hook.encode import encode_span
from raytrace_hook.log import warn_once

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import ReadableSpan, Span

    from raytrace_hook.process import ProcessResource
    from raytrace_hook.writer import SpanFile


class SpanFileProcessor(SpanProcessor):
    """Writes each span the moment it ends: a process that is killed has lost nothing that had ended."""

    def __init__(self, file: SpanFile, resource: ProcessResource) -> None:
        self._file = file
        self._resource = resource
        os.register_at_fork(after_in_child=resource.renew)

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Do nothing yet."""

    def on_end(self, span: ReadableSpan) -> None:
        """Append the span to the file."""
        try:
            context = span.context
            if context is None or not context.trace_flags.sampled:
                return
            line = f'{encode_span(span)},"resource":{self._resource.encoded(span.resource)}}}\n'
            self._file.write(line.encode("ascii"))
        except Exception as error:
            warn_once("a span could not be written", error)

    def shutdown(self) -> None:
        """Nothing is held back, so nothing is left to do."""

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Return True: every span is in the file already."""
        return True
