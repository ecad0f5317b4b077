"""What hangs, on screen and as a document."""

from collections.abc import Iterator
from typing import Any

import polars as pl
from rich.console import Console, RenderableType

from raytrace_analyze.analyses.stuck.given import Given
from raytrace_analyze.analyses.stuck.grouped import Group
from raytrace_analyze.analyses.stuck.hang import Blocker, Hang
from raytrace_analyze.analyses.stuck.opened import PENDING, WAITS
from raytrace_analyze.analyses.stuck.retried import Tried
from raytrace_analyze.names.awaited import CONSUMER
from raytrace_analyze.names.functions import is_rays_own, short_name
from raytrace_analyze.names.spans import is_creation
from raytrace_analyze.text.units import count_text, duration_text
from raytrace_analyze.views.documents import records
from raytrace_analyze.views.screen.label import label
from raytrace_analyze.views.words import awaited_text
from raytrace_analyze.wording import task_steps
from raytrace_analyze.wording.phrases import times_text

_ID = 6
_NO_MEMORY = "OUT_OF_MEMORY"
_FOR_OTHERS = ("asyncio.", "threading.", "queue.", "multiprocessing.", "concurrent.")
"""In what a thread is idle until somebody else does something, but for sleeps."""
_NEVER = {"in": "which nothing let go on", "for": "which never came"}
_REASONS = {
    "result": "waits for the result of {other}",
    "dependency": "cannot start before {other} is done",
    "actor": "cannot start: its actor runs {other}",
    "replica": "waits for a replica that takes its request: one runs {other}",
    "slot": "has no free slot: {other} holds one",
    "resource": "cannot start: {other} holds what it asks for",
    "placement": "waits for a placement group: {other} holds what that asks for",
    CONSUMER: "is held back until {other} takes its next item",
    "party": "waits at a barrier, where {other} has not come",
    "held": "waits for what {other} took there and has not given back",
}

Row = dict[str, Any]


def show_hang(hang: Hang, console: Console, *, top: int) -> None:
    """Print who waits for whom: circles first, then what most wait for, then each wait."""
    for line in hang_lines(hang, top):
        console.print(line)


def hang_document(hang: Hang) -> dict[str, Any]:
    """Give the document of a hang."""
    return {
        "hung": hang.is_hung,
        "open_spans": hang.open_spans,
        "unknown_waits": hang.unknown_waits,
        "circles": [list(circle) for circle in hang.circles],
        "blockers": [
            {
                "task": blocker.key,
                "function": blocker.function,
                "actor_id": blocker.actor_id,
                "state": blocker.state,
                "idle_in": blocker.idle_in,
                "waiters": blocker.waiters,
                "demand": blocker.demand,
                "held_by": blocker.held_by,
                "needed_by": list(blocker.needed_by),
                "last_caller": blocker.last_caller.function if blocker.last_caller else None,
                "last_call": blocker.last_caller.method if blocker.last_caller else None,
                "last_caller_failed_with": blocker.last_caller.failed_with if blocker.last_caller else None,
                "taken_by": blocker.taken_by,
                "kept_by_group": blocker.kept_by is not None,
                "kept": blocker.kept_by.asks if blocker.kept_by else None,
                "ran_in_group": blocker.kept_by.function if blocker.kept_by else None,
                "attempts": blocker.tried.attempts if blocker.tried else None,
                "failed_with": blocker.tried.failed_with if blocker.tried else None,
                "given_to_pid": blocker.given.pid if blocker.given else None,
                "given_ns": blocker.given.given_ns if blocker.given else None,
                "in_group": blocker.in_group is not None,
                "group_asks": blocker.in_group.asks if blocker.in_group else None,
            }
            for blocker in hang.blockers
        ],
        "waits": records(hang.waits),
    }


def hang_lines(hang: Hang, top: int) -> Iterator[RenderableType]:
    """Give the lines of what hangs."""
    if not hang.open_spans:
        yield label("Nothing hangs here: every span has ended.", style="bold")
        return
    own = is_rays_own(pl.col("waiter_function")).fill_null(value=False)
    rows = hang.waits.sort(own, maintain_order=True).to_dicts()
    yield from (label(text, style="bold") for text in circle_texts(hang))
    if not hang.circles and hang.blockers:
        yield label(blocked_text(hang.blockers[0]), style="bold")
    if not hang.circles and not hang.blockers:
        yield label(
            f"{count_text(hang.open_spans, 'span')} had not ended, but nothing waits for anything that is known.",
            style="bold",
        )
    said = [blocked_text(blocker) for blocker in hang.blockers[:top]]
    # Several calls can wait in one place: it is said once.
    for text in dict.fromkeys(said if hang.circles else said[1:]):
        if hang.circles or text != said[0]:
            yield label(text)
    if rows:
        yield label("")
        yield label("Who waited for whom when the record ends.")
    end_ns = max((row["since_ns"] for row in rows), default=0)
    lines = list(_wait_lines(rows, end_ns))
    yield from (label(line, style="") for line in lines[:top])
    if len(lines) > top:
        yield label(f"{len(lines) - top} more; --top {len(lines)} shows them all", style="dim")
    if hang.unknown_waits:
        waits = count_text(hang.unknown_waits, "open wait")
        yield label(
            f"Note: the record of {waits} does not say what was asked for; what the same task submitted and what "
            "never ended stands in.",
            style="dim",
        )


def _wait_lines(rows: list[Row], end_ns: int) -> Iterator[str]:
    """Say each wait, those of which the same is to be said once: with how many they are, and when the first began."""
    alike: dict[str, list[int]] = {}
    for row in rows:
        guess = "" if row["certain"] else " (taken from what is open, not recorded)"
        alike.setdefault(f"{_sentence(row)}{guess}", []).append(row["since_ns"])
    for text, begun in alike.items():
        since = duration_text(end_ns - min(begun))
        when = f"{since} before the last of these began to wait" if min(begun) < end_ns else "the last to begin"
        times = f", {times_text(len(begun))}, the first" if len(begun) > 1 else ","
        yield f"  {text}{times} {when}"


def circle_texts(hang: Hang) -> Iterator[str]:
    """Who waits for whom in each circle, in a sentence."""
    rows = hang.waits.to_dicts()
    yield from (_circle(circle, rows) for circle in hang.circles)


def _circle(circle: tuple[str, ...], rows: list[Row]) -> str:
    steps = []
    for member, after in zip(circle, (*circle[1:], circle[0]), strict=True):
        row = next(row for row in rows if row["waiter"] == member and row["waited_for"] == after)
        steps.append(_sentence(row))
    who = "it waits for itself" if len(circle) == 1 else "they wait for each other"
    return f"{'; '.join(steps)}: {who}."


def _sentence(row: Row) -> str:
    other = _name(row, "waited_for")
    awaits_creation = row["reason"] == "actor" and is_creation(row["waited_for_function"])
    reason = "dependency" if awaits_creation else row["reason"]
    return f"{_name(row, 'waiter')} {_REASONS[reason].format(other=other)}"


def blocked_text(blocker: Blocker) -> str:
    """What others wait for, and what that does, in a sentence."""
    row = {"x": blocker.key, "x_function": blocker.function, "x_actor_id": blocker.actor_id}
    waiters = count_text(blocker.waiters, "other", "others")
    verb = "waits" if blocker.waiters == 1 else "wait"
    if blocker.given is not None:
        does = _given_text(blocker.given)
    elif blocker.demand is not None:
        does = f"cannot start: no node of the cluster has what it asks for ({blocker.demand})"
    elif (room := _room_text(blocker)) and blocker.state == PENDING:
        does = f"cannot start: {room}"
    elif blocker.tried is not None:
        does = _tried_text(blocker.tried)
    elif blocker.in_group is not None:
        does = f"cannot start: its placement group {_group_text(blocker.in_group)}"
    elif blocker.state == "pending":
        does = "never started, and nothing recorded says why"
    elif blocker.held_by:
        does = f"waits for what `{short_name(blocker.held_by)}` took there, which ended without giving it back"
    elif blocker.idle_in and not _waits_for_others(blocker):
        does = f"was still running, idle in {blocker.idle_in}"
    elif blocker.idle_in == CONSUMER:
        does = "is held back until its items are taken, and nobody takes them"
    elif blocker.idle_in:
        waits = awaited_text(blocker.idle_in, None)
        why = f": {room}" if room else _last_text(blocker)
        does = f"waits {waits}, {_NEVER[waits.split()[0]]}{why}{_needed_text(blocker)}"
    elif blocker.state == "waits":
        does = "waits for something that is not traced"
    else:
        does = "was still running"
    if not blocker.waiters:
        name = _name(row, "x")
        return f"{name[0].upper()}{name[1:]} {does}."
    return f"{waiters} {verb} for {_name(row, 'x')}, which {does}."


def _waits_for_others(blocker: Blocker) -> bool:
    """Tell whether what it is idle in ends as somebody else does something; a sleep, or a call, ends by itself."""
    place = (blocker.idle_in or "").split(" at ")[0]
    return blocker.state == WAITS or (place.startswith(_FOR_OTHERS) and not place.endswith("sleep"))


def _room_text(blocker: Blocker) -> str:
    """Say who keeps what something has no room for, empty where that is not known."""
    kept = blocker.kept_by
    if blocker.taken_by is None and kept is None:
        return ""
    return task_steps.kept(blocker.taken_by, None if kept is None else (kept.asks, kept.function))


def _last_text(blocker: Blocker) -> str:
    """Say who let others go on there before, and is over; empty where that is not known."""
    last = blocker.last_caller
    if last is None:
        return ""
    failed = f"failed ({last.failed_with})" if last.failed_with else "is over"
    return f": `{short_name(last.method)}` was called there last by `{short_name(last.function)}`, which {failed}"


def _needed_text(blocker: Blocker) -> str:
    """Say who waits for what it holds, and cannot let it go on; empty where that is nobody."""
    if not blocker.needed_by:
        return ""
    verb, who = ("waits", "that") if len(blocker.needed_by) == 1 else ("wait", "one of these")
    methods = ", ".join(f"`{short_name(method)}`" for method in blocker.needed_by)
    return f"; {methods} {verb} for what it holds: if {who} was to let it go on, they wait for each other"


def _group_text(group: Group) -> str:
    if group.too_large:
        return f"asks for more than the cluster has ({group.asks})"
    asks = f" (it asks for {group.asks})" if group.asks else ""
    return f"never came to be, as far as is recorded{asks}"


def _given_text(given: Given) -> str:
    process = "its process" if given.pid is None else f"process {given.pid}"
    ago = duration_text(given.ago_ns)
    when = f"was given to {process} {ago} before the record ends"
    return f"{when}, and had not begun there as far as is recorded: a process loads the code first"


def _tried_text(tried: Tried) -> str:
    attempts = count_text(tried.attempts, "attempt")
    who = "its actor" if tried.on_actor else "it"
    failed = f"has not started again after {attempts} that failed ({tried.failed_with})"
    if tried.failed_with == _NO_MEMORY:
        return f"{failed}: Ray's memory monitor ended them, since their node had too little memory left"
    asks = f"; {who} asks for {tried.needs}: see whether a node that has it is still there" if tried.needs else ""
    return failed + asks


def _name(row: Row, prefix: str) -> str:
    function, actor = row[f"{prefix}_function"], row[f"{prefix}_actor_id"]
    key = row[prefix]
    if key.startswith("driver "):
        return f"the driver of job {key.removeprefix('driver ')}"
    where = f" on actor {actor[:_ID]}" if actor else f" ({key[:_ID]})"
    return f"`{short_name(function)}`{where}"
