"""Several machines, several clocks: by how much each host's clock is off, told from what cannot be.

Every host has a clock of its own. Two events on two hosts of which one must come first (a submit and its run, a run
and the `ray.get` that came back with its result) bound how far the two clocks can be apart. Where the recorded
times are in an order that cannot be, the clocks are off for certain, and the least shift that mends it is sought.
Where they are not, no shift can be known, and nothing is changed.
"""

import re
from collections.abc import Iterator

import numpy as np
import polars as pl

from raytrace_analyze.clocks.difference_constraints import Floats, close, settle
from raytrace_analyze.clocks.happens_before import RELATIONS, label_event, must_precede
from raytrace_analyze.clocks.hosts import out_of_order_within, split_hosts, split_off
from raytrace_analyze.decode.records.times import time_of
from raytrace_analyze.names.attributes import ALIVE, told
from raytrace_analyze.schema import EVENT_TIMES, FROM_EVENTS, STAMPED_BY_SUBMITTER
from raytrace_analyze.table.components import connected
from raytrace_analyze.table.hosts import Hosts, number_hosts
from raytrace_analyze.table.lineage import Flags, Nanos, RowIds, parent_rows
from raytrace_analyze.trace.span_arrays import Structure, build_structure, with_times
from raytrace_analyze.values import frozen
from raytrace_analyze.wording.clocks import impossible_order, whose

OFFSETS = pl.Schema(
    {
        "session": pl.String,
        "host": pl.String,
        "pid": pl.Int64,
        "offset_ns": pl.Int64,
        "lower_ns": pl.Int64,
        "upper_ns": pl.Int64,
        "is_reference": pl.Boolean,
        "is_proven": pl.Boolean,
        "is_contradictory": pl.Boolean,
        "violations": pl.Int64,
        "evidence": pl.String,
    }
)
"""Columns of `clock_offsets`, one row a host."""


def estimate_offsets(structure: Structure) -> pl.DataFrame:
    """Estimate by how much the clock of each host is off.

    One row a host: columns of `OFFSETS`, which the analysis `clock_offsets` tells of.
    """
    hosts = number_hosts(structure.spans)
    return _estimate(structure, hosts, out_of_order_within(structure, hosts))


def correct_clocks(spans: pl.DataFrame, offsets: pl.DataFrame) -> pl.DataFrame:
    """Give a copy of a span table with `start` and `end` shifted by the offsets of `clock_offsets`.

    So is the last sign of life in the attributes of a span that never ended, which stands for its end, and so are the
    times of task events: each by the offset of the host where it was stamped. The order of the rows stays; times within
    `events` do too.
    """
    return _shifted(spans, row_shifts(spans, offsets))


def _shifted(spans: pl.DataFrame, shift: Nanos) -> pl.DataFrame:
    of_row, of_submitter = _duration(shift), _duration(_shift_of_submitter(spans, shift))
    by_submitter = pl.col(FROM_EVENTS).fill_null(False) if FROM_EVENTS in spans.columns else pl.lit(False)
    told = [
        name for name in EVENT_TIMES if name in spans.columns and spans.get_column(name).null_count() < spans.height
    ]
    moved = spans.with_columns(
        pl.col("start", "end") + pl.when(by_submitter).then(of_submitter).otherwise(of_row),
        *(pl.col(name) + (of_submitter if name in STAMPED_BY_SUBMITTER else of_row) for name in told),
    )
    return _with_alive(moved, of_row)


def _duration(shift: Nanos) -> pl.Series:
    return pl.Series(shift).cast(pl.Duration("ns"))


def _shift_of_submitter(spans: pl.DataFrame, shift: Nanos) -> Nanos:
    """Give the shift of each row's parent, its own where there is none: a run's parent is its submit."""
    parent = parent_rows(spans)
    return np.where(parent >= 0, shift[parent], shift)


def _with_alive(spans: pl.DataFrame, shift: pl.Series) -> pl.DataFrame:
    attributes = spans.get_column("attributes")
    rows = (spans.get_column("end").is_null() & attributes.str.contains(ALIVE, literal=True)).arg_true()
    if rows.is_empty():
        return spans
    signs = spans.select("attributes")[rows].with_columns(shift=shift.gather(rows))
    alive = time_of(told(pl.col("attributes"), ALIVE)) + pl.col("shift")
    text = pl.concat_str(pl.lit('${1}"'), alive.dt.to_string("%Y-%m-%dT%H:%M:%S%.9f"), pl.lit('Z"'))
    moved = pl.col("attributes").str.replace(rf'("{re.escape(ALIVE)}"\s*:\s*)"[^"]*"', text)
    signs = signs.select(pl.coalesce(moved, "attributes"))
    return spans.with_columns(attributes.scatter(rows, signs.to_series()))


def row_shifts(spans: pl.DataFrame, offsets: pl.DataFrame) -> Nanos:
    """Give what the offsets of `clock_offsets` add to the times of each span, in ns."""
    by = ["session", "host", "pid"]
    hosts = split_off(spans, number_hosts(spans), offsets.select(by).drop_nulls("pid"))
    known = offsets.select(*by, "offset_ns")
    found = hosts.table.join(known, on=by, how="left", nulls_equal=True, maintain_order="left")
    return found.get_column("offset_ns").fill_null(0).to_numpy()[hosts.of_row]


def build_corrected(
    spans: pl.DataFrame, *, clock_correct: bool, known_parent: RowIds | None = None
) -> tuple[Structure, pl.DataFrame]:
    """Read a span table into arrays, times corrected; give the offsets too.

    There are none with `clock_correct` off, and for a single host. `known_parent` is as for `build_structure`.
    """
    structure = build_structure(spans, known_parent)
    if not clock_correct:
        return structure, OFFSETS.to_frame()
    hosts = number_hosts(spans)
    broken = out_of_order_within(structure, hosts)
    if hosts.table.height < 2 and broken.size == 0:
        return structure, OFFSETS.to_frame()
    offsets = _estimate(structure, hosts, broken)
    if offsets.get_column("is_proven").any():
        structure = with_times(structure, correct_clocks(spans, offsets))
    return structure, offsets


def _estimate(structure: Structure, hosts: Hosts, broken: RowIds) -> pl.DataFrame:
    """Estimate the offsets of hosts, and by themselves of processes that contradict the others on theirs.

    `broken` hosts are known to have such processes; where no shift makes a host's times possible, any one may have.
    """
    offsets = _estimate_all(structure, hosts)
    in_violation = (pl.col("violations") > 0) & _of_contradictory(offsets)
    suspects = np.union1d(broken, np.flatnonzero(offsets.select(in_violation).to_series()))
    if suspects.size == 0:
        return offsets
    split = split_hosts(structure, hosts, suspects)
    apart = _estimate_all(structure, split)
    # A session's clocks are told from its own spans, whatever else is in the table.
    unsolved = _of_contradictory(apart)
    solved = [apart.filter(~unsolved), offsets.join(apart.filter(unsolved), on="session", how="semi")]
    return pl.concat(solved).sort("session", maintain_order=True)


def _of_contradictory(offsets: pl.DataFrame) -> pl.Expr:
    """Tell the rows of sessions in which some host's times are impossible."""
    sessions = offsets.filter("is_contradictory").get_column("session").unique()
    return pl.col("session").is_in(sessions.implode())


def _estimate_all(structure: Structure, hosts: Hosts) -> pl.DataFrame:
    """Estimate the offsets (columns of `OFFSETS`) of the hosts, those that have to do with each other together."""
    session = hosts.table.get_column("session").rle_id().to_numpy()
    is_first = np.diff(session, prepend=-1) != 0
    clocks = _Clocks.unknown(is_first)
    table = hosts.table.with_columns(violations=pl.lit(0, pl.Int64), evidence=pl.lit(None, pl.String))
    if not is_first.all():
        pairs = must_precede(structure, hosts.of_row)
        same_session = session[pairs.get_column("first_host")] == session[pairs.get_column("second_host")]
        pairs = pairs.filter(pl.Series(same_session))
        for members, among in _related(pairs):
            clocks.solve(members, among)
        table = _with_evidence(structure, hosts.table, pairs)
    return table.with_columns(**clocks.columns()).select(OFFSETS.names()).cast(OFFSETS)


def _related(pairs: pl.DataFrame) -> Iterator[tuple[RowIds, pl.DataFrame]]:
    """Give the sets of hosts that have to do with each other, in order of importance, with the pairs among them."""
    groups = [
        np.array(sorted(group), dtype=np.int64)
        for group in connected(pairs.select("first_host", "second_host").iter_rows())
    ]
    group_of = {host: number for number, group in enumerate(groups) for host in group.tolist()}
    grouped = pairs.with_columns(group=pl.col("first_host").replace_strict(group_of, return_dtype=pl.Int64))
    for number, among in grouped.partition_by("group", as_dict=True).items():
        yield groups[int(number[0])], among


@frozen
class _Clocks:
    """What is found of each host; arrays by number of host, ns."""

    offset: Floats
    lower: Floats
    upper: Floats
    is_reference: Flags
    is_contradictory: Flags

    @staticmethod
    def unknown(is_first: Flags) -> "_Clocks":
        """Begin with nothing known but that the first host of each session is its reference."""
        open_end = np.where(is_first, 0.0, np.inf)
        return _Clocks(np.zeros(is_first.size), -open_end, open_end, is_first.copy(), np.zeros_like(is_first))

    def solve(self, members: RowIds, pairs: pl.DataFrame) -> None:
        """Settle a set of hosts that have to do with each other."""
        slack = _matrix(members, pairs, "slack_ns")
        closed = close(slack)
        kept = members[closed.kept]
        self.is_contradictory[np.setdiff1d(members, kept)] = True
        self.is_reference[kept[0]] = True
        self.lower[kept], self.upper[kept] = -closed.most[0], closed.most[:, 0]
        if (closed.most < 0).any():
            likely = close(_matrix(kept, pairs, "likely_ns"))
            self.offset[kept] = settle(closed.most, likely.most if likely.kept.size == kept.size else None)

    def columns(self) -> dict[str, pl.Series]:
        """Give the columns of `OFFSETS` that are known here."""
        whole = {"offset_ns": self.offset, "lower_ns": self.lower, "upper_ns": self.upper}
        numbers = {name: pl.Series(values) for name, values in whole.items()}
        return {name: values.set(values.is_infinite(), None).cast(pl.Int64) for name, values in numbers.items()} | {
            "is_reference": pl.Series(self.is_reference),
            "is_proven": pl.Series(self.offset != 0),
            "is_contradictory": pl.Series(self.is_contradictory),
        }


def _matrix(members: RowIds, pairs: pl.DataFrame, column: str) -> Floats:
    """Put the pairs among `members` (in ascending order) in a matrix: by first, then by second host."""
    first, second = (pairs.get_column(name).to_numpy() for name in ("first_host", "second_host"))
    inside = np.isin(first, members) & np.isin(second, members)
    matrix = np.full((members.size, members.size), np.inf)
    at = np.searchsorted(members, first[inside]), np.searchsorted(members, second[inside])
    matrix[at] = pairs.get_column(column).to_numpy()[inside]
    return matrix


def _with_evidence(structure: Structure, hosts: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """Add to each host how many pairs of events it is part of that cannot be, and the worst in words."""
    broken = pairs.filter(pl.col("violations") > 0)
    ends = pl.concat([broken.with_columns(number=pl.col(name)) for name in ("first_host", "second_host")])
    worst = ends.sort("slack_ns", "first", "second").unique("number", keep="first", maintain_order=True)
    names = [whose(*row) for row in hosts.select("host", "pid").iter_rows()]
    evidence = {
        pair["number"]: impossible_order(
            RELATIONS[pair["relation"]],
            first=label_event(structure.spans, pair["first"]),
            here=names[pair["first_host"]],
            second=label_event(structure.spans, pair["second"]),
            there=names[pair["second_host"]],
            too_early_ns=-pair["slack_ns"],
        )
        for pair in worst.iter_rows(named=True)
    }
    count = dict(ends.group_by("number").agg(pl.col("violations").sum()).iter_rows())
    numbers = range(hosts.height)
    return hosts.with_columns(
        violations=pl.Series([count.get(number, 0) for number in numbers], dtype=pl.Int64),
        evidence=pl.Series([evidence.get(number) for number in numbers], dtype=pl.String),
    )
