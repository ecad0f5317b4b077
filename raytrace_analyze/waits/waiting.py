"""What waits waited for, what let methods and generators go on, what ended runs: found once for all that asks."""

from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.trace.asof_latest import Latest
from raytrace_analyze.trace.relations import Runs
from raytrace_analyze.values import frozen
from raytrace_analyze.waits.ends import find_ends
from raytrace_analyze.waits.placements import Placements, find_placements
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


def find_waiting(runs: Runs) -> Waiting:
    """Find it for a whole table."""
    waited = Latest(find_waited(runs), runs.structure.start)
    return Waiting(
        waited, find_wakers(runs), find_takers(runs), find_turns(runs), find_ends(runs), find_placements(runs)
    )
