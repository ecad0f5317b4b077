"""Values are the frozen dataclasses that they stand in for."""

import copy
import pickle
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, replace
from functools import cached_property

import pytest

from raytrace_analyze.values import frozen


@frozen
class Ours:
    """A value."""

    name: str
    rows: list[int] = field(default_factory=list, repr=False, compare=False)
    more: int = 2

    @cached_property
    def twice(self) -> int:
        """What is worked out once."""
        return 2 * self.more


@dataclass(frozen=True)
class Theirs:
    """The same, written for this class."""

    name: str
    rows: list[int] = field(default_factory=list, repr=False, compare=False)
    more: int = 2


def test_a_value_is_what_a_frozen_dataclass_is() -> None:
    ours, theirs = Ours("a", [1], more=3), Theirs("a", [1], more=3)
    assert repr(ours) == repr(theirs).replace("Theirs", "Ours")
    assert asdict(ours) == asdict(theirs)
    assert [each.name for each in fields(ours)] == [each.name for each in fields(theirs)]
    assert hash(ours) == hash(theirs)
    assert ours == Ours("a", [2], more=3) != Ours("a", [1])
    assert ours != theirs
    assert replace(ours, more=4).more == 4
    assert ours.twice == 6


@pytest.mark.parametrize("name", ["name", "more", "twice", "other"])
def test_nothing_of_a_value_is_set_or_deleted(name: str) -> None:
    value = Ours("a")
    with pytest.raises(FrozenInstanceError, match=name):
        setattr(value, name, 1)
    with pytest.raises(FrozenInstanceError, match=name):
        delattr(value, name)


def test_values_are_copied_and_sent() -> None:
    value = Ours("a", [1], more=5)
    for other in (copy.copy(value), copy.deepcopy(value), pickle.loads(pickle.dumps(value))):
        assert other == value
        assert other.rows == [1]
        with pytest.raises(FrozenInstanceError):
            other.name = "b"
