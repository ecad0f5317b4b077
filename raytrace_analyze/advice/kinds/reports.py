"""Reports of Ray Train's ranks that are held until Train takes them."""

from collections.abc import Iterator

import numpy as np
import polars as pl

from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.advice.patterns import Candidate
from raytrace_analyze.analyses.libraries.train.reports import training_functions
from raytrace_analyze.names.attributes import REPORT, told
from raytrace_analyze.names.spans import REPORT_SPAN
from raytrace_analyze.replay.rewrite import shorten_waits
from raytrace_analyze.table.lineage import Nanos, RowIds
from raytrace_analyze.vocabulary.advice import Pattern
from raytrace_analyze.wording.advice import runs as words

_FEWEST = 2


def report_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find reports that are held after the ranks have met at them: Train takes one of a rank each time it asks."""
    is_report = (facts.spans.get_column("name") == REPORT_SPAN).to_numpy() & ~facts.structure.in_flight
    rows = facts.rows[is_report[facts.rows]]
    rows = rows[facts.graph.events.is_wait[rows]]
    if rows.size < _FEWEST:
        return
    lag = facts.graph.lag[facts.graph.activity[facts.graph.events.end_of[rows]]]
    held = np.clip(facts.end[rows] - _last_came(facts, rows), 0, lag)
    rows, held, lag = rows[held > 0], held[held > 0], lag[held > 0]
    if rows.size < _FEWEST or held.sum() < facts.floor_ns:
        return
    function = facts.functions[int(facts.structure.run_above[rows[np.argmax(held)]])]
    yield Candidate(
        Pattern.REPORTS_HELD,
        function,
        words.reports_held(function, rows.size, held_ns=int(held.sum())),
        shorten_waits(facts.graph, rows, 1 - held / lag),
        rows[np.argsort(-held, kind="stable")],
        # Whether it can report less often only the program knows.
        certain=False,
    )


def _last_came(facts: Facts, reports: RowIds) -> Nanos:
    """Give for each report (row) when the last rank came to it (ns since the epoch); its end for what is no rank's."""
    of_rank = training_functions(facts.job.trace).select("function_row", "session", "run", "attempt")
    came = pl.DataFrame(
        {
            "function_row": facts.structure.run_above[reports],
            "step": told(facts.spans.get_column("attributes").gather(reports), REPORT),
            "start": facts.start[reports],
            "end": facts.end[reports],
        }
    ).join(of_rank, on="function_row", how="left", maintain_order="left")
    last = pl.col("start").max().over("session", "run", "attempt", "step")
    is_known = pl.col("attempt").is_not_null() & pl.col("step").is_not_null()
    found: Nanos = came.select(pl.when(is_known).then(last).otherwise("end")).to_series().to_numpy()
    return found
