"""Sets of things that have to do with each other: connected components, without a graph library's half second."""

from collections.abc import Hashable, Iterable, Sequence
from typing import TypeVar

_T = TypeVar("_T", bound=Hashable)


def components(groups: Iterable[Sequence[_T]]) -> list[set[_T]]:
    """Join groups that share a member, directly or through others; in the order in which their first members come.

    >>> components([[1, 2], [5], [3, 4], [4, 2]])
    [{1, 2, 3, 4}, {5}]
    """
    above: dict[_T, _T] = {}

    def head(member: _T) -> _T:
        while (higher := above[member]) != member:
            above[member] = member = above[higher]
        return member

    for group in groups:
        for member in group:
            above.setdefault(member, member)
            above[head(member)] = head(group[0])
    found: dict[_T, set[_T]] = {}
    for member in above:
        found.setdefault(head(member), set()).add(member)
    return list(found.values())
