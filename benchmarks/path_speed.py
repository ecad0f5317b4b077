"""How fast all critical paths of a table are found: CPU time per span, from the DataFrame to the segments.

    python -m benchmarks.path_speed            # 10,000 to 1,000,000 spans
    python -m benchmarks.path_speed --large    # 10,000,000 too: takes 8 GB of memory

Beside it, on the same table in the same process, the peer: Jaeger's algorithm (the child that finished last, then what
finished before that began) in plain Python, trace by trace, from the DataFrame to a list of segments. It follows no
waits and no queues, so its paths hold other things; it is there to show what a loop over spans costs.
"""

import argparse
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from benchmarks.synthetic import fan_out_table
from raytrace_analyze import critical_paths
from raytrace_analyze.clocks.correction import build_corrected
from raytrace_analyze.path.options import PathOptions
from raytrace_analyze.path.walk.batch import find_paths
from raytrace_analyze.path.walk.step import Stepper
from raytrace_analyze.schema import TABLE
from raytrace_analyze.trace.clipping import scope_spans
from raytrace_analyze.trace.relations import relate_runs
from raytrace_analyze.trace.scopes import scope_table

SIZES = (10_000, 100_000, 1_000_000)
LARGE = 10_000_000
PEER_AT_MOST = 1_000_000


def nested_table(spans: int, *, fan_out: int = 10) -> pl.DataFrame:
    """Make one trace of plain nested spans: a tree in which all children follow one another."""
    number = np.arange(spans)
    parent = (number - 1) // fan_out
    depth = np.zeros(spans, dtype=np.int64)
    first, size, level = 0, 1, 0
    while first < spans:
        depth[first : first + size] = level
        first, size, level = first + size, size * fan_out, level + 1
    length = (4 * fan_out + 2) ** (level - depth)
    start = np.zeros(spans, dtype=np.int64)
    for at in range(1, level):
        rows = np.flatnonzero(depth == at)
        start[rows] = start[parent[rows]] + 1 + ((rows - 1) % fan_out) * 4 * length[rows]
    table = pl.DataFrame(
        {
            "trace_id": pl.repeat("0" * 32, spans, eager=True),
            "span_id": _hex(number),
            "parent_id": _hex(np.where(number > 0, parent, -1)),
            "name": pl.repeat("span", spans, eager=True),
            "kind": pl.repeat("INTERNAL", spans, eager=True),
            "category": pl.repeat("custom", spans, eager=True),
            "start": start,
            "end": start + length,
        }
    )
    missing = [pl.lit(None).cast(dtype).alias(name) for name, dtype in TABLE.items() if name not in table.columns]
    return table.with_columns(missing).select(pl.col(name).cast(dtype) for name, dtype in TABLE.items())


def _hex(number: np.ndarray) -> pl.Series:
    known = pl.when(pl.col("n") >= 0).then(pl.col("n").cast(pl.String).str.zfill(16))
    return pl.DataFrame({"n": number}).select(known).to_series()


# The peer


@dataclass
class Span:
    """A span as Jaeger's UI has it."""

    span_id: str
    parent_id: str | None
    start: int
    end: int
    children: list["Span"] = field(default_factory=list)


def traces_of(table: pl.DataFrame) -> list[list[Span]]:
    """Give the table as Python objects, trace by trace."""
    rows = table.select("trace_id", "span_id", "parent_id", pl.col("start", "end").to_physical())
    traces: dict[str, list[Span]] = {}
    for trace_id, *row in rows.iter_rows():
        traces.setdefault(trace_id, []).append(Span(*row))
    return list(traces.values())


def jaeger_path(spans: list[Span]) -> list[tuple[str, int, int]]:
    """Find the path of a trace as Jaeger does, without recursion so that deep and wide traces pass."""
    by_id = {span.span_id: span for span in spans}
    root = spans[0]
    for span in spans:
        parent = by_id.get(span.parent_id or "")
        if parent is None:
            root = span if span.start < root.start else root
        else:
            parent.children.append(span)
    path: list[tuple[str, int, int]] = []
    above: list[Span] = []
    at, until = root, root.end
    for span in spans:
        span.children.sort(key=lambda child: child.end)
    while True:
        while at.children and min(at.children[-1].end, at.end) > until:
            at.children.pop()
        if at.children:
            child = at.children.pop()
            path.append((at.span_id, child.end, until))
            above.append(at)
            at, until = child, child.end
        else:
            path.append((at.span_id, at.start, until))
            until = at.start
            if not above:
                return path
            at = above.pop()


def peer_paths(table: pl.DataFrame) -> list[list[tuple[str, int, int]]]:
    """Find the paths of all traces of a table."""
    return [jaeger_path(trace) for trace in traces_of(table)]


# Measuring


def cpu_ns(work: Callable[[], object], repeat: int = 1) -> float:
    """Give the best CPU time of some runs, in ns, of all threads of this process."""
    times = []
    for _ in range(repeat):
        begin = time.process_time_ns()
        work()
        times.append(time.process_time_ns() - begin)
    return min(times)


def parts_of(table: pl.DataFrame) -> dict[str, float]:
    """Give the CPU time of each step in ns a span."""
    times: dict[str, float] = {}

    def timed(name: str, work: Callable[[], object]) -> object:
        begin = time.process_time_ns()
        result = work()
        times[name] = (time.process_time_ns() - begin) / table.height
        return result

    structure, _ = timed("structure", lambda: build_corrected(table, clock_correct=True))  # type: ignore[misc]
    scope_of, keys = timed("scopes", lambda: scope_table(table, "traces"))  # type: ignore[misc]
    scoped = timed("clipping", lambda: scope_spans(structure, scope_of, keys.height))
    runs = timed("relations", lambda: relate_runs(structure))
    stepper = timed("joins", lambda: Stepper(scoped, runs, PathOptions()))  # type: ignore[arg-type]
    timed("walks", lambda: list(find_paths(stepper, np.arange(keys.height))))  # type: ignore[arg-type]
    return times


def measure(name: str, make: Callable[[int], pl.DataFrame], sizes: Iterable[int]) -> None:
    """Print one line a size."""
    for size in sizes:
        table = make(size)
        repeat = 5 if size <= 100_000 else 2 if size <= 1_000_000 else 1
        segments = critical_paths(table, scopes="traces").height
        ours = cpu_ns(lambda table=table: critical_paths(table, scopes="traces"), repeat) / table.height  # type: ignore[misc]
        line = f"{name:12} {table.height:>12,} {segments:>12,} {ours / 1000:>12.2f}"
        if size <= PEER_AT_MOST:
            peer = cpu_ns(lambda table=table: peer_paths(table)) / table.height  # type: ignore[misc]
            line += f" {peer / 1000:>12.2f} {peer / ours:>8.1f}"
        print(line, flush=True)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true", help="10,000,000 spans too")
    parser.add_argument("--small", action="store_true", help="10,000 spans only")
    given = parser.parse_args()
    usual = SIZES[:1] if given.small else SIZES
    sizes = (*usual, LARGE) if given.large else usual
    print(
        "CPU time per span in µs, DataFrame to segments, all traces of the table; the peer: Jaeger's walk in Python\n"
    )
    print(f"{'program':12} {'spans':>12} {'segments':>12} {'ours':>12} {'peer':>12} {'ratio':>8}")
    measure("recorded", fan_out_table, sizes)
    measure("stock", lambda size: fan_out_table(size, recorded=False), usual)
    measure("one trace", nested_table, usual)
    most = max(usual)
    print(f"\nsteps at {most:,} recorded spans, ns a span")
    for name, nanoseconds in parts_of(fan_out_table(most)).items():
        print(f"{name:12} {nanoseconds:>8.0f}")


if __name__ == "__main__":
    main()
