"""Runs a command and tells what it cost: wall and CPU time, and the memory of all its processes together."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_POLL_S = 0.05
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Cost:
    """What a command took."""

    wall_s: float
    cpu_s: float
    """User and system time of its processes together."""
    peak_bytes: int
    """The most that they were seen to have resident at one time, added up; pages that they share count in each.

    Looked at again and again: the system's own figure is of one process alone, with what its parent had before it.
    """
    output: str
    """What it wrote to standard output."""


class CommandError(Exception):
    """A command that was measured has failed."""


def run(command: Sequence[str], *, repeat: int = 1) -> Cost:
    """Run a command some times; gives the run that took least CPU: what else the machine does only adds.

    Raises CommandError where its exit code is not 0.
    """
    return min((_run(command) for _ in range(repeat)), key=lambda cost: cost.cpu_s)


def run_pairs(ours: Sequence[str], peer: Sequence[str], *, repeat: int = 3) -> tuple[Cost, Cost]:
    """Run two commands in turn, so that a busy machine disturbs both alike; gives the best run of each."""
    pairs = [(_run(ours), _run(peer)) for _ in range(repeat)]
    best = [min(costs, key=lambda cost: cost.cpu_s) for costs in zip(*pairs, strict=True)]
    return best[0], best[1]


def python(module: str, *arguments: str) -> list[str]:
    """Give the command that runs a module with this Python."""
    return [sys.executable, "-m", module, *arguments]


def _run(command: Sequence[str]) -> Cost:
    begin = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    peak = _Peak(process.pid)
    complaints: list[bytes] = []
    assert process.stdout is not None
    assert process.stderr is not None
    stderr = process.stderr
    reader = threading.Thread(target=lambda: complaints.append(stderr.read()))
    reader.start()
    with process.stdout, process.stderr:
        output = process.stdout.read().decode(errors="replace")
        reader.join()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.perf_counter() - begin
    if process.returncode:
        raise CommandError(
            f"{' '.join(command)}: exit code {process.returncode}\n{complaints[0].decode(errors='replace')}"
        )
    return Cost(wall, used.ru_utime + used.ru_stime, peak.stop(), output)


class _Peak:
    """Adds up, again and again, what a process and those below it have resident."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._most = 0
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> int:
        """Give the most that was seen."""
        self._is_over.set()
        self._thread.join()
        return self._most

    def _watch(self) -> None:
        while not self._is_over.wait(_POLL_S):
            self._most = max(self._most, sum(map(_resident, _family(self._pid))))


def _family(pid: int) -> list[int]:
    found = [pid]
    for one in found:
        for task in _listed(Path(f"/proc/{one}/task")):
            found += map(int, _text(Path(f"/proc/{one}/task/{task}/children")).split())
    return found


def _listed(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in folder.iterdir()]
    except OSError:
        return []


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""


def _resident(pid: int) -> int:
    fields = _text(Path(f"/proc/{pid}/statm")).split()
    return int(fields[1]) * _PAGE_BYTES if fields else 0
