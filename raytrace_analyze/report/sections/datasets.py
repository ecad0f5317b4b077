"""Ray Data: what the operators of each execution did, and which one limits its rate; as the command `data` has it."""

from raytrace_analyze.report.elements import data_table, notes, section
from raytrace_analyze.report.facts import ReportFacts
from raytrace_analyze.report.markup import Child, Markup, tag
from raytrace_analyze.text.units import count_text
from raytrace_analyze.views.libraries.data_view import execution_cells, execution_text, longest_executions
from raytrace_analyze.views.libraries.data_view import notes as data_notes

_SHOWN = 5
_TEXTS = ("queued", "held back")
"""Columns that hold no mere numbers."""


def datasets_section(facts: ReportFacts) -> Markup | None:
    """Show them; None for a job without Ray Data."""
    if facts.operators.is_empty():
        return None
    executions, count = longest_executions(facts.operators, _SHOWN)
    content: list[Child] = []
    for rows in executions:
        heads, cells = execution_cells(rows)
        flat = [head.replace("-\n", "-").replace("\n", " ") for head in heads]
        content.append(data_table(execution_text(rows), flat, cells, [head for head in flat[1:] if head not in _TEXTS]))
    if count > _SHOWN:
        content.append(
            tag("p", f"{count_text(count - _SHOWN, 'shorter execution')} more: raytrace-analyze data tells.")
        )
    lead = "What each operator did, along the pipeline. The one that limits the rate is the one to make faster."
    return section("datasets", "Ray Data", content, notes(data_notes(facts.operators, facts.trace.spans)), lead=lead)
