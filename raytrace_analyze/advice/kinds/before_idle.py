"""What a driver learned right before it was idle: that an attempt had failed, that an answer was not yet the one."""

import numpy as np

from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.sampled.questions import IN_VAIN
from raytrace_analyze.table.lineage import Nanos, RowIds


def asked_again(facts: Facts, events: RowIds, took: Nanos) -> str | None:
    """Name the method of an actor that the driver called and got before most of the time before some events.

    None where there is none, or where it was not called again and again.
    """
    before, place = np.unique(facts.graph.events.row[events - 1], return_inverse=True)
    waits = before[np.isin(before, facts.waits)]
    of_wait, runs = facts.all_ready_runs(waits)
    is_call = facts.relations.actor[runs] >= 0
    of_wait, runs = of_wait[is_call], runs[is_call]
    names = np.array([facts.functions[run] for run in runs.tolist()], dtype=object)
    for name in sorted(set(names.tolist())):
        answers = np.unique(of_wait[names == name])
        if answers.size > IN_VAIN and 2 * took[np.isin(before[place], answers)].sum() > took.sum():
            found: str = name
            return found
    return None


def failed_before(facts: Facts, events: RowIds, took: Nanos) -> str | None:
    """Name the function of which an attempt failed right before most of the time before some events, None for none."""
    before, place = np.unique(facts.graph.events.row[events - 1], return_inverse=True)
    waits = before[np.isin(before, facts.waits)]
    of_wait, runs = facts.all_ready_runs(waits)
    of_wait, runs = of_wait[facts.failed[runs]], runs[facts.failed[runs]]
    if 2 * took[np.isin(before[place], of_wait)].sum() <= took.sum():
        return None
    names = [facts.functions[run] for run in runs.tolist()]
    most: str = max(sorted(set(names)), key=names.count)
    return most
