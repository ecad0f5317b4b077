"""Trials of Ray Tune, and tasks of Ray Data, of which more could run at a time: there were free CPUs meanwhile."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.advice.patterns import Candidate
from raytrace_analyze.analyses.cluster_use import use_of
from raytrace_analyze.analyses.libraries.data.operators import find_operators
from raytrace_analyze.analyses.libraries.tune.trials import find_attempts
from raytrace_analyze.names.attributes import UNIT, told_cpus
from raytrace_analyze.table.lineage import Nanos, RowIds
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.advice import Pattern
from raytrace_analyze.wording.advice import libraries as words

_FEWEST = 3
_NOTABLE = 0.1
"""What part of the job's time they have of its critical path at least."""
_IN_TURN = 0.6
"""For what part of the time as many as there were at most ran on average: else they may not have been there."""


@frozen
class _Flights:
    """What a library keeps going: parallel arrays of when each was asked for, began and ended (ns)."""

    asked: Nanos
    began: Nanos
    ended: Nanos
    rows: RowIds
    """Their runs, in any order."""
    made: RowIds
    """The runs that created the actors which they run on."""
    cpus: int
    """What each asks for, in ten-thousandths."""


@frozen
class _Room:
    """How many there were at a time, and could have been."""

    most: int
    room: int
    free: float
    """How many CPUs were free meanwhile, on average."""
    slots: int
    """How many there are in all."""
    busy_ns: int


def few_at_a_time_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find what Ray Tune and Ray Data run fewer of at a time than the cluster has room for; no saving is told."""
    if facts.job.cluster is None:
        return
    yield from _trials(facts)
    yield from _operators(facts)


def _trials(facts: Facts) -> Iterator[Candidate]:
    scope = facts.job.scope
    attempts = find_attempts(facts.job.trace).filter(
        pl.col("session").eq_missing(pl.lit(scope.session, pl.String)),
        pl.col("job_id") == scope.id,
        pl.col("ended").is_not_null(),
    )
    if attempts.height < _FEWEST:
        return
    of_trials = facts.spans.get_column("actor_id").is_in(attempts.get_column("actor_id").implode()).fill_null(False)
    rows = facts.runs[of_trials.to_numpy()[facts.runs]]
    made = rows[facts.relations.is_creation[rows]]
    if made.size == 0:
        return
    asked, began, ended = (attempts.get_column(name).to_numpy() for name in ("submitted", "began", "ended"))
    flights = _Flights(asked, began, ended, rows, made, int(_asked(facts, made).max(initial=0)))
    own = rows[~facts.relations.is_creation[rows]]
    longest = int(own[np.argmax(facts.end[own] - facts.start[own])]) if own.size else int(rows[0])
    if (found := _room(facts, flights)) is not None:
        name = facts.functions[longest]
        told = words.few_trials(
            name,
            attempts.height,
            found.most,
            found.room,
            free=found.free,
            slots=found.slots,
            busy_ns=found.busy_ns,
        )
        yield Candidate(Pattern.TOO_FEW_IN_FLIGHT, name, told, None, rows, certain=False)


def _operators(facts: Facts) -> Iterator[Candidate]:
    operators = find_operators(facts.job.trace)
    structure, blocks = facts.structure, operators.table.get_column("blocks_in")
    tasks = facts.runs[operators.is_task[facts.runs] & (structure.submit[facts.runs] >= 0)]
    for number in np.unique(operators.of_row[tasks]).tolist():
        rows = tasks[operators.of_row[tasks] == number]
        made = facts.runs[operators.is_creation[facts.runs] & (operators.of_row[facts.runs] == number)]
        asked = facts.start[rows] if made.size else facts.start[structure.submit[rows]]
        flights = _Flights(
            asked,
            facts.start[rows],
            facts.end[rows],
            rows,
            made,
            int(_asked(facts, made if made.size else rows).max(initial=0)),
        )
        if (found := _room(facts, flights)) is not None:
            name = facts.functions[int(rows[0])]
            told = words.few_tasks(
                name,
                rows.size,
                found.most,
                found.room,
                free=found.free,
                slots=found.slots,
                actors=made.size,
                blocks=blocks[number],
            )
            yield Candidate(Pattern.TOO_FEW_IN_FLIGHT, name, told, None, rows, certain=False)


def _room(facts: Facts, flights: _Flights) -> _Room | None:
    """Say how many there were at a time where more could have been; None where not, and where it cost little."""
    cluster = facts.job.cluster
    notable_ns = _NOTABLE * facts.job.makespan_ns
    if cluster is None or not flights.cpus or facts.cost_ns(flights.rows) < notable_ns:
        return None
    on_actors = int(_asked(facts, flights.made).sum())
    slots = cluster.cpus * UNIT - max(round(cluster.held_by_actors * UNIT) - on_actors, 0)
    room, most = slots // flights.cpus, _most(flights.asked, flights.ended)
    begin, end = int(flights.began.min()), int(flights.ended.max())
    busy_ns = int((flights.ended - flights.began).sum())
    # What they cost may be their starts alone, which more at a time do not shorten.
    if most >= room or busy_ns < most * max(_IN_TURN * (end - begin), notable_ns):
        return None
    over_time = use_of(facts.job).over_time.filter(pl.col("end_ns") > begin, pl.col("start_ns") < end)
    used = over_time.get_column("used_slots").mean()
    free = slots - (used * UNIT if isinstance(used, float) else 0.0) - (most * flights.cpus if on_actors else 0)
    return _Room(most, room, free / UNIT, cluster.cpus, busy_ns) if free >= flights.cpus else None


def _asked(facts: Facts, runs: RowIds) -> RowIds:
    """Give what the runs' submissions ask for, in ten-thousandths of a CPU."""
    submits = facts.structure.submit[runs]
    return told_cpus(facts.spans.get_column("attributes").gather(submits[submits >= 0]), otherwise=UNIT)


def _most(start: Nanos, end: Nanos) -> int:
    times = np.concatenate([start, end])
    change = np.repeat([1, -1], start.size)
    return int(np.cumsum(change[np.lexsort((change, times))]).max())
