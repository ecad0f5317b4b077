"""Whether a call is made because of what others gave, and whether what they gave is only passed on."""

import ast
from collections.abc import Sequence

from raytrace_analyze.advice.program.dataflow import Flow
from raytrace_analyze.advice.program.syntax import (
    FUNCTIONS,
    Call,
    arguments,
    call_name,
    holds,
    is_after,
    is_submit,
    own_names,
    parts,
)

_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_LEAVES = (ast.Break, ast.Return)
_STOP_EARLY = ("any", "all", "next", "takewhile", "dropwhile")


def decides(flow: Flow, call: Call, sources: list[Call]) -> bool:
    """Tell whether a call is made at all because of what is followed (that of the sources, and what is made of it)."""
    loops = [node for node in flow.nodes if isinstance(node, _LOOPS) and holds(node, call)]
    for node in flow.nodes:
        if (asked := _asked(node)) is not None:
            # What a `while` asks it asks again: a call in that is made as often as the answer says.
            inside = holds(node, call) and (isinstance(node, ast.While) or not holds(asked, call))
            found = flow.carries(asked) and (inside or _leaves(node, call, loops))
        elif isinstance(node, (ast.For, ast.AsyncFor)):
            found = (
                flow.carries(node.iter)
                and not flow.is_given(node.iter)
                and any(holds(each, call) for each in node.body)
            )
        elif isinstance(node, (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)):
            found = any(map(flow.carries, node.generators)) and holds(node, call)
            found = found and not any(holds(each.iter, call) for each in node.generators[:1])
        elif isinstance(node, ast.Try):
            found = any(holds(each, source) for each in node.body for source in sources) and _leaves(node, call, loops)
        else:
            found = call_name(node) in _STOP_EARLY and _is_taken_one_by_one(flow, node, call, sources)
        if found:
            return True
    return False


def _asked(node: ast.AST) -> ast.expr | None:
    """Give what a statement decides by."""
    if isinstance(node, (ast.While, ast.If, ast.IfExp)):
        return node.test
    return node.subject if isinstance(node, ast.Match) else None


def _leaves(node: ast.AST, call: Call, loops: Sequence[ast.AST]) -> bool:
    """Tell whether a statement can end the loop, or the round of it, before a call is made."""
    inner = [each for each in ast.walk(node) if isinstance(each, _LOOPS) and each is not node]
    ends = [each for each in ast.walk(node) if isinstance(each, _LEAVES)]
    ends = [each for each in ends if isinstance(each, ast.Return) or not any(holds(loop, each) for loop in inner)]
    skips = any(isinstance(each, ast.Continue) for each in ast.walk(node))
    in_loop = any(holds(loop, node) for loop in loops)
    return (bool(ends) and (in_loop or is_after(call, node))) or (skips and in_loop and is_after(call, node))


def _is_taken_one_by_one(flow: Flow, node: ast.AST, call: Call, sources: list[Call]) -> bool:
    """Tell a generator within a call such as `any(...)`, in which both are made: it goes on only as long as needed."""
    inside = [each for each in ast.walk(node) if isinstance(each, ast.GeneratorExp)]
    if any(holds(each, call) and any(holds(each, source) for source in sources) for each in inside):
        return True
    return call in sources and call in getattr(node, "args", []) and flow.is_generator(call)


def is_plain(flow: Flow, argument: ast.AST, sources: list[Call]) -> bool:
    """Tell whether an argument is just what a source gave."""
    inner = argument.value if isinstance(argument, ast.Starred) else argument
    if inner in sources:
        return not flow.many or isinstance(argument, ast.Starred)
    if not isinstance(inner, ast.Name):
        return False
    return isinstance(argument, ast.Starred) or not flow.is_given(inner)


def is_only_passed_on(flow: Flow, sources: list[Call]) -> bool:
    """Tell whether what the sources gave is assigned to names at most, and these are but arguments of submits."""
    own: set[str] = set()
    fine: set[ast.AST] = set()
    for node in flow.nodes:
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            if node.value in sources or flow.is_given(node.value):
                names = [name for target in targets for name in parts(target)]
                if not all(isinstance(name, ast.Name) for name in names) or (
                    not _is_list(node.value, flow) and any(isinstance(target, ast.Tuple) for target in targets)
                ):
                    return False
                own.update(name.id for name in names if isinstance(name, ast.Name))
        elif isinstance(node, (ast.For, ast.comprehension)) and flow.is_given(node.iter):
            if isinstance(node.target, ast.Name):
                own.add(node.target.id)
                fine.add(node.iter)
        elif isinstance(node, ast.Call) and is_submit(node):
            fine.update(each.value if isinstance(each, ast.Starred) else each for each in arguments(node))
    if own != flow.names or (isinstance(flow.scope, FUNCTIONS) and not own <= own_names(flow.scope)):
        return False
    used = [node for node in ast.walk(flow.scope) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
    used = [name for name in used if name.id in own]
    return all(name in fine for name in used) and bool(used or fine.intersection(sources))


def _is_list(node: ast.AST, flow: Flow) -> bool:
    """Tell whether what a source gives is a list of results, by what it is asked for."""
    asked = node.args[0] if isinstance(node, ast.Call) and node.args else None
    return flow.many or isinstance(asked, (ast.List, ast.Tuple, ast.ListComp))
