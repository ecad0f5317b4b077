"""Findings as a table, and the spans that they rest on."""

import numpy as np
import polars as pl

from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.advice.patterns import REFERENCES, Candidate
from raytrace_analyze.advice.program.files import place_of
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.advice import Pattern

FIRST_RUN_ONLY = frozenset({Pattern.COLD_WORKERS})
"""What is paid by the first run on a cluster alone."""

_COLUMNS: dict[str, pl.DataType | type[pl.DataType]] = {
    "finding": pl.Int64,
    "pattern": pl.String,
    "function": pl.String,
    "file": pl.String,
    "line": pl.Int64,
    "what": pl.String,
    "remedy": pl.String,
    "cost_ns": pl.Int64,
    "saved_ns": pl.Int64,
    "predicted_ns": pl.Int64,
    "share": pl.Float64,
    "certain": pl.Boolean,
    "first_run_only": pl.Boolean,
    "reference": pl.String,
    "url": pl.String,
    "span_ids": pl.List(pl.String),
}
FINDINGS = pl.Schema(_COLUMNS)
"""Columns of `advise`. `finding` counts from 1, what would save most first; what only a first run pays, and a second
one or a long-lived cluster would not (`first_run_only`), stands behind the rest. `cost_ns` is what the spans concerned
have of the critical path, `saved_ns` how much shorter the job would be with this mended and nothing else,
`predicted_ns` how long it would take then, `share` the saving as a part of what it took (0 to 1). `file` and `line`
tell where in the program, null where that is not known. `certain` is false where it depends on the program whether it
can be changed so. `reference` and `url` are the page of Ray's documentation. `span_ids` is the evidence, what tells
most first."""


@frozen
class Weighed:
    """A candidate, with what it costs and what mending it would save."""

    candidate: Candidate
    cost_ns: int
    saved_ns: int


def findings_frame(kept: list[Weighed], facts: Facts) -> pl.DataFrame:
    """Give the columns of `FINDINGS`, in the order given."""
    observed = facts.job.makespan_ns
    rows = []
    for number, each in enumerate(kept, 1):
        candidate = each.candidate
        file, line = _place(candidate.site)
        reference = REFERENCES[candidate.pattern]
        inside = candidate.rows[candidate.rows < facts.spans.height]
        rows.append(
            {
                "finding": number,
                "pattern": str(candidate.pattern),
                "function": candidate.function,
                "file": file,
                "line": line,
                "what": _capitalised(candidate.words.what),
                "remedy": _capitalised(candidate.words.remedy),
                "cost_ns": each.cost_ns,
                "saved_ns": each.saved_ns,
                "predicted_ns": observed - each.saved_ns,
                "share": each.saved_ns / max(observed, 1),
                "certain": candidate.certain,
                "first_run_only": candidate.pattern in FIRST_RUN_ONLY,
                "reference": reference.title,
                "url": reference.url,
                "span_ids": facts.spans.get_column("span_id").gather(inside).to_list(),
            }
        )
    return pl.DataFrame(rows, schema=FINDINGS)


def _capitalised(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def _place(site: str | None) -> tuple[str | None, int | None]:
    if not site:
        return None, None
    file, line = place_of(site.splitlines()[0])
    return file, line or None


def evidence_frame(kept: list[Weighed], facts: Facts) -> pl.DataFrame:
    """Give the spans of each finding: the columns of `Advice.evidence`."""
    inside = [each.candidate.rows[each.candidate.rows < facts.spans.height] for each in kept]
    rows = np.concatenate([np.empty(0, dtype=np.int64), *inside])
    number = np.repeat(np.arange(1, len(kept) + 1), [each.size for each in inside])
    about = facts.spans.select("span_id", "trace_id", "task_id", "function", "name")[rows]
    return about.select(
        pl.Series("finding", number, dtype=pl.Int64),
        pl.all(),
        pl.Series("start_ns", facts.start[rows], dtype=pl.Int64),
        pl.Series("end_ns", facts.end[rows], dtype=pl.Int64),
    )
