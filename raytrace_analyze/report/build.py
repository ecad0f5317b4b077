"""From a span table, or two, to the page."""

from raytrace_analyze.analyses.diff import diff
from raytrace_analyze.ingest.report import IngestReport
from raytrace_analyze.prepared import Trace, prepare
from raytrace_analyze.report.facts import gather
from raytrace_analyze.report.page import page


def html_report(
    spans: Trace,
    base: Trace | None = None,
    *,
    job: str | None = None,
    names: tuple[str, str] = ("BASE", "NEW"),
    ingest: IngestReport | None = None,
) -> str:
    """Make one self-contained HTML page about a job; it loads nothing, and needs no network.

    Takes a span table (columns of `schema.TABLE`) or what `prepare` made of one, and a `job` (`ID` or `SESSION/ID`), by
    default the one that took longest. With a `base` the page also tells what changed since; `names` are what it calls
    the two. `ingest` is what `load` said of the files, so that the page can tell what was lost on the way. Raises
    NoSpansError for an empty table, UsageError for a job that is unknown or ambiguous.
    """
    trace = prepare(spans)
    found = gather(trace, job, ingest)
    changed = None if base is None else diff(prepare(base), trace)
    return page(found, changed, names)
