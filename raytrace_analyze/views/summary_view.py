"""The whole answer about a job, in at most ten lines, and as a document."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import polars as pl
from rich.console import Console

from raytrace_analyze.names.functions import name_of
from raytrace_analyze.path.outcome import Ended
from raytrace_analyze.text.units import count_text, duration_text, share_text, sum_texts
from raytrace_analyze.verdict.result import Remedy, Requests, Summary
from raytrace_analyze.views.documents import records
from raytrace_analyze.views.libraries.serve_view import PARTS_SAID
from raytrace_analyze.views.screen.label import label
from raytrace_analyze.views.words import ENDINGS, PATTERNS, SPENT, awaited_text, pattern_text, place_name
from raytrace_analyze.vocabulary.advice import RemedyKind
from raytrace_analyze.vocabulary.paths import Spent
from raytrace_analyze.vocabulary.spans import Library, Outcome
from raytrace_analyze.wording.phrases import error_text

ROWS = pl.Schema(
    {
        "row": pl.String,
        "what": pl.String,
        "function": pl.String,
        "place": pl.String,
        "total_ns": pl.Int64,
        "predicted_ns": pl.Int64,
    }
)
"""A summary as CSV: `row` is `job` (`what`: how it ended; `function`: what decided its time most), `spent` (on `what`),
`idle` (in `what`), `remedy` (`what`: the pattern, or `speedup`; `total_ns`: what it saves) or `requests` (of Ray Serve:
`what` took most of their time, `total_ns` of all together)."""

_LIBRARIES = {
    Library.DATA: "which operator limits the rate",
    Library.SERVE: "where the time of requests goes",
    Library.TRAIN: "which rank is late",
    Library.TUNE: "which trial takes long",
}
_FEW = 0.005
"""What is less than this part of the time is next to nothing."""
_NEARLY_ALL = 0.9


def show_summary(summary: Summary, console: Console) -> None:
    """Print a summary."""
    first, *rest = summary_lines(summary)
    console.print(label(first, style="bold"))
    for line in rest:
        console.print(line)


def summary_document(summary: Summary) -> dict[str, Any]:
    """Give the document of a summary."""
    found = asdict(summary)  # the frame is copied as it is
    return {
        "answer": summary_lines(summary)[0],
        **found,
        "time": records(summary.time),
        "notes": list(summary.notes),
    }


def summary_frame(summary: Summary) -> pl.DataFrame:
    """Give a summary as rows: columns of `ROWS`."""
    rows: list[dict[str, Any]] = [
        {"row": "job", "what": summary.ended.outcome, "function": summary.decided_by, "total_ns": summary.makespan_ns},
        *({"row": "spent", "what": row["spent_on"], "total_ns": row["total_ns"]} for row in summary.time.to_dicts()),
    ]
    if idle := summary.idle:
        about = {"function": idle.function, "place": idle.place, "total_ns": idle.total_ns}
        rows.append({"row": "idle", "what": idle.what, **about})
    for each in summary.remedies:
        about = {"function": each.function, "place": each.place, "total_ns": each.saved_ns}
        rows.append({"row": "remedy", "what": each.pattern or each.kind, **about, "predicted_ns": each.predicted_ns})
    if served := summary.requests:
        about = {"what": served.part, "function": served.function, "total_ns": served.part_ns}
        rows.append({"row": "requests", **about})
    return pl.DataFrame(rows, schema=ROWS)


def how_it_ended(ended: Ended, took: str, name: str) -> str:
    """Say in a sentence how long something took and how it ended."""
    match ended.outcome:
        case Outcome.FAILED:
            return f"{name} failed after {took}: {error_text(ended.message or 'no message')}."
        case Outcome.UNFINISHED:
            return f"{name} had not ended after {took}, when the record ends."
    return f"{name} took {took}."


def where_it_failed(ended: Ended) -> Iterator[str]:
    """Say where an error came from; of a job that did not fail, how many attempts did."""
    origin = ended.origin
    if ended.outcome is Outcome.UNFINISHED:
        yield "If it hangs, `raytrace-analyze hang` says who waits for whom."
    if ended.was_interrupted:
        yield "It was stopped from outside: if it hung, `raytrace-analyze hang` says who waited for whom."
    elif origin is not None:
        at = f" at {place_name(origin.place)}" if origin.place else ""
        message = "" if ended.message and origin.message in ended.message else f": {error_text(origin.message)}"
        yield f"It began in {name_of(origin.function)}, which {ENDINGS[origin.ending]}{at}{message}."
    elif ended.failed_attempts:
        yield f"{_without_result(ended)}."


def _without_result(ended: Ended) -> str:
    """Say how attempts ended that gave no result."""
    raised = ended.failed_attempts - ended.cancelled_attempts - ended.killed_attempts
    counts = {
        "failed on the way": raised,
        "{be} cancelled": ended.cancelled_attempts,
        "ended with {their} process or actor": ended.killed_attempts,
    }
    told = [(count, words) for words, count in counts.items() if count]
    (first, words), *others = told
    attempts = count_text(first, "attempt at a task", "attempts at tasks")
    return ", ".join([f"{attempts} {_in_number(words, first)}", *(f"{n:,} {_in_number(w, n)}" for n, w in others)])


def _in_number(words: str, count: int) -> str:
    return words.format(be="was" if count == 1 else "were", their="its" if count == 1 else "their")


def summary_lines(summary: Summary) -> list[str]:
    """Say all of it: the lines of the screen."""
    kind = f"{summary.scope.kind.capitalize()} {summary.scope.id}"
    name = f"{summary.scope.name} ({kind.lower()})" if summary.scope.name else kind
    lines = [how_it_ended(summary.ended, duration_text(summary.makespan_ns), name), *where_it_failed(summary.ended)]
    if summary.decided_by is None:
        return lines
    lines.append(
        f"It ran {count_text(summary.runs, 'task')}, {summary.parallelism:.2f} at a time. What decided its time "
        f"most is {name_of(summary.decided_by)}: {share_text(summary.decided_share, 1)} of it{_mostly(summary)}."
    )
    lines.append(f"Where the time went: {_time(summary)}.")
    if summary.idle is not None:
        idle = summary.idle
        at = f" at {place_name(idle.place)}" if idle.place else ""
        how = "Waits" if idle.is_wait else "Idle"
        where = f", {awaited_text(idle.what, None)}" if idle.is_wait else f" in {idle.what or 'something'}"
        often = f", {count_text(idle.times, 'time')}" if idle.times is not None and idle.times > 1 else ""
        lines.append(f"{how} longest: {name_of(idle.function)}{where}{at}{often}, {duration_text(idle.total_ns)}.")
    # How long it takes what has not ended, or was stopped before its end, nobody knows.
    is_whole = summary.ended.outcome is not Outcome.UNFINISHED and not summary.ended.was_interrupted
    subject = "the job" if is_whole else "what is recorded"
    for first, remedy in zip((True, False), summary.remedies, strict=False):
        lines.append(f"{_what_to_do(remedy, subject, first=first)}.")
    if not summary.remedies:
        lines.append("Nothing that is looked for would make it shorter by more than 2 %.")
    if summary.start_up_ns > _FEW * summary.makespan_ns:
        takes = duration_text(summary.makespan_ns - summary.start_up_saved_ns)
        # What else was waited for meanwhile is held to have taken as long as it did.
        at_most = " at most" if summary.start_up_saved_ns < _NEARLY_ALL * summary.start_up_ns else ""
        without = f"; without, {subject} takes {takes}{at_most}" if summary.start_up_saved_ns else ""
        lines.append(
            f"First run only: {duration_text(summary.start_up_ns)} of start-up, which a second run on a cluster that "
            f"stays up does not pay{without}."
        )
    if summary.libraries:
        more = ", ".join(f"`raytrace-analyze {library}` {_LIBRARIES[library]}" for library in summary.libraries)
        requests = "" if summary.requests is None else f" {_requests(summary.requests)}."
        lines.append(f"Of Ray's libraries: {more.replace('` ', '` tells ', 1)}.{requests}")
    lines.append(f"How sure: {_how_sure(summary)}.")
    return lines


def _requests(served: Requests) -> str:
    slow = f"; replica {served.slow_replica} of it is slow" if served.slow_replica else ""
    return (
        f"Of {count_text(served.requests, 'request')} of `{served.function}` (p50 {duration_text(served.p50_ns)}) "
        f"{share_text(served.part_share, 1)} of the time is {PARTS_SAID[served.part]}{slow}"
    )


def _time(summary: Summary) -> str:
    rows = summary.time.to_dicts()
    texts = sum_texts([row["total_ns"] for row in rows])
    told = {row["spent_on"]: text for text, row in zip(texts, rows, strict=True) if float(text.split()[0])}
    # A run waits to start while its process does, too: elsewhere that counts as waiting to start.
    words = {**SPENT, Spent.QUEUE: "other waits to start"} if Spent.START_UP in told else SPENT
    parts = [f"{text} {words[spent_on]}" for spent_on, text in told.items()]
    return " + ".join(parts) + (f" = {duration_text(summary.makespan_ns)}" if len(parts) > 1 else "")


def _mostly(summary: Summary) -> str:
    """Say what most of that was, where it did not run."""
    mostly = summary.decided_mostly
    return "" if mostly in (None, Spent.RUNNING, Spent.CPU) else f", most of that {SPENT[mostly]}"


def _what_to_do(remedy: Remedy, subject: str, *, first: bool) -> str:
    if remedy.kind is RemedyKind.LOOK:
        at = f" ({place_name(remedy.place)})" if remedy.place else ""
        what = pattern_text(remedy.pattern or "", remedy.function)
        of_path = f", {duration_text(remedy.path_ns)} of the time" if remedy.path_ns else ""
        return f"Look at: {what}{at}{of_path}; what mending that would save is not known"
    return f"{'Change first' if first else 'Or'}: {_remedy(remedy, subject)}"


def _remedy(remedy: Remedy, subject: str) -> str:
    at = f" at {place_name(remedy.place)}" if remedy.place else ""
    then = f"{subject} would take {duration_text(remedy.predicted_ns)}, {duration_text(remedy.saved_ns)} less"
    if remedy.pattern is None:
        idle = f" (it is idle in {remedy.idle_in}{at})" if remedy.idle_in else ""
        return f"make {name_of(remedy.function)} twice as fast{idle}, and {then}"
    maybe = "" if remedy.certain else ", if the program allows it"
    return f"{PATTERNS[remedy.pattern]} ({name_of(remedy.function)}{at}); with that mended {then}{maybe}"


def _how_sure(summary: Summary) -> str:
    parts = []
    inferred = share_text(summary.inferred_ns, summary.makespan_ns)
    if summary.inferred_ns > _FEW * summary.makespan_ns:
        parts.append(f"for {inferred} of the time who waited for whom is inferred from times, the rest is recorded")
    else:
        parts.append("who waited for whom is recorded")
    if summary.unknown_ns > _FEW * summary.makespan_ns:
        unknown = share_text(summary.unknown_ns, summary.makespan_ns)
        parts.append(f"for {unknown} it is not known whether what ran was on the CPU")
    if summary.open_spans:
        parts.append(f"{count_text(summary.open_spans, 'span')} never ended")
    return "; ".join(parts)
