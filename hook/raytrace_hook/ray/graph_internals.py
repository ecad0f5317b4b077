"""What a compiled graph of Ray's is made of: its steps, and what each takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from raytrace_hook.ray.internals import loaded


def steps_of(graph: Any) -> Iterator[tuple[int, Any, dict[str, Any]]]:
    """Give the number of each step that is an actor's method, its node, and the keyword arguments it is bound with."""
    for number, task in graph.idx_to_task.items():
        node = task.dag_node
        if _is_call(node):
            yield number, node, task.kwargs


def _is_call(node: Any) -> bool:
    return _is_of_method(node) and bool(node.is_class_method_call) and node._get_actor_handle() is not None


def _is_of_method(node: Any) -> bool:
    # First of all: whatever else is asked of a graph's input becomes an attribute of the input.
    return isinstance(node, loaded("ray.dag").ClassMethodNode)


def owner_of(node: Any) -> tuple[str, str, str]:
    """Return the actor's class, its id, and the method of a step."""
    handle = node._get_actor_handle()
    owner: str = handle._ray_actor_creation_function_descriptor.class_name
    return owner, handle._ray_actor_id.hex(), node.get_method_name()


def above(graph: Any, node: Any, steps: Any) -> list[int]:
    """Return the nearest of these steps whose results reach a node, directly or through what is no step."""
    found: dict[int, None] = {}
    pending = _arguments(node)
    while pending:
        one = pending.pop()
        number = graph.dag_node_to_idx.get(one)
        if number in steps:
            found[number] = None
        else:
            pending.extend(_arguments(one))
    return list(found)


def _arguments(node: Any) -> list[Any]:
    kind = loaded("ray.dag").DAGNode
    of_call = [node.class_method_call] if _is_of_method(node) and node.is_class_method_output else []
    return of_call + [argument for argument in node.get_args() if isinstance(argument, kind)]


def output_of(graph: Any) -> Any:
    """Return the node that gives the graph's results; None where it is not compiled yet."""
    number = graph.output_task_idx
    return None if number is None else graph.idx_to_task[number].dag_node


def execution_of(reference: Any) -> tuple[Any, int]:
    """Return the graph of a reference to results, one or a list of them, and the number of its execution."""
    one = reference[0] if isinstance(reference, list) else reference
    return one._dag, one._execution_index
