"""What is said of a path beside its segments: what was chosen, and what is missing of its spans."""

from raytrace_analyze.names.functions import name_of
from raytrace_analyze.text.units import count_text, duration_text


def longest_of_jobs(jobs: int) -> str:
    """Say that nobody asked for a job, and which one was taken."""
    return f"of {count_text(jobs, 'job')} in these spans, this one took longest"


NOT_ENDED = "the job had not ended when the record ends: what it takes, and would take, is that of what is recorded"


def sleeps_for_something_outside(function: str, slept_ns: int) -> str:
    """Say of a function that it looks again and again for what is none of Ray's."""
    return (
        f"{name_of(function)} sleeps {duration_text(slept_ns)} until something is there: in a loop that looks for what "
        "is outside of Ray (a file, a socket, a process, the clock), or asks an actor again and again, or in a call "
        "that waits for what no span tells of; no faster function makes that shorter"
    )


def waits_for_room(function: str, waited_ns: int) -> str:
    """Say of a function that what it puts into the object store waits for room there."""
    return (
        f"{name_of(function)} waits {duration_text(waited_ns)} in `ray.put` for room in the object store; no faster "
        "function makes that shorter"
    )


def slowest_of_runs(runs: int) -> str:
    """Say that several runs were meant, and which one was taken."""
    return f"of {count_text(runs, 'run')} of this task, this is the slowest from submit to end"


def span_notes(*, detached: int, in_flight: int, circles: int) -> tuple[str, ...]:
    """Say how many spans lie outside those they belong to, never ended, or are in circles of parents."""
    notes = []
    if detached:
        notes.append(f"{count_text(detached, 'span')} outside the span it belongs to, left out")
    if in_flight:
        notes.append(f"{count_text(in_flight, 'span')} never ended; taken to end with the last sign of the process")
    if circles:
        notes.append(f"{count_text(circles, 'span')} in a circle of parents, cut open there")
    return tuple(notes)
