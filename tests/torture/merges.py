"""`merge` killed at any time and at every step of its writing; two merges to one output at a time."""

import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import polars as pl

import raytrace_analyze as rt
from tests.torture.figures import Figure

SAMPLES = Path(__file__).parents[2] / "sample_spans"
OLD, NEW = SAMPLES / "nested-ours" / "spans", SAMPLES / "map_reduce-ours" / "spans"
_STEPS = ("open", "fchmod", "fsync", "replace", "unlink")
_KILLED_AT = f"""
import os, signal, sys
from raytrace_analyze import __main__
import raytrace_analyze.cli, raytrace_analyze.ingest, raytrace_analyze.table.assemble
left = int(sys.argv.pop(1))
def dying(step):
    def run(*arguments, **options):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        result = step(*arguments, **options)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return run
import raytrace_analyze.files.output as output
class Dying:
    def __getattr__(self, name):
        found = getattr(os, name)
        return dying(found) if name in {_STEPS!r} else found
output.os = Dying()
__main__.main()
"""


def _merge(spans: Path, output: Path) -> list[str]:
    return [sys.executable, "-m", "raytrace_analyze", "merge", str(spans), "-o", str(output)]


def _rows(spans: Path) -> int:
    return rt.read_spans(spans).height


def _look(figure: Figure, output: Path, old: int, new: int) -> None:
    """A table is whole: the old one or the new one."""
    try:
        # Opened once, as we read it: by a path, polars opens it twice, and another one may have come in between.
        rows = pl.read_parquet(output.read_bytes()).height
    except Exception as error:
        figure.add(1, 0)
        figure.wrong.append(f"{type(error).__name__}: {error}")
        return
    figure.add(1, int(rows in (old, new)))


def _next_merge_cleans_up(figure: Figure, folder: Path, output: Path) -> None:
    subprocess.run(_merge(NEW, output), capture_output=True, check=True)
    if left := [path.name for path in folder.iterdir() if path != output]:
        figure.wrong.append(f"left behind: {left}")


def killed_at_random(folder: Path, tries: int, chance: random.Random) -> Figure:
    """Kill merges at times that are spread over how long one takes."""
    figure = Figure("`merge` over an older table, SIGKILL at a random time")
    output, old, new = folder / "spans.parquet", _rows(OLD), _rows(NEW)
    subprocess.run(_merge(OLD, output), capture_output=True, check=True)
    started = time.monotonic()
    subprocess.run(_merge(OLD, folder / "other.parquet"), capture_output=True, check=True)
    took = time.monotonic() - started
    (folder / "other.parquet").unlink()
    for _ in range(tries):
        process = subprocess.Popen(_merge(NEW, output), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(took * chance.uniform(0.3, 1.1))
        process.kill()
        process.wait()
        _look(figure, output, old, new)
    _next_merge_cleans_up(figure, folder, output)
    return figure


def killed_at_each_step(folder: Path, most: int) -> Figure:
    """Kill a merge before and after each step of its writing, until one comes to its end; `most` steps at most."""
    figure = Figure("`merge`, SIGKILL before and after each open, sync, rename and removal")
    output, old, new = folder / "spans.parquet", _rows(OLD), _rows(NEW)
    subprocess.run(_merge(OLD, output), capture_output=True, check=True)
    before = output.read_bytes()
    for step in range(1, most + 1):
        output.write_bytes(before)
        command = [sys.executable, "-c", _KILLED_AT, str(step), "merge", str(NEW), "-o", str(output)]
        done = subprocess.run(command, capture_output=True, check=False)
        _look(figure, output, old, new)
        if done.returncode != -signal.SIGKILL:
            break
    _next_merge_cleans_up(figure, folder, output)
    return figure


def two_at_once(folder: Path, tries: int) -> Figure:
    """Start two merges to one output at a time, and read it all the while."""
    figure = Figure("two `merge`s to one file at a time: reads of it meanwhile")
    output, old, new = folder / "spans.parquet", _rows(OLD), _rows(NEW)
    subprocess.run(_merge(OLD, output), capture_output=True, check=True)
    for _ in range(tries):
        both = [
            subprocess.Popen(_merge(spans, output), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for spans in (OLD, NEW)
        ]
        while any(process.poll() is None for process in both):
            _look(figure, output, old, new)
        if any(process.returncode for process in both):
            figure.wrong.append("a merge failed beside the other")
    _next_merge_cleans_up(figure, folder, output)
    return figure


def fresh(folder: Path) -> Path:
    """Give an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    return folder
