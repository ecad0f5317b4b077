"""One record of each span, where files hold several."""

import polars as pl

from raytrace_analyze.table.lineage import mixed_hash
from raytrace_analyze.table.noticed import contradictions

_IDENTITY = ["trace_id", "span_id"]


def has_copies(spans: pl.DataFrame) -> bool:
    """Tell whether a span stands there more than once. Reads `trace_id` and `span_id`."""
    trace_id, span_id = (spans.get_column(name) for name in _IDENTITY)
    # Spans of different hashes differ: to count these takes a fifth of the time of counting pairs of texts.
    if pl.Series(mixed_hash(trace_id) ^ span_id.hash().to_numpy()).n_unique() == spans.height:
        return False
    return spans.select(_IDENTITY).n_unique() != spans.height


def deduplicate(spans: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Keep one record of each span: one that ended before one in flight, then the one that ended later.

    A copy under another name, or a copy with less exact times, is no contradiction. Gives the spans, and those whose
    copies contradict each other (see `noticed.contradictions`).
    """
    repeated = pl.struct(_IDENTITY).is_duplicated()
    once, copies = spans.filter(~repeated), spans.filter(repeated)
    # The order has to be total, or which of two contradicting copies stays would depend on the order of reading.
    first = ["end", "attributes", "events", "source"]
    rest = [name for name, dtype in copies.schema.items() if not dtype.is_nested() and name not in (*_IDENTITY, *first)]
    lists = [pl.col(name).list.join(",") for name, dtype in copies.schema.items() if dtype.is_nested()]
    descending = [False, False, True, True, True, *[False] * (1 + len(rest) + len(lists))]
    copies = copies.sort(*_IDENTITY, *first, *rest, *lists, descending=descending, nulls_last=True)
    kept = copies.unique(_IDENTITY, keep="first", maintain_order=True)
    return pl.concat([once, kept]), contradictions(copies)
