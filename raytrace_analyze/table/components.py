"""Connected components: what belongs together, directly or by way of others."""

from collections.abc import Hashable, Iterable
from typing import TypeVar

Node = TypeVar("Node", bound=Hashable)


def connected(groups: Iterable[Iterable[Node]]) -> list[set[Node]]:
    """Give the sets of nodes that groups connect, those of the first groups first; a group of one is a node alone."""
    above: dict[Node, Node] = {}

    def top(node: Node) -> Node:
        path = []
        while above[node] != node:
            path.append(node)
            node = above[node]
        for passed in path:
            above[passed] = node
        return node

    for group in groups:
        first: Node | None = None
        for node in group:
            above.setdefault(node, node)
            if first is None:
                first = node
            else:
                above[top(node)] = top(first)
    found: dict[Node, set[Node]] = {}
    for node in above:
        found.setdefault(top(node), set()).add(node)
    return list(found.values())
