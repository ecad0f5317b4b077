"""Runs all kinds and writes the figures: `python -m tests.torture --scale 1 [--only WORD] [--write]`."""

import argparse
import os
import platform
import random
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.torture import clusters, merges, processes, soak
from tests.torture.figures import HEAD, Figure, row, with_those_before

_PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
_FIGURES = re.compile(r"(?<=<!-- figures -->\n).*(?=<!-- end of figures -->)", re.DOTALL)


def kinds(folder: Path, scale: float, chance: random.Random) -> Iterator[tuple[str, Callable[[], Figure | None]]]:
    """Name every kind; `scale` says how often each is tried."""

    def times(number: int) -> int:
        return max(1, round(number * scale))

    def fresh() -> Path:
        return merges.fresh(folder / "one")

    yield "merge random", lambda: merges.killed_at_random(fresh(), times(30), chance)
    yield "merge steps", lambda: merges.killed_at_each_step(fresh(), 60)
    yield "merge two", lambda: merges.two_at_once(fresh(), times(10))
    for number in (signal.SIGKILL, signal.SIGTERM):
        for how in ("runs_on", "in_threads"):
            yield (
                f"process {number.name} {how}",
                lambda number=number, how=how: processes.killed(fresh(), times(20), chance, number, how),
            )
    yield "process exit", lambda: processes.exits(fresh(), times(10), chance)
    yield "process forks", lambda: processes.forks(fresh(), times(10))
    yield "process many", lambda: processes.many_at_once(fresh(), 64)
    yield "process limit", lambda: processes.size_limit(fresh(), times(5))
    yield "process disk", lambda: processes.full_disk(times(5))
    yield "process namespaces", lambda: processes.namespaces(fresh(), times(3))
    for way in clusters.WAYS:
        yield f"ray {way}", lambda way=way: clusters.killed(fresh(), way, times(2))
    yield "soak", lambda: soak.soaked(fresh(), 120 * scale)


def main() -> None:
    """Run them, print the figures, and end with 1 if a promise was broken."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--scale", type=float, default=1.0)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--only", default="", help="kinds whose name has this in it")
    options.add_argument(
        "--write",
        action="store_true",
        help="write the figures into docs/reliability.md, where those of kinds that are not run stay",
    )
    given = options.parse_args()
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        for name, run in kinds(Path(folder), given.scale, random.Random(given.seed)):
            if given.only not in name:
                continue
            started = time.monotonic()
            figure = run()
            if figure is None:
                print(f"{name}: cannot be tried here", flush=True)
                continue
            figures.append(figure)
            print(f"{name}: {figure} ({time.monotonic() - started:.0f} s)", flush=True)
    print(HEAD + "".join(map(row, figures)), end="")
    if given.write:
        _write(figures)
    sys.exit(any(figure.wrong for figure in figures))


def _write(figures: list[Figure]) -> None:
    import ray

    where = f"Python {platform.python_version()}, Ray {ray.__version__}, {os.cpu_count()} processors"
    page = _PAGE.read_text()
    before = _FIGURES.search(page)
    rows = with_those_before(figures, before[0] if before else "")
    _PAGE.write_text(_FIGURES.sub(lambda _: f"Made by `make torture` ({where}).\n\n{rows}", page))


if __name__ == "__main__":
    main()
