"""The critical path as stacks: which function called which, what each did, and where in its lines it was."""

import re
from collections import Counter
from dataclasses import dataclass
from typing import Any

import polars as pl

from raytrace_analyze.names.attributes import STACKS, json_of
from raytrace_analyze.names.functions import DRIVER
from raytrace_analyze.path.result import CriticalPath
from raytrace_analyze.vocabulary.paths import Activity, Category

STACK_NODES = pl.Schema(
    {
        "node": pl.Int64,
        "above": pl.Int64,
        "kind": pl.String,
        "name": pl.String,
        "total_ns": pl.Int64,
        "samples": pl.Int64,
    }
)
"""Columns of `path_stacks`. `node` counts from 0, `above` is the node that it stands on (-1: none; always a smaller
number). `kind`: `function` (whose task, or the driver), `span` (one of its own spans within), `line` (a place in the
program, as the hook's samples tell), or what the time was: a `category` of the path with `name` its cause or activity
(null: none). `total_ns`: what it has of the path, with all that stands on it. `samples`: how many looks found a `line`;
their time is their share of the looks, null for what was not sampled."""

_LOOKS = re.compile(r"^(cpu|idle);(.+) (\d+)$")
_MOST_FRAMES = 60

Key = tuple[str, str | None]


def path_stacks(path: CriticalPath) -> pl.DataFrame:
    """Sum up a critical path by stacks of functions; columns of `STACK_NODES`, widest first on each node.

    The first segment below a function is what its time was. Where the hook sampled a run, its own time is divided
    among the places that the samples saw, on the CPU and idle, by how often they were seen.
    """
    tree = _Tree()
    spans = path.spans
    names = spans.select("category", "function", "name", "attributes") if spans.height else spans
    stacks: dict[int, tuple[Key, ...]] = {}
    for number, segment in enumerate(path.segments.iter_rows(named=True)):
        row = int(path.rows[number])
        if row not in stacks:
            stacks[row] = tuple(_frames(path, number, names))
        leaf = (str(segment["category"]), segment["cause"] or _activity(segment))
        looks = _looks(names, path.ancestry(number), segment) if segment["category"] == Category.SELF else {}
        tree.add((*stacks[row], leaf), int(segment["duration_ns"]), looks)
    return tree.frame()


def _frames(path: CriticalPath, number: int, names: pl.DataFrame) -> list[Key]:
    """Name what a segment lies in, from the driver inwards."""
    found: list[Key] = [("function", DRIVER)]
    for row in path.ancestry(number):
        category, function, name, _ = names.row(row)
        if category == "task" or (category == "submit" and row == path.ancestry(number)[-1]):
            key: Key = ("function", function or name)
            if found[-1] != key or category == "task":
                found.append(key)
        elif category == "custom":
            found.append(("span", name))
    return found


def _activity(segment: dict[str, Any]) -> str | None:
    activity = segment["activity"]
    return None if activity in (None, Activity.UNKNOWN) else str(activity)


def _looks(names: pl.DataFrame, ancestry: list[int], segment: dict[str, Any]) -> "dict[tuple[Key, ...], int]":
    """Read what the samples saw of the nearest sampled span, on the CPU or idle as the segment is."""
    wanted = "idle" if segment["activity"] == Activity.IDLE else "cpu"
    if segment["activity"] in (None, Activity.UNKNOWN):
        return {}
    for row in reversed(ancestry):
        told = json_of(names.get_column("attributes")[row], {}).get(STACKS)
        if isinstance(told, str):
            found: Counter[tuple[Key, ...]] = Counter()
            for line in told.splitlines():
                if (match := _LOOKS.match(line)) and match[1] == wanted:
                    found[tuple(("line", frame) for frame in match[2].split(";")[:_MOST_FRAMES])] += int(match[3])
            return dict(found)
    return {}


@dataclass
class _Node:
    number: int
    above: int
    total_ns: int = 0
    samples: int = 0


class _Tree:
    """Nodes by what they stand on and what they are."""

    def __init__(self) -> None:
        self.nodes: dict[tuple[int, Key], _Node] = {}

    def add(self, stack: tuple[Key, ...], duration_ns: int, looks: "dict[tuple[Key, ...], int]") -> None:
        """Add the time of a segment to its stack, and divide it among what stands on that by the samples."""
        top = self._walk(-1, stack, duration_ns, 0)
        seen, told, given = sum(looks.values()), 0, 0
        for frames, count in looks.items():
            told += count
            upto = duration_ns * told // seen
            self._walk(top, frames, upto - given, count)
            given = upto

    def _walk(self, above: int, stack: tuple[Key, ...], duration_ns: int, samples: int) -> int:
        for key in stack:
            node = self.nodes.setdefault((above, key), _Node(len(self.nodes), above))
            node.total_ns += duration_ns
            node.samples += samples
            above = node.number
        return above

    def frame(self) -> pl.DataFrame:
        rows = [
            (node.number, node.above, kind, name, node.total_ns, node.samples if kind == "line" else None)
            for (_, (kind, name)), node in self.nodes.items()
        ]
        return pl.DataFrame(rows, schema=STACK_NODES, orient="row")
