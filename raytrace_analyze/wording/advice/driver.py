"""Of the driver's own time, while the job waits for it."""

from raytrace_analyze.units import duration_text
from raytrace_analyze.wording.advice.words import Words
from raytrace_analyze.wording.phrases import at_text, times_text


def works(all_ns: int, longest_ns: int, *, after: str | None) -> Words:
    """Say how long it is on the CPU, and after which call (`file:line`) longest."""
    return Words(
        f"the driver itself works while the job waits for it, {duration_text(all_ns)} on the CPU; the longest "
        f"stretch takes {duration_text(longest_ns)}{_after(after)}",
        "move that work into tasks, or submit what does not need it before (this is what taking all of it off the "
        "critical path would save)",
    )


def is_idle(times_ns: list[int], *, what: str, place: str) -> Words:
    """Say how often and how long it is idle in one place."""
    all_ns = sum(times_ns)
    sleeps = what.endswith("sleep")
    does = "sleeps" if sleeps else f"is idle in {what or 'something'}"
    is_often = len(times_ns) > 1
    often = (
        f"{times_text(len(times_ns))}, {duration_text(max(times_ns))} at most" if is_often else duration_text(all_ns)
    )
    remedy = (
        "if it sleeps until something is there, wait for that instead (`ray.get`, or `ray.wait` with a timeout), "
        "which comes back at once"
        if sleeps
        else "submit what does not need it before, or wait for it in a task meanwhile"
    )
    return Words(
        f"the driver {does}{at_text(place)}, {often}, while the job waits for it"
        + (f": {duration_text(all_ns)} in all" if is_often else ""),
        f"{remedy} (this is what not being idle there would save)",
    )


def is_waited_for(all_ns: int, longest_ns: int, *, after: str | None) -> Words:
    """Say how long the job waits for it, where nobody knows what it does."""
    return Words(
        f"the job waits for the driver itself, {duration_text(all_ns)} in all; the longest stretch takes "
        f"{duration_text(longest_ns)}{_after(after)}. Whether it works there or is idle is not known",
        "look at what it does there: work can be moved into tasks, and what does not need it can be submitted before",
    )


def _after(place: str | None) -> str:
    return f", after the call{at_text(place)}" if place else ""
