"""The story of one task, on screen and as a document."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import polars as pl
from rich.console import Console, Group, RenderableType
from rich.table import Table

from raytrace_analyze.analyses.task_story import TaskStory
from raytrace_analyze.names.functions import name_of, short_name
from raytrace_analyze.text.units import count_text, duration_text, offset_text, share_text
from raytrace_analyze.views.documents import records
from raytrace_analyze.views.screen.fitted_table import table
from raytrace_analyze.views.screen.label import label
from raytrace_analyze.views.words import ACTIVITIES, CAUSES, awaited_text, place_name
from raytrace_analyze.wording.task_steps import how_long

_BAR_WIDTH = 24
_STYLES = {"submit": "cyan", "queue": "yellow", "run": "green", "wait": "magenta", "dependant": "magenta"}
_SHORT_PART = 200
"""A wait of less than this part of the whole is folded with its neighbours."""
_SHOWN = 8

Step = dict[str, Any]


def show_story(story: TaskStory, console: Console) -> None:
    """Print a task's story: the answer in a sentence, then step by step."""
    console.print(Group(*_parts(story)))


def story_document(story: TaskStory) -> dict[str, Any]:
    """Give the document of a task's story."""
    return {
        "task": {
            "function": story.function,
            "task_id": story.task_id,
            "span_id": story.span_id,
            "session": story.session,
            "job_id": story.job_id,
            "other_runs": story.other_runs,
        },
        "start_ns": story.start_ns,
        "end_ns": story.end_ns,
        "duration_ns": story.duration_ns,
        "queue_ns": story.queue_ns,
        "run_ns": story.run_ns,
        "notes": list(story.notes),
        "steps": records(story.steps),
        "lines": records(story.lines),
        "own_waits": records(story.own_waits),
    }


def _parts(story: TaskStory) -> Iterator[RenderableType]:
    yield label(_answer(story), style="bold")
    yield label(_which(story))
    longest = story.steps.filter(step="queue").sort("duration_ns", descending=True).head(1)
    for sentence in longest.get_column("sentence"):
        yield label(f"What it waited for longest: {sentence}.")
    for wait in _long_waits(story).head(1).iter_rows(named=True):
        yield label(f"While it ran it waited longest {_for_whom(wait)}: {duration_text(wait['waited_ns'])}.")
    yield label("")
    happened = story.steps.filter(pl.col("step").is_in(["submit", "queue", "run"]))
    yield _steps(story, happened)
    if not _long_waits(story).is_empty():
        yield label("")
        yield label("What it waited for while it ran", style="bold")
        yield _own_waits(story)
    if not story.lines.is_empty():
        yield label("")
        yield label("Where it was, line by line", style="bold")
        yield _lines(story)
    after = story.steps.filter(pl.col("step").is_in(["wait", "dependant"]))
    if not after.is_empty():
        yield label("")
        yield label("Who waited for it", style="bold")
        yield _steps(story, after.head(_SHOWN))
    if after.height > _SHOWN:
        yield label(f"and {count_text(after.height - _SHOWN, 'other')}; --format json has them all", style="dim")
    for note in (*_sources(story), *story.notes):
        yield label(f"Note: {note}.", style="dim")


def _answer(story: TaskStory) -> str:
    if not story.run_ns and story.steps.filter(step="run").is_empty():
        waited = duration_text(story.duration_ns)
        return f"Task {short_name(story.function)} never started: {waited} after its submit the record ends."
    runs = story.steps.filter(step="run").height
    tries = f" in {count_text(runs, 'attempt')}" if runs > 1 else ""
    if story.steps.filter(pl.col("step").is_in(["submit", "queue"])).is_empty():
        ran = f"Task {short_name(story.function)} ran {duration_text(story.run_ns)}{tries}"
        return f"{ran}; when it was submitted is not recorded, and so is not how long it waited to start."
    took = f"Task {short_name(story.function)} {how_long(duration_text(story.duration_ns), has_ended=story.has_ended)}"
    return f"{took}: it waited {duration_text(story.queue_ns)} to start and ran {duration_text(story.run_ns)}{tries}."


def _which(story: TaskStory) -> str:
    named = f"task {story.task_id}" if story.task_id else f"span {story.span_id}"
    if not story.other_runs:
        return f"It is {named}."
    others = count_text(story.other_runs, "other run")
    return f"It is {named}, the slowest of that name; there {'is' if story.other_runs == 1 else 'are'} {others}."


def _sources(story: TaskStory) -> Iterator[str]:
    if "spans" in story.steps.get_column("source").drop_nulls():
        yield "Ray's task events do not tell of all these waits; what they were for is told from the spans around them"


def _steps(story: TaskStory, steps: pl.DataFrame) -> Table:
    shown = table("at", "took", "", "", right=("at", "took"))
    shown.columns[2].no_wrap = True
    rows = list(steps.iter_rows(named=True))
    whole = max(story.duration_ns, 1)
    for _, group in groupby(rows, key=lambda step: _is_short(step, whole)):
        members = list(group)
        for step in members if len(members) == 1 or not _is_short(members[0], whole) else [_fold(members)]:
            bar = "█" * min(round(_BAR_WIDTH * step["duration_ns"] / whole), _BAR_WIDTH)
            shown.add_row(
                offset_text(step["start_ns"] - story.start_ns, whole),
                duration_text(step["duration_ns"]),
                label(bar or "·", style=_STYLES[step["step"]]),
                label(step["sentence"]),
            )
    return shown


def _lines(story: TaskStory) -> Table:
    shown = table("share", "", "at", "in", right=("share",))
    for row in story.lines.head(_SHOWN).iter_rows(named=True):
        shown.add_row(
            share_text(row["share"], 1),
            ACTIVITIES[row["activity"]],
            place_name(row["place"]) if row["place"] else "-",
            row["function"] or "-",
        )
    rest = story.lines.slice(_SHOWN)
    if not rest.is_empty():
        shown.add_row(share_text(float(rest.get_column("share").sum()), 1), "", f"{rest.height} more", "", style="dim")
    return shown


def _long_waits(story: TaskStory) -> pl.DataFrame:
    return story.own_waits.filter(pl.col("waited_ns") * _SHORT_PART >= max(story.run_ns, 1))


def _for_whom(wait: Step) -> str:
    where = awaited_text(wait["awaited"], wait["call"])
    return where if wait["function"] is None else f"for {name_of(wait['function'])} {where}"


def _own_waits(story: TaskStory) -> Table:
    shown = table("waited", "times", "longest", "for", "", right=("waited", "times", "longest"))
    waits = _long_waits(story)
    for row in waits.head(_SHOWN).iter_rows(named=True):
        shown.add_row(
            duration_text(row["waited_ns"]),
            str(row["count"]),
            duration_text(row["longest_ns"]),
            label("-" if row["function"] is None else short_name(row["function"])),
            label(awaited_text(row["awaited"], row["call"])),
        )
    if waits.height > _SHOWN:
        more = count_text(waits.height - _SHOWN, "other")
        shown.add_row("", "", "", f"{more}; --format json has them all", "", style="dim")
    return shown


def _is_short(step: Step, whole: int) -> bool:
    return bool(step["step"] == "queue" and step["duration_ns"] * _SHORT_PART < whole)


def _fold(steps: list[Step]) -> Step:
    causes = ", ".join(dict.fromkeys(CAUSES.get(step["cause"], str(step["cause"])) for step in steps))
    took = sum(step["duration_ns"] for step in steps)
    return {**steps[0], "duration_ns": took, "sentence": f"{len(steps)} short waits: {causes}"}
