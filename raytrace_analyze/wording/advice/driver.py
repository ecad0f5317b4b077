"""Of the driver's own time, while the job waits for it."""

from raytrace_analyze.names.functions import name_of
from raytrace_analyze.text.units import duration_text
from raytrace_analyze.wording.advice.words import Words
from raytrace_analyze.wording.phrases import at_text, times_text


def works(all_ns: int, longest_ns: int, *, after: str | None, seen_at: str | None) -> Words:
    """Say how long it is on the CPU, after which call (`file:line`) longest, and where it was seen most."""
    return Words(
        f"the driver itself works while the job waits for it, {duration_text(all_ns)} on the CPU; the longest "
        f"stretch takes {duration_text(longest_ns)}{_after(after)}{_seen(seen_at)}",
        "move that work into tasks, or submit what does not need it before (this is what taking all of it off the "
        "critical path would save)",
    )


def imports(all_ns: int, longest_ns: int, *, after: str | None, seen_at: str | None) -> Words:
    """Say how long it imports modules, after which call (`file:line`) longest, and where it was seen most then."""
    return Words(
        f"the driver imports modules while the job waits for it, {duration_text(all_ns)} on the CPU; the longest "
        f"stretch takes {duration_text(longest_ns)}{_after(after)}{_seen(seen_at)}",
        "import less, or submit before what does not need these modules (no saving is claimed, since which of them "
        "the program can do without is not known)",
    )


_OF_TUNE = {"suggest": "search algorithm (`suggest`)", "scheduler": "scheduler", "callbacks": "callbacks"}


def is_idle(times_ns: list[int], *, what: str, place: str, within: str | None) -> Words:
    """Say how often and how long it is idle in one place; `within` which part of Ray Tune's controller."""
    if within is not None:
        return Words(
            f"{_idle(times_ns, what, place)}, in Ray Tune's {_OF_TUNE.get(within, within)}, while the job waits for it"
            f"{_in_all(times_ns)}",
            "make that faster: Tune's controller does nothing else meanwhile, and starts no trial (this is what not "
            "being idle there would save)",
        )
    remedy = (
        "if it sleeps until something is there, wait for that instead (`ray.get`, or `ray.wait` with a timeout), "
        "which comes back at once"
        if _sleeps(what)
        else "submit what does not need it before, or wait for it in a task meanwhile"
    )
    return Words(
        f"{_idle(times_ns, what, place)}, while the job waits for it{_in_all(times_ns)}",
        f"{remedy} (this is what not being idle there would save)",
    )


def backs_off(times_ns: list[int], *, what: str, place: str, function: str) -> Words:
    """Say that it is idle after it learned that an attempt at a function had failed."""
    return Words(
        f"{_idle(times_ns, what, place)}, after an attempt at {name_of(function)} had failed, while the job waits for "
        f"it{_in_all(times_ns)}",
        "find out why these attempts fail; or wait for less time before the next one, let Ray make it (`max_retries`, "
        "`retry_exceptions`), or do something else meanwhile (this is what not being idle there would save)",
    )


def looks_outside(times_ns: list[int], *, what: str, place: str, before: str | None, asks: str | None) -> Words:
    """Say that it looks for something again and again that is nothing of Ray's; `before` it found it a run ended.

    Or requests of Ray Serve over HTTP were under way meanwhile, most of the time those that `asks` got.
    """
    if asks is not None:
        return Words(
            f"{_idle(times_ns, what, place)}{_in_all(times_ns)}, while requests of Ray Serve over HTTP were under way, "
            f"most of them to {name_of(asks)}",
            "if it waits for their answers, `raytrace-analyze serve` tells where their time goes; no saving is "
            "claimed, since no span tells who sent them",
        )
    hint = f"; {name_of(before)} ended right before it went on, and may be what it looks for" if before else ""
    remedy = "if so, wait for its result instead (`ray.get`), which comes back at once; " if before else ""
    return Words(
        f"{_idle(times_ns, what, place)}, looking for something outside of Ray (a file, a socket, a process)"
        f"{_in_all(times_ns)}{hint}",
        f"{remedy}how long that takes is not decided in this job, so that no saving is claimed; submit what does not "
        "need it before, or wait for it in a task meanwhile",
    )


def asks_again(times_ns: list[int], *, what: str, place: str, question: str) -> Words:
    """Say that it calls a method (`question`) of an actor again and again until that answers something else."""
    return Words(
        f"{_idle(times_ns, what, place)}{_in_all(times_ns)}, and calls {name_of(question)} again and again in between; "
        "no other call is known to have changed what that answers",
        f"have a method that comes back when it is so (an asynchronous one, that awaits an event, or one on a thread "
        f"of its own), and wait for its result in place of asking; how long {name_of(question)} takes to answer "
        "otherwise is not decided in this job, so that no saving is claimed",
    )


def waits_for_job(times_ns: list[int], *, what: str, place: str, job: str) -> Words:
    """Say that it is idle in a wait for a process of its own while another job of the cluster ran, and only then."""
    return Words(
        f"{_idle(times_ns, what, place)}, while the job waits for it{_in_all(times_ns)}; {job} began and ended "
        "meanwhile, and may be what it started",
        "look at that job (`--job`): it decides how long this takes, so that no saving is claimed here",
    )


def waits_for_others(times_ns: list[int], *, what: str, place: str) -> Words:
    """Say that it is idle in a call of Ray's, or for threads of its own, for something that is not recorded."""
    return Words(
        f"{_idle(times_ns, what, place)}, while the job waits for it{_in_all(times_ns)}; what that call "
        "waits for is not recorded",
        "look at what runs meanwhile: no saving is claimed; submit what does not need it before, or do it meanwhile",
    )


def _sleeps(what: str) -> bool:
    return what.endswith("sleep")


def _idle(times_ns: list[int], what: str, place: str) -> str:
    often = duration_text(sum(times_ns))
    if len(times_ns) > 1:
        often = f"{times_text(len(times_ns))}, {duration_text(max(times_ns))} at most"
    does = "sleeps" if _sleeps(what) else f"is idle in {what or 'something'}"
    return f"the driver {does}{at_text(place)}, {often}"


def _in_all(times_ns: list[int]) -> str:
    return f": {duration_text(sum(times_ns))} in all" if len(times_ns) > 1 else ""


def is_waited_for(all_ns: int, longest_ns: int, *, after: str | None) -> Words:
    """Say how long the job waits for it, where nobody knows what it does."""
    return Words(
        f"the job waits for the driver itself, {duration_text(all_ns)} in all; the longest stretch takes "
        f"{duration_text(longest_ns)}{_after(after)}. Whether it works there or is idle is not known",
        "look at what it does there: work can be moved into tasks, and what does not need it can be submitted before",
    )


def _seen(place: str | None) -> str:
    return f"; it was seen most often{at_text(place)}" if place else ""


def _after(place: str | None) -> str:
    return f", after the call{at_text(place)}" if place else ""
