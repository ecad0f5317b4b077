"""What a program does with the results that it gets, read from its source where that is still there.

Spans tell that a loop got a result and then submitted the next task, not whether that task was given the result. So
the function that holds both calls is read (see `dataflow`), and what called it, as far as the call site tells.
"""

import ast
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

from raytrace_analyze.advice.dataflow import Flow, calls_at, is_any, is_submit, is_wait, scope_of

_LARGEST_SOURCE = 2_000_000


class Use(StrEnum):
    """What a submission does with a result that was got before it."""

    NONE = "none"
    """Nothing: it could as well have been made before."""
    PASSED_ON = "passed on"
    """It takes it as an argument as it is, and nobody else looks at it."""
    NEEDED = "needed"
    """What it takes, or whether it is made at all, depends on it."""
    UNKNOWN = "unknown"
    """The source is not there, or not as it was."""


def use_of_result(wait_site: str | None, submit_site: str | None, ran_at_ns: int) -> Use:
    """Tell what a submission does with what a wait came back with.

    The sites are those of `raytrace.call_site`: `file:line`, innermost first, one a line. Of a file that was changed
    after `ran_at_ns` (since the epoch) it is believed that a result is needed, where its lines still hold such calls,
    but not that it is not.
    """
    if not wait_site or not submit_site:
        return Use.UNKNOWN
    return _use(wait_site, submit_site, ran_at_ns)


@lru_cache(maxsize=4096)
def _use(wait_site: str, submit_site: str, ran_at_ns: int) -> Use:
    waits, submits = _frames(wait_site)[::-1], _frames(submit_site)[::-1]
    found: list[Use] = []
    for depth, ((file, wait_line), (other_file, submit_line)) in enumerate(zip(waits, submits, strict=False), 1):
        tree, changed_at_ns = _tree(file)
        if tree is None or file != other_file:
            break
        is_innermost = depth == len(waits) and depth == len(submits)
        use = _within(tree, wait_line, submit_line, is_innermost=is_innermost)
        found.append(Use.UNKNOWN if use is Use.NONE and changed_at_ns > ran_at_ns else use)
        if wait_line != submit_line:
            break  # from here on inwards they are in different calls
    if not found:
        return Use.UNKNOWN
    return next((use for use in (Use.NEEDED, Use.UNKNOWN) if use in found), found[-1])


def _frames(site: str) -> list[tuple[str, int]]:
    found = []
    for place in site.splitlines():
        file, _, line = place.rpartition(":")
        found.append((file, int(line) if line.isdigit() else 0))
    return found


@lru_cache(maxsize=256)
def _tree(file: str) -> tuple[ast.Module | None, int]:
    """Read a source file; None for what is none. Also tells when it was changed last, in ns since the epoch."""
    path = Path(file)
    try:
        about = path.stat()
        if about.st_size > _LARGEST_SOURCE:
            return None, about.st_mtime_ns
        return ast.parse(path.read_bytes()), about.st_mtime_ns
    except (OSError, SyntaxError, ValueError, RecursionError):
        return None, 0


def _within(tree: ast.Module, wait_line: int, submit_line: int, *, is_innermost: bool) -> Use:
    """Tell the use within the function that holds both lines; further out, they are calls of the program's own."""
    scope = scope_of(tree, wait_line)
    if scope is not scope_of(tree, submit_line):
        return Use.UNKNOWN
    is_plain = is_innermost or wait_line != submit_line
    waits = calls_at(scope, wait_line, is_wait if is_plain else is_any)
    submits = calls_at(scope, submit_line, is_submit if is_plain else is_any)
    if not is_innermost:
        waits = waits or calls_at(scope, wait_line, is_any)
        submits = submits or calls_at(scope, submit_line, is_any)
    if not waits or not submits:
        return Use.UNKNOWN
    flow = Flow(scope, waits)
    if any(flow.decides(call) for call in submits):
        return Use.NEEDED
    taking = [argument for call in submits for argument in flow.inputs(call) if flow.carries(argument)]
    if not taking:
        return Use.NONE
    return Use.PASSED_ON if all(map(flow.is_plain, taking)) and flow.is_only_passed_on() else Use.NEEDED
