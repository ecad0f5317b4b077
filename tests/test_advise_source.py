"""What a program does with a result, read from its source: each case is a program with its calls marked."""

import time
from pathlib import Path

import pytest

from raytrace_analyze.advice.program.files import SourceFiles
from raytrace_analyze.advice.program.use import Use, use_of_result

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
    (
        "an attribute that another method sets",
        "class T:\n    def submit(self):\n        self.ref = f.remote(self.w)  # s\n"
        "    def collect(self):\n        self.w = ray.get(self.ref)  # w\n    def run(self):\n"
        "        for _ in xs:\n            self.submit()  # s\n            self.collect()  # w",
        Use.NEEDED,
    ),
    (
        "a global that another function sets",
        "def launch():\n    return f.remote(STATE['v'])  # s\ndef absorb(r):\n"
        "    STATE['v'] = ray.get(r)  # w\nfor _ in xs:\n    r = launch()  # s\n    absorb(r)  # w",
        Use.NEEDED,
    ),
    (
        "a variable of the function around it",
        "def main():\n    best = 0\n    def adv():\n        nonlocal best\n"
        "        best = ray.get(f.remote(best))  # w s\n    for _ in xs:\n        adv()  # w s",
        Use.NEEDED,
    ),
    (
        "a failure ends the loop",
        "for x in xs:\n    try:\n        ray.get(f.remote(x))  # w s\n    except Exception:\n        break",
        Use.NEEDED,
    ),
    (
        "a match ends the loop",
        "for x in xs:\n    match ray.get(f.remote(x)):  # w s\n        case 1:\n            break",
        Use.NEEDED,
    ),
    (
        "decides about the rest of the round",
        "for x in xs:\n    r = ray.get(g)  # w\n    if not r:\n        continue\n    f.remote(x)  # s",
        Use.NEEDED,
    ),
    ("only as far as any() goes", "any(ray.get(f.remote(x)) for x in xs)  # w s", Use.NEEDED),
    ("in the loop's condition", "while (r := ray.get(f.remote(x))) > 1:  # w s\n    pass", Use.NEEDED),
    (
        "told to an object that is asked",
        "for i in xs:\n    p = study.ask()\n    v = ray.get(f.remote(p))  # w s\n    study.tell(p, v)",
        Use.NEEDED,
    ),
    (
        "goes back to a heap",
        "while heap:\n    item = heapq.heappop(heap)\n    for n in ray.get(f.remote(item)):  # w s\n"
        "        heapq.heappush(heap, n)",
        Use.NEEDED,
    ),
    ("saved by a module", "for x in xs:\n    np.save(f'{x}.npy', ray.get(f.remote(x)))  # w s", Use.NONE),
    (
        "an attribute beside another",
        "class A:\n    def run(self):\n        for x in xs:\n"
        "            self.results.append(ray.get(f.remote(self.model, x)))  # w s",
        Use.NONE,
    ),
    ("one of several values", "for _ in xs:\n    obs, r = ray.get(env.step.remote(obs))  # w s", Use.NEEDED),
    (
        "an object whose attribute it is",
        "for _ in xs:\n    self.net.weights = ray.get(f.remote(self.net))  # w s",
        Use.NEEDED,
    ),
    ("an object that has it, passed whole", "for _ in xs:\n    cfg.lr = ray.get(f.remote(cfg))  # w s", Use.NEEDED),
    (
        "a list, passed on one by one",
        "loaded = ray.get(rs)  # w\nout = [f.remote(x) for x in loaded]  # s",
        Use.PASSED_ON,
    ),
    ("a list, passed on in a loop", "for x in ray.get(rs):  # w\n    out.append(f.remote(x))  # s", Use.PASSED_ON),
    ("passed on by an annotated name", "x: int = ray.get(r)  # w\nf.remote(x)  # s", Use.PASSED_ON),
    (
        "skips the rest of the round",
        "for x in xs:\n    r = ray.get(f.remote(x))  # w s\n    if r > 3:\n        continue",
        Use.NONE,
    ),
    (
        "decides about a value",
        "for x in xs:\n    r = ray.get(f.remote(lr))  # w s\n    if r > prev:\n        lr = lr / 2",
        Use.NEEDED,
    ),
    (
        "a bisection",
        "while hi - lo > 1:\n    mid = (lo + hi) // 2\n    if ray.get(f.remote(mid)):  # w s\n"
        "        lo = mid\n    else:\n        hi = mid",
        Use.NEEDED,
    ),
    (
        "decides about a counter that ends the loop",
        "for e in xs:\n    r = ray.get(f.remote(e))  # w s\n    if r < best:\n        bad = 0\n"
        "    else:\n        bad += 1\n    if bad > 3:\n        break",
        Use.NEEDED,
    ),
    (
        "failures are only told",
        "for e in xs:\n    try:\n        out.append(ray.get(f.remote(e)))  # w s\n"
        "    except ray.exceptions.RayError as err:\n        print(err)",
        Use.NONE,
    ),
    (
        "tried until it works",
        "for e in range(3):\n    try:\n        out = ray.get(f.remote(e))  # w s\n        break\n"
        "    except Exception:\n        pass",
        Use.NEEDED,
    ),
    (
        "tried until it returns",
        "def a():\n    for e in range(3):\n        try:\n"
        "            return ray.get(f.remote(e))  # w s\n        except Exception:\n"
        "            time.sleep(1)",
        Use.NEEDED,
    ),
    (
        "a helper beside another call",
        "def go(x):\n    y = ray.get(f.remote(x))  # w\n    return g.remote(y)  # s\n"
        "out = [go(i) for i in range(8)]  # w s",
        Use.PASSED_ON,
    ),
    (
        "a method that reads it",
        "class A:\n    def args(self, x):\n        return self.seen + [x]\n    def run(self):\n"
        "        for x in xs:\n            self.seen.append(ray.get(f.remote(self.args(x))))  # w s",
        Use.NEEDED,
    ),
    (
        "a method that keeps it",
        "class A:\n    def keep(self, r):\n        self.out.append(r)\n    def run(self):\n"
        "        for x in xs:\n            self.keep(ray.get(f.remote(self.model, x)))  # w s",
        Use.NONE,
    ),
    (
        "filters what is submitted",
        "got = ray.get(rs)  # w\nout = [f.remote(x) for x in xs if x in got]  # s",
        Use.NEEDED,
    ),
    (
        "told to an object of this file by the same name",
        "class Opt:\n    def tell(self, v):\n        self.seen.append(v)\n"
        "    def ask(self):\n        return self.seen[-1]\n"
        "for _ in xs:\n    v = ray.get(f.remote(opt.ask()))  # w s\n    opt.tell(v)",
        Use.NEEDED,
    ),
    (
        "a generator of which the first is taken",
        "def good():\n    for x in xs:\n        if ray.get(f.remote(x)):  # w s\n            yield x\n"
        "first = next(good())  # w s",
        Use.NEEDED,
    ),
    (
        "an object that holds one of its kind",
        "class Tree:\n    def put(self, v):\n        self.left.put(v)\n        self.value = v\n"
        "for x in xs:\n    tree.put(ray.get(f.remote(x)))  # w s",
        Use.NONE,
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
    many = "(rs)" in text
    assert (
        use_of_result(
            SourceFiles([tmp_path]), places(program, "w"), places(program, "s"), time.time_ns() + 10**9, many=many
        )
        is use
    )


def test_a_file_changed_since_is_believed_only_that_a_result_is_needed(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    for text, use in ((CASES[0][1], Use.UNKNOWN), (CASES[4][1], Use.NEEDED)):
        program = tmp_path / f"{use}.py"
        program.write_text(text + "\n")
        assert use_of_result(SourceFiles([tmp_path]), places(program, "w"), places(program, "s"), 0) is use


def test_without_places_nothing_is_known(tmp_path: Path) -> None:
    assert use_of_result(SourceFiles([tmp_path]), None, "a.py:1", 0) is Use.UNKNOWN
    assert use_of_result(SourceFiles([tmp_path]), "<stdin>:1", "<stdin>:1", 0) is Use.UNKNOWN
    assert use_of_result(SourceFiles([tmp_path]), f"{tmp_path}:1", f"{tmp_path}:1", 0) is Use.UNKNOWN
