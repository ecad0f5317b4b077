"""What is read from Ray's internals; `patches` is where they are changed, and no other module touches them.

Ray is looked up in `sys.modules`, never imported: the hook also runs where there is no Ray. Every reading returns
nothing where this version of Ray has nothing; every patch tests first whether what it needs is there, is made once
per process, and costs that one feature, said once at warning level, when it does not fit.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any, Callable

from raytrace_hook import names

_NIL = "f"
_NUMBERS_RESTARTS_ALIKE = tuple(f"2.{minor}." for minor in range(9, 60))
"""In 2.9 and 2.40, but not in 2.60; to ask where it does not is only one request for an actor more."""
_MOST_NAMES = 1000
_plain_names: dict[str, str] = {}
"""What Ray calls the tasks of a function that nobody named otherwise."""
_FIRST_PUT_INDEX = 100_000_001


def _module(name: str) -> Any:
    return sys.modules.get(name)


def load(name: str) -> Any:
    """Import a module of Ray; where Ray is running, all that is asked for is there already."""
    return importlib.import_module(name)


_global_worker: Any = None


def global_worker() -> Any:
    """Return Ray's worker object of this process, always the same, or None when Ray is not loaded."""
    global _global_worker  # noqa: PLW0603 - looked up with every span
    if _global_worker is None:
        _global_worker = getattr(_module("ray._private.worker"), "global_worker", None)
    return _global_worker


def core_worker() -> Any:
    """Return the connected core worker, or None. Another object after the next `ray.init`."""
    return getattr(_global_worker or global_worker(), "core_worker", None)


def is_driver() -> bool:
    """Tell whether this process is a driver."""
    module = _module("ray._private.worker")
    worker = getattr(module, "global_worker", None)
    return worker is not None and worker.mode == getattr(module, "SCRIPT_MODE", 0)


def is_worker() -> bool:
    """Tell whether this process is a worker."""
    module = _module("ray._private.worker")
    worker = getattr(module, "global_worker", None)
    return worker is not None and worker.mode == getattr(module, "WORKER_MODE", 1)


def session_name() -> str | None:
    """Return the name of the cluster's session, `session_<date>_<pid>`."""
    name: str | None = getattr(getattr(global_worker(), "node", None), "session_name", None)
    return name


def ray_version() -> str:
    """Return Ray's version."""
    return str(getattr(_module("ray"), "__version__", ""))


def tracing_helper() -> Any:
    """Return the module of Ray's tracing, None where it is not loaded."""
    return _module("ray.util.tracing.tracing_helper")


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
            if text.strip(_NIL):  # an id of nothing but f is Ray's nil: a prestarted worker has no job yet
                found[name] = text
    session = session_name()
    if session:
        found[names.SESSION] = session
    return found


_Reader = Callable[[], Any]
_readers: tuple[Any, _Reader, _Reader] = (None, lambda: None, lambda: None)
"""Of the core worker that is connected: what tells the number of the attempt and the name of the task."""


def add_current_task(core: Any, attributes: dict[str, Any]) -> None:
    """Add the attributes of the task that runs in this thread (or coroutine) now."""
    _, attempt_of, name_of = _readers if _readers[0] is core else _look_up_readers(core)
    if "ray.task_id" not in attributes:  # Ray tells it of functions, of methods it does not
        attributes["ray.task_id"] = core.get_current_task_id().hex()
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


def current_actor() -> dict[str, Any]:
    """Return the attributes of the actor that this process is; they stay the same for its life."""
    core = core_worker()
    found: dict[str, Any] = {}
    with contextlib.suppress(Exception):
        on_event_loop, at_once = bool(core.current_actor_is_asyncio()), int(core.current_actor_max_concurrency())
        found[names.CONCURRENT] = on_event_loop or at_once > 1 or _has_concurrency_groups()
        found[names.MAX_CONCURRENCY] = at_once
        found[names.ON_EVENT_LOOP] = on_event_loop
    name = getattr(core, "get_actor_name", None)
    with contextlib.suppress(Exception):
        text = name() if name is not None else getattr(global_worker(), "actor_name", "")
        text = text.decode() if isinstance(text, bytes) else text
        if text:
            found[names.ACTOR_NAME] = text
    return found


def _has_concurrency_groups() -> bool:
    # Each group has threads of its own, so methods overlap although the actor's own concurrency is 1.
    actors = getattr(global_worker(), "actors", {})
    return any(
        hasattr(method, "__ray_concurrency_group__")
        for actor in actors.values()
        for method in vars(type(actor)).values()
    )


def task_ids_of(references: Any) -> list[str]:
    """Return the ids of the tasks that made these objects, each once, in order; objects of `ray.put` have none."""
    found: dict[str, None] = {}
    for reference in references:
        text = getattr(reference, "_generator_ref", reference).hex()
        # 24 bytes of task id and a little-endian index, where numbers from 100,000,001 on are puts.
        if text[52:] == "0000" or int.from_bytes(bytes.fromhex(text[48:]), "little") < _FIRST_PUT_INDEX:
            found[text[:48]] = None
    return list(found)


def ready_now(references: Any) -> list[Any]:
    """Return those of these objects that are ready, without waiting."""
    unique = list(dict.fromkeys(references))
    if core_worker() is None or not unique:
        return []
    ready, _ = load("ray").wait(unique, num_returns=len(unique), timeout=0, fetch_local=False)
    return list(ready)


POOL_MODULE = "ray.util.multiprocessing.pool"
SERVE_TRACING_MODULE = "ray.serve._private.tracing_utils"
GRAPH_MODULE = "ray.experimental.compiled_dag_ref"
PLACEMENT_MODULE = "ray.util.placement_group"
EXECUTOR_MODULE = "ray.data._internal.execution.streaming_executor"
OPERATOR_MODULE = "ray.data._internal.execution.interfaces.physical_operator"
DATASET_MODULE = "ray.data._internal.execution.streaming_executor_state"


def concurrency_groups_of(actor_class: Any) -> dict[str, int]:
    """Return how many methods of each group may run at once in the actors of this class; Ray's own groups left out."""
    groups = getattr(actor_class.__ray_metadata__, "concurrency_groups", None) or {}
    return {name: size for name, size in groups.items() if not name.startswith("_ray_system")}


def concurrency_group_of(method: str) -> str | None:
    """Return the group that the class of this process's actor puts a method into, if any."""
    for actor in getattr(global_worker(), "actors", {}).values():
        group: str | None = getattr(getattr(type(actor), method, None), "__ray_concurrency_group__", None)
        if group is not None:
            return group
    return None


def own_actor_id() -> str | None:
    """Return the id of the actor that this process is, if it is one."""
    actor_id = getattr(global_worker(), "actor_id", None)
    text: str | None = None if actor_id is None else actor_id.hex()
    return text if text and text.strip(_NIL) else None


def back_pressure_of(owner: Any, options: Mapping[str, Any]) -> int:
    """Return how many items the generator that is submitted may be ahead of its consumer; 0: any number."""
    name = "_generator_backpressure_num_objects"
    allowed = options.get(name) or getattr(owner, name, None) or 0
    return max(0, int(allowed))


def is_channel_timeout(error: BaseException | None) -> bool:
    """Tell whether a compiled graph was not ready in time."""
    kind = getattr(_module("ray.exceptions"), "RayChannelTimeoutError", None)
    return kind is not None and isinstance(error, kind)


def blocks_of(bundle: Any) -> list[Any]:
    """Return the references to a dataset's blocks that came together; none of None."""
    if bundle is None:
        return []
    return list(bundle.block_refs) if hasattr(bundle, "block_refs") else [block[0] for block in bundle.blocks]


def is_operator(value: Any) -> bool:
    """Tell whether this is an operator of Ray Data."""
    kind = getattr(_module(OPERATOR_MODULE), "PhysicalOperator", None)
    return kind is not None and isinstance(value, kind)


def topology_of(executor: Any) -> dict[Any, Any]:
    """Return the operators that an executor of Ray Data runs, each with its state, inputs before what takes them."""
    return getattr(executor, "_topology", None) or {}


def dataset_of(executor: Any) -> str:
    """Return what Ray Data calls the execution, as in its log and its dashboard; empty where it has no name."""
    return str(getattr(executor, "_dataset_id", None) or getattr(executor, "_dataset_tag", None) or "")


def has_input(state: Any) -> bool:
    """Tell by its state whether an operator of Ray Data has input that it could begin with."""
    for name in ("has_pending_bundles", "total_enqueued_input_bundles", "num_queued"):
        ask = getattr(state, name, None)
        if ask is not None:
            return bool(ask())
    raise AttributeError("the state of an operator tells no input")


def metrics_of(operator: Any) -> dict[str, float]:
    """Return what Ray Data counted of an operator: numbers by Ray's names."""
    metrics = operator.metrics
    try:
        found = metrics.as_dict(skip_internal_metrics=True)
    except TypeError:  # before that could be asked for
        found = metrics.as_dict()
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < float("inf")
    }


def actor_of(method: Any) -> Any:
    """Return the handle that an actor's method is called on."""
    return method._actor if hasattr(method, "_actor") else method._actor_hard_ref or method._actor_ref()


def is_generator_method(handle: Any, name: str) -> bool:
    """Tell whether an actor's method yields its results."""
    return bool(getattr(handle, "_ray_method_is_generator", {}).get(name))


def is_of_this_job(handle: Any) -> bool:
    """Tell whether the job that runs here created this actor: its id ends with that job's."""
    return bool(handle._ray_actor_id.hex()[-8:] == core_worker().get_current_job_id().hex())


def module_of_actor(handle: Any) -> str:
    """Return the module of an actor's class, as far as its handle tells."""
    descriptor = getattr(handle, "_ray_actor_creation_function_descriptor", None)
    return str(getattr(descriptor, "module_name", ""))


def is_object_ref(value: Any) -> bool:
    """Tell whether this is a reference to an object."""
    return bool(references_among((value,)))


def references_among(values: Sequence[Any]) -> list[Any]:
    """Return those of these values that are references to objects."""
    kind = getattr(_module("ray"), "ObjectRef", None)
    return [] if kind is None else [value for value in values if isinstance(value, kind)]


def item_index(reference: Any) -> int | None:
    """Return which item of a generator task this refers to, from 0 on; None where it refers to the generator itself."""
    index = int.from_bytes(bytes.fromhex(reference.hex()[48:]), "little")
    # The first index is that of the task's own result.
    return index - 2 if 2 <= index < _FIRST_PUT_INDEX else None


def is_timeout(error: BaseException | None) -> bool:
    """Tell whether a call of Ray's was over because its time was."""
    kind = getattr(_module("ray.exceptions"), "GetTimeoutError", None)
    return kind is not None and isinstance(error, kind)


def submitted_task_id(kind: str, returned: Any) -> str | None:
    """Return the id of the task that a submission returned this for; None where it returns nothing (no results)."""
    first: Any = returned[0] if isinstance(returned, (list, tuple)) and returned else returned
    if kind == "create":
        ray = _module("ray")
        identifier: str = ray._raylet.TaskID.for_actor_creation_task(first._ray_actor_id).hex()
        return identifier
    reference: Any = getattr(first, "_generator_ref", first)
    return reference.hex()[:48] if is_object_ref(reference) else None


def resources_of(kind: str, options: dict[str, Any]) -> dict[str, float]:
    """Return what a submission with these options asks of a node."""
    for name in ("ray._common.utils", "ray._private.utils"):
        function = getattr(_module(name), "resources_from_ray_options", None)
        if function is not None:
            break
    else:
        return {}
    resources: dict[str, float] = dict(function(dict(options)))
    if kind == "task" and "CPU" not in resources:
        resources["CPU"] = 1
    return {name: amount for name, amount in resources.items() if amount}


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
