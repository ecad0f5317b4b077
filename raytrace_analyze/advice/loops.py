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
    others: Rows
    """All waits of that flow from the first of its own on, in order of time."""

    def rounds(self, facts: Facts) -> Rows:
        """Give by submit how many of the waits began before it."""
        return np.searchsorted(facts.start[self.waits], facts.start[self.submits], side="right").astype(np.int64)


@dataclass(frozen=True)
class _Move:
    """What one loop could submit sooner."""

    loop: Loop
    submits: Rows
    anchors: Rows
    """By submit: the point that it could follow."""
    ready: list[Rows]
    """By wait: the runs whose results it came back with."""
    certain: bool = True
    cap: int = 0
    """How many the loop keeps in flight; 0 where it waits for all."""


def find_loops(facts: Facts) -> list[list[Loop]]:
    """Find the loops of a job: places where one flow of control waits at least three times.

    Those of one place in one function are together, in whatever run of it they are.
    """
    waits_at: dict[tuple[int, str], list[int]] = {}
    names = facts.spans.get_column("name").gather(facts.waits).to_list()
    flows = facts.graph.points.head[facts.waits].tolist()
    for wait, flow, name in zip(facts.waits.tolist(), flows, names, strict=True):
        waits_at.setdefault((flow, facts.sites.get(wait, name)), []).append(wait)
    found: dict[tuple[str, str], list[Loop]] = {}
    for (flow, place), listed in waits_at.items():
        if len(listed) >= _LEAST and flow in facts.submits_of:
            waits, others = np.array(listed), facts.waits_of[flow]
            others = others[facts.start[others] >= facts.start[waits[0]]]
            loop = Loop(waits, facts.submits_of[flow], others)
            found.setdefault((place, facts.caller(listed[0])), []).append(loop)
    return list(found.values())


def loop_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find loops that serialise tasks which could run side by side, and those that keep too few of them running."""
    if not facts.recorded:
        return
    for loops in find_loops(facts):
        moves = [move for loop in loops if (move := _move(facts, loop)) is not None]
        if moves:
            yield _candidate(facts, moves)


def _move(facts: Facts, loop: Loop) -> _Move | None:
    ready = [facts.ready_runs(wait) for wait in loop.waits.tolist()]
    if _waits_for_its_own_round(facts, loop, ready):
        return _serialising(facts, loop, ready)
    return _capped(facts, loop, ready)


def _submits_of(facts: Facts, runs: Rows) -> Rows:
    submit = facts.structure.submit[runs]
    return np.unique(submit[submit >= 0])


def _waits_for_its_own_round(facts: Facts, loop: Loop, ready: list[Rows]) -> bool:
    """Tell whether what is waited for was submitted in the same round, after the wait before."""
    own = 0
    for before, runs in zip(loop.waits[:-1].tolist(), ready[1:], strict=True):
        submits = _submits_of(facts, runs)
        own += submits.size > 0 and bool((facts.start[submits] >= facts.end[before]).all())
    return own >= _MOST_OF_THEM * (loop.waits.size - 1)


def _serialising(facts: Facts, loop: Loop, ready: list[Rows]) -> _Move | None:
    """A loop that submits, waits and goes on: everything could be submitted in the first round."""
    round_of = loop.rounds(facts)
    first = loop.submits[round_of == 0]
    later = loop.submits[(round_of > 0) & (round_of < loop.waits.size)]
    if first.size == 0 or later.size < _LEAST - 1:
        return None
    movable, certain = _movable(facts, loop, later)
    if movable.size < _LEAST - 1 or (facts.run_of_submit[movable] < 0).all():
        return None
    anchor = facts.graph.points.end_of[first[-1]]
    return _Move(loop, movable, np.full(movable.size, anchor), ready, certain)


def _movable(facts: Facts, loop: Loop, later: Rows) -> tuple[Rows, bool]:
    """Give the submits that no wait before them in the loop decides about, and whether that is certain.

    What takes a reference to something that stays where it is stays, too.
    """
    moved: list[int] = []
    stays: set[int] = set()
    certain = True
    passed: dict[str | None, int] = {}
    others = iter(zip(loop.others.tolist(), facts.start[loop.others].tolist(), strict=True))
    coming = next(others, None)
    for submit, start in zip(later.tolist(), facts.start[later].tolist(), strict=True):
        while coming is not None and coming[1] <= start:
            passed[facts.sites.get(coming[0])] = coming[0]
            coming = next(others, None)
        uses = {facts.use(wait, submit) for wait in passed.values()}
        taken = facts.structure.submit[facts.relations.dependencies.of(submit)]
        if uses.isdisjoint(_NEVER) and stays.isdisjoint(taken.tolist()):
            moved.append(submit)
            certain &= Use.UNKNOWN not in uses
        else:
            stays.add(submit)
    return np.array(moved, dtype=np.int64), certain


def _capped(facts: Facts, loop: Loop, ready: list[Rows]) -> _Move | None:
    """A loop that keeps a fixed number of tasks in flight, fewer than there are slots."""
    slots = facts.slots
    returned = [_submits_of(facts, runs) for runs in ready]
    waited_for = np.isin(loop.submits, np.concatenate(returned))
    submits, round_of = loop.submits[waited_for], loop.rounds(facts)[waited_for]
    refills = np.flatnonzero(round_of > 0)
    if slots is None or refills.size < _LEAST or (round_of == 0).sum() == 0:
        return None
    back = np.cumsum([0, *(each.size for each in returned)])
    rounds = np.arange(loop.waits.size)
    in_flight = np.searchsorted(round_of, rounds, side="right") - back[:-1]
    in_flight = in_flight[rounds < round_of[-1]]
    cap = int(np.bincount(np.maximum(in_flight, 0)).argmax())
    if not 0 < cap < slots or (in_flight == cap).mean() < _MOST_OF_THEM:
        return None
    if any(_is_needed(facts, loop, int(submit)) for submit in submits[refills[:_LEAST]]):
        return None
    points = facts.graph.points
    # With more in flight, each is submitted as many waits sooner.
    sooner = round_of[refills] - 1 - (slots - cap)
    fill = points.end_of[submits[round_of == 0][-1]]
    anchors = np.where(sooner >= 0, points.end_of[loop.waits][np.maximum(sooner, 0)], fill)
    return _Move(loop, submits[refills], anchors, ready, cap=cap)


def _is_needed(facts: Facts, loop: Loop, submit: int) -> bool:
    """Tell whether a submit takes a result that the same flow got since the loop began."""
    names = facts.spans.get_column("name")
    before = loop.others[facts.start[loop.others] < facts.start[submit]]
    # What ray.wait gives back are references: whoever takes one depends on it, and the spans say so.
    got = {facts.sites.get(wait): wait for wait in before.tolist() if names[wait] != "ray.wait"}
    return any(facts.use(wait, submit) in _NEVER for wait in got.values())


def _candidate(facts: Facts, moves: list[_Move]) -> Candidate:
    """Say of the loops at one place what they could do better."""
    submits = np.concatenate([move.submits for move in moves])
    anchors = np.concatenate([move.anchors for move in moves])
    waits = np.concatenate([move.loop.waits for move in moves])
    ready = [runs for move in moves for runs in move.ready]
    runs = facts.run_of_submit[submits]
    runs = runs[runs >= 0]
    function = facts.functions[int(runs[np.argmax(facts.end[runs] - facts.start[runs])])]
    site, certain = facts.sites.get(int(waits[0])), all(move.certain for move in moves)
    caller, what, where = name_of(facts.caller(int(waits[0]))), name_of(function), place_text(site)
    often = times_text(waits.size) + (f" in {count_text(len(moves), 'run')}" if len(moves) > 1 else "") + where
    awaited = int(np.median([each.size for each in ready]))
    pattern, cap = Pattern.TOO_FEW_IN_FLIGHT, max(move.cap for move in moves)
    if cap:
        slots = count_text(facts.slots or 0, "slot")
        seen = f"{caller} keeps {cap} of {what} in flight{where}, but there are {slots}"
        remedy = f"keep at least {facts.slots} in flight, unless memory or something else is what limits them"
    elif awaited <= 1:
        pattern, alone = Pattern.GET_IN_LOOP, _independence("none of them needs the result of another", certain)
        seen = f"{caller} submits {what} and waits for it before it submits the next one, {often}; {alone}"
        remedy = "submit all of them first, then get all results at once: ray.get([f.remote(x) for x in xs])"
    else:
        alone = _independence("no round needs the results of another", certain)
        seen = (
            f"{caller} submits {what} in rounds of {awaited} and waits for the slowest of each before the next round, "
            f"{often}; {alone}"
        )
        remedy = (
            "submit more before waiting: all of them, or keep enough in flight with ray.wait and submit a new one "
            "whenever one is ready"
        )
    mended = submit_earlier(facts.graph, submits, anchors)
    rows = np.concatenate([waits, np.unique(np.concatenate([*ready, runs]))])
    return Candidate(pattern, function, seen, remedy, mended, rows, site, certain)


def _independence(text: str, certain: bool) -> str:
    return text if certain else f"if {text}, that is for nothing"
