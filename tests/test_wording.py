"""English of results is made in `wording/` and `views/`: what finds has enums and numbers."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import raytrace_analyze

PACKAGE = Path(raytrace_analyze.__file__).parent
ROOMS = ("advice", "analyses", "clocks", "path", "queueing", "replay", "verdict")
TITLES_OF_RAY = PACKAGE / "advice" / "patterns.py"
SENTENCE = 6
"""From how many words on a text is a sentence."""


def sentences(program: ast.Module) -> Iterator[str]:
    """Give the sentences in a module but for docstrings, errors, warnings and what results are called in short."""
    errors = [node for node in ast.walk(program) if isinstance(node, ast.Raise) or _is_warning(node)]
    calls = (call for error in errors for call in ast.walk(error) if isinstance(call, ast.Call))
    of_errors = {call.func.id for call in calls if isinstance(call.func, ast.Name)}
    left_out = [
        *errors,
        *(node for node in ast.walk(program) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)),
        *(node for node in ast.walk(program) if getattr(node, "name", None) in {"in_short", *of_errors}),
    ]
    skipped = {id(inner) for node in left_out for inner in ast.walk(node)}
    for node in ast.walk(program):
        if id(node) in skipped:
            continue
        if isinstance(node, ast.JoinedStr):
            skipped.update(id(inner) for inner in node.values)
            text = "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = node.value
        else:
            continue
        if len(text.split()) >= SENTENCE:
            yield text


def _is_warning(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "attr", None) == "warn"


@pytest.mark.parametrize("room", ROOMS)
def test_what_finds_makes_no_sentences(room: str) -> None:
    found = {
        str(file.relative_to(PACKAGE)): texts
        for file in sorted((PACKAGE / room).rglob("*.py"))
        if file != TITLES_OF_RAY and (texts := list(sentences(ast.parse(file.read_text()))))
    }
    assert not found


def test_a_sentence_is_found() -> None:
    program = 'def note(count):\n    return f"{count} of them took far longer than others"\n'
    assert list(sentences(ast.parse(program))) == ["{} of them took far longer than others"]
    assert not list(sentences(ast.parse('raise ValueError("this is an error, which one may raise")')))
