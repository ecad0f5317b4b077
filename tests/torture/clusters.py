"""The hook in a Ray cluster: a worker killed in a task and in an actor, the driver, the raylet, out of memory."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import polars as pl

import raytrace_analyze as rt
from tests.torture.figures import Figure

_PROGRAM = Path(__file__).with_name("cluster_program.py")
_LONGEST_S = 300
WAYS = {
    "task": "a worker killed in a task that is tried again",
    "actor": "a worker killed in a method of an actor that is restarted",
    "driver": "the driver killed",
    "raylet": "the raylet killed",
    "memory": "a task that Ray kills for its memory",
}
_TO_BE_TAKEN = 0.05
"""What part of the machine's memory the task has taken when Ray's monitor kills it."""


def _little_memory() -> dict[str, str]:
    """Settings of Ray that leave a little more memory than is in use now, whatever else runs on the machine."""
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    known = {words[0]: int(words[1]) for words in lines}
    in_use = 1 - known["MemAvailable:"] / known["MemTotal:"]
    return {
        "RAY_memory_usage_threshold": f"{min(in_use + _TO_BE_TAKEN, 0.95):.3f}",
        "RAY_memory_monitor_refresh_ms": "100",
    }


def killed(folder: Path, how: str, tries: int) -> Figure:
    """Run the program that is killed this way, and count its own spans."""
    figure = Figure(WAYS[how])
    for each in range(tries):
        own = folder / f"{how}-{each}"
        own.mkdir()
        process = start(own, how, spans=own / "spans")
        try:
            process.wait(timeout=_LONGEST_S)
        finally:
            stop(process)
        count(figure, own, own / "spans")
    return figure


def count(figure: Figure, own: Path, spans: Path) -> None:
    """Count the spans that a program in the folder `own` says have ended, and those that are in `spans`."""
    file = own / "acknowledged"
    ended = file.stat().st_size if file.exists() else 0
    found = rt.load(spans)
    there = found.spans.filter(pl.col("name") == "acknowledged", pl.col("end").is_not_null()).height
    figure.add(ended, min(there, ended), found.report.lost_spans)
    if not ended:
        figure.wrong.append("the program did nothing")
    if found.report.is_damaged:
        figure.wrong.append(f"damage: {found.report.problems[0]}")


def start(own: Path, how: str, *, spans: Path, seconds: float = 0) -> subprocess.Popen[bytes]:
    """Start the program in a way of its own, for so long where it has no end; its output is in the folder `own`."""
    return subprocess.Popen(
        [sys.executable, str(_PROGRAM), how, str(own / "acknowledged"), str(seconds)],
        stdout=(own / "output").open("w"),
        stderr=subprocess.STDOUT,
        env={**os.environ, "RAYTRACE_DIR": str(spans), **(_little_memory() if how == "memory" else {})},
        start_new_session=True,
    )


def stop(process: subprocess.Popen[bytes]) -> None:
    """End what is left of a program."""
    time.sleep(1)  # workers see that their raylet or driver has gone
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
