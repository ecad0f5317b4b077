"""How much of a test is done by default: the rest of what it could be done with is slow."""

from collections.abc import Iterable, Sequence
from typing import Any

import pytest


def first(count: int, values: Sequence[Any] | Iterable[Any]) -> list[Any]:
    """Values for `pytest.mark.parametrize`, of which those after the first few are slow."""
    slow = pytest.mark.slow
    return [each if number < count else pytest.param(each, marks=slow) for number, each in enumerate(values)]


def spread(count: int, values: Sequence[Any]) -> list[Any]:
    """The same with some of the values that lie evenly among them, as of names in which neighbours are alike."""
    chosen = {round(number * (len(values) - 1) / max(count - 1, 1)) for number in range(count)}
    slow = pytest.mark.slow
    return [each if number in chosen else pytest.param(each, marks=slow) for number, each in enumerate(values)]


def counted(default: int, whole: int) -> pytest.MarkDecorator:
    """Gives a test its `count`, as of random programs: so many by default, and all when there is time."""
    return pytest.mark.parametrize("count", first(1, (default, whole)))
