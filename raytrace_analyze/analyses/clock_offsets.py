"""By how much the clock of each host is off, and the spans without that."""

import polars as pl

from raytrace_analyze.clocks import correction
from raytrace_analyze.clocks.correction import OFFSETS, estimate_offsets
from raytrace_analyze.errors import UsageError
from raytrace_analyze.prepared import Trace, prepare
from raytrace_analyze.table.events.attempts import only_spans
from raytrace_analyze.trace.span_arrays import build_structure


def clock_offsets(spans: Trace) -> pl.DataFrame:
    """Estimate by how much the clock of each host is off.

    Takes a span table (columns of `schema.TABLE`) or what `prepare` made of one. A host is a `host` of a session; where
    spans do not name theirs, a `node_id`; spans that name neither share one (null). One row a host, columns of
    `OFFSETS`:

    - `session`, `host`; `pid` of a process that is taken by itself, since its times and those of others on its host
      cannot be by one clock; null for the host, without such processes;
    - `offset_ns`: what has to be added to the times of this host, 0 where nothing proves its clock to be off;
    - `lower_ns`, `upper_ns`: between which values that has to be, null where nothing bounds it;
    - `is_reference`: the offsets of the session are relative to this host (the driver's, else the one with most
      spans; a host that has nothing to do with it is relative to the most important one among those it has to do with);
    - `is_proven`: recorded times cannot be true unless this host's are shifted;
    - `is_contradictory`: no shift whatever makes this host's times possible, so none is tried;
    - `violations`: how many pairs of an event here and one elsewhere are in an order that cannot be; `evidence`: the
      worst of them in words, null where there is none.
    """
    table = prepare(spans).table
    return estimate_offsets(build_structure(only_spans(table)))


def correct_clocks(spans: Trace, offsets: pl.DataFrame) -> pl.DataFrame:
    """Give a copy of a span table with all times shifted by the offsets of `clock_offsets`.

    The order of the rows stays; times within `events` do too. Raises UsageError for what is no span table, and for
    `offsets` that lack columns of `OFFSETS`.
    """
    missing = OFFSETS.names() if not isinstance(offsets, pl.DataFrame) else set(OFFSETS) - set(offsets.columns)
    if missing:
        raise UsageError("these are no offsets of clocks; pass what rt.clock_offsets(spans) gives")
    return correction.correct_clocks(prepare(spans).table, offsets)
