"""Loops that wait before they submit what could run meanwhile: one task after another, or too few at a time."""

from collections.abc import Iterator

import numpy as np

from raytrace_analyze.advice.facts import FEWEST_ROUNDS, Facts, Loop
from raytrace_analyze.advice.kinds.asking import find_asking
from raytrace_analyze.advice.kinds.in_turn.overlapping import let_overlap
from raytrace_analyze.advice.patterns import COPIES, Candidate
from raytrace_analyze.advice.program.files import first_place
from raytrace_analyze.advice.program.use import Use
from raytrace_analyze.names.spans import WAIT
from raytrace_analyze.replay.passes.forward import replay
from raytrace_analyze.replay.rewrite import submit_earlier, take_turns_of
from raytrace_analyze.sampled.questions import asked_in_vain
from raytrace_analyze.table.lineage import RowIds
from raytrace_analyze.values import frozen
from raytrace_analyze.vocabulary.advice import Pattern
from raytrace_analyze.wording.advice import waits as words

MOST_OF_THEM = 0.8
"""What part of a loop's rounds has to be as is said of it."""
_NOTABLE = 0.2
"""What is less than this part of what another change would save is next to nothing."""
_BY_RAY = "__ray_"
"""How the methods begin that Ray itself calls: no program can call them otherwise."""
_OF_QUEUE = "_QueueActor."
"""How the methods of the actor behind `ray.util.queue.Queue` begin: who takes an item waits for that."""
_NEVER = (Use.NEEDED, Use.PASSED_ON)


@frozen
class _Move:
    """What one loop could submit sooner."""

    loop: Loop
    submits: RowIds
    anchors: RowIds
    """By submit: the point that it could follow."""
    certain: bool = True
    cap: int = 0
    """How many the loop keeps in flight; 0 where it waits for all."""
    room: int = 0
    """How many could run at a time."""
    on_actors: bool = False
    """Whether they are calls of actors, which is what they could run on."""


def loop_candidates(facts: Facts) -> Iterator[Candidate]:
    """Find loops that serialise tasks which could run side by side, and those that keep too few of them running."""
    if not facts.recorded:
        return
    # Who asks until something is so needs the answer before it asks again.
    in_vain = np.flatnonzero(asked_in_vain(facts.structure))
    asked = {asking.question for asking in find_asking(facts)}.union(facts.functions_of(in_vain).tolist())
    for loops in facts.loops:
        moves = [move for loop in loops if (move := _move(facts, loop)) is not None]
        if moves and (found := _candidate(facts, moves)) is not None and found.function not in asked:
            yield found


def _move(facts: Facts, loop: Loop) -> _Move | None:
    return (_serialising if _waits_for_its_own_round(facts, loop) else _capped)(facts, loop)


def _round_of(facts: Facts, loop: Loop) -> RowIds:
    """Give by submit how many of the loop's waits began before it."""
    return np.searchsorted(facts.start[loop.waits], facts.start[loop.submits], side="right").astype(np.int64)


def _submits_of(facts: Facts, runs: RowIds) -> RowIds:
    submit = facts.structure.submit[runs]
    return np.unique(submit[submit >= 0])


def _waits_for_its_own_round(facts: Facts, loop: Loop) -> bool:
    """Tell whether what is waited for was submitted in the same round, after the wait before."""
    own = 0
    for before, runs in zip(loop.waits[:-1].tolist(), loop.ready[1:], strict=True):
        submits = _submits_of(facts, runs)
        own += submits.size > 0 and bool((facts.start[submits] >= facts.end[before]).all())
    return own >= MOST_OF_THEM * (loop.waits.size - 1)


def _serialising(facts: Facts, loop: Loop) -> _Move | None:
    """A loop that submits, waits and goes on: everything could be submitted in the first round."""
    round_of = _round_of(facts, loop)
    first = loop.submits[round_of == 0]
    later = loop.submits[(round_of > 0) & (round_of < loop.waits.size)]
    if first.size == 0 or later.size < FEWEST_ROUNDS - 1:
        return None
    movable, certain = _movable(facts, loop, later)
    if movable.size < FEWEST_ROUNDS - 1 or (facts.run_of_submit[movable] < 0).all():
        return None
    anchor = facts.graph.events.end_of[first[-1]]
    return _Move(loop, movable, np.full(movable.size, anchor), certain)


def _movable(facts: Facts, loop: Loop, later: RowIds) -> tuple[RowIds, bool]:
    """Give the submits that no wait before them in the loop decides about, and whether that is certain.

    What takes a reference to a result that was waited for before stays where it is, and so does what takes one to
    something that stays.
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
            stays.update(_submits_of(facts, facts.ready_runs(coming[0])).tolist())
            coming = next(others, None)
        uses = {facts.use(wait, submit) for wait in passed.values()}
        taken = facts.structure.submit[facts.relations.dependencies.of(submit)]
        if uses.isdisjoint(_NEVER) and stays.isdisjoint(taken.tolist()):
            moved.append(submit)
            certain &= Use.UNKNOWN not in uses
        else:
            stays.add(submit)
    return np.array(moved, dtype=np.int64), certain


def _capped(facts: Facts, loop: Loop) -> _Move | None:
    """A loop that keeps a fixed number of tasks in flight, fewer than there are slots."""
    slots, on_actors = _room(facts, loop)
    returned = [_submits_of(facts, runs) for runs in loop.ready]
    waited_for = np.isin(loop.submits, np.concatenate(returned))
    submits, round_of = loop.submits[waited_for], _round_of(facts, loop)[waited_for]
    refills = np.flatnonzero(round_of > 0)
    if slots is None or refills.size < FEWEST_ROUNDS or (round_of == 0).sum() == 0:
        return None
    back = np.cumsum([0, *(each.size for each in returned)])
    rounds = np.arange(loop.waits.size)
    in_flight = np.searchsorted(round_of, rounds, side="right") - back[:-1]
    in_flight = in_flight[rounds < round_of[-1]]
    cap = int(np.bincount(np.maximum(in_flight, 0)).argmax())
    if not 0 < cap < slots or (in_flight == cap).mean() < MOST_OF_THEM:
        return None
    if any(_is_needed(facts, loop, int(submit)) for submit in submits[refills[:FEWEST_ROUNDS]]):
        return None
    events = facts.graph.events
    # With more in flight, each is submitted as many waits sooner.
    sooner = round_of[refills] - 1 - (slots - cap)
    fill = events.end_of[submits[round_of == 0][-1]]
    anchors = np.where(sooner >= 0, events.end_of[loop.waits][np.maximum(sooner, 0)], fill)
    return _Move(loop, submits[refills], anchors, cap=cap, room=slots, on_actors=on_actors)


def _room(facts: Facts, loop: Loop) -> tuple[int | None, bool]:
    """Give how many of a loop's tasks can run at a time, and whether that is how many actors they are calls of."""
    actor = facts.relations.actor[np.concatenate(loop.ready)]
    actors = np.unique(actor)
    if facts.slots is None or actors.size == 0 or actors[0] < 0 or not facts.relations.serial_actor[actors].all():
        return facts.slots, False
    return actors.size, True


def _is_needed(facts: Facts, loop: Loop, submit: int) -> bool:
    """Tell whether a submit takes a result that the same flow got since the loop began."""
    names = facts.spans.get_column("name")
    before = loop.others[facts.start[loop.others] < facts.start[submit]]
    # What ray.wait gives back are references: whoever takes one depends on it, and the spans say so.
    got = {facts.sites.get(wait): wait for wait in before.tolist() if names[wait] != WAIT}
    return any(facts.use(wait, submit) in _NEVER for wait in got.values())


def _candidate(facts: Facts, moves: list[_Move]) -> Candidate | None:
    """Say of the loops at one place what they could do better; None of what Ray itself does.

    Nor of what an actor paces: its calls sleep as long wherever they are made.
    """
    submits = np.concatenate([move.submits for move in moves])
    anchors = np.concatenate([move.anchors for move in moves])
    waits = np.concatenate([move.loop.waits for move in moves])
    ready = [runs for move in moves for runs in move.loop.ready]
    runs = facts.run_of_submit[submits]
    runs = runs[runs >= 0]
    function, times = _awaited_most(facts, runs, ready)
    if (
        function.rpartition(".")[2].startswith(_BY_RAY)
        or _OF_QUEUE in function
        or _is_paced(facts, np.concatenate(ready))
    ):
        return None
    site, certain = facts.sites.get(int(waits[0])), all(move.certain for move in moves)
    place, caller = first_place(site), facts.caller(int(waits[0]))
    awaited = int(np.median([each.size for each in ready]))
    pattern, cap = Pattern.TOO_FEW_IN_FLIGHT, max(move.cap for move in moves)
    if cap:
        best = max(moves, key=lambda move: move.cap)
        told = words.too_few_in_flight(caller, function, cap, best.room, place=place, on_actors=best.on_actors)
    elif awaited <= 1:
        pattern = Pattern.GET_IN_LOOP
        told = words.get_in_loop(caller, function, times, len(moves), place=place, certain=certain)
    else:
        told = words.get_in_rounds(caller, function, awaited, waits.size, len(moves), place=place, certain=certain)
    mended = submit_earlier(facts.graph, submits, anchors)
    calls = np.unique(np.concatenate([*ready, runs]))
    if pattern is Pattern.GET_IN_LOOP and _is_one_serial_actor(facts, calls):
        two = take_turns_of(mended, calls[np.argsort(facts.start[calls], kind="stable")], COPIES)
        alone, together = (facts.now.makespan_ns - replay(each).makespan_ns for each in (mended, two))
        # What takes long may be to submit them: that goes on while the actor runs the call before.
        if 2 * alone < together or alone < facts.floor_ns:
            pattern, certain, mended = Pattern.ACTOR_BOTTLENECK, False, two
            sooner = alone if alone >= max(facts.floor_ns, _NOTABLE * together) else 0
            told = words.one_serial_actor(caller, function, times, len(moves), place=place, sooner_saves_ns=sooner)
    else:
        mended, overlap = let_overlap(facts, mended, calls)
        told, certain = words.as_far_as_they_overlap(told, overlap.most, overlap.certain), certain and overlap.certain
    return Candidate(pattern, function, told, mended, np.concatenate([waits, calls]), site, certain)


def _is_paced(facts: Facts, runs: RowIds) -> bool:
    """Tell whether most of some runs are calls that sleep until it is their turn."""
    return any(2 * np.isin(runs, pace.runs).sum() > runs.size for pace in facts.paces)


def _awaited_most(facts: Facts, moved: RowIds, ready: list[RowIds]) -> tuple[str, int]:
    """Name the function of the longest run that could start sooner and that a loop waits for, and how often it does.

    The same flow may submit others meanwhile, which other loops wait for.
    """
    own = moved[np.isin(moved, np.concatenate(ready))]
    runs = own if own.size else moved
    function = facts.functions[int(runs[np.argmax(facts.end[runs] - facts.start[runs])])]
    times = sum(any(facts.functions[run] == function for run in each.tolist()) for each in ready)
    return function, times or len(ready)


def _is_one_serial_actor(facts: Facts, runs: RowIds) -> bool:
    """Tell whether runs are calls of one actor, which runs one at a time."""
    actors = np.unique(facts.relations.actor[runs])
    return actors.size == 1 and actors[0] >= 0 and bool(facts.relations.serial_actor[actors[0]])
