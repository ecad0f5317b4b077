"""A running cluster: is tracing on there, does the hook load in workers of every node, can it write, how late is it."""

import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from raytrace_analyze.diagnosis.checks import Check, Level
from raytrace_analyze.diagnosis.environment import LEAST_FREE, check_ray, check_variables
from raytrace_analyze.diagnosis.finding import Finding
from raytrace_analyze.errors import UsageError
from raytrace_analyze.ray_programs.cluster_probe import MARK
from raytrace_analyze.ray_programs.reachable import why_unreachable

_PROBE = "raytrace_analyze.ray_programs.cluster_probe"
_LONGEST_S = 300
_OUR_HOOK = "raytrace_hook"
_OLD_NAME = "SimpleExportSpanProcessor"
_LEAST_OFFSET_NS = 10_000_000
"""Clocks are no more exact than this where they are set over a network."""


def check_cluster(address: str) -> Iterator[Finding]:
    """Connect to a cluster, send a small task to each of its nodes, and tell how it is there.

    Raises UsageError where Ray is not installed here, and for what is no address.
    """
    if not address.isprintable():
        raise UsageError(f"{address!r} is no address of a cluster")
    if importlib.util.find_spec("ray") is None:
        raise UsageError("--address needs ray: pip install ray, in the version of the cluster")
    why = why_unreachable(address)
    seen: dict[str, Any] = _probe(address) if why is None else {"error": why}
    if seen.get("error"):
        yield _not_connected(address, seen)
        return
    nodes = [node for node in seen["nodes"] if node["error"] is None]
    yield Finding(Check.CLUSTER, Level.FINE, {"address": address, "error": None, "nodes": len(seen["nodes"])})
    yield Finding(Check.TRACING_ON, Level.FINE if seen["hook"] else Level.SERIOUS, {"hook": seen["hook"]})
    yield from _check_workers(seen, nodes)
    for node in nodes:
        error = node["directory_error"]
        if error is None and node["free_bytes"] is not None and node["free_bytes"] < LEAST_FREE:
            error = f"{node['directory']} has next to no room left"
        if error:
            yield Finding(Check.DIRECTORY, Level.SERIOUS, {"path": error, "problem": "on node", "host": node["host"]})
    yield from _check_versions(nodes)
    yield from _check_clocks(nodes)
    told: dict[str, str] = {}
    for node in nodes:
        told |= node["variables"]
    yield from check_variables(told)
    if seen["serves"] and not any(node["serve_exporter"] for node in nodes):
        yield Finding(Check.SERVE, Level.NOTE)


def _not_connected(address: str, seen: dict[str, Any]) -> Finding:
    """Say why there is no connection: the cluster's hook, which is loaded here too, or anything else."""
    if _OLD_NAME in seen["error"]:
        return Finding(Check.OLD_HOOK, Level.SERIOUS, {"files": [address], "count": 1})
    if seen.get("hook"):
        return Finding(Check.TRACING_ON, Level.SERIOUS, {"hook": seen["hook"], "error": seen["error"]})
    return Finding(Check.CLUSTER, Level.SERIOUS, {"address": address, "error": seen["error"]})


def _probe(address: str) -> dict[str, Any]:
    """Run the probe, and end it with all that it has started where it does not answer."""
    process = subprocess.Popen(
        [sys.executable, "-m", _PROBE, address],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
        env={**os.environ, "RAY_DEDUP_LOGS": "0"},
    )
    try:
        written, said = process.communicate(timeout=_LONGEST_S)
    except subprocess.TimeoutExpired:
        return {"error": f"no answer within {_LONGEST_S} s"}
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    marked = [line for line in written.splitlines() if line.startswith(MARK)]
    if not marked:
        return {"error": (said.strip().splitlines() or [f"the probe ended with {process.returncode}"])[-1]}
    found: dict[str, Any] = json.loads(marked[-1].removeprefix(MARK))
    return found


def _check_workers(seen: dict[str, Any], nodes: list[dict[str, Any]]) -> Iterator[Finding]:
    for node in seen["nodes"]:
        if node["error"] is not None:
            yield Finding(Check.WORKERS, Level.SERIOUS, {"host": node["host"], "error": node["error"]})
    if not seen["hook"]:
        return
    untraced = [node["host"] for node in nodes if not node["is_traced"]]
    others = [node["host"] for node in nodes if node["is_traced"] and not node["is_ours"]]
    if untraced:
        yield Finding(Check.WORKERS, Level.SERIOUS, {"host": ", ".join(untraced), "error": "tracing is off there"})
    if others and seen["hook"].startswith(_OUR_HOOK):
        error = "the hook did not set itself up there"
        yield Finding(Check.WORKERS, Level.SERIOUS, {"host": ", ".join(others), "error": error})
    elif others:
        yield Finding(Check.OTHER_HOOK, Level.NOTE, {"hook": seen["hook"], "hosts": others})
    if nodes and not untraced and not others:
        yield Finding(Check.WORKERS, Level.FINE, {"nodes": len(nodes)})


def _check_versions(nodes: list[dict[str, Any]]) -> Iterator[Finding]:
    for package in ("ray", "opentelemetry-sdk", "raytrace-hook"):
        found = sorted({node["versions"][package] or "none" for node in nodes})
        if len(found) > 1:
            yield Finding(Check.SAME_VERSIONS, Level.NOTE, {"package": package, "versions": found})
    for version in sorted({node["versions"]["ray"] for node in nodes if node["versions"]["ray"]}):
        yield from check_ray(version)


def _check_clocks(nodes: list[dict[str, Any]]) -> Iterator[Finding]:
    off = [node for node in nodes if abs(node["offset_ns"]) > node["took_ns"] / 2 + _LEAST_OFFSET_NS]
    for node in off:
        yield Finding(Check.CLOCKS, Level.NOTE, {"host": node["host"], "offset_ns": -node["offset_ns"]})
    if len(nodes) > 1 and not off:
        yield Finding(Check.CLOCKS, Level.FINE, {"nodes": len(nodes)})
