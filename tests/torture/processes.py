"""The hook in plain processes: killed, out of room, forked, many at once, in namespaces of their own."""

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import raytrace_analyze as rt
from tests.torture.figures import Figure

_PROGRAM = Path(__file__).with_name("program.py")
_LONGEST_S = 300


def _start(spans: Path, *arguments: object, before: Sequence[str] = (), **variables: str) -> subprocess.Popen[bytes]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("RAYTRACE_", "OTEL_"))}
    return subprocess.Popen(
        [*before, sys.executable, str(_PROGRAM), *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**clean, "RAYTRACE_DIR": str(spans), **variables},
    )


def _acknowledged(process: subprocess.Popen[bytes]) -> int:
    """Wait for its end; gives how many spans it says have ended."""
    said, _ = process.communicate(timeout=_LONGEST_S)
    return said.count(b".")


def _count(figure: Figure, spans: Path, ended: int) -> None:
    try:
        report = rt.load(spans).report
    except rt.NoSpansError:
        figure.add(ended, 0)
        return
    # A span may have ended whose byte was not written any more.
    figure.add(ended, min(report.spans - report.in_flight, ended), report.lost_spans)
    if report.is_damaged:
        figure.wrong.append(f"damage: {report.problems[0]}")


def killed(folder: Path, tries: int, chance: random.Random, number: signal.Signals, how: str = "runs_on") -> Figure:
    """Send a signal at a random time."""
    threads = " with four threads" if how == "in_threads" else ""
    figure = Figure(f"a process{threads} that ends spans, {number.name}")
    for each in range(tries):
        spans = folder / f"{how}-{number.name}-{each}"
        process = _start(spans, how)
        assert process.stdout is not None
        first = process.stdout.read(1)  # it has begun
        time.sleep(chance.uniform(0, 0.3))
        process.send_signal(number)
        _count(figure, spans, len(first) + _acknowledged(process))
    return figure


def exits(folder: Path, tries: int, chance: random.Random) -> Figure:
    """End by os._exit."""
    figure = Figure("a process that ends spans, `os._exit`")
    for each in range(tries):
        spans = folder / f"exits-{each}"
        _count(figure, spans, _acknowledged(_start(spans, "exits", chance.randrange(1, 300))))
    return figure


def forks(folder: Path, tries: int) -> Figure:
    """Fork while threads end spans."""
    figure = Figure("`fork` while three threads end spans; children end spans in two")
    for each in range(tries):
        spans = folder / f"forks-{each}"
        _count(figure, spans, _acknowledged(_start(spans, "forks", 10)))
    return figure


def many_at_once(folder: Path, processes: int) -> Figure:
    """Many processes with one directory."""
    figure = Figure("processes at once on one directory")
    spans = folder / "many"
    started = [_start(spans, "ends", 50) for _ in range(processes)]
    _count(figure, spans, sum(map(_acknowledged, started)))
    figure.tries = processes
    return figure


def size_limit(folder: Path, tries: int) -> Figure:
    """No file may grow beyond a size for a while: as a full disk, where none can be mounted."""
    figure = Figure("no room for larger files (RLIMIT_FSIZE), then room again")
    for each in range(tries):
        spans = folder / f"limit-{each}"
        _count(figure, spans, _acknowledged(_start(spans, "limited", 60_000 + 997 * each)))
    return figure


@contextmanager
def disk(size: str) -> Iterator[Path | None]:
    """Mount a file system of a size such as `512k`; None where that may not be done."""
    where = Path(tempfile.mkdtemp(prefix="rt-small-"))
    mounted = (
        shutil.which("mount")
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(where)],
            capture_output=True,
            check=False,
        ).returncode
    )
    try:
        yield where if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", str(where)], capture_output=True, check=False)
        where.rmdir()


def full_disk(tries: int) -> Figure | None:
    """Fill a disk, make room again; None where none can be mounted."""
    figure = Figure("a disk that is full, then has room again (tmpfs)")
    for _ in range(tries):
        with disk("512k") as small:
            if small is None:
                return None
            filler = small / "filler"
            filler.write_bytes(b"x" * 200_000)
            process = _start(small / "spans", "fills")
            assert process.stdout is not None
            head = process.stdout.read(400)
            filler.unlink()
            process.send_signal(signal.SIGUSR1)
            _count(figure, small / "spans", len(head) + _acknowledged(process))
    return figure


def namespaces(folder: Path, tries: int) -> Figure | None:
    """Processes in pid namespaces of their own, one of which cleans up; None where there can be none."""
    unshare = ["unshare", "--pid", "--fork", "--mount-proc"]
    if (
        shutil.which("unshare") is None
        or subprocess.run([*unshare, "true"], capture_output=True, check=False).returncode
    ):
        return None
    figure = Figure("living processes of another pid namespace, beside one that keeps `RAYTRACE_MAX_DIR_MB`")
    for each in range(tries):
        spans = folder / f"namespace-{each}"
        living = _start(spans, "runs_on", before=unshare)
        assert living.stdout is not None
        head = living.stdout.read(300)
        _acknowledged(_start(spans, "ends", 300, before=unshare, RAYTRACE_MAX_DIR_MB="0.05"))
        # `unshare` is not the program: its child is.
        children = Path(f"/proc/{living.pid}/task/{living.pid}/children").read_text().split()
        for child in children:
            os.kill(int(child), signal.SIGKILL)
        ended = len(head) + _acknowledged(living)
        mine = [path for path in spans.glob("*.jsonl") if b'"process.pid":1,' in path.read_bytes()[:4000]]
        there = max((path.read_bytes().count(b"\n") for path in mine), default=0)
        figure.add(ended, min(there, ended))
    return figure
