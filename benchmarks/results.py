"""What the suite measured, as lines and as the page RESULTS.md."""

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version

from benchmarks.measure import Cost

_WIDTH = 48
_PACKAGES = ("polars", "duckdb", "pandas", "networkx", "msgspec")


@dataclass(frozen=True)
class Row:
    """One thing that was measured, maybe beside a peer."""

    what: str
    spans: int
    cost: Cost
    peer: str = ""
    other: Cost | None = None

    @property
    def us_a_span(self) -> float:
        """CPU time a span, in µs."""
        return self.cost.cpu_s / self.spans * 1e6

    @property
    def ratio(self) -> float | None:
        """Our CPU time to the peer's."""
        return None if self.other is None else self.cost.cpu_s / self.other.cpu_s

    def text(self) -> str:
        """Say it in one line."""
        said = f"{self.what:28} {self.cost.cpu_s:8.2f} s CPU {self.cost.wall_s:8.2f} s wall"
        said += f" {self.us_a_span:9.1f} us/span {self.cost.peak_bytes / 2**20:8.0f} MiB"
        return said if self.ratio is None else f"{said}   {self.ratio:6.2f} x {self.peer}"


def markdown(rows: Sequence[Row], size: str) -> str:
    """Write the page."""
    lines = [
        "# Measured",
        "",
        f"Made by `python -m benchmarks.suite --size {size} --write`; do not edit. Figures are of whole processes: CPU",
        "is user and system time, memory what all processes have resident together. A ratio is our CPU time to the",
        "peer's, both run in turn on the same files; below 1 we are faster. Absolute times are those of one machine.",
        "",
        f"{os.cpu_count()} CPUs, {platform.machine()}, Python {platform.python_version()}, "
        + ", ".join(f"{name} {version(name)}" for name in _PACKAGES),
        "",
        "| what | spans | CPU s | wall s | µs a span | MiB | ratio | peer |",
        "|---|--:|--:|--:|--:|--:|--:|---|",
    ]
    for row in rows:
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        lines.append(
            f"| {row.what} | {row.spans:,} | {row.cost.cpu_s:.2f} | {row.cost.wall_s:.2f} | {row.us_a_span:.1f} "
            f"| {row.cost.peak_bytes / 2**20:,.0f} | {ratio} | {row.peer} |"
        )
    return "\n".join([*lines, "", "## Growth", "", *_plot(rows), ""])


def _plot(rows: Sequence[Row]) -> list[str]:
    """Draw CPU time a span against the number of spans: bars that stay as long grow linearly."""
    first = {(row.what, row.spans): row for row in reversed(rows)}
    grown = sorted(key for key in first if sum(what == key[0] for what, _ in first) > 1)
    if not grown:
        return []
    most = max(first[key].us_a_span for key in grown)
    lines = [
        "CPU time a span, start-up and all. Bars that do not get longer mean growth no faster than linear.",
        "",
        "```",
    ]
    for key in grown:
        bar = "#" * max(round(first[key].us_a_span / most * _WIDTH), 1)
        lines.append(f"{key[0]:28} {key[1]:>12,} {first[key].us_a_span:10.1f} µs {bar}")
    return [*lines, "```"]
