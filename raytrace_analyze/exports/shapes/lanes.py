"""Packs the spans of each process into lanes in which they only nest or follow each other."""

from collections.abc import Iterator
from heapq import heappop, heappush

import numpy as np
import numpy.typing as npt

_ROWS = 1 << 14
"""How many rows are Python's numbers at a time."""


def lanes(
    process: npt.NDArray[np.int64],
    start: npt.NDArray[np.int64],
    end: npt.NDArray[np.int64],
    parent: npt.NDArray[np.int64],
    *,
    gap: int = 0,
) -> npt.NDArray[np.int64]:
    """Give each span the number of its lane within its process, from 1 on.

    Rows come in order of start, of those that start together the longest first; times in ns, `parent` is a row or -1.
    A span lies in its parent's lane if nothing there overlaps it partly, else in the first lane that is free, as
    it is `gap` ns after what was in it.
    """
    lane = np.zeros(len(start), dtype=np.int64)
    open_in: dict[tuple[int, int], list[int]] = {}
    """The ends of what is open in a lane, the outermost first."""
    busy: dict[int, list[tuple[int, int]]] = {}
    free: dict[int, list[int]] = {}
    made: dict[int, int] = {}
    for row, (of, begins, ends, above) in enumerate(_rows(process, start, end, parent)):
        if above >= 0 and process[above] == of and lane[above]:
            stack = open_in[of, int(lane[above])]
            while len(stack) > 1 and stack[-1] <= begins:
                stack.pop()
            if begins < stack[-1] and ends <= stack[-1]:
                stack.append(ends)
                lane[row] = lane[above]
                continue
        waiting = busy.setdefault(of, [])
        while waiting and waiting[0][0] <= begins:
            heappush(free.setdefault(of, []), heappop(waiting)[1])
        if free.get(of):
            number = heappop(free[of])
        else:
            number = made[of] = made.get(of, 0) + 1
        open_in[of, number] = [ends]
        # A span without length takes its place up to the next nanosecond, or what follows would lie upon it.
        heappush(waiting, (max(ends + gap, begins + 1), number))
        lane[row] = number
    return lane


def depths(
    process: npt.NDArray[np.int64],
    lane: npt.NDArray[np.int64],
    start: npt.NDArray[np.int64],
    end: npt.NDArray[np.int64],
) -> npt.NDArray[np.int64]:
    """Give how many spans of its lane each span lies in; rows are in the order that `lanes` takes."""
    depth = np.zeros(len(start), dtype=np.int64)
    open_in: dict[tuple[int, int], list[int]] = {}
    """The ends of what is open in a lane, the outermost first."""
    for row, (of, number, begins, ends) in enumerate(_rows(process, lane, start, end)):
        stack = open_in.setdefault((of, number), [])
        while stack and stack[-1] <= begins:
            stack.pop()
        depth[row] = len(stack)
        stack.append(ends)
    return depth


def _rows(*columns: npt.NDArray[np.int64]) -> Iterator[tuple[int, ...]]:
    for begin in range(0, len(columns[0]), _ROWS):
        yield from zip(*(column[begin : begin + _ROWS].tolist() for column in columns), strict=True)
