"""Ray Data: its executions, their operators and blocks."""

from __future__ import annotations

from typing import Any

from raytrace_hook.ray.internals import OPERATOR_MODULE, loaded


def blocks_of(bundle: Any) -> list[Any]:
    """Return the references to a dataset's blocks that came together; none of None."""
    if bundle is None:
        return []
    return list(bundle.block_refs) if hasattr(bundle, "block_refs") else [block[0] for block in bundle.blocks]


def is_operator(value: Any) -> bool:
    """Tell whether this is an operator of Ray Data."""
    kind = getattr(loaded(OPERATOR_MODULE), "PhysicalOperator", None)
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
