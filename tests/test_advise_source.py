"""What a program does with a result, read from its source: each case is a program with its calls marked."""

import time
from pathlib import Path

import pytest

from raytrace_analyze.advice.source import Use, use_of_result

CASES = [
    ("a comprehension", "out = [ray.get(f.remote(x)) for x in xs]  # w s", Use.NONE),
    ("a list that grows", "for x in xs:\n    out.append(ray.get(f.remote(x)))  # w s", Use.NONE),
    ("looked at only", "for x in xs:\n    r = ray.get(f.remote(x))  # w s\n    if r > 3:\n        print(r)", Use.NONE),
    ("a sum", "for x in xs:\n    total += ray.get(f.remote(x))  # w s", Use.NONE),
    ("made of it", "for _ in xs:\n    x = 2 * ray.get(f.remote(x))  # w s", Use.NEEDED),
    (
        "an object that holds it",
        "for x in xs:\n    model.update(ray.get(r))  # w\n    r = f.remote(model)  # s",
        Use.NEEDED,
    ),
    ("an element of it", "while a:\n    a[0] = ray.get(r)  # w\n    r = f.remote(a[1])  # s", Use.NEEDED),
    ("decides about the end", "for x in xs:\n    if ray.get(f.remote(x)):  # w s\n        break", Use.NEEDED),
    ("decides about the call", "if ray.get(r):  # w\n    f.remote(x)  # s", Use.NEEDED),
    ("decides how often", "while not done:\n    done = ray.get(f.remote(x))  # w s", Use.NEEDED),
    ("passed on by name", "x = ray.get(r)  # w\nf.remote(x)  # s", Use.PASSED_ON),
    ("passed on at once", "f.remote(ray.get(r))  # w s", Use.PASSED_ON),
    ("several, passed on", "a, b = ray.get([r, q])  # w\nf.remote(a, other=b)  # s", Use.PASSED_ON),
    ("passed on, and looked at", "x = ray.get(r)  # w\nprint(x)\nf.remote(x)  # s", Use.NEEDED),
    ("a part of it passed on", "x = ray.get(r)  # w\nf.remote(x[0])  # s", Use.NEEDED),
    ("a reference made of it", "x = ray.get(r)  # w\nq = g.remote(x)\nf.remote(q)  # s", Use.NONE),
    ("awaited", "async def main():\n    for x in xs:\n        out.append(await f.remote(x))  # w s", Use.NONE),
    (
        "an attribute beside it",
        "class A:\n    def run(self):\n        self.out.append(ray.get(f.remote(self.x)))  # w s",
        Use.NONE,
    ),
    (
        "the attribute itself",
        "class A:\n    def run(self):\n        self.x = ray.get(f.remote(self.x, 1))  # w s\n        print(self.x)",
        Use.NEEDED,
    ),
    (
        "a helper",
        "def call(x):\n    return ray.get(f.remote(x))  # w s\nfor x in xs:\n    out.append(call(x))  # w s",
        Use.NONE,
    ),
    (
        "a helper whose result is needed",
        "def call(x):\n    return ray.get(f.remote(x))  # w s\nfor _ in xs:\n    x = call(x)  # w s",
        Use.NEEDED,
    ),
    ("another function", "def a():\n    ray.get(r)  # w\ndef b():\n    f.remote(x)  # s", Use.UNKNOWN),
    ("no such calls there", "x = 1  # w\ny = 2  # s", Use.UNKNOWN),
    ("no Python", "for x in:  # w s", Use.UNKNOWN),
]


def places(program: Path, mark: str) -> str:
    lines = program.read_text().splitlines()
    found = [number for number, line in enumerate(lines, 1) if mark in line.partition("#")[2].split()]
    return "\n".join(f"{program}:{number}" for number in found)


@pytest.mark.parametrize(("text", "use"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_becomes_of_a_result(tmp_path: Path, text: str, use: Use) -> None:
    program = tmp_path / "program.py"
    program.write_text(text + "\n")
    assert use_of_result(places(program, "w"), places(program, "s"), time.time_ns() + 10**9) is use


def test_a_file_changed_since_is_believed_only_that_a_result_is_needed(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    for text, use in ((CASES[0][1], Use.UNKNOWN), (CASES[4][1], Use.NEEDED)):
        program = tmp_path / f"{use}.py"
        program.write_text(text + "\n")
        assert use_of_result(places(program, "w"), places(program, "s"), 0) is use


def test_without_places_nothing_is_known(tmp_path: Path) -> None:
    assert use_of_result(None, "a.py:1", 0) is Use.UNKNOWN
    assert use_of_result("<stdin>:1", "<stdin>:1", 0) is Use.UNKNOWN
    assert use_of_result(f"{tmp_path}:1", f"{tmp_path}:1", 0) is Use.UNKNOWN
