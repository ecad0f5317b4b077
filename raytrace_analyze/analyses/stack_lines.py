"""Where in the program a span's thread was, line by line, as the hook's sampler saw it."""

import re
from typing import Any

import polars as pl

from raytrace_analyze.names.programs import is_of_program
from raytrace_analyze.sampled.stacks import Stack, read_stacks

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

_FRAME = re.compile(r"(?P<function>[^;]*) \((?P<place>[^();]*:\d+)\)$")


def stack_lines(attributes: str | None) -> pl.DataFrame:
    """Read the lines from a span's attributes (JSON): columns of `LINES`, the most frequent first; none of nothing."""
    rows = [_row(stack) for stack in read_stacks(attributes)]
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


def longest_idle_line(attributes: pl.Series) -> str | None:
    """Give the line (`file:line`) in which the threads of some spans were most often found idle; None where in none."""
    found = [stack_lines(text).filter(activity="idle") for text in attributes if text and "idle;" in text]
    lines = pl.concat([LINES.to_frame(), *found]).drop_nulls("place")
    most = lines.group_by("place").agg(pl.col("samples").sum()).sort("samples", "place", descending=[True, False])
    return most.item(0, "place") if most.height else None


def _row(stack: Stack) -> dict[str, Any]:
    told = [found for frame in stack.frames if (found := _FRAME.match(frame))]
    innermost = next((one for one in reversed(told) if is_of_program(one["place"])), told[-1] if told else None)
    last = stack.frames[-1] if stack.frames else None
    function, place = innermost.group("function", "place") if innermost else (last, None)
    return {"activity": stack.activity, "function": function, "place": place, "samples": stack.looks}
