"""What the time on a path can be, in words, and the class that gives it its colour and pattern in the page."""

from typing import Any

from raytrace_analyze.values import frozen
from raytrace_analyze.views.words import CATEGORIES, CAUSES
from raytrace_analyze.vocabulary.paths import Activity, Category
from raytrace_analyze.vocabulary.queues import Cause


@frozen
class Kind:
    """One kind of time."""

    key: str
    """The class of its colour and pattern: `k-KEY`."""
    label: str


_OWN = {
    Activity.CPU: Kind("cpu", "on the CPU"),
    Activity.IDLE: Kind("idle", "idle in its own code"),
    Activity.UNKNOWN: Kind("run", CATEGORIES[Category.SELF]),
}
_CATEGORIES = {Category(word): Kind(word, text) for word, text in CATEGORIES.items() if word != Category.SELF}
_CAUSES = {Cause(word): Kind(word, text) for word, text in CAUSES.items()}
NOTHING_TO_RUN = Kind("nothing", "there was no task to run")
KINDS: tuple[Kind, ...] = (*_OWN.values(), *_CATEGORIES.values(), *_CAUSES.values())
"""All of them, in the order in which legends show them; a kind's number in the page's data is its position here."""


def kind_of(segment: dict[str, Any]) -> Kind:
    """Tell what a segment of a path was: a row of `path.result.SEGMENTS`."""
    return kind_named(segment["category"], segment["cause"], segment["activity"])


def kind_named(category: str, cause: str | None = None, activity: str | None = None) -> Kind:
    """Tell the kind of a category, its cause (of a queue) and activity (of own time)."""
    if category == Category.SELF:
        return _OWN[Activity(activity or Activity.UNKNOWN)]
    if category == Category.QUEUE and cause is not None:
        return cause_kind(cause)
    return _CATEGORIES[Category(category)]


def cause_kind(cause: str | None) -> Kind:
    """Tell the kind of a cause; of None that there was no task."""
    return NOTHING_TO_RUN if cause is None else _CAUSES[Cause(cause)]
