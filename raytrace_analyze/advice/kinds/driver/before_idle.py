"""What a driver learned right before it was idle: that an attempt had failed, that an answer was not yet the one."""

import numpy as np

from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.sampled.questions import IN_VAIN
from raytrace_analyze.table.lineage import Nanos, RowIds


def asked_again(facts: Facts, events: RowIds, took: Nanos) -> str | None:
    """Name the method of an actor that the driver called and got before most of the time before some events.

    None where there is none, or where it was not called again and again.
    """
    of_wait, runs, before = _results_before(facts, events)
    is_call = facts.relations.actor[runs] >= 0
    of_wait, runs = of_wait[is_call], runs[is_call]
    names = np.array([facts.functions[run] for run in runs.tolist()], dtype=object)
    for name in sorted(set(names.tolist())):
        answers = np.unique(of_wait[names == name])
        if answers.size > IN_VAIN and _are_before_most(answers, before, took):
            found: str = name
            return found
    return None


def failed_before(facts: Facts, events: RowIds, took: Nanos) -> str | None:
    """Name the function of which an attempt failed right before most of the time before some events, None for none."""
    of_wait, runs, before = _results_before(facts, events)
    of_wait, runs = of_wait[facts.failed[runs]], runs[facts.failed[runs]]
    if not _are_before_most(of_wait, before, took):
        return None
    names = [facts.functions[run] for run in runs.tolist()]
    most: str = max(sorted(set(names)), key=names.count)
    return most


def _results_before(facts: Facts, events: RowIds) -> tuple[RowIds, RowIds, RowIds]:
    """Give the waits right before some events with the runs whose results they got, and what was before each event."""
    before: RowIds = facts.graph.events.row[events - 1]
    of_wait, runs = facts.all_ready_runs(np.intersect1d(before, facts.waits))
    return of_wait, runs, before


def _are_before_most(waits: RowIds, before: RowIds, took: Nanos) -> bool:
    return bool(2 * took[np.isin(before, waits)].sum() > took.sum())
