"""What a program does with the results that it gets, read from its source where that is still there.

Spans tell that a loop got a result and then submitted the next task, not whether that task was given the result. So
the function that holds both calls is read (see `dataflow`), and what called it, as far as the call site tells.
"""

import ast
from enum import StrEnum

from raytrace_analyze.advice.program.control import decides, is_only_passed_on, is_plain
from raytrace_analyze.advice.program.dataflow import Flow, calls_at, calls_of
from raytrace_analyze.advice.program.files import SourceFiles, place_of
from raytrace_analyze.advice.program.syntax import Call, is_submit, is_wait

Frame = tuple[str, int]
"""A file and a line."""


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


def use_of_result(
    files: SourceFiles, wait_site: str | None, submit_site: str | None, ran_at_ns: int, *, many: bool = False
) -> Use:
    """Tell what a submission does with what a wait came back with.

    The sites are those of `raytrace.call_site`: `file:line`, innermost first, one a line. Of a file that was changed
    after `ran_at_ns` (since the epoch) it is believed that a result is needed, where its lines still hold such calls,
    but not that it is not. `many` says that the wait came back with several results, one for each reference.
    """
    if not wait_site or not submit_site:
        return Use.UNKNOWN
    try:
        return _use(files, wait_site, submit_site, ran_at_ns, many)
    except RecursionError:  # functions that call each other without an end
        return Use.UNKNOWN


def _use(files: SourceFiles, wait_site: str, submit_site: str, ran_at_ns: int, many: bool) -> Use:
    waits, submits = _aligned(files, _frames(wait_site), _frames(submit_site))
    shared = _shared(files, waits, submits)
    uses: list[Use] = []
    inner: Flow | None = None
    # From the call itself outwards: what a function leaves in objects and names of others, its callers may give on.
    for level in range(len(waits) - 1, -1, -1):
        file, line = waits[level]
        program, changed_at_ns = files.program(file)
        if program is None:
            uses.append(Use.UNKNOWN)
            break
        scope = program.scope_of(line)
        is_innermost = level == len(waits) - 1
        sources = calls_of(scope, line, inner.scope) if inner else calls_at(scope, line, is_wait)
        left = (inner.out_of(call, inner.scope) for call in sources) if inner else ()
        inner = Flow(program, scope, sources, seeds=set().union(*left), many=many and is_innermost)
        if level < shared:
            use = _within(files, inner, sources, submits[level:], is_innermost=is_innermost)
            uses.append(Use.UNKNOWN if use is Use.NONE and changed_at_ns > ran_at_ns else use)
    if not uses or not shared:
        return Use.UNKNOWN
    return next((use for use in (Use.NEEDED, Use.UNKNOWN) if use in uses), uses[0])


def _frames(site: str) -> list[Frame]:
    return list(map(place_of, site.splitlines()))


def _aligned(files: SourceFiles, waits: list[Frame], submits: list[Frame]) -> tuple[list[Frame], list[Frame]]:
    """Give the frames of two sites, outermost first, from the outermost function on that both are in.

    Only so many places are told of a site, counted from the call: what is called deeper down begins further in.
    """
    waits, submits = waits[::-1], submits[::-1]
    for skip in range(max(len(waits), len(submits))):
        for one, other in ((waits[skip:], submits), (waits, submits[skip:])):
            if one and other and one[0][0] == other[0][0]:
                program, _ = files.program(one[0][0])
                if program is not None and program.scope_of(one[0][1]) is program.scope_of(other[0][1]):
                    return one, other
    return waits, submits


def _shared(files: SourceFiles, waits: list[Frame], submits: list[Frame]) -> int:
    """Count the places, from outside in, that are in the same call of the same function."""
    count = 0
    for (file, line), (other_file, other_line) in zip(waits, submits, strict=False):
        program, _ = files.program(file)
        if file != other_file or program is None or program.scope_of(line) is not program.scope_of(other_line):
            break
        count += 1
        if line != other_line:
            break  # from here on inwards they are in different calls
    return count


def _within(files: SourceFiles, flow: Flow, sources: list[Call], submits: list[Frame], *, is_innermost: bool) -> Use:
    """Tell the use within the function that holds both calls; further out, they are calls of the program's own."""
    deeper = submits[1:]
    calls = _submitting(files, flow.scope, submits)
    if not sources or not calls:
        return Use.UNKNOWN
    if any(decides(flow, call, sources) for call in calls):
        return Use.NEEDED
    taking = [argument for call in calls for argument in flow.inputs(call) if flow.carries(argument)]
    if not taking:
        return Use.NEEDED if any(_reaches(files, flow, call, deeper) for call in calls) else Use.NONE
    is_passed_on = not deeper and is_innermost and all(is_plain(flow, each, sources) for each in taking)
    return Use.PASSED_ON if is_passed_on and is_only_passed_on(flow, sources) else Use.NEEDED


def _reaches(files: SourceFiles, flow: Flow, call: Call, deeper: list[Frame]) -> bool:
    """Tell whether a function that is called looks itself at what is followed, on the way to what it submits."""
    if not deeper:
        return False
    file, line = deeper[0]
    program, _ = files.program(file)
    if program is None:
        return False
    function = program.scope_of(line)
    if not (seeds := flow.into(call, function)):
        return False
    inner = Flow(program, function, (), seeds=seeds)
    calls = _submitting(files, function, deeper)
    if any(decides(inner, each, []) or any(map(inner.carries, inner.inputs(each))) for each in calls):
        return True
    return any(_reaches(files, inner, each, deeper[1:]) for each in calls)


def _submitting(files: SourceFiles, scope: ast.AST, submits: list[Frame]) -> list[Call]:
    """Give the calls of a function that submit, or that lead to where that is done."""
    (_, line), deeper = submits[0], submits[1:]
    if not deeper:
        return calls_at(scope, line, is_submit)
    program, _ = files.program(deeper[0][0])
    return calls_of(scope, line, program.scope_of(deeper[0][1]) if program else None)
