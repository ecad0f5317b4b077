"""The attributes that raytrace_hook writes and this package reads: their names, once, and how values are read.

Ray's own attributes keep Ray's names and stand where they are decoded. The hook has the same names in a place of its
own, as it never imports this package; a test compares.
"""

import json
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import polars as pl

# The resource of a process.
RECORDS_WAITS = "raytrace.records_waits"
SESSION = "raytrace.session"
LOST_SPANS = "raytrace.lost_spans"
LOST_BECAUSE = "raytrace.lost_because"
NOT_RECORDED = "raytrace.not_recorded"
"""What of Ray's libraries its version has no place for."""
SAMPLER = "raytrace.sampler"
"""What decides which spans are kept; only where not all are."""

# A submission.
SUBMITTED_TASK_ID = "raytrace.submitted_task_id"
DEPENDENCY_TASK_IDS = "raytrace.dependency_task_ids"
RESOURCES = "raytrace.resources"
PLACEMENT_RESOURCES = "raytrace.placement_resources"
ARGUMENT_BYTES = "raytrace.argument_bytes"
PUT_ARGUMENTS = "raytrace.put_arguments"
CODE_BYTES = "raytrace.code_bytes"

# A submission, a wait or a put.
CALL_SITE = "raytrace.call_site"
LIBRARY = "raytrace.library"
PUT_BYTES = "raytrace.put_bytes"

# A submission and a run.
TASK_NAME = "raytrace.task_name"

# A submission of an execution of Ray Data, and what is said of an operator at the execution's end.
OPERATOR = "raytrace.operator"
OPERATOR_NAME = "raytrace.operator_name"
OPERATOR_INDEX = "raytrace.operator_index"
EXECUTION = "raytrace.execution"
DATASET = "raytrace.dataset"
OUTCOME = "raytrace.outcome"
BEGAN_NS = "raytrace.began_ns"
OPERATOR_METRICS = "raytrace.operator_metrics"
BACK_PRESSURE = "raytrace.back_pressure"

# A run.
ATTEMPT = "raytrace.attempt"
CONCURRENT = "raytrace.concurrent"
ACTOR_NAME = "raytrace.actor_name"
CANCELLED = "raytrace.cancelled"
CONCURRENCY_GROUP = "raytrace.concurrency_group"
MAX_CONCURRENCY = "raytrace.max_concurrency"
ON_EVENT_LOOP = "raytrace.on_event_loop"
ITEMS = "raytrace.items"
ITEM_READY = "raytrace.item_ready"

# A run or the driver, by the sampler.
CPU_NS = "raytrace.cpu_ns"
CPU_DELAY_NS = "raytrace.cpu_delay_ns"
PROCESS_CPU_NS = "raytrace.process_cpu_ns"
STACKS = "raytrace.stacks"
BUSY = "raytrace.busy"
IDLE = "raytrace.idle"

# A request at a proxy of Ray Serve.
ANSWERED_NS = "raytrace.answered_ns"

# A request in a replica of Ray Serve: what its handler did there.
LOOP_NS = "raytrace.loop_ns"
LOOP_IDLE_NS = "raytrace.loop_idle_ns"
HANDLER_CPU_NS = "raytrace.handler_cpu_ns"

# A request by a handle, where Serve itself traces nothing: a replica took it.
SENT = "raytrace.sent"

# A request's wait for its batch (`@serve.batch`).
BATCH_SIZE = "raytrace.batch_size"
MAX_BATCH_SIZE = "raytrace.max_batch_size"

# A wait.
READY_TASK_IDS = "raytrace.ready_task_ids"
AWAITED_COUNT = "raytrace.awaited_count"
AWAITED_TASK_IDS = "raytrace.awaited_task_ids"
AWAITED = "raytrace.awaited"
HELD_BY = "raytrace.held_by"
SAMPLED_TIMES = "raytrace.sampled_times"
LOOPS = "raytrace.loops"
ITEM = "raytrace.item"
POLLS = "raytrace.polls"
TIMED_OUT = "raytrace.timed_out"

# Ray's training libraries, and the steps that a program marks.
RANK = "raytrace.rank"
WORLD_SIZE = "raytrace.world_size"
EXPERIMENT = "raytrace.experiment"
REPORT = "raytrace.report"
HAS_CHECKPOINT = "raytrace.has_checkpoint"
TRIAL = "raytrace.trial"
PARAMETERS = "raytrace.parameters"
STEP = "raytrace.step"

# What ended a task.
TARGET_TASK_ID = "raytrace.target_task_id"
PLACEMENT_GROUP_ID = "raytrace.placement_group_id"
PLACEMENT_GROUP_RESOURCES = "raytrace.placement_group_resources"

# The driver.
ENTRYPOINT = "raytrace.entrypoint"
CLUSTER_RESOURCES = "raytrace.cluster_resources"
ALIVE = "raytrace.alive"
"""Of an open span: when its process last lived, said again and again."""

UNIT = 10_000
"""Resources are counted in ten-thousandths, as Ray does: halves and thirds of a GPU add up exactly."""

_NO_OBJECT: dict[str, Any] = {}

_Texts = TypeVar("_Texts", pl.Expr, pl.Series)


def json_of(text: Any, default: Any) -> Any:
    """Decode what stands in a JSON column; `default` for what is none, or of another type than `default`."""
    try:
        value = json.loads(text) if text and isinstance(text, str) else default
    except (ValueError, RecursionError):
        return default
    return value if isinstance(value, type(default)) else default


def told(attributes: _Texts, name: str) -> _Texts:
    """Read an attribute from the attributes' JSON, as text; null where it is not there."""
    if isinstance(attributes, pl.Expr):
        return attributes.map_batches(lambda texts: told(texts, name), return_dtype=pl.String, is_elementwise=True)
    found = pl.Series(attributes.name, [None], dtype=pl.String).new_from_index(0, attributes.len())
    rows = attributes.str.contains(f'"{name}"', literal=True).arg_true()
    return found if rows.is_empty() else found.scatter(rows, _cut_out(attributes.gather(rows), name))


def _cut_out(texts: pl.Series, name: str) -> pl.Series:
    """Cut a value out of JSON that names it; parsing all of that, as is done for the rest, takes longer.

    What follows a name is often the same for many, and cut out once then; so is all of it.
    """
    if texts.len() >= _MANY and texts.head(_MANY).n_unique() <= _FEW:
        distinct = texts.unique()
        if distinct.len() <= texts.len() // 2:
            number = texts.cast(pl.Enum(distinct)).to_physical()
            return _cut_out(distinct, name).gather(number).alias(texts.name)
    tails = _behind(texts, f'"{name}"')
    values = pl.DataFrame({"tail": tails.unique()}).with_columns(
        value=pl.col("tail").str.extract(rf"^\s*:\s*({_VALUE})").str.json_path_match("$")
    )
    found = pl.DataFrame({"tail": tails}).join(values, on="tail", how="left", maintain_order="left")
    value = found.get_column("value").alias(texts.name)
    left = (value.is_null() | texts.str.contains_any(NESTED)).arg_true()
    return value if left.is_empty() else value.scatter(left, texts.gather(left).str.json_path_match(f"$['{name}']"))


def _behind(texts: pl.Series, quoted: str) -> pl.Series:
    """Give what stands behind the first place of something that stands in all of them."""
    if (texts.str.len_bytes() == texts.str.len_chars()).all():  # bytes are characters, and cut off in half the time
        return texts.str.slice(texts.str.find(quoted, literal=True) + len(quoted))
    return texts.str.splitn(quoted, 2).struct.field("field_1")


NESTED = [":{", ": {", ":  ", ":\n", ":\t", ":\r", "[{", "[ {", "[\n", "\\u"]
"""Where none of these is, no name stands in an inner object, and none is written with escapes."""
_MANY, _FEW = 1024, 64
"""Of so many texts so few different ones are few: all of them are looked at for that."""
_STRING = r'"(?:[^"\\]|\\.)*"'
_VALUE = rf'{_STRING}|\[(?:{_STRING}|[^"\[\]{{}}])*\]|[^\s",\[\]{{}}]+'
"""A value in JSON that is no object, nor a list with another one in it."""


def entrypoint() -> pl.Expr:
    """The program of the spans of one scope, by their driver's word; null where the hook recorded none."""
    drivers = pl.col("attributes").filter(pl.col("category") == "driver")
    return told(drivers, ENTRYPOINT).drop_nulls().first()


def told_cpus(attributes: pl.Series, name: str = RESOURCES, *, otherwise: int) -> npt.NDArray[np.int64]:
    """Read how many CPUs each of these names, in ten-thousandths; `otherwise` where no resources are told."""
    return parse_cpus(told(attributes, name), otherwise=otherwise)


def parse_cpus(resources: pl.Series, *, otherwise: int) -> npt.NDArray[np.int64]:
    """Read the CPUs from resources as JSON, in ten-thousandths; `otherwise` for null and what is none."""
    texts = resources.drop_nulls().unique().to_list()
    parsed = {text: found for text in texts if (found := parse_resources(text)) is not None}
    cpus = {text: found.get("CPU", 0) for text, found in parsed.items()}
    read: npt.NDArray[np.int64] = resources.replace_strict(
        list(cpus), list(cpus.values()), default=otherwise, return_dtype=pl.Int64
    ).to_numpy()
    return read


NODE_LABEL = "node:"
"""How the resource begins that each node has for itself: the hook leaves these out of what the cluster has."""
LABELS = ("bundle_group_", "accelerator_type:", NODE_LABEL)
"""How resources begin that tell where to run, and are never scarce."""


BYTES = ("memory", "object_store_memory")
"""The resources that are told in bytes, not as a number of things; so are their amounts here."""
_MOST_OF_ONE = 2**44
"""Beyond what a node has of anything: sums of many such amounts are numbers that fit."""


def amount_of(name: str, told: float) -> int:
    """Give how much of a resource is told: ten-thousandths, of memory bytes."""
    return round(told if name in BYTES else told * UNIT)


def parse_resources(text: str) -> dict[str, int] | None:
    """Read resources from their JSON: ten-thousandths of each, of memory bytes; None where that is not an object.

    What is no amount, or nothing, is left out.
    """
    values = json_of(text, _NO_OBJECT)
    if values is _NO_OBJECT:
        return None
    return {
        str(name): amount_of(name, amount)
        for name, amount in values.items()
        if isinstance(amount, int | float) and 0 < amount < _MOST_OF_ONE and 0 < amount_of(name, amount) < _MOST_OF_ONE
    }
