"""The benchmark suite: how time and memory grow with the number of spans, beside named peers in the same run.

    python -m benchmarks.suite                           # 10,000 and 100,000 spans: some minutes
    python -m benchmarks.suite --size large              # to 10,000,000: an hour, 20 GB of disk
    python -m benchmarks.suite --write                   # also write benchmarks/RESULTS.md

All figures are of whole processes, start-up and all, as the operating system counts them: CPU is user and system time,
memory what all processes have resident together. Ratios are of CPU time, ours to the peer's, both run in turn. Fails
only where a result is wrong, never on time.
"""

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from benchmarks.generate import write_spans
from benchmarks.measure import Cost, python, run, run_pairs
from benchmarks.results import Row, markdown
from benchmarks.shapes import Size

SIZES = {
    "tiny": (2_000,),
    "small": (10_000, 100_000),
    "medium": (10_000, 100_000, 1_000_000),
    "large": (10_000, 100_000, 1_000_000, 10_000_000),
}
FILES = 200
SPANS_A_FILE = 500
SLOW_PEERS_TO = 100_000
"""How many spans pandas, networkx and jq are given at most."""
ALL_TO = 1_000_000
"""Beyond this only our own format is merged, no peer is run that makes an object of each span, and no command that
replays a job."""
FORMATS = ("pretty", "stock", "otlp", "jaeger")
RESULTS = Path(__file__).parent / "RESULTS.md"


class WrongResultError(Exception):
    """A result that was measured is not the right one."""


@dataclass(frozen=True)
class Case:
    """Span files of one size, and where what is made of them goes."""

    spans: int
    folder: Path
    repeat: int

    @property
    def table(self) -> Path:
        return self.folder / "spans.parquet"

    def files(self, format: str) -> Path:
        """Give the folder of the files of a format, written when first asked for."""
        folder = self.folder / format
        if not folder.exists():
            files = max(min(FILES, self.spans // SPANS_A_FILE), 4)
            written = write_spans(folder, Size(self.spans, processes=files, jobs=min(4, files // 3)), format)
            check(written == self.spans or format == "stock", f"{written:,} spans written in {format}")
        return folder


def check(holds: bool, what: str) -> None:
    """Raise WrongResultError unless it holds."""
    if not holds:
        raise WrongResultError(f"wrong result: {what}")


def ours(*arguments: str | Path) -> list[str]:
    """Give the command that runs a command of the analyser."""
    return python("raytrace_analyze", *map(str, arguments))


def row(case: Case, what: str, cost: Cost, peer: str = "", other: Cost | None = None) -> Row:
    """Put what was measured into a line of the results."""
    return Row(what, case.spans, cost, peer, other)


def ingest(case: Case) -> list[Row]:
    """Measure `merge` of every format beside DuckDB; pandas and jq where that does not take too long."""
    rows = []
    copied = str(case.folder / "peer.parquet")
    for format in ("hook", *(FORMATS if case.spans <= ALL_TO else ())):
        folder = case.files(format)
        table = case.table if format == "hook" else case.folder / f"{format}.parquet"
        merge = ours("merge", folder, "-o", table)
        reader = f"duckdb-{format}" if format in ("otlp", "jaeger") else "duckdb"
        mine, peer = run_pairs(merge, python("benchmarks.peers", reader, str(folder), copied), repeat=case.repeat)
        count = pl.scan_parquet(table).select(pl.len()).collect().item()
        check(count == int(peer.output) and (format == "stock" or count == case.spans), f"{count:,} spans in {format}")
        rows.append(row(case, f"merge, {format}", mine, "DuckDB", peer))
    if case.spans <= ALL_TO:
        same = ["name", "kind", "start", "end", "task_id", "function", "job_id"]
        tables = [
            pl.read_parquet(case.folder / f"{name}.parquet", columns=same) for name in ("spans", "pretty", "otlp")
        ]
        check(all(one.equals(tables[0]) for one in tables), "hook, pretty and otlp differ")
    if case.spans <= SLOW_PEERS_TO:
        hook = case.files("hook")
        peers = {"pandas": python("benchmarks.peers", "pandas", str(hook))}
        if shutil.which("jq"):
            peers["jq"] = [
                "sh",
                "-c",
                f"cat {hook}/* | jq -c '[.name,.context,.start_time,.end_time,.attributes]' | wc -l",
            ]
        rows += [row(case, "merge, hook", rows[0].cost, name, run(command)) for name, command in peers.items()]
    size = run(python("benchmarks.peers", "copy", str(case.table), copied))
    check(int(size.output) == case.spans, "DuckDB copies other rows")
    ratio = case.table.stat().st_size / Path(copied).stat().st_size
    print(f"  the table is {ratio:.2f} times as large as DuckDB's zstd Parquet of the same columns", flush=True)
    return rows


def analyses(case: Case) -> list[Row]:
    """Measure the commands on the table."""
    rows = []
    repeat, table = case.repeat, str(case.table)
    stats = ours("stats", table, "--format", "json")
    mine, peer = run_pairs(stats, python("benchmarks.peers", "quantiles", table), repeat=repeat)
    rows.append(row(case, "stats", mine, "bare polars query", peer))
    paths = ours("critical-path", table, "--all", "traces", "--format", "json")
    if case.spans <= ALL_TO:
        mine, peer = run_pairs(paths, python("benchmarks.peers", "jaeger", table), repeat=repeat)
        check(int(peer.output) == case.spans, "the peer saw other spans")
        rows.append(row(case, "critical-path --all traces", mine, "Jaeger's rule in Python", peer))
    else:
        rows.append(row(case, "critical-path --all traces", run(paths)))
    if case.spans <= SLOW_PEERS_TO:
        longest = run(python("benchmarks.peers", "networkx", table))
        rows.append(row(case, "critical-path --all traces", mine, "networkx", longest))
    commands = ("critical-path", "traces", "jobs", *(("advise", "what-if") if case.spans <= ALL_TO else ()))
    rows += [row(case, name, run(ours(name, table, "--format", "json"))) for name in commands]
    if case.spans <= ALL_TO:
        rows.append(row(case, "diff", run(ours("diff", table, table, "--format", "json"))))
    return rows


def start_up(folder: Path) -> list[Row]:
    """Measure what the commands take before there is anything to do."""
    case = Case(1_000, folder, 5)
    case.folder.mkdir()
    run(ours("merge", case.files("hook"), "-o", case.table))
    mine, polars = run_pairs(ours("critical-path", case.table), [*python("x")[:1], "-c", "import polars"], repeat=5)
    helped, typer = run_pairs(ours("--help"), [*python("x")[:1], "-c", "import typer"], repeat=5)
    return [
        row(case, "critical-path", mine, "import polars", polars),
        row(case, "--help", helped, "import typer", typer),
    ]


def measure(sizes: tuple[int, ...], folder: Path, repeat: int = 3) -> Iterator[list[Row]]:
    """Measure size by size; gives all rows so far after each. Raises WrongResultError."""
    rows = start_up(folder / "start")
    for spans in sizes:
        case = Case(spans, folder / str(spans), repeat if spans <= SLOW_PEERS_TO else 1)
        case.folder.mkdir()
        print(f"{spans:,} spans", flush=True)
        for part in (ingest, analyses):
            for one in part(case):
                rows.append(one)
                print(f"  {one.text()}", flush=True)
        shutil.rmtree(case.folder)
        yield rows


def main() -> None:
    """Run the suite."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="small")
    parser.add_argument("--write", action="store_true", help="write benchmarks/RESULTS.md")
    parser.add_argument("--repeat", type=int, default=3, help="runs, of which the best counts, to 100,000 spans")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="raytrace-bench-") as folder:
        for rows in measure(SIZES[given.size], Path(folder), given.repeat):
            if given.write:
                RESULTS.write_text(markdown(rows, given.size))
                print(f"wrote {RESULTS.name}")


if __name__ == "__main__":
    main()
