"""Loops that wait before they submit what could run meanwhile: one task after another, or too few at a time."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from raytrace_analyze.advice.facts import Facts
from raytrace_analyze.advice.patterns import Candidate, Pattern
from raytrace_analyze.advice.source import Use
from raytrace_analyze.advice.words import name_of, place_text, times_text
from raytrace_analyze.lineage import Rows
from raytrace_analyze.replay.rewrite import submit_earlier
from raytrace_analyze.units import count_text

_LEAST = 3
"""From how many rounds on a loop is one."""
_MOST_OF_THEM = 0.8
_NEVER = (Use.NEEDED, Use.PASSED_ON)


@dataclass(frozen=True)
class Loop:
    """The waits of one flow of control at one place of the program."""

    waits: Rows
    """In order of time."""
    submits: Rows
    """All submits of that flow, in order of time."""
    round_of: Rows
    """By submit: how many of the waits began before it."""


def find_loops(facts: Facts) -> list[Loop]:
    """Find the loops of a job: places where one flow of control waits at least three times."""
    head = facts.graph.points.head
    submits_of: dict[int, list[int]] = {}
    for submit in facts.submits.tolist():
        submits_of.setdefault(int(head[submit]), []).append(submit)
    waits_at: dict[tuple[int, str], list[int]] = {}
    names = facts.spans.get_column("name").gather(facts.waits).to_list()
    for wait, name in zip(facts.waits.tolist(), names, strict=True):
        waits_at.setdefault((int(head[wait]), facts.sites.get(wait, name)), []).append(wait)
    loops = []
    for (flow, _), waits in waits_at.items():
        if len(waits) >= _LEAST and flow in submits_of:
            submits = np.array(submits_of[flow])
            round_of = np.searchsorted(facts.start[waits], facts.start[submits], side="right")
            loops.append(Loop(np.array(waits), submits, round_of))
    return loops


def loop_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find loops that serialise tasks which could run side by side, and those that keep too few of them running."""
    if not facts.recorded:
        return
    for loop in find_loops(facts):
        if _waits_for_its_own_round(facts, loop):
            yield from _serialising(facts, loop)
        else:
            yield from _capped(facts, loop)


def _ready_submits(facts: Facts, wait: int) -> Rows:
    submit = facts.structure.submit[facts.ready_runs(wait)]
    return submit[submit >= 0]


def _waits_for_its_own_round(facts: Facts, loop: Loop) -> bool:
    """Tell whether what is waited for was submitted in the same round, after the wait before."""
    own = 0
    for before, wait in zip(loop.waits[:-1].tolist(), loop.waits[1:].tolist(), strict=True):
        submits = _ready_submits(facts, wait)
        own += submits.size > 0 and bool((facts.start[submits] >= facts.end[before]).all())
    return own >= _MOST_OF_THEM * (loop.waits.size - 1)


def _serialising(facts: Facts, loop: Loop) -> Iterator[Candidate]:
    """A loop that submits, waits and goes on: everything could be submitted in the first round."""
    first = loop.submits[loop.round_of == 0]
    later = loop.submits[(loop.round_of > 0) & (loop.round_of < loop.waits.size)]
    if first.size == 0 or later.size < _LEAST - 1:
        return
    movable, certain = _movable(facts, loop, later)
    if movable.size < _LEAST - 1:
        return
    anchor = int(facts.graph.points.end_of[first[-1]])
    mended = submit_earlier(facts.graph, movable, np.full(movable.size, anchor))
    ready = [facts.ready_runs(wait) for wait in loop.waits.tolist()]
    runs = facts.run_of_submit[movable]
    runs = runs[runs >= 0]
    if runs.size == 0:
        return
    function = facts.functions[int(runs[np.argmax(facts.end[runs] - facts.start[runs])])]
    wait = int(loop.waits[0])
    caller, what = name_of(facts.caller(wait)), name_of(function)
    often = times_text(loop.waits.size) + place_text(facts.sites.get(wait))
    awaited = int(np.median([each.size for each in ready]))
    if awaited <= 1:
        pattern, alone = Pattern.GET_IN_LOOP, _independence("none of them needs the result of another", certain)
        seen = f"{caller} submits {what} and waits for it before it submits the next one, {often}; {alone}"
        remedy = "submit all of them first, then get all results at once: ray.get([f.remote(x) for x in xs])"
    else:
        pattern, alone = Pattern.TOO_FEW_IN_FLIGHT, _independence("no round needs the results of another", certain)
        seen = (
            f"{caller} submits {what} in rounds of {awaited} and waits for the slowest of each before "
            f"the next round, {often}; {alone}"
        )
        remedy = (
            "submit more before waiting: all of them, or keep enough in flight with ray.wait and submit a new one "
            "whenever one is ready"
        )
    rows = np.concatenate([loop.waits, np.unique(np.concatenate(ready))])
    yield Candidate(pattern, function, seen, remedy, mended, rows, facts.sites.get(wait), certain)


def _independence(text: str, certain: bool) -> str:
    return text if certain else f"if {text}, that is for nothing"


def _movable(facts: Facts, loop: Loop, later: Rows) -> tuple[Rows, bool]:
    """Give the submits that no wait before them in the loop decides about, and whether that is certain.

    What takes a reference to something that stays where it is stays, too.
    """
    waits = facts.waits[facts.graph.points.head[facts.waits] == facts.graph.points.head[loop.waits[0]]]
    since = facts.start[loop.waits[0]]
    waits = waits[facts.start[waits] >= since]
    starts = facts.start[waits]
    moved: list[int] = []
    stays: set[int] = set()
    certain = True
    for submit in later.tolist():
        passed = waits[: int(np.searchsorted(starts, facts.start[submit]))]
        sites = {facts.sites.get(wait): wait for wait in passed.tolist()}
        uses = {facts.use(wait, submit) for wait in sites.values()}
        taken = facts.structure.submit[facts.relations.dependencies.of(submit)]
        if uses.isdisjoint(_NEVER) and stays.isdisjoint(taken.tolist()):
            moved.append(submit)
            certain &= Use.UNKNOWN not in uses
        else:
            stays.add(submit)
    return np.array(moved, dtype=np.int64), certain


def _capped(facts: Facts, loop: Loop) -> Iterator[Candidate]:
    """A loop that keeps a fixed number of tasks in flight, fewer than there are slots."""
    slots = facts.slots
    returned = [np.unique(_ready_submits(facts, wait)) for wait in loop.waits.tolist()]
    waited_for = np.isin(loop.submits, np.concatenate(returned)) if returned else np.zeros(0, dtype=np.bool_)
    submits, round_of = loop.submits[waited_for], loop.round_of[waited_for]
    refills = np.flatnonzero(round_of > 0)
    if slots is None or refills.size < _LEAST or (round_of == 0).sum() == 0:
        return
    back = np.cumsum([0, *(each.size for each in returned)])
    rounds = np.arange(loop.waits.size)
    in_flight = np.searchsorted(round_of, rounds, side="right") - back[:-1]
    in_flight = in_flight[rounds < round_of[-1]]
    cap = int(np.bincount(np.maximum(in_flight, 0)).argmax())
    if not 0 < cap < slots or (in_flight == cap).mean() < _MOST_OF_THEM:
        return
    if any(_is_needed(facts, loop, int(submit)) for submit in submits[refills[:_LEAST]]):
        return
    fill = int(facts.graph.points.end_of[submits[round_of == 0][-1]])
    # With more in flight, each is submitted as many waits sooner.
    sooner = round_of[refills] - 1 - (slots - cap)
    ends = facts.graph.points.end_of[loop.waits]
    anchors = np.where(sooner >= 0, ends[np.maximum(sooner, 0)], fill)
    runs = facts.run_of_submit[submits]
    runs = runs[runs >= 0]
    function, wait = facts.functions[int(runs[0])], int(loop.waits[0])
    caller, what = name_of(facts.caller(wait)), name_of(function)
    yield Candidate(
        Pattern.TOO_FEW_IN_FLIGHT,
        function,
        f"{caller} keeps {cap} of {what} in flight{place_text(facts.sites.get(wait))}, but there are "
        f"{count_text(slots, 'slot')}",
        f"keep at least {slots} in flight, unless memory or something else is what limits them",
        submit_earlier(facts.graph, submits[refills], anchors),
        np.concatenate([loop.waits, runs]),
        facts.sites.get(wait),
    )


def _is_needed(facts: Facts, loop: Loop, submit: int) -> bool:
    """Tell whether a submit takes a result that the same flow got since the loop began."""
    points = facts.graph.points
    names = facts.spans.get_column("name")
    flow = points.head[loop.waits[0]]
    within = (points.head[facts.waits] == flow) & (facts.start[facts.waits] >= facts.start[loop.waits[0]])
    before = facts.waits[within & (facts.start[facts.waits] < facts.start[submit])]
    # What ray.wait gives back are references: whoever takes one depends on it, and the spans say so.
    got = {facts.sites.get(wait): wait for wait in before.tolist() if names[wait] != "ray.wait"}
    return any(facts.use(wait, submit) in _NEVER for wait in got.values())
