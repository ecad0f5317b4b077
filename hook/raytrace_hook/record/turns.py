"""Whose turn it is in an actor: the groups of its methods, and how many of each may run at once.

A worker learns the size of a group, and a group that a call asks for, from the trace context that comes with the call.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any, Callable

from raytrace_hook import names
from raytrace_hook.ray import actors, internals, tracing_patches
from raytrace_hook.record import graph_tasks

_CARRIED_GROUPS, _CARRIED_GROUP = "raytrace-groups", "raytrace-group"
CARRIED_BACK_PRESSURE = "raytrace-back-pressure"
GRAPH_GROUP = "compiled graph"
"""The group of an actor's steps of compiled graphs."""

_sizes: dict[str, int] = {}
"""Of the groups of this process's actor."""
_groups: dict[str, str | None] = {}
"""By method."""


class _Call(threading.local):
    group: str | None = None
    """What the call that is about to run here asked for."""


_call = _Call()


def send_along(kind: str, owner: Any, carrier: dict[str, Any], options: Mapping[str, Any]) -> None:
    """Tell the worker by the trace context what it could not learn from Ray."""
    if kind == "create":
        sizes = actors.concurrency_groups_of(owner)
        if sizes:
            carrier[_CARRIED_GROUPS] = sizes
        return
    group = options.get("concurrency_group")
    if group is not None:
        carrier[_CARRIED_GROUP] = group
    allowed = internals.back_pressure_of(owner, options)
    if allowed:
        carrier[CARRIED_BACK_PRESSURE] = allowed


def receive(carrier: Any) -> None:
    """Take what the trace context tells of the call that begins here and now."""
    graph_tasks.receive(carrier)
    if carrier:
        _call.group = carrier.get(_CARRIED_GROUP)
        if _CARRIED_GROUPS in carrier:
            _sizes.update(carrier[_CARRIED_GROUPS])


def ask_for_none() -> None:
    """The call that begins here and now comes without a context, and asks for no group."""
    graph_tasks.receive(None)
    _call.group = None


def install() -> None:
    """In a worker, read what the trace contexts tell."""

    def reading(original: Callable[..., Any]) -> Callable[..., Any]:
        def extract(carrier: Any) -> Any:
            receive(carrier)
            return original(carrier)

        return extract

    tracing_patches.patch_context(reading)


def add(attributes: dict[str, Any]) -> None:
    """Add to a method's run its group and the group's size, where it has one."""
    if graph_tasks.running() is not None:  # one thread runs them all, one after another
        attributes[names.CONCURRENCY_GROUP], attributes[names.MAX_CONCURRENCY] = GRAPH_GROUP, 1
        return
    group = _call.group
    if group is None:
        method = attributes.get("ray.actor_method", "")
        if method not in _groups:
            _groups[method] = actors.concurrency_group_of(method)
        group = _groups[method]
    if group is not None:
        attributes[names.CONCURRENCY_GROUP] = group
        if group in _sizes:
            attributes[names.MAX_CONCURRENCY] = _sizes[group]
        else:
            attributes.pop(names.MAX_CONCURRENCY, None)
