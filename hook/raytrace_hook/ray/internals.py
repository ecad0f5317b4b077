"""What is read from Ray's internals of a process and its cluster; beside it `objects`, `actors` and `data_internals`.

`patches` is where they are changed, and nothing outside this room touches them.

Ray is looked up in `sys.modules`, never imported: the hook also runs where there is no Ray. Every reading returns
nothing where this version of Ray has nothing; every patch tests first whether what it needs is there, is made once
per process, and costs that one feature, said once at warning level, when it does not fit.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Mapping
from typing import Any, Callable

from raytrace_hook import names

NIL = "f"
"""An id of Ray's that is made of nothing but this says that there is none."""
_NUMBERS_RESTARTS_ALIKE = tuple(f"2.{minor}." for minor in range(9, 60))
"""In 2.9 and 2.40, but not in 2.60; to ask where it does not is only one request for an actor more."""
_MOST_NAMES = 1000
_plain_names: dict[str, str] = {}
"""What Ray calls the tasks of a function that nobody named otherwise."""


def loaded(name: str) -> Any:
    """Return a module of Ray; None where it is not imported."""
    return sys.modules.get(name)


def load(name: str) -> Any:
    """Import a module of Ray; where Ray is running, all that is asked for is there already."""
    return importlib.import_module(name)


_global_worker: Any = None


def global_worker() -> Any:
    """Return Ray's worker object of this process, always the same, or None when Ray is not loaded."""
    global _global_worker  # noqa: PLW0603 - looked up with every span
    if _global_worker is None:
        _global_worker = getattr(loaded("ray._private.worker"), "global_worker", None)
    return _global_worker


def core_worker() -> Any:
    """Return the connected core worker, or None. Another object after the next `ray.init`."""
    return getattr(_global_worker or global_worker(), "core_worker", None)


def is_driver() -> bool:
    """Tell whether this process is a driver."""
    module = loaded("ray._private.worker")
    worker = getattr(module, "global_worker", None)
    return worker is not None and worker.mode == getattr(module, "SCRIPT_MODE", 0)


def is_worker() -> bool:
    """Tell whether this process is a worker."""
    module = loaded("ray._private.worker")
    worker = getattr(module, "global_worker", None)
    return worker is not None and worker.mode == getattr(module, "WORKER_MODE", 1)


def session_name() -> str | None:
    """Return the name of the cluster's session, `session_<date>_<pid>`."""
    name: str | None = getattr(getattr(global_worker(), "node", None), "session_name", None)
    return name


def ray_version() -> str:
    """Return Ray's version."""
    return str(getattr(loaded("ray"), "__version__", ""))


def tracing_helper() -> Any:
    """Return the module of Ray's tracing, None where it is not loaded."""
    return loaded("ray.util.tracing.tracing_helper")


def tracing_is_on() -> bool:
    """Tell whether Ray makes spans in this process."""
    return bool(getattr(tracing_helper(), "_global_is_tracing_enabled", False))


def switch_tracing_on() -> None:
    """Let Ray make spans in this process. Raises ImportError without OpenTelemetry."""
    load("ray.util.tracing.tracing_helper")._enable_tracing()


def switch_tracing_off() -> None:
    """Let Ray make no more spans in this process."""
    load("ray.util.tracing.tracing_helper")._global_is_tracing_enabled = False


def job_environment() -> dict[str, str]:
    """Return the environment variables of the present job's runtime_env."""
    runtime_env = load("ray").get_runtime_context().runtime_env
    return dict(runtime_env.get("env_vars") or {})


def load_attribute(path: str) -> Any:
    """Return what a dotted path names, as Ray's setup hooks are named."""
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def process_ids() -> dict[str, str]:
    """Return what Ray calls this process, under OpenTelemetry attribute names, as far as known by now."""
    worker: Any = global_worker()
    found: dict[str, str] = {}
    for name, attribute in (
        ("ray.node_id", "current_node_id"),
        ("ray.worker_id", "worker_id"),
        ("ray.job_id", "current_job_id"),
    ):
        with contextlib.suppress(Exception):
            text = getattr(worker, attribute).hex()
            if text.strip(NIL):  # a prestarted worker has no job yet
                found[name] = text
    session = session_name()
    if session:
        found[names.SESSION] = session
    return found


_Reader = Callable[[], Any]
_readers: tuple[Any, _Reader, _Reader] = (None, lambda: None, lambda: None)
"""Of the core worker that is connected: what tells the number of the attempt and the name of the task."""


def current_task_id(core: Any) -> str:
    """Return the id of the task that runs in this thread (or coroutine) now."""
    task_id: str = core.get_current_task_id().hex()
    return task_id


def add_current_task(core: Any, attributes: dict[str, Any]) -> None:
    """Add the attributes of the task that runs in this thread (or coroutine) now."""
    _, attempt_of, name_of = _readers if _readers[0] is core else _look_up_readers(core)
    if "ray.task_id" not in attributes:  # Ray tells it of functions, of methods it does not
        attributes["ray.task_id"] = current_task_id(core)
    method = attributes.get("ray.actor_method")
    attempt = attempt_of()
    if attempt is not None:
        attributes[names.ATTEMPT] = attempt or (_restarts(attributes) if method == "__init__" else 0)
    own = name_of()
    ran: str = method or attributes.get("ray.function", "")
    if own and _plain_names.get(ran) != own:
        if own.rpartition(".")[2] != ran.rpartition(".")[2]:
            attributes[names.TASK_NAME] = own
        elif len(_plain_names) < _MOST_NAMES:
            _plain_names[ran] = own


def _look_up_readers(core: Any) -> tuple[Any, _Reader, _Reader]:
    global _readers  # noqa: PLW0603 - the same for all runs of a worker
    named = ("get_current_task_attempt_number", "get_current_task_name")
    _readers = (core, *(getattr(core, name, lambda: None) for name in named))
    return _readers


def _restarts(attributes: dict[str, Any]) -> int:
    """Return how often an actor was made before: old Ray gives each creation the number of the first attempt."""
    if ray_version().startswith(_NUMBERS_RESTARTS_ALIKE):
        with contextlib.suppress(Exception):
            return int(load("ray._private.state").actors(attributes["ray.actor_id"])["NumRestarts"])
    return 0


POOL_MODULE = "ray.util.multiprocessing.pool"
SERVE_BATCHING_MODULE = "ray.serve.batching"
SERVE_HANDLE_MODULE = "ray.serve.handle"
SERVE_MODELS_MODULE = "ray.serve.multiplex"
SERVE_PROXY_MODULE = "ray.serve._private.proxy"
SERVE_REPLICA_MODULE = "ray.serve._private.replica"
SERVE_ROUTER_MODULE = "ray.serve._private.router"
SERVE_TRACING_MODULE = "ray.serve._private.tracing_utils"
GRAPH_MODULE = "ray.experimental.compiled_dag_ref"
PLACEMENT_MODULE = "ray.util.placement_group"
EXECUTOR_MODULE = "ray.data._internal.execution.streaming_executor"
OPERATOR_MODULE = "ray.data._internal.execution.interfaces.physical_operator"
DATASET_MODULE = "ray.data._internal.execution.streaming_executor_state"


def back_pressure_of(owner: Any, options: Mapping[str, Any]) -> int:
    """Return how many items the generator that is submitted may be ahead of its consumer; 0: any number."""
    name = "_generator_backpressure_num_objects"
    allowed = options.get(name) or getattr(owner, name, None) or 0
    return max(0, int(allowed))


def resources_of(kind: str, options: dict[str, Any]) -> dict[str, float]:
    """Return what a submission with these options asks of a node, and holds there."""
    for name in ("ray._common.utils", "ray._private.utils"):
        function = getattr(loaded(name), "resources_from_ray_options", None)
        if function is not None:
            break
    else:
        return {}
    resources: dict[str, float] = dict(function(dict(options)))
    if kind == "task" and "CPU" not in resources:
        resources["CPU"] = 1
    return {name: amount for name, amount in resources.items() if amount}


def placement_cpus(options: dict[str, Any]) -> int:
    """Return how many CPUs have to be free for an actor that holds none: 1, unless its options say what it asks for."""
    own = any(options.get(name) is not None for name in ("num_cpus", "num_gpus", "accelerator_type"))
    return 0 if own or options.get("resources") else 1


def cluster_resources() -> dict[str, float]:
    """Return what the nodes of the cluster have in all. Raises where it cannot be asked, or has nothing yet."""
    resources: dict[str, float] = load("ray._private.state").cluster_resources()
    found = {name: amount for name, amount in resources.items() if not name.startswith("node:")}
    if not found:
        raise LookupError("no node has reported its resources")
    return found


def run_span(owner: str, method: str | None) -> tuple[str, dict[str, Any]]:
    """Return the name (without suffix) and attributes that Ray's own span of this run would have.

    `owner` is the function's name, or the class's where there is a method.
    """
    helper = tracing_helper()
    if method is None:
        return owner, helper._function_hydrate_span_args(owner)
    return f"{owner}.{method}", helper._actor_hydrate_span_args(owner, method)


def entrypoint_error() -> BaseException | None:
    """Return the exception that ends the interpreter, if one does."""
    return getattr(sys, "last_exc", None) or getattr(sys, "last_value", None)
