"""Tasks that hold CPUs without using them, use more than they asked for, or wait for one lock."""

from collections.abc import Iterator
from itertools import repeat

import numpy as np
import numpy.typing as npt

from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.advice.kinds.driver.child_jobs import OTHER_PROCESSES
from raytrace_analyze.advice.patterns import Candidate
from raytrace_analyze.names.attributes import PROCESS_CPU_NS, UNIT, told
from raytrace_analyze.replay.rewrite import ask_for_cpus
from raytrace_analyze.sampled.samples import FOR_OWN_THREADS, Sampled, looked_at, read_samples
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.trace.busy_time import covered_within
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.advice import Pattern
from raytrace_analyze.vocabulary.queues import Cause
from raytrace_analyze.wording.advice import runs as words

_MOSTLY = 0.8
"""What part of their own time runs are idle that mostly wait."""
_FEW_CPUS = UNIT // 10
"""What a task that mostly waits could ask for."""
_MORE = 1.5
"""How many times what it asked for a task uses that uses more."""
_LOCKS = ("lock", "acquire", ".__enter__", "semaphore", "flock", "lockf")
_NOT_MUCH = 0.03
"""What part of the time a process takes that only waits, beside what its threads do."""
_FEWEST = 2


@frozen
class _Place:
    """Where the runs of a function are idle longest, all together."""

    what: str
    where: str
    total_ns: int
    runs: RowIds


def idling_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find functions whose runs are idle most of their time, in what and where, and locks that several wait for."""
    sampled = looked_at(facts.structure, facts.runs)
    if sampled.size == 0:
        return
    samples = read_samples(facts.structure, facts.job.trace.clock_shift, sampled)
    for function, all_runs in facts.runs_by_function.items():
        runs = np.array([row for row in all_runs.tolist() if row in samples], dtype=np.int64)
        if runs.size:
            yield from _of_function(facts, function, runs, samples)


def thread_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find functions whose processes use far more CPU than they ask for."""
    for function, all_runs in facts.runs_by_function.items():
        runs = all_runs[(facts.end - facts.start)[all_runs] >= facts.floor_ns]
        used = _process_cpu(facts, runs)
        took = (facts.end - facts.start)[runs]
        asked = facts.cpus_of(runs)
        more = (asked > 0) & (used >= _MORE * took * np.maximum(asked, UNIT) / UNIT)
        found = runs[more]
        if 2 * found.size <= runs.size or not facts.cost_ns(found):
            continue
        at_a_time = float(used[more].sum() / took[more].sum())
        yield Candidate(
            Pattern.MORE_THREADS,
            function,
            words.more_threads(function, asked_cpus=round(float(np.median(asked[more])) / UNIT), used_cpus=at_a_time),
            None,
            found[np.argsort(-used[more], kind="stable")],
            certain=False,
        )


def _of_function(facts: Facts, function: str, runs: RowIds, samples: dict[int, Sampled]) -> Iterator[Candidate]:
    place = _longest(facts, runs, samples)
    if place is None or place.total_ns < facts.floor_ns:
        return
    own = int(facts.work_ns[runs].sum())
    if any(word in place.what.lower() for word in _LOCKS):
        if place.runs.size >= _FEWEST:
            yield Candidate(
                Pattern.LOCK,
                function,
                words.lock(function, place.runs.size, what=place.what, place=place.where, took_ns=place.total_ns),
                None,
                place.runs,
                place.where or None,
                certain=False,
            )
        return
    idle = sum(took for _, _, took in _stretches(facts, runs, samples))
    most = _NOT_MUCH if place.what.startswith(FOR_OWN_THREADS) else 1 - _MOSTLY
    works_elsewhere = place.what.startswith(OTHER_PROCESSES) or _process_cpu(facts, runs).sum() > most * own
    if idle < _MOSTLY * own or works_elsewhere:
        return
    asked = facts.cpus_of(runs)
    holding = runs[asked > _FEW_CPUS]
    starved = facts.runs[facts.start_waits.ns_for(Cause.NO_SLOT)[facts.runs] > 0]
    if holding.size == 0 or starved.size == 0:
        return
    yield Candidate(
        Pattern.IDLE_TASKS,
        function,
        words.idle_tasks(
            function,
            cpus=float(np.median(asked[asked > _FEW_CPUS])) / UNIT,
            idle_ns=idle,
            of_ns=own,
            what=place.what,
            place=place.where,
            starved=starved.size,
            could_ask=_FEW_CPUS / UNIT,
        ),
        ask_for_cpus(facts.graph, holding, _FEW_CPUS),
        holding,
        place.where or None,
        certain=False,
    )


def _process_cpu(facts: Facts, runs: RowIds) -> npt.NDArray[np.float64]:
    """Give how much CPU the process of each run took meanwhile (ns), in all its threads; 0 where nobody says."""
    texts = facts.spans.get_column("attributes").gather(runs)
    return told(texts, PROCESS_CPU_NS).cast(float, strict=False).fill_null(0).to_numpy()


def _stretches(facts: Facts, runs: RowIds, samples: dict[int, Sampled]) -> Iterator[tuple[int, tuple[str, str], int]]:
    """Give the idle stretches of runs: whose (a row), in what and where, how long (ns) beside what it waits for."""
    for row in runs.tolist():
        idle = samples[row].idle
        since = np.array([each.start for each in idle], dtype=np.int64).clip(min=facts.start[row])
        until = np.array([each.end for each in idle], dtype=np.int64).clip(max=facts.end[row])
        waits = facts.waits_of.get(row)
        waited = covered_within(facts.start[waits], facts.end[waits], since, until)
        took = (until - since).clip(min=0) - waited
        yield from zip(repeat(row), (each.place for each in idle), took.tolist(), strict=False)


def _longest(facts: Facts, runs: RowIds, samples: dict[int, Sampled]) -> _Place | None:
    """Give the place where runs are idle longest."""
    totals: dict[tuple[str, str], int] = {}
    by_place: dict[tuple[str, str], dict[int, int]] = {}
    for row, there, took in _stretches(facts, runs, samples):
        totals[there] = totals.get(there, 0) + took
        of = by_place.setdefault(there, {})
        of[row] = of.get(row, 0) + took
    if not totals:
        return None
    (what, where), total = max(totals.items(), key=lambda item: item[1])
    of = by_place[what, where]
    return _Place(what, where, total, np.array(sorted(of, key=lambda row: -of[row]), dtype=np.int64))
