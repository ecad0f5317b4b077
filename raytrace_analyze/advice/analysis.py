"""Advice on a job: the patterns that cost it time, each with what mending it would save."""

from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from pathlib import Path

import numpy as np
import polars as pl

from raytrace_analyze.advice.actor_locks import actor_lock_candidates
from raytrace_analyze.advice.arguments import argument_candidates, code_candidates
from raytrace_analyze.advice.bottlenecks import actor_candidates
from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.advice.fetching import order_candidates, unnecessary_candidates
from raytrace_analyze.advice.idling import idling_candidates, thread_candidates
from raytrace_analyze.advice.lone_runs import retry_candidates, straggler_candidates
from raytrace_analyze.advice.loops import loop_candidates
from raytrace_analyze.advice.neighbours import other_job_candidates
from raytrace_analyze.advice.nested import nested_candidates
from raytrace_analyze.advice.own_driver import driver_candidates
from raytrace_analyze.advice.patterns import REFERENCES, Candidate
from raytrace_analyze.advice.polling import store_candidates, wait_candidates
from raytrace_analyze.advice.pools import slow_actor_candidates
from raytrace_analyze.advice.program.files import SourceFiles, place_of
from raytrace_analyze.advice.reports import report_candidates
from raytrace_analyze.advice.requests import request_candidates
from raytrace_analyze.advice.sizes import pending_candidates, small_candidates
from raytrace_analyze.advice.starts import cold_candidates
from raytrace_analyze.advice.throttles import throttle_candidates
from raytrace_analyze.function_names import is_without_program
from raytrace_analyze.path.options import PathOptions
from raytrace_analyze.path.result import Scope
from raytrace_analyze.prepared import Trace, prepare
from raytrace_analyze.replay.forward import replay
from raytrace_analyze.replay.job import Job, read_job
from raytrace_analyze.table.lineage import flags
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary import Pattern
from raytrace_analyze.wording.advice import notes

FIRST_RUN_ONLY = frozenset({Pattern.COLD_WORKERS})
"""What is paid by the first run on a cluster alone."""

_LAST = (Pattern.DRIVER_IDLE, Pattern.DRIVER_IMPORTS)

AT_LEAST = 0.02
"""What part of the job's time mending something has to save for it to be a finding."""

_FINDERS: tuple[Callable[[Facts], Iterator[Candidate]], ...] = (
    loop_candidates,
    throttle_candidates,
    order_candidates,
    unnecessary_candidates,
    small_candidates,
    pending_candidates,
    actor_candidates,
    actor_lock_candidates,
    straggler_candidates,
    cold_candidates,
    nested_candidates,
    retry_candidates,
    driver_candidates,
    idling_candidates,
    thread_candidates,
    argument_candidates,
    code_candidates,
    wait_candidates,
    store_candidates,
    request_candidates,
    report_candidates,
    slow_actor_candidates,
    other_job_candidates,
)
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
class Advice:
    """What could be done about a job's time."""

    scope: Scope
    start_ns: int
    """When the job began, in ns since the epoch."""
    observed_ns: int
    """How long it took."""
    findings: pl.DataFrame
    """Columns of `FINDINGS`."""
    evidence: pl.DataFrame
    """The spans of each finding: `finding`, `span_id`, `trace_id`, `task_id`, `function`, `name`, `start_ns`, `end_ns`
    (since the epoch), those that tell most first."""
    notes: tuple[str, ...]


def advise(
    spans: Trace,
    task_events: pl.DataFrame | None = None,
    job: str | None = None,
    *,
    at_least: float = AT_LEAST,
    infer: bool = True,
    had_slots: int | None = None,
    clock_correct: bool = True,
    source: Sequence[str | PathLike[str]] = (),
) -> pl.DataFrame:
    """Find patterns that cost a job time, and estimate what mending each would save.

    Takes a span table (columns of `schema.TABLE`) or what `prepare` made of one, and a job, by default the one that
    took longest; `task_events` are those that version 0.1.0 gave beside the spans. What would save less than `at_least`
    (a part of the job's time) is left out, but for what costs memory. `infer`, `had_slots` and `clock_correct` are
    those of `what_if`. The source is read in the working directory and in the folders of `source`, and nowhere
    else. Columns: `advice.analysis.FINDINGS`.

    Raises NoSpansError for an empty table, UsageError for a job that is unknown or ambiguous.
    """
    return give_advice(
        spans,
        task_events,
        job,
        at_least=at_least,
        infer=infer,
        had_slots=had_slots,
        clock_correct=clock_correct,
        source=source,
    ).findings


def give_advice(
    spans: Trace,
    task_events: pl.DataFrame | None = None,
    job: str | None = None,
    *,
    at_least: float = AT_LEAST,
    infer: bool = True,
    had_slots: int | None = None,
    clock_correct: bool = True,
    source: Sequence[str | PathLike[str]] = (),
) -> Advice:
    """Do what `advise` does; gives the evidence and the notes, too."""
    trace = prepare(spans, task_events, clock_correct=clock_correct)
    read = read_job(trace, job, PathOptions(infer=infer), had_slots=had_slots, trust_cluster=True)
    return advise_on(read, at_least=at_least, had_slots=had_slots, source=source)


def advise_on(
    read: Job, *, at_least: float = AT_LEAST, had_slots: int | None = None, source: Sequence[str | PathLike[str]] = ()
) -> Advice:
    """Do what `give_advice` does, for a job that is read already, with `trust_cluster`."""
    # A text is a sequence, too: of letters, of which "/" is a folder.
    folders = [source] if isinstance(source, str | PathLike) else source
    facts = Facts(
        job=read,
        had_slots=had_slots,
        source=SourceFiles([Path.cwd(), *folders]),
        floor_ns=max(at_least * read.makespan_ns, 1),
    )
    candidates = [candidate for finder in _FINDERS for candidate in finder(facts)]
    weighed = [_weighed(candidate, facts) for candidate in _of_the_program(candidates)]
    kept = [each for each in weighed if each.candidate.mended is None or each.saved_ns >= facts.floor_ns]
    kept.sort(key=_rank)
    kept = _distinct(kept)
    return Advice(
        scope=read.scope,
        start_ns=read.graph.start_ns,
        observed_ns=read.makespan_ns,
        findings=_findings(kept, facts),
        evidence=_evidence(kept, facts),
        notes=(*read.notes, *_notes(facts)),
    )


def _of_the_program(candidates: list[Candidate]) -> list[Candidate]:
    """Leave out what Ray's libraries do themselves: nobody can change that, but for how processes are started."""
    functions = pl.Series([each.function for each in candidates], dtype=pl.String)
    pairs = zip(candidates, flags(is_without_program(functions)).tolist(), strict=True)
    return [each for each, is_own in pairs if not is_own or each.pattern is Pattern.COLD_WORKERS]


@frozen
class _Weighed:
    """A candidate, with what it costs and what mending it would save."""

    candidate: Candidate
    cost_ns: int
    saved_ns: int


def _rank(each: _Weighed) -> tuple[bool, int, int, str, str]:
    """What saves most comes first; what only a first run pays comes last, however much it was.

    Of what is not known to save anything, that the driver is idle comes behind others, which may say what it waits
    for, and what it imports last.
    """
    candidate = each.candidate
    last = _LAST.index(candidate.pattern) if candidate.pattern in _LAST else -1
    return candidate.pattern in FIRST_RUN_ONLY, -each.saved_ns, last, candidate.pattern, candidate.function


def _weighed(candidate: Candidate, facts: Facts) -> _Weighed:
    saved = 0 if candidate.mended is None else facts.now.makespan_ns - replay(candidate.mended).makespan_ns
    return _Weighed(candidate, facts.cost_ns(candidate.rows), saved)


def _distinct(kept: list[_Weighed]) -> list[_Weighed]:
    """Leave out what says of the same spans what another one says that saves more.

    That an actor is slow, too, where its calls waited while another one idled: it may have been given the long ones,
    and to share them out helps in either case.
    """
    found: list[_Weighed] = []
    shared_out = [each.candidate for each in kept if each.candidate.pattern is Pattern.UNEVEN_POOL]
    for each in kept:
        same = [other.candidate for other in found if other.candidate.pattern is each.candidate.pattern]
        same += shared_out if each.candidate.pattern is Pattern.SLOW_ACTOR else []
        if not any(np.isin(each.candidate.rows, other.rows).any() for other in same):
            found.append(each)
    return found


def _findings(kept: list[_Weighed], facts: Facts) -> pl.DataFrame:
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


def _evidence(kept: list[_Weighed], facts: Facts) -> pl.DataFrame:
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


def _notes(facts: Facts) -> Iterator[str]:
    if not facts.recorded:
        yield notes.NO_WAITS
    elif facts.slots is None:
        yield notes.NO_SLOTS
    # `<stdin>` and the like are no files.
    if not_read := {file: why for file, why in facts.source.not_read.items() if not file.startswith("<")}:
        yield notes.source_not_read(not_read)
