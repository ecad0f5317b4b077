"""Feeds damaged, hostile and made-up input to everything that reads it: `python -m tests.faults.fuzz --seconds 3600`.

Each case is made from one number, so `--only NUMBER` makes it again. What has to hold: no exception but ours, nothing
takes longer than 20 s or 1 GiB of memory, and every path tiles its scope.
"""

import argparse
import itertools
import random
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import raytrace_analyze as rt
from raytrace_analyze.path.result import CriticalPath
from tests.faults.commands import asked_of
from tests.faults.making import make_case

LONGEST_S = 20.0
"""Of CPU time: how long it takes else depends on what runs beside."""
MOST_BYTES = 1 << 30
"""Of memory, more than before: a case has some megabytes at most."""
_COMMANDS = 2
"""How many commands are run on one case."""
_ASKED = 5
"""How many of the analyses are made in one case: many cases find more than much about a few."""


@dataclass(frozen=True)
class Failure:
    """What went wrong with a case."""

    number: int
    what: str
    detail: str


def run(numbers: Iterator[int], until: float) -> tuple[int, list[Failure]]:
    """Run cases until a time (of `time.monotonic`); gives how many there were, and what failed."""
    count, failures = 0, []
    for number in numbers:
        if time.monotonic() >= until:
            break
        with tempfile.TemporaryDirectory() as folder:
            failures += check_case(number, Path(folder))
        count += 1
    return count, failures


def check_case(number: int, folder: Path) -> list[Failure]:
    """Make a case and put it through everything."""
    given = folder / "given"
    given.mkdir()
    make_case(random.Random(number), given)
    found: list[rt.Ingested] = []
    failures = list(_checked(number, "load", lambda: found.append(rt.load([given]))))
    for name, command in asked_of(given, folder, random.Random(number), _COMMANDS):
        failures += _checked(number, name, command)
    if not found:
        return failures
    asked = list(analyses(found[0]))
    for name, analysis in random.Random(number).sample(asked, _ASKED):
        failures += _checked(number, name, analysis)
    return failures


def _checked(number: int, name: str, step: Callable[[], object]) -> Iterator[Failure]:
    started, before = time.process_time(), _resident_bytes(start_anew=True)
    try:
        step()
    except rt.RaytraceError as error:
        if "\n" in str(error):
            yield Failure(number, f"{name}: a message of several lines", str(error))
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        yield Failure(number, f"{name}: {type(error).__name__}", traceback.format_exc())
    if (took := time.process_time() - started) > LONGEST_S:
        yield Failure(number, f"{name}: slow", f"{took:.0f} s")
    if (more := _resident_bytes() - before) > MOST_BYTES:
        yield Failure(number, f"{name}: memory", f"{more >> 20} MiB")


def _resident_bytes(*, start_anew: bool = False) -> int:
    """Give the most memory that this process has taken since that was started anew; 0 where it is not told."""
    with suppress(OSError, ValueError, IndexError):
        if start_anew:
            Path("/proc/self/clear_refs").write_text("5")
        return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) << 10
    return 0


def analyses(found: rt.Ingested) -> Iterator[tuple[str, Callable[[], object]]]:
    """Name everything that can be asked of a table."""
    spans = found.spans
    for options in ({}, {"infer": False}, {"queues": "show"}, {"clock_correct": False}):
        yield f"critical_path {options}", lambda options=options: check_path(rt.critical_path(spans, **options))
    for scopes in ("jobs", "traces"):
        yield f"critical_paths {scopes}", lambda scopes=scopes: rt.critical_paths(spans, scopes=scopes)
        yield f"path_aggregates {scopes}", lambda scopes=scopes: rt.path_aggregates(spans, scopes=scopes)
    for name in ("jobs", "traces", "latency_stats", "queue_causes", "what_if", "slack", "advise", "span_graph"):
        yield name, lambda name=name: getattr(rt, name)(spans)
    yield "clock_offsets", lambda: rt.correct_clocks(spans, rt.clock_offsets(spans))
    yield "evidence", lambda: rt.evidence(found)
    yield "hang", lambda: rt.hang(spans)
    yield "write_table", lambda: _written(found)
    yield "diff", lambda: rt.diff([spans], [spans])
    for task in spans.get_column("function").drop_nulls().unique(maintain_order=True).head(2):
        yield f"tell_story {task!r}", lambda task=task: rt.tell_story(spans, task)


def _written(found: rt.Ingested) -> None:
    """Write a table, and read the same from it."""
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "spans.parquet"
        rt.write_table(found.spans, table, problems=found.report.all_problems)
        assert rt.load(table).report.spans == found.report.spans, "the table has other spans than were written"


def check_path(path: CriticalPath) -> None:
    """Assert that the segments of a path follow each other without a gap, and are as long as the scope."""
    start, end = path.segments.get_column("start_ns"), path.segments.get_column("end_ns")
    assert (start <= end).all(), "a segment ends before it starts"
    assert (start[1:] == end[:-1]).all(), "there is a gap, or an overlap"
    assert path.segments.get_column("duration_ns").sum() == path.makespan_ns, "the path is not as long as its scope"
    assert start.is_empty() or end[-1] - start[0] == path.makespan_ns


def main() -> None:
    """Run for some time, say what failed, and end with 1 if anything did."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--only", type=int, help="the number of one case")
    options.add_argument("--noted-in", type=Path, help=argparse.SUPPRESS)
    given = options.parse_args()
    until = time.monotonic() + given.seconds
    if given.only is not None and given.noted_in is None:
        sys.exit(_run_and_tell(iter([given.only]), float("inf")))
    if given.only is not None:
        sys.exit(_run_and_tell(_noted(itertools.count(given.only), given.noted_in), until))
    sys.exit(_run_apart(given.seed * 10**6, until))


def _run_and_tell(numbers: Iterator[int], until: float) -> int:
    count, failures = run(numbers, until)
    for failure in failures:
        print(f"case {failure.number}: {failure.what}\n{failure.detail}")
    print(f"{count} cases, {len(failures)} failures")
    return 1 if failures else 0


def _noted(numbers: Iterator[int], file: Path) -> Iterator[int]:
    for number in numbers:
        file.write_text(str(number))
        yield number


def _run_apart(number: int, until: float) -> int:
    """Run cases from a number on in a process of their own; where one of them kills it, the next ones in another."""
    code = 0
    with tempfile.TemporaryDirectory() as folder:
        noted_in = Path(folder) / "number"
        while (left := until - time.monotonic()) > 0:
            asked = ["--only", str(number), "--noted-in", str(noted_in), "--seconds", str(left)]
            done = subprocess.run([sys.executable, "-m", "tests.faults.fuzz", *asked], check=False)
            if done.returncode >= 0:
                return max(code, done.returncode)
            code, number = 1, int(noted_in.read_text())
            print(f"case {number}: it killed the process (signal {-done.returncode})", flush=True)
            number += 1
    return code


if __name__ == "__main__":
    main()
