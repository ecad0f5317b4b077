"""Looks at a running cluster from inside: `python -m ...cluster_probe ADDRESS` writes what it sees as a line of JSON.

A process of its own, as connecting loads the cluster's hook, and whatever that does. The task that it sends to each
node travels as it is (`__main__`): nothing of this package has to be there.
"""

import json
import sys
import time
from typing import Any

MARK = "raytrace-probe "
PRESENT = "_raytrace_processors"
"""What our hook leaves at the provider of a process in which it runs."""
_ANSWER_S = 60.0
_ROUNDS = 3
"""The shortest way there and back tells best how late it is there."""


def main() -> None:
    """Write what is seen, behind a mark, as Ray writes to standard output too."""
    found = _look(sys.argv[1])
    print(MARK + json.dumps(found), flush=True)  # noqa: T201 - for the process that started this one


def _look(address: str) -> dict[str, Any]:
    import ray

    try:
        ray.init(address, log_to_driver=False, logging_level="ERROR", namespace="raytrace-doctor")
    except BaseException as error:
        return {"error": f"{type(error).__name__}: {error}", "hook": _hook_of_a_connection(error)}
    nodes = [node for node in ray.nodes() if node.get("Alive")]
    return {
        "error": None,
        "hook": _startup_hook(),
        "serves": any(actor["namespace"] == "serve" for actor in ray.util.list_named_actors(all_namespaces=True)),
        "nodes": [_node(node) for node in nodes],
    }


def _hook_of_a_connection(error: BaseException) -> str | None:
    """Give the cluster's hook where that is what failed: it is loaded when all else of the connection stands."""
    if isinstance(error, ConnectionError):
        return None
    try:
        return _startup_hook()
    except Exception:
        return None


def _startup_hook() -> str | None:
    from ray._private import ray_constants, worker

    told = worker.global_worker.gcs_client.internal_kv_get(
        b"tracing_startup_hook", ray_constants.KV_NAMESPACE_TRACING, timeout=_ANSWER_S
    )
    return told.decode("utf-8", "replace") if told else None


def _node(node: dict[str, Any]) -> dict[str, Any]:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(node_id=node["NodeID"], soft=False)
    look = ray.remote(num_cpus=0, max_retries=0, scheduling_strategy=there)(look_around)
    about: dict[str, Any] = {"node_id": node["NodeID"], "host": node.get("NodeManagerHostname") or node["NodeID"]}
    best: dict[str, Any] = {}
    for _ in range(_ROUNDS):
        asked_ns = time.time_ns()
        try:
            seen = ray.get(look.remote(), timeout=_ANSWER_S)
        except Exception as error:
            text = (str(error).strip().splitlines() or [type(error).__name__])[0]
            return {**about, "error": f"{type(error).__name__}: {text}"}
        took_ns = time.time_ns() - asked_ns
        if not best or took_ns < best["took_ns"]:
            best = {**seen, "took_ns": took_ns, "offset_ns": seen["time_ns"] - (asked_ns + took_ns // 2)}
    return {**about, **best, "error": None}


def look_around() -> dict[str, Any]:
    """Tell how it is in a worker; runs there, so it imports what it needs."""
    import os
    import tempfile
    import time
    from importlib import metadata

    def version(package: str) -> str | None:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            return None

    directory_error = directory = free_bytes = None
    try:
        from raytrace_hook.config import Settings
        from raytrace_hook.output.directory import open_directory

        directory = Settings.from_environment().directory
        os.close(open_directory(directory))
        room = os.statvfs(directory)
        free_bytes = room.f_bavail * room.f_frsize
        with tempfile.TemporaryFile(dir=directory) as file:  # nobody sees it, and it is gone when it is closed
            file.write(b" " * 4096)
    except ImportError:
        pass
    except OSError as error:
        directory_error = str(error)
    from ray.util.tracing import tracing_helper

    is_ours = False
    try:
        from opentelemetry import trace

        is_ours = hasattr(trace.get_tracer_provider(), PRESENT)
    except ImportError:
        pass
    names = ("OTEL_SDK_DISABLED", "OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG", "RAYTRACE_WAITS")
    return {
        "time_ns": time.time_ns(),
        "is_traced": bool(tracing_helper._is_tracing_enabled()),
        "is_ours": is_ours,
        "directory": directory,
        "directory_error": directory_error,
        "free_bytes": free_bytes,
        "versions": {each: version(each) for each in ("ray", "opentelemetry-sdk", "raytrace-hook")},
        "variables": {name: os.environ[name] for name in names if name in os.environ},
        "serve_exporter": os.environ.get("RAY_SERVE_TRACING_EXPORTER_IMPORT_PATH", ""),
    }


if __name__ == "__main__":
    main()
