"""What is true for all spans of a process: its resource."""

from __future__ import annotations

import os
import socket
import uuid
from typing import TYPE_CHECKING, Any

from raytrace_hook import names
from raytrace_hook.forking import call_in_child
from raytrace_hook.output.encode import encode_mapping, quote
from raytrace_hook.ray import internals, patching

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource


class ProcessResource:
    """The resource attributes of this process, encoded once and again only when Ray tells something new.

    The hook runs before a worker has a job, and one process may connect to several clusters in turn: what Ray says is
    therefore read when the first span needs it, and again when the connection is another one.
    """

    def __init__(self) -> None:
        self._records_waits = False
        self._sampler = ""
        self._lost: tuple[int, str]
        self._missing = 0
        self.renew()
        call_in_child(self.renew)

    def renew(self) -> None:
        """Forget everything: the process is another one now (a fork)."""
        self._lost = 0, ""
        self._instance = str(uuid.uuid4())
        self._pid = os.getpid()
        self._ids: dict[str, str] = {}
        self._connection: Any = None
        self._version = object()
        self._encoded: tuple[Any, Any, Any, str] = (None, None, None, "")
        """The version, Ray's connection and the provider's resource that a text holds for, and the text."""

    def note_waits(self, recorded: bool) -> None:
        """Say whether this process records waits and task ids."""
        self._records_waits = recorded
        self._version = object()

    def note_sampler(self, description: str) -> None:
        """Say that not all spans are kept, and what decides which."""
        self._sampler = description
        self._version = object()

    def note_lost(self, count: int, because: str) -> None:
        """Say in the spans from now on how many could not be written, and why."""
        self._lost = count, because
        self._version = object()

    def attributes(self) -> dict[str, Any]:
        """Return our attributes, as far as known by now."""
        found: dict[str, Any] = {
            "service.instance.id": self._instance,
            "process.pid": self._pid,
            "host.name": socket.gethostname(),
            names.RECORDS_WAITS: self._records_waits,
            **self._ids,
        }
        if self._sampler:
            found[names.SAMPLER] = self._sampler
        count, because = self._lost
        if count:
            found[names.LOST_SPANS] = count
            found[names.LOST_BECAUSE] = because
        if patching.not_recorded:
            found[names.NOT_RECORDED] = f"Ray {internals.ray_version()}: {', '.join(patching.not_recorded)}"
        return found

    def encoded(self, resource: Resource) -> str:
        """Return `resource` (the provider's) with our attributes, as the JSON object that ends a span's line."""
        connection = internals.core_worker()
        version, known_connection, known_resource, text = self._encoded
        if len(patching.not_recorded) != self._missing:
            self._missing, self._version = len(patching.not_recorded), object()
        if version is self._version and known_connection is connection and known_resource is resource:
            return text
        self._refresh(connection)
        version = self._version
        attributes = encode_mapping({**resource.attributes, **self.attributes()})
        text = f'{{"attributes":{attributes},"schema_url":{quote(resource.schema_url or "")}}}'
        if connection is None or "ray.job_id" in self._ids:
            self._encoded = (version, connection, resource, text)
        return text

    def _refresh(self, connection: Any) -> None:
        if connection is None or (connection is self._connection and "ray.job_id" in self._ids):
            return
        ids = internals.process_ids()
        if ids != self._ids:
            self._ids = ids
            self._version = object()
        self._connection = connection
