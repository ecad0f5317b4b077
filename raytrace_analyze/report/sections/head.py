"""The top of the page: the answer in a sentence, and the figures that everybody asks for first."""

import re
from collections.abc import Iterator
from pathlib import PurePath

from raytrace_analyze.names.programs import called_program
from raytrace_analyze.path.result import Scope
from raytrace_analyze.report.facts import ReportFacts
from raytrace_analyze.report.markup import Child, Markup, prose, tag
from raytrace_analyze.text.units import duration_text, share_text
from raytrace_analyze.views.stuck.hang_view import blocked_text, circle_texts
from raytrace_analyze.views.summary_view import how_it_ended, summary_lines, where_it_failed
from raytrace_analyze.vocabulary.paths import ScopeKind
from raytrace_analyze.vocabulary.spans import Outcome

_SUBJECT = re.compile(r"[A-Z][a-z]+(?: [\w']+){0,3}:(?= )")
"""What a line of the summary is about: `Where the time went:`."""


def head_section(facts: ReportFacts) -> Markup:
    """Give the answer and the figures."""
    ended = facts.path.ended
    has_failed = ended.outcome is Outcome.FAILED
    return tag(
        "section",
        tag("h1", prose(_headline(facts)), class_="failed" if has_failed else None),
        tag("p", subject_of(facts.path.scope), class_="lead"),
        [tag("p", _with_subject(text), class_="answer") for text in _sentences(facts)],
        tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in _figures(facts)], class_="figures"),
        id="answer",
        aria_label="The answer",
    )


def subject_of(scope: Scope) -> str:
    """Say what the page is about: which job, and how its program was called."""
    return f"{scope.kind} {scope.id}" + (f": {scope.name}" if scope.name else "")


def short_title(scope: Scope) -> str:
    """Name what the page is about in short: a program by its file alone."""
    name = PurePath(called_program(scope.name)).name if scope.kind == ScopeKind.JOB else ""
    return name or scope.title


def _headline(facts: ReportFacts) -> str:
    """Say how it ended; the whole call of the program stands below."""
    path, title = facts.path, short_title(facts.path.scope)
    name = title if path.scope.name else title[:1].upper() + title[1:]
    return how_it_ended(path.ended, duration_text(path.makespan_ns), name)


def _sentences(facts: ReportFacts) -> Iterator[str]:
    """Say why it hangs, if it does; then what the summary says after its first line, which is the headline."""
    hang = facts.hang
    if hang is not None:
        yield from circle_texts(hang)
        if not hang.circles and hang.blockers:
            yield blocked_text(hang.blockers[0])
    if facts.summary is None:
        yield from where_it_failed(facts.path.ended)
    else:
        yield from summary_lines(facts.summary)[1:]


def _with_subject(text: str) -> list[Child]:
    """Make a sentence of the page; what it is about, where it begins with that, stands out."""
    subject = _SUBJECT.match(text)
    return prose(text) if subject is None else [tag("strong", subject[0]), *prose(text[subject.end() :])]


def _figures(facts: ReportFacts) -> Iterator[tuple[str, Child]]:
    path = facts.path
    has_ended = path.ended.outcome is not Outcome.UNFINISHED
    yield "took" if has_ended else "recorded", duration_text(path.makespan_ns)
    yield "task runs", f"{path.runs:,}"
    yield "work", duration_text(path.work_ns)
    yield "tasks at a time", f"{path.parallelism:.2f}"
    if facts.use.slots is not None:
        yield "slots used", f"{share_text(facts.use.used_share or 0.0, 1)} of {facts.use.slots:,.6g}"
    yield "failed attempts", f"{path.ended.failed_attempts:,}"
    if in_flight := facts.timed.get_column("end").null_count():
        yield "spans never ended", f"{in_flight:,}"
