"""Which names of a function hold what certain calls gave, or what was made of it.

Names are followed in any order of lines and through all branches, which errs towards "it is made of it". What a
`.remote()` gives is a reference of its own: what that waits for, the spans tell.
"""

import ast
from collections.abc import Callable, Iterator, Sequence

Call = ast.Call | ast.Await
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_INNER = (*_FUNCTIONS, ast.ClassDef, ast.Lambda)
_LOOPS = (ast.For, ast.AsyncFor, ast.While)
_LEAVES = (ast.Break, ast.Continue, ast.Return)
_WAITS = ("get", "wait", "result", "next")


def scope_of(tree: ast.Module, line: int) -> ast.AST:
    """Give the innermost function whose body holds a line, or the module."""
    found: ast.AST = tree
    for node in ast.walk(tree):  # outer ones come first
        if isinstance(node, _FUNCTIONS) and node.body[0].lineno <= line <= (node.end_lineno or 0):
            found = node
    return found


def calls_at(scope: ast.AST, line: int, fits: Callable[[Call], bool]) -> list[Call]:
    """Give the calls of a scope that stand on a line and fit; of any calls, those that hold no other."""
    found = [node for node in _nodes(scope) if isinstance(node, Call) and fits(node) and _is_on(node, line)]
    if fits is is_any:
        found = [call for call in found if not any(other in found for other in ast.walk(call) if other is not call)]
    return found


def _is_on(node: Call, line: int) -> bool:
    return node.lineno <= line <= (node.end_lineno or node.lineno)


def is_submit(call: Call) -> bool:
    """Tell `f.remote(...)`."""
    return _name(call) == "remote"


def is_wait(call: Call) -> bool:
    """Tell `ray.get(...)`, `await ...` and the like."""
    return isinstance(call, ast.Await) or _name(call) in _WAITS


def is_any(call: Call) -> bool:
    """Tell any call."""
    return isinstance(call, Call)


def _name(call: ast.AST) -> str:
    function = call.func if isinstance(call, ast.Call) else None
    return str(getattr(function, "attr", getattr(function, "id", "")))


def _nodes(scope: ast.AST) -> Iterator[ast.AST]:
    """Give the nodes of a scope but for what lies in functions and classes defined within it."""
    stack: list[ast.AST] = list(getattr(scope, "body", []))
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, _INNER):
            stack.extend(ast.iter_child_nodes(node))


class Flow:
    """Follows what some calls (the sources) give through the names of their function."""

    def __init__(self, scope: ast.AST, sources: Sequence[Call]) -> None:
        self._nodes = list(_nodes(scope))
        self._sources = sources
        self._names: set[str] = set()
        known = -1
        while known < len(self._names):
            known = len(self._names)
            for node in self._nodes:
                self._follow(node)

    def carries(self, node: ast.AST) -> bool:
        """Tell whether what the sources gave is in an expression."""
        if node in self._sources or _dotted(node) in self._names:
            return True
        if isinstance(node, Call) and is_submit(node):
            return False
        return any(self.carries(child) for child in ast.iter_child_nodes(node))

    def inputs(self, call: Call) -> list[ast.AST]:
        """Give what a call takes: its arguments, and what it is called on."""
        if isinstance(call, ast.Await):
            return [call.value]
        return [*call.args, *(keyword.value for keyword in call.keywords), call.func]

    def decides(self, call: Call) -> bool:
        """Tell whether a call is made at all because of what the sources gave."""
        tests = [node for node in self._nodes if isinstance(node, (ast.If, ast.While, ast.IfExp))]
        tests = [node for node in tests if self.carries(node.test)]
        loops = [node for node in self._nodes if isinstance(node, _LOOPS) and _holds(node, call)]
        for node in tests:
            if _holds(node, call) and not _holds(node.test, call):
                return True
            leaves = any(isinstance(inner, _LEAVES) for inner in ast.walk(node))
            if leaves and any(_holds(loop, node) for loop in loops):
                return True
        return False

    def is_plain(self, argument: ast.AST) -> bool:
        """Tell whether an argument is just what a source gave."""
        inner = argument.value if isinstance(argument, ast.Starred) else argument
        return inner in self._sources or isinstance(inner, ast.Name)

    def is_only_passed_on(self) -> bool:
        """Tell whether what the sources gave is assigned to names at most, and these are but arguments of submits."""
        passed = set(self._sources)
        own: set[str] = set()
        for node in self._nodes:
            if isinstance(node, ast.Assign) and node.value in self._sources:
                names = [name for target in node.targets for name in _parts(target)]
                if not all(isinstance(name, ast.Name) for name in names):
                    return False
                own.update(name.id for name in names if isinstance(name, ast.Name))
        if own != self._names:
            return False
        arguments: set[ast.expr] = set()
        for node in self._nodes:
            if isinstance(node, ast.Call) and is_submit(node):
                plain = [*node.args, *(keyword.value for keyword in node.keywords)]
                arguments.update(each.value if isinstance(each, ast.Starred) else each for each in plain)
        used = [node for node in self._nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)]
        used = [name for name in used if name.id in own]
        return all(name in arguments for name in used) and bool(used or passed & arguments)

    def _follow(self, node: ast.AST) -> None:
        """Note the names that a piece of the program puts what it carries into."""
        if isinstance(node, ast.Assign):
            self._put(node.value, node.targets)
        elif isinstance(node, (ast.AnnAssign, ast.AugAssign, ast.NamedExpr)):
            self._put(node.value, [node.target])
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
            self._put(node.iter, [node.target])
        elif isinstance(node, ast.withitem):
            self._put(node.context_expr, [node.optional_vars])
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and not is_submit(node):
            # `found.append(result)`: the object now holds it.
            for argument in (*node.args, *(keyword.value for keyword in node.keywords)):
                if node not in self._sources:
                    self._put(argument, [node.func.value])

    def _put(self, value: ast.AST | None, targets: Sequence[ast.AST | None]) -> None:
        if value is not None and self.carries(value):
            for target in targets:
                self._names.update(_roots(target))


def _holds(node: ast.AST, inner: ast.AST) -> bool:
    return any(child is inner for child in ast.walk(node))


def _parts(target: ast.AST) -> Iterator[ast.AST]:
    if isinstance(target, (ast.Tuple, ast.List)):
        for each in target.elts:
            yield from _parts(each)
    else:
        yield target.value if isinstance(target, ast.Starred) else target


def _roots(target: ast.AST | None) -> Iterator[str]:
    """Give the names that are assigned to, or whose objects are changed: `a` of `a[i]`, `a.b` of `a.b`."""
    if target is None:
        return
    for part in _parts(target):
        inner = part
        while isinstance(inner, (ast.Subscript, ast.Call)):
            inner = inner.func if isinstance(inner, ast.Call) else inner.value
        if name := _dotted(inner):
            yield name


def _dotted(node: ast.AST) -> str | None:
    """Give `a` or `a.b` for a name or an attribute of one, None for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (owner := _dotted(node.value)):
        return f"{owner}.{node.attr}"
    return None
