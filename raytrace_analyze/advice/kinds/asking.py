"""Methods of actors that tasks ask again and again, sleeping in between, until they answer something else."""

from collections.abc import Iterator

import numpy as np

from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.advice.kinds.driver.before_idle import asked_again
from raytrace_analyze.advice.patterns import Candidate
from raytrace_analyze.names.functions import DRIVER
from raytrace_analyze.table.lineage import Nanos, RowIds
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.advice import Pattern
from raytrace_analyze.wording.advice import waits as words


@frozen
class Asking:
    """What a function sleeps on the critical path between its questions."""

    function: str
    question: str
    """The method that it calls."""
    events: RowIds
    """Those before which it sleeps."""
    took: Nanos


def find_asking(facts: Facts) -> Iterator[Asking]:
    """Find who sleeps for longer than is worth a finding, and calls one method of an actor before most of that."""
    elastic, graph = facts.graph.elastic, facts.graph
    if elastic is None:
        return
    stretch, pieces = facts.critical
    on_path = np.isin(elastic.event, np.append(stretch, graph.first[pieces]))
    outside = np.flatnonzero((elastic.until < 0) & on_path)
    events, took = elastic.event[outside], elastic.length[outside]
    function = graph.function[events]
    for number in np.unique(function).tolist():
        own = function == number
        if took[own].sum() < facts.floor_ns:
            continue
        question = asked_again(facts, events[own], took[own])
        if question is not None:
            yield Asking(graph.functions[number], question, events[own], took[own])


def asking_candidates(facts: Facts) -> Iterator[Candidate]:
    """Say it of functions of tasks and actors; of the driver that is told where it is idle."""
    for asking in find_asking(facts):
        if asking.function == DRIVER:
            continue
        rows = np.unique(facts.graph.events.head[facts.graph.events.owner[asking.events]])
        rows = rows[(rows >= 0) & (rows < facts.spans.height)]
        before = facts.graph.events.row[asking.events - 1]
        sites = [site for row in before.tolist() if (site := facts.sites.get(row))]
        yield Candidate(
            Pattern.ASKS_AGAIN,
            asking.question,
            words.asks_again(asking.function, asking.question, slept_ns=int(asking.took.sum())),
            None,
            rows,
            sites[0] if sites else None,
            certain=False,
        )
