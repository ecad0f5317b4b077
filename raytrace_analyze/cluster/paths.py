"""The critical paths of all scopes of a table that all nodes of a cluster see, found on the cluster.

What a path is told from does not reach beyond a cluster's life, so that sessions are looked at apart from each other;
the paths of a large one are found by several tasks, each of which reads all of it.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from raytrace_analyze.analyses.all_paths.question import Answer, Question
from raytrace_analyze.analyses.evidence import Evidence, evidence, together
from raytrace_analyze.cluster.seen import seeing
from raytrace_analyze.cluster.tasks import Tasks
from raytrace_analyze.errors import NoSpansError, UsageError
from raytrace_analyze.files.opened import readable
from raytrace_analyze.ingest.large_tables import Apart, load_sessions, sessions_apart
from raytrace_analyze.ingest.loading import Found, Ingested, find
from raytrace_analyze.ingest.report import report_of
from raytrace_analyze.model import Problem, ProblemKind, Progress
from raytrace_analyze.path.aggregate import ScopeTimes, check_sums, scope_times, sum_up, with_first
from raytrace_analyze.prepared import NO_SPANS, prepare
from raytrace_analyze.schema import TABLE
from raytrace_analyze.table.events.attempts import only_spans
from raytrace_analyze.table.totals import Totals, added_up, count_up
from raytrace_analyze.vocabulary.options import Scopes

_ROWS = 1_000_000
"""How many rows a session has for each task that finds some of its paths."""


class _Part(NamedTuple):
    """What a task finds. What is told of the sessions themselves comes from the first of those that share them."""

    times: ScopeTimes | None
    """None where only task events tell of them."""
    totals: Totals | None
    evidence: Evidence | None
    problems: tuple[Problem, ...]


def paths_on_cluster(paths: Sequence[Path], question: Question, progress: Progress) -> Answer:
    """Sum up the critical paths of all scopes of a merged table; within `ray_cluster.connected`.

    The same as `aggregate_paths` gives of all of it. Raises UsageError for anything but one table and where a node does
    not see it, NoSpansError where it is empty, and RaytraceError where the cluster cannot finish it.
    """
    check_sums(question.scopes, question.by, question.tail)
    found = find(paths)
    if not found.is_one_table:
        raise UsageError("--engine ray finds paths in a merged table: raytrace-analyze merge FOLDER --engine ray")
    tasks = Tasks()
    shares = _shares(sessions_apart(found), question.scopes, tasks.cpus)
    if not shares:
        raise NoSpansError(f"no spans in {readable(found.paths[0])}: the table is empty")
    folder = str(Path.cwd())
    calls = [tasks.call(_part_of, found, folder, question, *share) for share in shares]
    parts: list[_Part] = []
    for part in tasks.values(calls):
        parts.append(part)
        progress(len(parts) / len(calls))
    totals = added_up([part.totals for part in parts if part.totals is not None])
    wrong = [problem for part in parts for problem in part.problems]
    report = report_of(totals, found.read, found.discovery, wrong)
    whole = evidence(Ingested(TABLE.to_frame(), report))
    times = [part.times for part in parts if part.times is not None]
    if not times:
        raise NoSpansError(NO_SPANS)
    return Answer(
        sums=sum_up(times, by=question.by, tail=question.tail),
        evidence=together([whole, *(part.evidence for part in parts if part.evidence is not None)]),
        problems=report.problems,
    )


def _shares(apart: Sequence[Apart], scopes: str, cpus: int) -> list[tuple[tuple[str, ...], int, int]]:
    """Give the sessions of each task, which share of their paths it finds, and how many shares there are."""
    rows = sum(each.rows for each in apart)
    shares = []
    for each in apart:
        count = min(math.ceil(each.rows / _ROWS), math.ceil(cpus * each.rows / max(rows, 1)))
        # Requests that have one id, and come one after another, are one: they are to be seen together.
        count = 1 if scopes == Scopes.REQUESTS else max(count, 1)
        shares += [(each.sessions, number, count) for number in range(count)]
    return shares


def _part_of(found: Found, folder: str, question: Question, sessions: Sequence[str], number: int, count: int) -> _Part:
    with seeing(found.discovery.files, folder):
        read = load_sessions(found, sessions)
    trace, times = None, None
    if only_spans(read.spans).height:
        trace = prepare(read.spans, clock_correct=question.clock_correct)
        numbers = np.array_split(np.arange(trace.scopes(question.scopes).table.height), count)[number]
        times = scope_times(trace, question.options, scopes=question.scopes, by=question.by, numbers=numbers)
        times = with_first(times, trace, question.scopes)
    if number:
        return _Part(times, None, None, ())
    problems = tuple(problem for problem in read.report.problems if problem.kind is ProblemKind.BACKWARDS)
    return _Part(times, count_up(read.spans), evidence(trace or read.spans), problems)
