"""Collects what was wrong with one file: joins damage that is adjacent, and stays bounded."""

import os

from raytrace_analyze.files.opened import readable
from raytrace_analyze.model import Problem, ProblemKind
from raytrace_analyze.text.units import count_text

_MOST = 1000


class ProblemList:
    """The problems of one file, those that are taken at a time in the order of their offsets.

    Adjacent stretches of damage become one problem, and after the first 1000 the rest is only counted.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._path = readable(path)
        self._ready: list[Problem] = []
        self._damage: tuple[int, int, str] | None = None
        self._given = 0
        self._not_given = 0

    def damage(self, offset: int, length: int, reason: str) -> None:
        """Note that `length` bytes from `offset` on are no span."""
        if self._damage is not None:
            start, end, first_reason = self._damage
            if end == offset:
                self._damage = (start, offset + length, first_reason)
                return
            self._close_damage()
        self._damage = (offset, offset + length, reason)

    def add(self, kind: ProblemKind, offset: int | None, detail: str) -> None:
        """Note a problem of another kind."""
        self._close_damage()
        self._give(kind, offset, detail)

    def add_loss(self, lost: int, because: str) -> None:
        """Note that the file says how many spans its process could not write, and why."""
        self._ready.append(loss(self._path, lost, because))

    def add_forgotten(self, attempts: int) -> None:
        """Note that the file says of how many task attempts Ray's head knew nothing any more."""
        detail = f"Ray's head had dropped {count_text(attempts, 'task attempt')} before they could be saved"
        self._ready.append(Problem(ProblemKind.FORGOTTEN_EVENTS, self._path, None, detail, attempts))

    def take(self) -> tuple[Problem, ...]:
        """Give what is certain by now: not the latest damage, as it may go on."""
        # What is wrong within a record turns out later than what is none.
        ready, self._ready = sorted(self._ready, key=_place), []
        return tuple(ready)

    def finish(self) -> tuple[Problem, ...]:
        """Give what is left at the end of the file."""
        self._close_damage()
        if self._not_given:
            detail = f"{self._not_given} more damaged places in this file"
            more = Problem(ProblemKind.DAMAGED_RECORD, self._path, None, detail, places=self._not_given)
            self._ready.append(more)
        return self.take()

    def _close_damage(self) -> None:
        if self._damage is not None:
            start, end, reason = self._damage
            self._damage = None
            self._give(ProblemKind.DAMAGED_RECORD, start, f"{end - start} bytes: {reason}")

    def _give(self, kind: ProblemKind, offset: int | None, detail: str) -> None:
        if self._given >= _MOST and kind is ProblemKind.DAMAGED_RECORD:
            self._not_given += 1
            return
        self._given += 1
        self._ready.append(Problem(kind, self._path, offset, detail))


def _place(problem: Problem) -> tuple[bool, int]:
    return problem.offset is None, problem.offset or 0


def loss(path: str, lost: int, because: str) -> Problem:
    """Give the problem that says of one process how many spans it could not write."""
    detail = f"{count_text(lost, 'span')} of its process could not be written: {because or 'it does not say why'}"
    return Problem(ProblemKind.LOST_SPANS, path, None, detail, lost)
