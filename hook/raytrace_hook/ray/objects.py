"""References to objects: the tasks that make them, and whether waiting for them is over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from raytrace_hook.ray.internals import core_worker, load, loaded

_FIRST_PUT_INDEX = 100_000_001


def task_ids_of(references: Any) -> list[str]:
    """Return the ids of the tasks that made these objects, each once, in order; objects of `ray.put` have none."""
    found: dict[str, None] = {}
    for reference in references:
        text = getattr(reference, "_generator_ref", reference).hex()
        if not _is_put(text):
            found[text[:48]] = None
    return list(found)


def count_puts(references: Sequence[Any]) -> int:
    """Return how many of these references are to objects of `ray.put`."""
    return sum(_is_put(reference.hex()) for reference in references)


def _is_put(text: str) -> bool:
    # 24 bytes of task id and a little-endian index, where numbers from 100,000,001 on are puts.
    return text[52:] != "0000" and int.from_bytes(bytes.fromhex(text[48:]), "little") >= _FIRST_PUT_INDEX


def ready_now(references: Any) -> list[Any]:
    """Return those of these objects that are ready, without waiting."""
    unique = list(dict.fromkeys(references))
    if core_worker() is None or not unique:
        return []
    ready, _ = load("ray").wait(unique, num_returns=len(unique), timeout=0, fetch_local=False)
    return list(ready)


def is_channel_timeout(error: BaseException | None) -> bool:
    """Tell whether a compiled graph was not ready in time."""
    kind = getattr(loaded("ray.exceptions"), "RayChannelTimeoutError", None)
    return kind is not None and isinstance(error, kind)


def is_object_ref(value: Any) -> bool:
    """Tell whether this is a reference to an object."""
    return bool(references_among((value,)))


def _object_ref() -> Any:
    return getattr(loaded("ray"), "ObjectRef", None)


def references_among(values: Sequence[Any]) -> list[Any]:
    """Return those of these values that are references to objects."""
    kind = _object_ref()
    return [] if kind is None else [value for value in values if isinstance(value, kind)]


def item_index(reference: Any) -> int | None:
    """Return which item of a generator task this refers to, from 0 on; None where it refers to the generator itself."""
    index = int.from_bytes(bytes.fromhex(reference.hex()[48:]), "little")
    # The first index is that of the task's own result.
    return index - 2 if 2 <= index < _FIRST_PUT_INDEX else None


def is_timeout(error: BaseException | None) -> bool:
    """Tell whether a call of Ray's was over because its time was."""
    kind = getattr(loaded("ray.exceptions"), "GetTimeoutError", None)
    return kind is not None and isinstance(error, kind)


def submitted_task_id(kind: str, returned: Any) -> str | None:
    """Return the id of the task that a submission returned this for; None where it returns nothing (no results)."""
    if returned.__class__ is _object_ref():  # as hardly anything else
        plain: str = returned.hex()
        return plain[:48]
    first: Any = returned[0] if isinstance(returned, (list, tuple)) and returned else returned
    if kind == "create":
        ray = loaded("ray")
        identifier: str = ray._raylet.TaskID.for_actor_creation_task(first._ray_actor_id).hex()
        return identifier
    reference: Any = getattr(first, "_generator_ref", first)
    return reference.hex()[:48] if is_object_ref(reference) else None
