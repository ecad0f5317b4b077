"""Waits for placement groups: what `ready()` gives is no task's result, and `wait()` asks for no object at all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Callable

from raytrace_hook import names
from raytrace_hook.log import warn_once
from raytrace_hook.ray import internals, objects, patches
from raytrace_hook.ray.patching import when_loaded
from raytrace_hook.ray.tracebacks import leave_out_this_frame
from raytrace_hook.record.origin.call_sites import called_by_ray
from raytrace_hook.record.waiting.waits import Waits, covered

_MOST_KNOWN = 256
_SEVERAL = "placement groups"
_known: dict[bytes, tuple[str, str]] = {}
"""By object: the placement group that it stands for, in words and its id, the latest last."""
_asked: dict[str, dict[str, Any]] = {}
"""By id of a group: what submissions say of it."""


def install(waits: Waits) -> None:
    """Record these waits from now on."""

    def ready_of(original: Callable[..., Any]) -> Callable[..., Any]:
        def ready(group: Any, *arguments: Any, **keywords: Any) -> Any:
            reference = original(group, *arguments, **keywords)
            _note(reference, group)
            return reference

        return ready

    def wait_of(original: Callable[..., Any]) -> Callable[..., Any]:
        def wait(group: Any, *arguments: Any, **keywords: Any) -> Any:
            is_covered = covered.get() or called_by_ray()
            begun = None if is_covered else waits.begin(names.PLACEMENT_SPAN, 1, awaited=_described(group))
            problem: BaseException | None = None
            is_there = None
            try:
                is_there = original(group, *arguments, **keywords)
                return is_there
            except BaseException as error:
                leave_out_this_frame(error)
                problem = error
                raise
            finally:
                waits.end(begun, lambda: _found(group, is_there), problem, may_go_on=is_there is False)

        return wait

    when_loaded(internals.PLACEMENT_MODULE, lambda: patches.patch_placement_groups(ready_of, wait_of))


def awaited(references: Sequence[Any]) -> str:
    """Return which placement group is waited for with these objects; empty where they are anything else."""
    if not _known:
        return ""
    groups = [_known.get(reference.binary()) if hasattr(reference, "binary") else None for reference in references]
    texts = {None if group is None else group[0] for group in groups}
    if None in texts:
        return ""
    return (texts.pop() or "") if len(texts) == 1 else _SEVERAL if texts else ""


def which(references: Sequence[Any]) -> dict[str, Any]:
    """Return what is said of a wait for one placement group: its id; nothing of any other wait."""
    group = _known.get(references[0].binary()) if _known and len(references) == 1 and _has_id(references[0]) else None
    return {names.PLACEMENT_GROUP_ID: group[1]} if group is not None and group[1] else {}


def _has_id(reference: Any) -> bool:
    return hasattr(reference, "binary")


def _note(reference: Any, group: Any) -> None:
    try:
        # In older versions of Ray it is the result of a task, which tells more.
        if not objects.task_ids_of([reference]):
            _known[reference.binary()] = _described(group), id_of(group)
            while len(_known) > _MOST_KNOWN:
                del _known[next(iter(_known))]
    except Exception as error:
        warn_once("a placement group could not be noted", error)


def told(group: Any) -> dict[str, Any]:
    """Return what a submission says of the placement group that it is to run in: its id, and what it asks for."""
    group_id = id_of(group)
    if not group_id:
        return {}
    known = _asked.get(group_id)
    if known is None:
        amounts = _amounts(group)
        asked = {names.PLACEMENT_GROUP_RESOURCES: json.dumps(amounts, separators=(",", ":"))} if amounts else {}
        known = {names.PLACEMENT_GROUP_ID: group_id, **asked}
        if len(_asked) < _MOST_KNOWN:
            _asked[group_id] = known
    return known


def _described(group: Any) -> str:
    told = ", ".join(f"{amount:g} {name}" for name, amount in _amounts(group).items())
    return f"placement group ({told})" if told else "placement group"


def _amounts(group: Any) -> dict[str, float]:
    """Sum what the bundles of a group ask for, as far as this process knows that."""
    amounts: dict[str, float] = {}
    for bundle in getattr(group, "bundle_cache", None) or ():
        for name, amount in bundle.items():
            amounts[name] = amounts.get(name, 0) + amount
    return amounts


def id_of(group: Any) -> str:
    """Return a placement group's id, empty where it has none."""
    to_hex = getattr(getattr(group, "id", None), "hex", None)
    return to_hex() if to_hex is not None else ""


def _found(group: Any, is_there: Any) -> dict[str, Any]:
    found: dict[str, Any] = {names.READY_TASK_IDS: []}
    if group_id := id_of(group):
        found[names.PLACEMENT_GROUP_ID] = group_id
    if is_there is False:
        found[names.TIMED_OUT] = True
    return found
