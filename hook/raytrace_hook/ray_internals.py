"""All that touches Ray's internals: each access is guarded, so that another version of Ray costs a feature at most.

Ray is looked up in `sys.modules`, never imported: the hook also runs where there is no Ray.
"""

from __future__ import annotations

import sys
from typing import Any

_NIL = "f"


def global_worker() -> Any:
    """Return Ray's worker object of this process, or None when Ray is not loaded."""
    module = sys.modules.get("ray._private.worker")
    return getattr(module, "global_worker", None)


def core_worker() -> Any:
    """Return the connected core worker, or None. Another object after the next `ray.init`."""
    return getattr(global_worker(), "core_worker", None)


def is_driver() -> bool:
    """Tell whether this process is a driver (as opposed to a worker)."""
    module = sys.modules.get("ray._private.worker")
    worker = getattr(module, "global_worker", None)
    return worker is not None and worker.mode == getattr(module, "SCRIPT_MODE", 0)


def session_name() -> str | None:
    """Return the name of the cluster's session, `session_<date>_<pid>`."""
    node = getattr(global_worker(), "node", None)
    return getattr(node, "session_name", None)


def process_ids() -> dict[str, str]:
    """Return what Ray calls this process, under OpenTelemetry attribute names, as far as known by now."""
    worker = global_worker()
    found: dict[str, str] = {}
    for name, attribute in (
        ("ray.node_id", "current_node_id"),
        ("ray.worker_id", "worker_id"),
        ("ray.job_id", "current_job_id"),
    ):
        try:
            value = getattr(worker, attribute)
            text = value.hex()
        except Exception:
            continue
        if text.strip(_NIL):  # an id of nothing but f is Ray's nil: a prestarted worker has no job yet
            found[name] = text
    session = session_name()
    if session:
        found["raytrace.session"] = session
    return found
