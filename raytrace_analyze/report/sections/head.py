"""The top of the page: the answer in a sentence, and the figures that everybody asks for first."""

from collections.abc import Iterator

from raytrace_analyze.report.facts import ReportFacts
from raytrace_analyze.report.markup import Child, Markup, tag
from raytrace_analyze.units import duration_text, share_text
from raytrace_analyze.views.hang_view import blocked_text, circle_texts
from raytrace_analyze.views.summary_view import how_it_ended, summary_lines, where_it_failed
from raytrace_analyze.vocabulary import Outcome


def head_section(facts: ReportFacts) -> Markup:
    """Give the answer and the figures."""
    ended = facts.path.ended
    has_failed = ended.outcome is Outcome.FAILED
    return tag(
        "section",
        tag("h1", _headline(facts), class_="failed" if has_failed else None),
        [tag("p", text, class_="answer") for text in _sentences(facts)],
        tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in _figures(facts)], class_="figures"),
        id="answer",
        aria_label="The answer",
    )


def _headline(facts: ReportFacts) -> str:
    return how_it_ended(facts.path.ended, duration_text(facts.path.makespan_ns), facts.path.scope.title)


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


def _figures(facts: ReportFacts) -> Iterator[tuple[str, Child]]:
    path = facts.path
    yield "took", duration_text(path.makespan_ns)
    yield "task runs", f"{path.runs:,}"
    yield "work", duration_text(path.work_ns)
    yield "tasks at a time", f"{path.parallelism:.2f}"
    if facts.use.slots is not None:
        yield "slots used", f"{share_text(facts.use.used_share or 0.0, 1)} of {facts.use.slots:,.6g}"
    yield "failed attempts", f"{path.ended.failed_attempts:,}"
    if in_flight := facts.timed.get_column("end").null_count():
        yield "spans never ended", f"{in_flight:,}"
