"""What it costs that worker processes and code are not there yet."""

from collections.abc import Iterator

import numpy as np

from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.advice.patterns import Candidate
from raytrace_analyze.queueing.causes import COLD
from raytrace_analyze.replay.rewrite import shorten_lags
from raytrace_analyze.vocabulary import Pattern
from raytrace_analyze.wording.advice import runs as words

_COLD_NS = 20_000_000


def cold_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find runs that waited for a worker process to start, or for code and imports to be loaded in it."""
    starting, loading = (facts.waited_ns(cause) for cause in COLD)
    waited = starting + loading
    # Every run takes a moment to be looked up; where nothing was cold that is all.
    rows = np.flatnonzero(waited >= _COLD_NS)
    if rows.size == 0:
        return
    by_function: dict[str, int] = {}
    for row in rows.tolist():
        by_function[facts.functions[row]] = by_function.get(facts.functions[row], 0) + int(waited[row])
    function = max(by_function, key=lambda name: by_function[name])
    rows = rows[np.argsort(-waited[rows], kind="stable")]
    is_actor = bool(facts.relations.actor[rows[0]] >= 0)
    yield Candidate(
        Pattern.COLD_WORKERS,
        function,
        words.cold_workers(
            function,
            rows.size,
            starting_ns=int(starting[rows].sum()),
            loading_ns=int(loading[rows].sum()),
            is_actor=is_actor,
        ),
        shorten_lags(facts.graph, rows, waited[rows]),
        rows,
    )
