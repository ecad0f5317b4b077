"""Which calls of a flow make up one round of its loop: those that come back once a round tell rounds apart."""

import numpy as np
import polars as pl

from raytrace_analyze.table.lineage import Nanos
from raytrace_analyze.values import frozen

FEWEST = 3
"""From how many rounds on it is a loop."""
_MOST_KEYS = 200
"""So many places of a program are looked at, those with the most time first."""
_MOST_OF_THEM = 0.8
"""What part of a loop's rounds has to be as is said of it."""


@frozen
class Rounds:
    """The rounds of a loop in one flow, in order of time; each begins where the one before ended."""

    start: Nanos
    end: Nanos
    at: str
    """The call that ends a round: where it stands, else what is called."""
    covers_ns: int
    """How long the calls that tell the rounds apart took in all."""


def most_in_loops(calls: pl.DataFrame) -> pl.DataFrame:
    """Give each `flow` in which something repeats, and how long at most a loop's calls take there, the longest first.

    Of a job with many tasks, few have to be looked at more closely for the loop that took the most time.
    """
    repeated = (
        calls.group_by("flow", "key")
        .agg(count=pl.len(), most=(pl.col("end") - pl.col("start")).sum())
        .filter(pl.col("count") >= FEWEST)
    )
    return repeated.group_by("flow").agg(pl.col("most").sum()).sort("most", "flow", descending=[True, False])


def find_rounds(calls: pl.DataFrame, at: str | None = None) -> Rounds | None:
    """Find the rounds of the loop that a flow spent most time with; None where nothing repeats.

    Takes the flow's calls in order of start: `key` (what tells calls apart), `is_wait`, `is_submit`, `start`, `end`
    (ns). A loop's rounds are told apart by calls of which there is one in each. Where waits were recorded, one of these
    is a wait. Of several loops, one within the other, it is the one whose calls took the most time; one that only
    waits, for what was submitted before it, is no loop where there is another. With `at`, it is the loop whose call
    stands there: a part of its key.
    """
    counted = (
        calls.with_columns(took=pl.col("end") - pl.col("start"))
        .group_by("key", maintain_order=True)
        .agg(pl.len().alias("count"), pl.col("took").sum(), pl.col("is_wait").first())
        .filter(pl.col("count") >= FEWEST)
    )
    if at is not None:
        counted = counted.filter(pl.col("key").str.contains(at, literal=True))
    anchors = counted.filter("is_wait") if counted.get_column("is_wait").any() else counted
    anchors = anchors.sort("took", descending=True, maintain_order=True).head(_MOST_KEYS)
    starts = {key: part.get_column("start").to_numpy() for (key,), part in calls.group_by("key", maintain_order=True)}
    took = dict(zip(counted.get_column("key"), counted.get_column("took"), strict=True))
    submits = calls.filter("is_submit").get_column("start").to_numpy()
    best: tuple[tuple[bool, int], list[str]] = ((False, -1), [])
    for key in anchors.get_column("key").to_list():
        together = [other for other in took if other == key or _once_each(starts[key], starts[other])]
        worth = _submits_each(starts[key], submits), sum(took[other] for other in together)
        best = max(best, (worth, together), key=lambda each: each[0])
    return None if not best[1] else _cut(calls, best[1], starts, best[0][1])


def _submits_each(anchor: Nanos, submits: Nanos) -> bool:
    """Tell whether something is submitted in most rounds."""
    rounds_with = np.unique(np.searchsorted(anchor, submits)).size
    return bool(rounds_with >= _MOST_OF_THEM * (anchor.size - 1))


def _once_each(anchor: Nanos, other: Nanos) -> bool:
    """Tell whether there is one of the others between each two of the anchor's, but for the loop's ends."""
    if abs(anchor.size - other.size) > 1:
        return False
    place = np.searchsorted(anchor, other)
    return bool((np.diff(place) == 1).all())


def _cut(calls: pl.DataFrame, keys: list[str], starts: dict[str, Nanos], covers_ns: int) -> Rounds:
    """Cut a flow into rounds at the ends of the call that comes last in each."""
    last = max(keys, key=lambda key: int(starts[key][0]))
    ends = calls.filter(pl.col("key") == last).get_column("end").to_numpy()
    begin = _begin(calls, int(starts[last][0]), int(starts[last][1]))
    return Rounds(np.concatenate([[begin], ends[:-1]]), ends, last, covers_ns)


def _begin(calls: pl.DataFrame, first: int, second: int) -> int:
    """Give when the first round began: with the first of the calls before its end that come again in the second."""
    again = calls.filter(pl.col("start") > first, pl.col("start") <= second).get_column("key").unique()
    before = calls.filter(pl.col("start") <= first).select(
        "start", "end", comes_again=pl.col("key").is_in(again.implode())
    )
    others = before.filter(~pl.col("comes_again"))
    since = others.get_column("start").max() if others.height else None
    own = before if since is None else before.filter(pl.col("start") > since)
    return int(own.get_column("start").min() if own.height else first)  # type: ignore[arg-type] # no nulls
