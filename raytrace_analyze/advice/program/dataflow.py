"""Which names of a function hold what certain calls gave, or what was made of it.

Names are followed in any order of lines, through all branches, and into the functions of the same file, which errs
towards "it is made of it". What a `.remote()` gives is a reference of its own: what that waits for, the spans tell.
"""

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence

from raytrace_analyze.advice.program.syntax import (
    FUNCTIONS,
    Call,
    arguments,
    assigned,
    call_name,
    dotted,
    holds,
    is_any,
    is_name_of,
    is_submit,
    loaded_names,
    nodes_of,
    own_names,
    parameters,
    parts,
    roots,
)

_DEEPEST = 2
"""How many calls within calls are followed."""
_MOST_OF_A_NAME = 3
"""Of how many functions of one name it is looked which one is meant."""
_MOST_FLOWS = 300
"""How often functions of a file are followed: large ones would take minutes."""
_LONGEST = 3
"""How many parts of a dotted name are told apart."""
_CHANGE_THEIR_FIRST = ("heappush", "heappushpop", "heapreplace", "insort", "insort_left", "insort_right", "setattr")
_CHANGE_THEIR_OBJECT = ("append", "appendleft", "extend", "add", "update", "insert", "put", "pop", "popleft", "remove")
_PAIRED = ("enumerate", "zip", "list", "tuple")


class Program:
    """A source file."""

    def __init__(self, tree: ast.Module) -> None:
        self._tree = tree
        self._functions: dict[str, list[ast.AST]] = {}
        self._scopes: dict[int, ast.AST] = {}
        self._flows: dict[tuple[ast.AST, frozenset[str], int], Flow] = {}
        self.modules: set[str] = set()
        """The names of imported modules: what is given to a function of one is not put into the module."""
        for node in ast.walk(tree):
            if isinstance(node, FUNCTIONS):
                self._functions.setdefault(node.name, []).append(node)
            elif isinstance(node, ast.Import):
                self.modules.update((each.asname or each.name).partition(".")[0] for each in node.names)

    def scope_of(self, line: int) -> ast.AST:
        """Give the innermost function whose body holds a line, or the module."""
        if line in self._scopes:
            return self._scopes[line]
        found: ast.AST = self._tree
        for node in ast.walk(self._tree):  # outer ones come first
            if isinstance(node, FUNCTIONS) and node.body[0].lineno <= line <= (node.end_lineno or 0):
                found = node
        self._scopes[line] = found
        return found

    def flow(self, function: ast.AST, seeds: frozenset[str], depth: int) -> "Flow":
        """Give what a function does with what some names hold; found once for each."""
        key = function, seeds, depth
        if key not in self._flows:
            self._flows[key] = Flow(self, function, (), seeds=seeds, depth=depth)
        return self._flows[key]

    def called(self, call: ast.AST) -> list[ast.AST]:
        """Give the functions of this file that a call may be of, by name; `.remote()` runs elsewhere."""
        if not isinstance(call, ast.Call) or is_submit(call):
            return []
        receiver = dotted(call.func.value) if isinstance(call.func, ast.Attribute) else None
        found = [] if receiver in self.modules else self._functions.get(call_name(call), [])
        return found if len(found) <= _MOST_OF_A_NAME and len(self._flows) < _MOST_FLOWS else []


def calls_at(scope: ast.AST, line: int, fits: Callable[[Call], bool]) -> list[Call]:
    """Give the calls of a scope that stand on a line and fit."""
    return [node for node in nodes_of(scope) if isinstance(node, Call) and fits(node) and _is_on(node, line)]


def calls_of(scope: ast.AST, line: int, function: ast.AST | None) -> list[Call]:
    """Give the calls on a line that may be of a function; where none has its name, those that hold no other call."""
    found = calls_at(scope, line, is_any)
    named = [call for call in found if call_name(call) == getattr(function, "name", None)]
    return named or [call for call in found if not any(other in found for other in ast.walk(call) if other is not call)]


def _is_on(node: Call, line: int) -> bool:
    return node.lineno <= line <= (node.end_lineno or node.lineno)


class Flow:
    """Follows what some calls (the sources) give, and what some names hold, through the names of their function."""

    def __init__(
        self,
        program: Program,
        scope: ast.AST,
        sources: Sequence[Call],
        *,
        seeds: Iterable[str] = (),
        many: bool = False,
        depth: int = 0,
    ) -> None:
        self.nodes = list(nodes_of(scope))
        self.names: set[str] = set()
        self.scope = scope
        self._program, self._sources, self._depth = program, sources, depth
        self.many = many
        """Whether the sources give lists of results, not one."""
        self._note(seeds)
        known = -1
        while known < len(self.names):
            known = len(self.names)
            for node in self.nodes:
                self._follow(node)

    def carries(self, node: ast.AST) -> bool:
        """Tell whether what is followed is in an expression."""
        if node in self._sources:
            return True
        if (name := dotted(node)) is not None:
            return any(is_name_of(name, each) or is_name_of(each, name) for each in self.names)
        if isinstance(node, Call) and is_submit(node):
            return False
        if isinstance(node, ast.comprehension) and self.is_given(node.iter):
            return any(map(self.carries, node.ifs))  # as many as there were references: that was known before
        return any(self.carries(child) for child in ast.iter_child_nodes(node)) or self._is_read_by(node)

    def inputs(self, call: Call) -> list[ast.AST]:
        """Give what a call takes: its arguments, and what it is called on."""
        if isinstance(call, ast.Await):
            return [call.value]
        return [*arguments(call), call.func]

    def is_generator(self, call: Call) -> bool:
        """Tell whether a call is of a generator of this file: it goes on only as far as somebody asks."""
        inside = (node for function in self._program.called(call) for node in nodes_of(function))
        return any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in inside)

    def is_given(self, node: ast.AST) -> bool:
        """Tell whether an expression is a list of results, just as the sources gave it, or pairs with these."""
        if isinstance(node, ast.Call) and call_name(node) in _PAIRED:
            return any(self.is_given(each) for each in node.args)
        if isinstance(node, ast.Name):
            values = [each.value for each in self.nodes if isinstance(each, ast.Assign) and node.id in _targets(each)]
            return bool(values) and all(self.is_given(value) for value in values)
        if isinstance(node, (ast.ListComp, ast.GeneratorExp)):
            return node.elt in self._sources
        return self.many and node in self._sources

    def into(self, call: ast.AST, function: ast.AST) -> set[str]:
        """Give the names that hold what is followed within a function when it is called so."""
        own = own_names(function)
        found = {name for name in self.names if name.partition(".")[0] not in own}
        for parameter, argument in _bound(call, function):
            if self.carries(argument):
                found.add(parameter)
        receiver = _receiver(call, function)
        if receiver:
            itself, name = receiver
            found.update(f"{itself}{each[len(name) :]}" for each in self.names if is_name_of(each, name))
        return found

    def out_of(self, call: ast.AST, function: ast.AST) -> set[str]:
        """Give the names of a caller that hold what is followed when this function has returned to it."""
        own = own_names(function)
        found = {name for name in self.names if name.partition(".")[0] not in own}
        bound = dict(_bound(call, function))
        receiver = _receiver(call, function)
        for name in self.names:
            first, _, rest = name.partition(".")
            if receiver and first == receiver[0] and rest:
                found.add(f"{receiver[1]}.{rest}")
            elif first in bound and (rest or not _is_assigned(self.nodes, first)):
                found.update(f"{each}.{rest}" if rest else each for each in roots(bound[first]))
        return found

    def _follow(self, node: ast.AST) -> None:
        """Note the names that a piece of the program puts what it carries into."""
        if targets := assigned(node):
            self._put(getattr(node, "value", None), targets)
        elif isinstance(node, (ast.For, ast.AsyncFor, ast.comprehension)):
            self._put(node.iter, [node.target])
        elif isinstance(node, ast.withitem):
            self._put(node.context_expr, [node.optional_vars])
        elif isinstance(node, ast.Call) and node not in self._sources and not is_submit(node):
            self._follow_call(node)
        elif isinstance(node, (ast.If, ast.While)) and self.carries(node.test):
            self._follow_branches([*node.body, *node.orelse])
        elif isinstance(node, ast.Match) and self.carries(node.subject):
            self._follow_branches([each for case in node.cases for each in case.body])
        elif isinstance(node, ast.Try) and any(holds(each, source) for each in node.body for source in self._sources):
            self._follow_branches([each for handler in node.handlers for each in handler.body])

    def _follow_call(self, call: ast.Call) -> None:
        functions = self._program.called(call) if self._depth < _DEEPEST else []
        for function in functions:
            if seeds := self.into(call, function):
                self._note(self._program.flow(function, frozenset(seeds), self._depth + 1).out_of(call, function))
        if functions or not any(self.carries(argument) for argument in arguments(call)):
            return
        if isinstance(call.func, ast.Attribute):  # `found.append(result)`: the object now holds it
            self._note(roots(call.func.value))
        if call_name(call) in _CHANGE_THEIR_FIRST and call.args:
            self._note(roots(call.args[0]))

    def _follow_branches(self, body: Sequence[ast.AST]) -> None:
        """Note what is changed only if what is followed is so: it tells of it."""
        for statement in body:
            for node in ast.walk(statement):
                for target in assigned(node):
                    self._note(roots(target))
                if call_name(node) in _CHANGE_THEIR_OBJECT and isinstance(node, ast.Call):
                    self._note(roots(node.func.value if isinstance(node.func, ast.Attribute) else None))

    def _is_read_by(self, node: ast.AST) -> bool:
        """Tell whether a function of this file that is called looks at what is followed by itself."""
        for function in self._program.called(node) if self._depth < _DEEPEST else []:
            seeds = self.into(node, function)
            if any(is_name_of(load, seed) for load in loaded_names(function) for seed in seeds):
                return True
        return False

    def _put(self, value: ast.AST | None, targets: Sequence[ast.AST | None]) -> None:
        if value is not None and self.carries(value):
            for target in targets:
                self._note(roots(target))

    def _note(self, names: Iterable[str]) -> None:
        # An object may hold one of its own kind, and that another: names must end somewhere.
        short = (".".join(name.split(".")[:_LONGEST]) for name in names)
        self.names.update(name for name in short if name.partition(".")[0] not in self._program.modules)


def _targets(node: ast.Assign) -> set[str]:
    return {part.id for target in node.targets for part in parts(target) if isinstance(part, ast.Name)}


def _is_assigned(nodes: Iterable[ast.AST], name: str) -> bool:
    return any(isinstance(each, ast.Name) and each.id == name and isinstance(each.ctx, ast.Store) for each in nodes)


def _bound(call: ast.AST, function: ast.AST) -> Iterator[tuple[str, ast.AST]]:
    """Give the parameters of a function with what a call gives for them, as far as that is plain to see."""
    if not isinstance(call, ast.Call):
        return
    names = parameters(function)
    yield from zip(names[1:] if _receiver(call, function) else names, call.args, strict=False)
    yield from ((keyword.arg, keyword.value) for keyword in call.keywords if keyword.arg in names and keyword.arg)


def _receiver(call: ast.AST, function: ast.AST) -> tuple[str, str] | None:
    """Give what a method calls its object, and what the caller calls it."""
    names = parameters(function)
    if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and names[:1] == ["self"]:
        name = dotted(call.func.value)
        return ("self", name) if name else None
    return None
