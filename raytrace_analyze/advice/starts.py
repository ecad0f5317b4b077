"""What it costs that worker processes and code are not there yet."""

from collections.abc import Iterator

import numpy as np

from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.advice.patterns import Candidate, Pattern
from raytrace_analyze.function_names import name_of
from raytrace_analyze.queueing.causes import COLD
from raytrace_analyze.replay.rewrite import shorten_lags
from raytrace_analyze.units import count_text, duration_text

_COLD_NS = 20_000_000
_FIRST_RUN = "a second run, or a cluster that lives longer, does not pay this again; "
_REMEDY = (
    f"{_FIRST_RUN}keep processes alive and reuse them (actors; the same runtime_env for all tasks), import less, and "
    "define functions once; on a long-lived cluster, start with a task on every slot"
)
_REMEDY_OF_ACTORS = (
    f"{_FIRST_RUN}create the actors first and do other work meanwhile, import less where their class is defined, or "
    'keep them beyond the job (`lifetime="detached"`)'
)


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
    started, loaded = (duration_text(int(each[rows].sum())) for each in (starting, loading))
    is_actor = bool(facts.relations.actor[rows[0]] >= 0)
    yield Candidate(
        Pattern.COLD_WORKERS,
        function,
        f"{count_text(rows.size, 'run')} waited for a new worker process ({started} in all) or for code to be loaded "
        f"in it ({loaded}), {name_of(function)} most",
        _REMEDY_OF_ACTORS if is_actor else _REMEDY,
        shorten_lags(facts.graph, rows, waited[rows]),
        rows,
    )
