"""Where in the program a span's thread was, line by line, as the hook's sampler saw it."""

import re
from typing import Any

import polars as pl

from raytrace_analyze.attributes import STACKS, json_of
from raytrace_analyze.program_names import is_of_program
from raytrace_analyze.vocabulary import Activity

LINES = pl.Schema(
    {
        "activity": pl.String,
        "function": pl.String,
        "place": pl.String,
        "samples": pl.Int64,
        "share": pl.Float64,
    }
)
"""Columns of `TaskStory.lines`: `activity` is `cpu` or `idle`; `function` and `place` (`file:line`) are the innermost
of the program's own frames, of a package's where there is none of these; `samples` how many looks found it there,
`share` of all looks at the span (0 to 1)."""

_MODULE = "<module> ("
_STARTER = "ray_programs/traced_run.py"
"""What `record` starts a program with."""
_FRAME = re.compile(r"(?P<function>[^;]*) \((?P<place>[^();]*:\d+)\)$")


def stack_lines(attributes: str | None) -> pl.DataFrame:
    """Read the lines from a span's attributes (JSON): columns of `LINES`, the most frequent first; none of nothing."""
    told = json_of(attributes, {}).get(STACKS)
    rows = [row for line in told.splitlines() if (row := _row(line))] if isinstance(told, str) else []
    if not rows:
        return LINES.to_frame()
    frame = pl.DataFrame(rows, schema={name: kind for name, kind in LINES.items() if name != "share"})
    return (
        frame.group_by("activity", "function", "place")
        .agg(pl.col("samples").sum())
        .with_columns(share=pl.col("samples") / pl.col("samples").sum())
        .sort("samples", "place", "function", "activity", descending=[True, False, False, False])
        .select(LINES.names())
    )


def importing_share(attributes: str | None) -> float:
    """Give what part of a span's looks that found it on the CPU found it importing modules (0 to 1).

    A module's own code runs on top of another's only while it is imported; what starts a program counts as one with it.
    """
    told = json_of(attributes, {}).get(STACKS)
    looks = importing = 0
    for line in told.splitlines() if isinstance(told, str) else ():
        row = _row(line)
        if row is None or row["activity"] != Activity.CPU:
            continue
        looks += row["samples"]
        modules = [frame for frame in line.split(";") if frame.startswith(_MODULE) and _STARTER not in frame]
        importing += row["samples"] if len(modules) > 1 else 0
    return importing / looks if looks else 0.0


def _row(line: str) -> dict[str, Any] | None:
    """Read `cpu;main (/p/train.py:70);load (/p/etl.py:42) 17`; nothing of what is none."""
    stack, _, count = line.rpartition(" ")
    activity, *frames = stack.split(";")
    if activity not in (Activity.CPU, Activity.IDLE) or not count.isascii() or not count.isdigit() or len(count) > 15:
        return None
    told = [found for frame in frames if (found := _FRAME.match(frame))]
    innermost = next((one for one in reversed(told) if is_of_program(one["place"])), told[-1] if told else None)
    function, place = innermost.group("function", "place") if innermost else (frames[-1] if frames else None, None)
    return {"activity": activity, "function": function, "place": place, "samples": int(count)}
