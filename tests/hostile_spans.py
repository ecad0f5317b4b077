"""Span files whose every text tries to do something to whoever looks at it."""

import json
from pathlib import Path
from typing import Any

PREFIX = "=1+1"
"""A spreadsheet takes what begins so for a formula."""
SUFFIX = "\x1b[2J\x07\x00\x9b31m\u202e\u2066\u200f\t\r\n[bold]END"
"""Clears the screen, rings, colours, turns the line around, begins another, and looks like Rich's markup."""
_KEPT = {"kind", "status_code", "trace_state", "raytrace", "type", "ray_version", "state", "pid", "slot_bytes"}
_KEPT |= {"start_time", "end_time", "timestamp", "ray.remote", "ray.pid", "profile", "states", "resources"}
_KEPT |= {"raytrace.resources", "raytrace.cluster_resources", "raytrace.alive", "telemetry.sdk.language"}
"""What is read as something else than a text."""
_IDS = {"trace_id", "span_id", "parent_id"}


def hostile(text: str) -> str:
    """Make a text hostile; equal texts stay equal, so that what belongs together still does."""
    return PREFIX + text + SUFFIX


def write_hostile(source: Path, target: Path) -> None:
    """Copy a folder of the hook's span files and task events, with hostile texts."""
    target.mkdir()
    for file in source.iterdir():
        if file.suffix in (".jsonl", ".events"):
            lines = [json.dumps(_changed(json.loads(line))) for line in file.read_text().splitlines()]
            (target / file.name).write_text("".join(f"{line}\n" for line in lines))


def _changed(value: Any, key: str = "") -> Any:
    if key in _KEPT:
        return value
    if isinstance(value, dict):
        return {name: _changed(each, name) for name, each in value.items()}
    if isinstance(value, list):
        return [_changed(each, key) for each in value]
    if not isinstance(value, str):
        return value
    if key in _IDS:
        return value  # a record whose ids are none is damaged, and not shown
    if key == "name":
        return _name(value)
    return hostile(value)


def _name(name: str) -> str:
    """The hook's own spans keep their names; of those of tasks the ending tells what they are."""
    if name.startswith("ray.") or name == "await":
        return name
    function, space, ending = name.partition(" ")
    return f"{hostile(function)}{space}{ending}"
