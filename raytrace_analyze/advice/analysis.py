"""Advice on a job: the patterns that cost it time, each with what mending it would save."""

from collections.abc import Callable, Iterator, Sequence
from os import PathLike
from pathlib import Path

import numpy as np
import polars as pl

from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.advice.findings import FIRST_RUN_ONLY, Weighed, evidence_frame, findings_frame
from raytrace_analyze.advice.kinds.actors.actor_locks import actor_lock_candidates
from raytrace_analyze.advice.kinds.actors.bottlenecks import actor_candidates
from raytrace_analyze.advice.kinds.actors.paced import paced_candidates
from raytrace_analyze.advice.kinds.actors.pools import slow_actor_candidates, slow_taker_candidates
from raytrace_analyze.advice.kinds.arguments import argument_candidates, code_candidates, restored_candidates
from raytrace_analyze.advice.kinds.asking import asking_candidates
from raytrace_analyze.advice.kinds.driver.own_driver import driver_candidates
from raytrace_analyze.advice.kinds.few_at_a_time import few_at_a_time_candidates
from raytrace_analyze.advice.kinds.in_turn.fetching import order_candidates, unnecessary_candidates
from raytrace_analyze.advice.kinds.in_turn.loops import loop_candidates
from raytrace_analyze.advice.kinds.in_turn.throttles import throttle_candidates
from raytrace_analyze.advice.kinds.neighbours import other_job_candidates
from raytrace_analyze.advice.kinds.polling import late_candidates, store_candidates, wait_candidates
from raytrace_analyze.advice.kinds.reports import report_candidates
from raytrace_analyze.advice.kinds.requests import request_candidates
from raytrace_analyze.advice.kinds.runs.idling import idling_candidates, thread_candidates
from raytrace_analyze.advice.kinds.runs.lone_runs import retry_candidates, straggler_candidates
from raytrace_analyze.advice.kinds.runs.nested import nested_candidates
from raytrace_analyze.advice.kinds.runs.sizes import pending_candidates, small_candidates
from raytrace_analyze.advice.kinds.runs.starts import cold_candidates
from raytrace_analyze.advice.patterns import Candidate
from raytrace_analyze.advice.program.files import SourceFiles
from raytrace_analyze.names.functions import is_without_program
from raytrace_analyze.path.options import PathOptions
from raytrace_analyze.path.result import Scope
from raytrace_analyze.prepared import Trace, prepare
from raytrace_analyze.replay.job import Job, read_job
from raytrace_analyze.replay.passes.forward import replay
from raytrace_analyze.table.lineage import flags
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.advice import Pattern
from raytrace_analyze.wording.advice import notes

_LAST = (Pattern.DRIVER_IDLE, Pattern.DRIVER_IMPORTS)

AT_LEAST = 0.02
"""What part of the job's time mending something has to save for it to be a finding."""

_FINDERS: tuple[Callable[[Facts], Iterator[Candidate]], ...] = (
    loop_candidates,
    throttle_candidates,
    few_at_a_time_candidates,
    order_candidates,
    unnecessary_candidates,
    small_candidates,
    pending_candidates,
    actor_candidates,
    actor_lock_candidates,
    paced_candidates,
    asking_candidates,
    straggler_candidates,
    cold_candidates,
    nested_candidates,
    retry_candidates,
    driver_candidates,
    late_candidates,
    idling_candidates,
    thread_candidates,
    argument_candidates,
    code_candidates,
    restored_candidates,
    wait_candidates,
    store_candidates,
    request_candidates,
    report_candidates,
    slow_actor_candidates,
    slow_taker_candidates,
    other_job_candidates,
)


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
    else. Columns: `advice.findings.FINDINGS`.

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
        findings=findings_frame(kept, facts),
        evidence=evidence_frame(kept, facts),
        notes=(*read.notes, *_notes(facts)),
    )


def _of_the_program(candidates: list[Candidate]) -> list[Candidate]:
    """Leave out what Ray's libraries do themselves: nobody can change that, but for how processes are started."""
    functions = pl.Series([each.function for each in candidates], dtype=pl.String)
    pairs = zip(candidates, flags(is_without_program(functions)).tolist(), strict=True)
    return [each for each, is_own in pairs if not is_own or each.pattern is Pattern.COLD_WORKERS]


def _rank(each: Weighed) -> tuple[bool, int, int, str, str]:
    """What saves most comes first; what only a first run pays comes last, however much it was.

    Of what is not known to save anything, that the driver is idle comes behind others, which may say what it waits
    for, and what it imports last.
    """
    candidate = each.candidate
    last = _LAST.index(candidate.pattern) if candidate.pattern in _LAST else -1
    return candidate.pattern in FIRST_RUN_ONLY, -each.saved_ns, last, candidate.pattern, candidate.function


def _weighed(candidate: Candidate, facts: Facts) -> Weighed:
    saved = 0 if candidate.mended is None else facts.now.makespan_ns - replay(candidate.mended).makespan_ns
    return Weighed(candidate, facts.cost_ns(candidate.rows), saved)


def _distinct(kept: list[Weighed]) -> list[Weighed]:
    """Leave out what says of the same spans what another one says that saves more.

    That an actor is slow, too, where its calls waited while another one idled: it may have been given the long ones,
    and to share them out helps in either case.
    """
    found: list[Weighed] = []
    shared_out = [each.candidate for each in kept if each.candidate.pattern is Pattern.UNEVEN_POOL]
    for each in kept:
        same = [other.candidate for other in found if other.candidate.pattern is each.candidate.pattern]
        same += shared_out if each.candidate.pattern is Pattern.SLOW_ACTOR else []
        if not any(np.isin(each.candidate.rows, other.rows).any() for other in same):
            found.append(each)
    return found


def _notes(facts: Facts) -> Iterator[str]:
    if not facts.recorded:
        yield notes.NO_WAITS
    elif facts.slots is None:
        yield notes.NO_SLOTS
    # `<stdin>` and the like are no files.
    if not_read := {file: why for file, why in facts.source.not_read.items() if not file.startswith("<")}:
        yield notes.source_not_read(not_read)
