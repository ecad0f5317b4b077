"""What kind of loop a thread goes round in, by the code of it: one that looks for something, or one that counts."""

from __future__ import annotations

import dis
import functools
from collections.abc import Iterable
from types import CodeType

_JUMPS = frozenset(dis.hasjrel) | frozenset(dis.hasjabs)
_LEAVES = ("RETURN_VALUE", "RETURN_CONST", "RAISE_VARARGS")
_TAKES_NEXT = ("FOR_ITER", "GET_ANEXT")
"""How the code of `for`, and of `async for`, begins: such a loop ends when there is nothing more to go through."""
_STAYS = ("SEND", "SETUP_FINALLY", "SETUP_WITH", "SETUP_ASYNC_WITH")
"""What has a place to go to, and does not go there by itself."""
_PASSES_ON = ("RERAISE", "END_FINALLY")
"""Where an exception goes that no `except` takes: that is no way out of a loop, which any exception ends."""
_MOST_KNOWN = 1_000


def looks_for_something(calls: Iterable[tuple[CodeType, int]]) -> bool:
    """Tell whether the loop that a thread goes round in can end before its turns are over.

    Takes the code on its stack and where in each it is, innermost first. `for i in range(40): time.sleep(1)` can't: its
    sleeps stand for work. A `while`, or a `for` with a way out of it, can. Where there is no loop in sight, it may.
    """
    for code, at in calls:
        ends_early = _ends_early(code, at)
        if ends_early is not None:
            return ends_early
    return True


def may_end_early(calls: Iterable[tuple[CodeType, int]]) -> bool:
    """Tell the same where no loop in sight means that there is none."""
    told = (_ends_early(code, at) for code, at in calls)
    return next((ends_early for ends_early in told if ends_early is not None), False)


@functools.lru_cache(maxsize=_MOST_KNOWN)
def _ends_early(code: CodeType, at: int) -> bool | None:
    """Tell whether the innermost loop around a place in the code has a way out besides its turns; None for no loop."""
    instructions = list(dis.get_instructions(code))
    backward = [
        each
        for before, each in zip(instructions, instructions[1:])
        if each.opcode in _JUMPS and each.argval < each.offset and not _is_of_await(before.opname, each.opname)
    ]
    first = max((each.argval for each in backward if each.argval <= at <= each.offset), default=None)
    if first is None:
        return None
    last = max(each.offset for each in backward if each.argval == first)
    inside = [each for each in instructions if first <= each.offset <= last and each.opname not in _STAYS]
    if not any(each.opname in _TAKES_NEXT for each in inside[:1]):
        return True
    passes_on = {each.offset for each in instructions if each.opname in _PASSES_ON}
    jumps = [each for each in inside if each.opcode in _JUMPS and each.offset != first]
    leaves = any(not first <= each.argval <= last and each.argval not in passes_on for each in jumps)
    return leaves or any(each.opname in _LEAVES for each in inside)


def _is_of_await(before: str, jump: str) -> bool:
    """Tell the jumps backward with which Python awaits: until there is a value, and where an exception came instead."""
    return jump == "JUMP_BACKWARD_NO_INTERRUPT" or before == "CLEANUP_THROW"
