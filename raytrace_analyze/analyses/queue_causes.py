"""Why every run waited before it started."""

import numpy as np
import polars as pl

from raytrace_analyze.prepared import Trace, prepare
from raytrace_analyze.queueing.split import QUEUE_PIECES, causes_frame
from raytrace_analyze.wording.queues import cause_sentences

_NOT_SHOWN = ("node_id", "on_actor")
QUEUE_CAUSES = pl.Schema(
    {name: type_ for name, type_ in QUEUE_PIECES.items() if name not in _NOT_SHOWN} | {"sentence": pl.String}
)
"""Columns of `queue_causes`: those of the pieces, and a sentence that says of each what it was for."""


def queue_causes(spans: Trace, task_events: pl.DataFrame | None = None, *, clock_correct: bool = True) -> pl.DataFrame:
    """Tell for every run of a task what it waited for between its submit and its start.

    Takes a span table (columns of `schema.TABLE`) or what `prepare` made of one. Where Ray's task events tell of an
    attempt, they decide, the spans for the others; `task_events` are those that version 0.1.0 gave beside the spans.
    One row a piece (columns of `analyses.queue_causes.QUEUE_CAUSES`), run by run in order of the table; the pieces of
    a run are contiguous, from the end of its submit (of a retry: from the end of the attempt before) to its start.
    Runs that did not wait, or that nobody submitted, have none. Causes: dependency, actor-busy, actor-start,
    worker-start, no-slot, slot-start, transfer, function-load, retry, restore, store-full, placement, dispatch, and
    unknown for more than 50 ms that nothing tells of. `clock_correct` is as in `critical_path`.

    Raises NoSpansError for an empty table.
    """
    trace = prepare(spans, task_events, clock_correct=clock_correct).require_spans()
    structure = trace.structure
    runs = np.flatnonzero(structure.is_run & (structure.submit >= 0))
    pieces = causes_frame(trace.rules, trace.rules.whole_waits(runs))
    return pieces.with_columns(sentence=cause_sentences(pieces)).select(QUEUE_CAUSES.names())
