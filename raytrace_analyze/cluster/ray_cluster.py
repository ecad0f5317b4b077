"""A connection to a running Ray cluster that traces nothing of itself, and calls on chosen nodes of it."""

import importlib
import importlib.metadata
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raytrace_analyze.errors import UsageError
from raytrace_analyze.ray_programs.reachable import check_reachable
from raytrace_analyze.values import frozen

_NEEDED = ("polars", "numpy", "msgspec", "zstandard")
"""What reading span files needs of a node, apart from this package, which travels with the call."""
_DASHBOARD = "ray/dashboard"
"""What Ray's own driver runs, beside the users' jobs."""
_ENVIRONMENT = ("AWS_", "FSSPEC_", "GOOGLE_", "AZURE_")
"""Variables by which storage is reached: what is set here holds on the nodes too."""


@dataclass(frozen=True, order=True)
class Node:
    """A node of the cluster."""

    host: str
    node_id: str
    is_alive: bool = True


@frozen
class Failed:
    """A call that gave nothing, as its node has died or cannot run it."""

    reason: str


@contextmanager
def connected(address: str, **environment: str) -> Iterator[None]:
    """Be a driver on the cluster within this; what it calls there has variables of the `environment`.

    Raises UsageError where there is no cluster, or no Ray here.
    """
    try:
        import ray
    except ImportError as error:
        raise UsageError("this needs Ray, of the version that the cluster has: pip install ray") from error
    if ray.is_initialized():
        yield
        return
    check_reachable(address)
    try:
        with _untraced():
            ray.init(address=address, logging_level="ERROR", log_to_driver=False, runtime_env=_runtime_env(environment))
    except (ConnectionError, ValueError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UsageError(f"no Ray cluster can be reached at {address}: {reason}") from error
    try:
        yield
    finally:
        ray.shutdown()


@contextmanager
def _untraced() -> Iterator[None]:
    """Connect without the tracing that a cluster may have been started with: it would trace what looks at traces."""
    worker = importlib.import_module("ray._private.worker")
    tracing = importlib.import_module("ray.util.tracing.tracing_helper")
    places = [(tracing, "_enable_tracing", lambda: None), (worker, "_import_from_string", lambda _: lambda: None)]
    before = [(module, name, getattr(module, name)) for module, name, _ in places if hasattr(module, name)]
    for module, name, nothing in places:
        if hasattr(module, name):
            setattr(module, name, nothing)
    try:
        yield
    finally:
        for module, name, value in before:
            setattr(module, name, value)


def _runtime_env(environment: Mapping[str, str]) -> dict[str, Any]:
    package = Path(__file__).resolve().parent.parent
    passed_on = {name: value for name, value in os.environ.items() if name.startswith(_ENVIRONMENT)}
    return {"py_modules": [str(package)], "env_vars": {**passed_on, **environment}}


def nodes() -> list[Node]:
    """Give all nodes that the cluster has or had, by host."""
    import ray

    return sorted(map(_node, ray.nodes()))


def nodes_with_cpus() -> list[Node]:
    """Give the live nodes of the cluster on which there is room for tasks."""
    import ray

    return [_node(each) for each in ray.nodes() if each["Alive"] and each["Resources"].get("CPU")]


def _node(about: Mapping[str, Any]) -> Node:
    return Node(about["NodeManagerHostname"], about["NodeID"], bool(about["Alive"]))


def other_jobs_run() -> bool:
    """Tell whether any job but ours runs on the cluster."""
    import ray

    own = ray.get_runtime_context().get_job_id()
    jobs = importlib.import_module("ray._private.state").jobs()
    return any(not job.get("IsDead") and job["JobID"] != own and _DASHBOARD not in job["Entrypoint"] for job in jobs)


def call_on(calls: Mapping[Node, tuple[Callable[..., Any], Sequence[Any]]]) -> dict[Node, Any]:
    """Call a function of this package on each of these nodes, all at once; gives what they returned, or `Failed`."""
    lacking = gathered(lacking_packages(calls))
    given: dict[Node, Any] = {node: each for node, each in lacking.items() if isinstance(each, Failed)}
    running = {
        node: _submit(function, arguments, node, lacking[node])
        for node, (function, arguments) in calls.items()
        if node not in given
    }
    return given | gathered(running)


def lacking_packages(wanted: Iterable[Node]) -> dict[Node, Any]:
    """Ask nodes which packages they lack for reading span files; gives references to lists of requirements."""
    return {node: _submit(_missing_packages, (_requirements(),), node) for node in wanted}


def _submit(function: Callable[..., Any], arguments: Sequence[Any], node: Node, packages: Sequence[str] = ()) -> Any:
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    options: dict[str, Any] = {
        "num_cpus": 0,
        "max_retries": 0,
        "scheduling_strategy": NodeAffinitySchedulingStrategy(node.node_id, soft=False),
    }
    if packages:
        # The package itself comes with the job: Ray takes no folders for single tasks.
        options["runtime_env"] = {"pip": list(packages)}
    return ray.remote(function).options(**options).remote(*arguments)


def gathered(running: Mapping[Node, Any]) -> dict[Node, Any]:
    """Give what calls on nodes returned, or `Failed`."""
    import ray
    from ray.exceptions import RayError

    given: dict[Node, Any] = {}
    for node, reference in running.items():
        try:
            given[node] = ray.get(reference)
        except RayError as error:
            given[node] = Failed(reason_of(error))
    return given


def reason_of(error: Exception) -> str:
    """Say in one line why a call on the cluster gave nothing."""
    from ray.exceptions import RuntimeEnvSetupError

    cause = getattr(error, "cause", None) or error
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    if not lines:
        return type(cause).__name__
    # What could not be installed, and why, stands at the end.
    last = f" ({lines[-1]})" if isinstance(cause, RuntimeEnvSetupError) and len(lines) > 1 else ""
    return f"{type(cause).__name__}: {lines[0]}{last}"


def _requirements() -> list[str]:
    """Give what reading span files needs of a node apart from this package, in the versions that it asks for."""
    asked = importlib.metadata.requires("raytrace-analyze") or []
    return [each for each in asked if ";" not in each and re.split(r"[^\w-]", each)[0] in _NEEDED]


def _missing_packages(requirements: Sequence[str]) -> list[str]:
    """Give the requirements that are not met where this runs."""
    from packaging.requirements import Requirement

    missing = []
    for each in requirements:
        wanted = Requirement(each)
        try:
            is_met = importlib.metadata.version(wanted.name) in wanted.specifier
        except importlib.metadata.PackageNotFoundError:
            is_met = False
        if not is_met:
            missing.append(each)
    return missing
