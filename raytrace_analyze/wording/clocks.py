"""What is said of the clocks of several hosts."""

from typing import Any

import polars as pl

from raytrace_analyze.text.units import count_text, duration_text, offset_text
from raytrace_analyze.vocabulary.paths import Precedence

_SHOWN = 4
_ORDERS = {
    Precedence.SUBMIT: "{second} started on {there} {time} before {here} submitted it",
    Precedence.WAIT: "{second} on {there} came back {time} before {first}, which it waited for, was that far on {here}",
    Precedence.DEPENDENCY: (
        "{second} started on {there} {time} before {first}, whose result it takes, was that far on {here}"
    ),
    Precedence.ATTEMPT: "{second} started again on {there} {time} before the attempt before it was over on {here}",
    Precedence.CREATION: "{second} started on {there} {time} before its actor was there on {here}",
}


def clock_notes(offsets: pl.DataFrame, session: str) -> tuple[str, ...]:
    """Say what is known of the clocks of a session (of offsets as `clock_offsets` gives them); nothing for one host."""
    hosts = offsets.filter(pl.col("session").eq_missing(pl.lit(session, pl.String)))
    if hosts.height < 2:
        return ()
    proven = hosts.filter("is_proven").sort(pl.col("offset_ns").abs(), "host", descending=[True, False])
    broken = hosts.filter("is_contradictory")
    if proven.is_empty() and broken.is_empty():
        named = hosts.get_column("host").drop_nulls()
        nameless = ", and of processes that name none" if named.len() < hosts.height else ""
        count = count_text(named.n_unique(), "host") + nameless
        return (f"spans of {count}; nothing shows that their clocks differ, so that no shift of them can be known",)
    notes = [_corrected(row) for row in proven.head(_SHOWN).iter_rows(named=True)]
    if proven.height > _SHOWN:
        notes.append(f"the clocks of {count_text(proven.height - _SHOWN, 'more host')} were corrected as well")
    impossible = (
        f"no clock makes the times of {whose(row['host'], row['pid'])} possible, they are left as they are: "
        f"{row['evidence']}"
        for row in broken.head(_SHOWN).iter_rows(named=True)
    )
    return (*notes, *impossible)


def _corrected(row: dict[str, Any]) -> str:
    offset = abs(row["offset_ns"])
    return (
        f"the clock of {whose(row['host'], row['pid'])} is taken to be {offset_text(offset, offset)} "
        f"{'behind' if row['offset_ns'] > 0 else 'ahead'}{_left_open(row)}, and corrected; "
        f"{count_text(row['violations'], 'pair')} of events in an order that cannot be, such as: {row['evidence']}"
    )


def _left_open(row: dict[str, Any]) -> str:
    """Tell how much less and more the shift could be as well."""
    less, more = (
        None if row[bound] is None else duration_text(abs(row[bound] - row["offset_ns"]))
        for bound in (("lower_ns", "upper_ns") if row["offset_ns"] > 0 else ("upper_ns", "lower_ns"))
    )
    if less and more:
        return f" (up to {less} less or {more} more is possible)"
    return (
        f" (up to {less} less or any more is possible)" if less else f" (up to {more} more is possible)" if more else ""
    )


def whose(host: str | None, pid: int | None) -> str:
    """Say whose clock it is: a host's, or that of one process there."""
    named = host or "an unnamed host"
    return named if pid is None else f"process {pid} on {named}"


def impossible_order(relation: Precedence, *, first: str, here: str, second: str, there: str, too_early_ns: int) -> str:
    """Say of two events that cannot be in the order of their times: `first`, which is `here`, must precede `second`."""
    return _ORDERS[relation].format(
        first=first, here=here, second=second, there=there, time=duration_text(too_early_ns)
    )
