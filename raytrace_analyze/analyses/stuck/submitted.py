"""What a row of a submission says: what it asks for, on which actor and in which placement group it is to run."""

from collections.abc import Mapping
from typing import Any

from raytrace_analyze.names import spans as span_names
from raytrace_analyze.names.attributes import (
    BYTES,
    NODE_LABEL,
    PLACEMENT_GROUP_ID,
    PLACEMENT_RESOURCES,
    RESOURCES,
    UNIT,
    json_of,
    parse_resources,
)
from raytrace_analyze.text.units import bytes_text

_NO_ACTOR = "f" * 32
"""Where a task id has the actor's id, that of a plain task has this (but for the job's part at its end)."""

Row = dict[str, Any]


def is_creation(row: Row) -> bool:
    """Tell whether a submission creates an actor."""
    return span_names.is_creation(row["function"])


def asked_cpus(row: Row, *, otherwise: int) -> int:
    """Read how many CPUs have to be free for a task or an actor to start, in ten-thousandths."""
    return max(cpus(row, otherwise=otherwise), resources(row, PLACEMENT_RESOURCES).get("CPU", 0))


def cpus(row: Row, *, otherwise: int) -> int:
    """Read how many CPUs a span names, in ten-thousandths; `otherwise` where it names no resources."""
    resources = _told_resources(row, RESOURCES)
    return otherwise if resources is None else resources.get("CPU", 0)


def resources(row: Row, name: str = RESOURCES) -> dict[str, int]:
    """Read what a span asks for, in ten-thousandths."""
    return _told_resources(row, name) or {}


def is_more(asked: Mapping[str, int], cluster: Mapping[str, int]) -> bool:
    """Tell whether something asks for more than a cluster has; not where it is not known what that has."""
    known = {name: amount for name, amount in asked.items() if not name.startswith(NODE_LABEL)}
    return bool(cluster) and any(amount > cluster.get(name, 0) for name, amount in known.items())


def in_words(asked: Mapping[str, int]) -> str:
    """Say what something asks for: `2 CPU, 1 gpu, 8.36 GB memory`."""
    return ", ".join(
        f"{bytes_text(amount) if name in BYTES else f'{amount / UNIT:g}'} {name}" for name, amount in asked.items()
    )


def _told_resources(row: Row, name: str) -> dict[str, int] | None:
    told = json_of(row["attributes"], {}).get(name)
    return parse_resources(told) if isinstance(told, str) else None


def group_of(row: Row) -> str | None:
    """Read which placement group a task is to run in, None for none."""
    group = json_of(row["attributes"], {}).get(PLACEMENT_GROUP_ID)
    return group if isinstance(group, str) else None


def actor_of(row: Row) -> str | None:
    """Read the actor of a submitted method from its task's id, which holds it."""
    part = str(row["submitted_task_id"])[16:]
    return None if len(part) < 32 or part[:24] == _NO_ACTOR[:24] else part
