"""Calls that had not ended and wait at a barrier: who has not come there."""

from collections.abc import Collection, Iterator

from raytrace_analyze.analyses.stuck.opened import Edge, Open, key_of
from raytrace_analyze.analyses.stuck.submitted import Row
from raytrace_analyze.names.awaited import BARRIER


def of_meetings(
    found: Open, running: Collection[Row], pending: Collection[Row], submits: Collection[Row]
) -> Iterator[Edge]:
    """Say for whom calls wait at a barrier: for the tasks, or calls, like those that came there, that did not.

    Takes what is known by now, the runs that had not ended, what never started, and all submits.
    """
    meeting = [row for row in running if found.idle_in.get(key_of(row), "").partition(" at ")[0].endswith(BARRIER)]
    if not meeting:
        return
    by = {row["submitted_task_id"]: key_of(row) for row in submits}
    functions = {key_of(row): row["function"] for row in running}
    functions |= {row["submitted_task_id"]: row["function"] for row in pending}
    came: dict[tuple[str | None, str | None], set[str]] = {}
    for row in meeting:
        came.setdefault((row["session"], row["actor_id"]), set()).add(by.get(key_of(row), ""))
    at_barrier = {key_of(row) for row in meeting}
    for row in meeting:
        there = came[row["session"], row["actor_id"]]
        alike = {functions[each] for each in there if each in functions}
        for key, function in functions.items():
            if function in alike and key not in there and key not in at_barrier:
                yield Edge(key_of(row), key, "party", row["start_ns"], certain=False)
