"""Small questions about pieces of a program: which call it is, which names it assigns, what a name is called."""

import ast
from collections.abc import Iterator, Sequence
from functools import lru_cache

Call = ast.Call | ast.Await
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
_INNER = (*FUNCTIONS, ast.ClassDef, ast.Lambda)
_WAITS = ("get", "wait", "result", "next")


def is_submit(call: ast.AST) -> bool:
    """Tell `f.remote(...)`."""
    return call_name(call) == "remote"


def is_wait(call: ast.AST) -> bool:
    """Tell `ray.get(...)`, `await ...` and the like."""
    return isinstance(call, ast.Await) or call_name(call) in _WAITS


def is_any(call: ast.AST) -> bool:
    """Tell any call."""
    return isinstance(call, Call)


def call_name(call: ast.AST) -> str:
    """Give the last name of what is called: `get` for `ray.get(...)`."""
    function = call.func if isinstance(call, ast.Call) else None
    return str(getattr(function, "attr", getattr(function, "id", "")))


def arguments(call: ast.Call) -> list[ast.expr]:
    """Give all that stands between the brackets of a call."""
    return [*call.args, *(keyword.value for keyword in call.keywords)]


def nodes_of(scope: ast.AST) -> Iterator[ast.AST]:
    """Give the nodes of a scope but for what lies in functions and classes defined within it."""
    body = getattr(scope, "body", [])
    stack: list[ast.AST] = list(body) if isinstance(body, list) else [body]
    while stack:
        node = stack.pop()
        yield node
        if not isinstance(node, _INNER):
            stack.extend(ast.iter_child_nodes(node))


@lru_cache(maxsize=8192)
def parameters(function: ast.AST) -> list[str]:
    """Give the names of a function's parameters, in order; none of a module."""
    if not isinstance(function, Function):
        return []
    about = function.args
    found = [*about.posonlyargs, *about.args, *about.kwonlyargs, about.vararg, about.kwarg]
    return [each.arg for each in found if each]


@lru_cache(maxsize=8192)
def own_names(scope: ast.AST) -> set[str]:
    """Give the names that a function has for itself; a module has none that others could not see."""
    if not isinstance(scope, Function):
        return set()
    found, shared = set(parameters(scope)), set[str]()
    for node in nodes_of(scope):
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            shared.update(node.names)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found - shared


@lru_cache(maxsize=8192)
def loaded_names(function: ast.AST) -> frozenset[str]:
    """Give the names and dotted names that a function looks at."""
    nodes = (node for node in nodes_of(function) if not isinstance(getattr(node, "ctx", None), ast.Store))
    return frozenset(name for name in map(dotted, nodes) if name)


def parts(target: ast.AST) -> Iterator[ast.AST]:
    """Give what is assigned to one by one: `a` and `b` of `a, *b = ...`."""
    if isinstance(target, (ast.Tuple, ast.List)):
        for each in target.elts:
            yield from parts(each)
    else:
        yield target.value if isinstance(target, ast.Starred) else target


def roots(target: ast.AST | None) -> Iterator[str]:
    """Give the names that are assigned to, or whose objects are changed: `a` of `a[i]`, `a.b` of `a.b`."""
    if target is None:
        return
    for part in parts(target):
        inner = part
        while isinstance(inner, (ast.Subscript, ast.Call)):
            inner = inner.func if isinstance(inner, ast.Call) else inner.value
        if name := dotted(inner):
            yield name


def dotted(node: ast.AST) -> str | None:
    """Give `a` or `a.b` for a name or an attribute of one, None for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (owner := dotted(node.value)):
        return f"{owner}.{node.attr}"
    return None


def assigned(node: ast.AST) -> Sequence[ast.AST]:
    """Give what a statement assigns to."""
    if isinstance(node, ast.Assign):
        return node.targets
    return [node.target] if isinstance(node, (ast.AnnAssign, ast.AugAssign, ast.NamedExpr)) else []


def holds(node: ast.AST, inner: ast.AST) -> bool:
    """Tell whether a node is within another, or is it."""
    return any(child is inner for child in ast.walk(node))


def is_after(node: ast.AST, other: ast.AST) -> bool:
    """Tell whether a node stands below another in the program."""
    return bool(getattr(node, "lineno", 0) > (getattr(other, "end_lineno", 0) or 0))


def is_name_of(name: str, of: str) -> bool:
    """Tell whether one name is the other, or a part of it: `a.b` of `a`."""
    return name == of or name.startswith(f"{of}.")
