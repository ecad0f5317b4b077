"""Tasks that are to run in a placement group which is not there."""

from collections.abc import Iterable, Mapping

from raytrace_analyze.analyses.stuck.submitted import Row, group_of, in_words, is_more, resources
from raytrace_analyze.names.attributes import PLACEMENT_GROUP_RESOURCES
from raytrace_analyze.values import frozen


@frozen
class Group:
    """A placement group of which no task has started."""

    asks: str | None
    """What it asks for in all, in words; None where the hook does not tell."""
    too_large: bool
    """Whether that is more than the cluster has."""


def missing_groups(
    pending: Iterable[Row], submits: Iterable[Row], cluster: Mapping[str, int]
) -> Iterable[tuple[str, Group]]:
    """Give the pending tasks (ids) in groups of which none of the `submits` has started, each with its group.

    `cluster` is what that has of each resource, in ten-thousandths; empty where it is not known.
    """
    waiting = list(pending)
    never = {row["submitted_task_id"] for row in waiting}
    came = {group_of(row) for row in submits if row["submitted_task_id"] not in never}
    for row in waiting:
        if group_of(row) not in {None, *came}:
            asked = resources(row, PLACEMENT_GROUP_RESOURCES)
            yield row["submitted_task_id"], Group(in_words(asked) or None, is_more(asked, cluster))
