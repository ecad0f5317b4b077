"""What waits waited for, what let methods and generators go on, what ended runs: found once for all that asks."""

from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.trace.asof_latest import Latest
from raytrace_analyze.trace.relations import Runs
from raytrace_analyze.values import frozen
from raytrace_analyze.waits.actor_ends import ActorEnds, find_actor_ends
from raytrace_analyze.waits.ends import find_ends
from raytrace_analyze.waits.placements import Placements, find_placements
from raytrace_analyze.waits.replicas import Room, find_room
from raytrace_analyze.waits.takers import Takers, find_takers
from raytrace_analyze.waits.turns import Turns, find_turns
from raytrace_analyze.waits.waited import find_waited
from raytrace_analyze.waits.wakers import Wakers, find_wakers


@frozen
class Waiting:
    """Why spans went on, or ended, by what the hook recorded."""

    waited: Latest
    """By wait: the runs that it waited for, each with the time at which what it waited for was there."""
    wakers: Wakers | None
    """None where nothing was suspended."""
    takers: Takers | None
    """None where no generator was held back."""
    turns: Turns
    """When turns on actors came free."""
    ended_by: RowIds | None
    """By row: the call that ended a run, -1 for none; None where there are no such calls."""
    placements: Placements | None
    """Who made room for the placement groups of runs; None where none is in one."""
    actor_ends: ActorEnds | None
    """When actors were over, and whose doing that was; None where no end is known."""

    room: Room | None
    """Who made room at replicas of Ray Serve for requests that waited for that; None where none did."""


def find_waiting(runs: Runs) -> Waiting:
    """Find it for a whole table."""
    waited = Latest(find_waited(runs), runs.structure.start)
    return Waiting(
        waited=waited,
        wakers=find_wakers(runs),
        takers=find_takers(runs),
        turns=find_turns(runs),
        ended_by=find_ends(runs),
        placements=find_placements(runs),
        actor_ends=find_actor_ends(runs),
        room=find_room(runs),
    )
