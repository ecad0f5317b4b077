"""What a part of a table is to know of the rest of its sessions, for its runs' waits to be split as in all of it.

A part holds whole traces, and all that ran in a stretch of time. What waits are for hangs on some facts about nodes and
worker processes that come from any time: how much a node can hold, whether runs let their slots go there, and what each
process began with. Each part tells what it sees of that; what all parts tell together is true of the table.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import polars as pl

from raytrace_analyze.errors import RaytraceError
from raytrace_analyze.table.lineage import Nanos, RowIds
from raytrace_analyze.trace.span_arrays import Structure
from raytrace_analyze.values import frozen

Node = tuple[str, str]
"""Session and node."""
Place = tuple[str, str, str]
"""Session, node and resource."""
Process = tuple[str, str]
"""Session and worker process."""
First = tuple[int, int, str, str]
"""What a process began with: the start and end of the run (ns), its span and trace. The least is the first."""

_Key = TypeVar("_Key")


class OutOfReachError(RaytraceError):
    """A part of a table does not tell what is asked of it."""


@frozen
class Told:
    """What one part, or several together, tell."""

    capacity: dict[Place, int]
    """How much each place has held, in ten-thousandths."""
    enough: dict[Place, int]
    """With how much capacity, or any more, nobody in these parts ever waited for room there."""
    lets_go: dict[Node, bool]
    """Whether runs let their slots go while they wait."""
    first: dict[Process, First]

    def __or__(self, other: "Told") -> "Told":
        """Put together what two tell."""
        return Told(
            _merged(self.capacity, other.capacity, max),
            _merged(self.enough, other.enough, max),
            _merged(self.lets_go, other.lets_go, max),
            _merged(self.first, other.first, min),
        )

    def sees_no_difference(self, known: "Told", whole: "Told") -> bool:
        """Tell whether what is found in this part is the same, be it known what `known` or what `whole` tells."""
        return (
            all(
                known.capacity[place] == whole.capacity[place]
                or min(known.capacity[place], whole.capacity[place]) >= enough
                for place, enough in self.enough.items()
            )
            and all(known.lets_go[node] == whole.lets_go[node] for node in self.lets_go)
            and all(
                (known.first[process] == first) == (whole.first[process] == first)
                for process, first in self.first.items()
            )
        )

    def holds_more(self, other: "Told") -> bool:
        """Tell whether some place is said to have held more here."""
        return any(held > other.capacity.get(place, 0) for place, held in self.capacity.items())


def _merged(one: dict[_Key, Any], other: dict[_Key, Any], better: Callable[[Any, Any], Any]) -> dict[_Key, Any]:
    return one | {key: better(one[key], value) if key in one else value for key, value in other.items()}


NOTHING_TOLD = Told({}, {}, {}, {})


@frozen
class Beyond:
    """What a part of a table knows of the rest; times are ns since the epoch."""

    told: Told
    """What other parts tell."""
    complete_since: int
    complete_until: int
    """From when until when the part has all that ran."""
    asked_since: int
    """The earliest time that is asked about."""

    def check_seen(self, since: Nanos, until: Nanos) -> None:
        """Raise OutOfReachError if of any of some stretches more is asked than the part has."""
        if ((since < self.complete_since) & (until >= self.asked_since)).any():
            raise OutOfReachError("a process took longer to start than is looked back")


def nodes_of(structure: Structure, rows: RowIds) -> list[Node]:
    """Name the nodes of some rows."""
    return structure.spans.select(pl.col("session", "node_id").fill_null(""))[rows].rows()


def processes_of(structure: Structure, rows: RowIds) -> list[Process]:
    """Name the worker processes of some rows."""
    process = pl.format("{} {}", pl.col("node_id").fill_null(""), "pid")
    named = structure.spans.select("session", "worker_id", "node_id", "pid")[rows]
    return named.select(pl.col("session"), pl.coalesce("worker_id", process).fill_null("")).rows()


def firsts_of(structure: Structure, rows: RowIds, held_from: Nanos) -> list[First]:
    """Tell when some runs had their slots and what they are."""
    named = structure.spans.select("span_id", "trace_id")[rows].rows()
    times = zip(held_from[rows].tolist(), structure.end[rows].tolist(), strict=True)
    return [(*at, *names) for at, names in zip(times, named, strict=True)]
