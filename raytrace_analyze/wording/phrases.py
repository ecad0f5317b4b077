"""Pieces of sentences that several of them have in common."""

from pathlib import PurePath

SHORT_ID = 6
"""How many digits of an id of Ray's tell it from the others."""


_RAYS_WORDS = {
    "WORKER_DIED": "its process died",
    "ACTOR_DIED": "its actor died",
    "ACTOR_UNAVAILABLE": "its actor could not be reached",
    "ACTOR_CREATION_FAILED": "its actor could not be created",
    "NODE_DIED": "its node died",
    "LOCAL_RAYLET_DIED": "its node died",
    "OWNER_DIED": "the process that owned what it needed died",
    "OUT_OF_MEMORY": "killed because memory ran out",
    "OUT_OF_DISK_ERROR": "the disk is full",
    "TASK_CANCELLED": "cancelled",
    "RUNTIME_ENV_SETUP_FAILED": "its environment could not be made",
    "TASK_UNSCHEDULABLE_ERROR": "no node can run it",
    "ACTOR_UNSCHEDULABLE_ERROR": "no node can run its actor",
    "TASK_PLACEMENT_GROUP_REMOVED": "its placement group is gone",
    "ACTOR_PLACEMENT_GROUP_REMOVED": "the placement group of its actor is gone",
    "DEPENDENCY_RESOLUTION_FAILED": "what it depends on could not be had",
    "OBJECT_LOST": "what it needed was lost",
    "OBJECT_UNRECONSTRUCTABLE": "what it needed was lost",
}


def error_text(message: str) -> str:
    """An error as it is said: Ray's own word for it (`WORKER_DIED`) behind what it means."""
    word, colon, rest = message.partition(":")
    means = _RAYS_WORDS.get(word)
    return message if means is None else f"{means} ({word}){colon}{rest}"


def rays_word(message: str) -> str | None:
    """Give Ray's own word that an error begins with, `WORKER_DIED` for example; None where it is one of the program."""
    word = message.partition(":")[0]
    return word if word in _RAYS_WORDS else None


def short_id(identifier: str) -> str:
    """The first digits of an id of Ray's, which tell it from the others."""
    return identifier[:SHORT_ID]


def on_node(node_id: str | None) -> str:
    """Where, as ` on node 1a2b3c`; nothing where that is not known."""
    return f" on node {short_id(node_id)}" if node_id else ""


def in_process(pid: int | None) -> str:
    """In which process, as ` [process 4711]`; nothing where that is not known."""
    return f" [process {pid}]" if pid is not None else ""


def attempt_or_it(attempt: int | None) -> str:
    """An attempt after the first by its number, else `it`."""
    return f"attempt {attempt}" if attempt else "it"


def at_line(file: str, line: int | None) -> str:
    """A place in the program as `file:line`; the file alone where the line is not known."""
    return f"{file}:{line}" if line else file


def place_text(place: str | None) -> str:
    """Where in the program (`file:line`), as ` (train.py:42)`; nothing where that is not known."""
    if not place:
        return ""
    return f" ({PurePath(place).name})"


def at_text(place: str | None) -> str:
    """Where in the program, as ` at train.py:42`; nothing where that is not known."""
    return f" at {PurePath(place).name}" if place else ""


def times_text(count: int) -> str:
    """How often."""
    return "once" if count == 1 else f"{count:,} times"
