"""A span file of somebody else never makes `advise` open anything but a program in the folders that the user trusts."""

import os
from pathlib import Path

import pytest

from raytrace_analyze.advice.program.files import LARGEST_SOURCE, SourceFiles, place_of
from raytrace_analyze.advice.program.use import Use, use_of_result
from raytrace_analyze.vocabulary.advice import NotRead

PROGRAM = b"for x in xs:\n    out.append(ray.get(f.remote(x)))\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder to trust, with a program in it, beside one that is not trusted."""
    for name in ("root", "root/inner", "outside", "root-too"):
        (tmp_path / name).mkdir()
    for name in ("root/inner/program.py", "outside/program.py", "root-too/program.py"):
        (tmp_path / name).write_bytes(PROGRAM)
    folder = tmp_path / "root"
    os.mkfifo(folder / "fifo.py")
    (folder / "large.py").write_bytes(b"#" * (LARGEST_SOURCE + 1))
    (folder / "minus.py").write_bytes(b"-" * 900_000 + b"1")
    (folder / "attributes.py").write_bytes(b"a" + b".b" * 300_000)
    (folder / "lists.py").write_bytes(b"[" * 100_000)
    (folder / "sums.py").write_bytes(b"+".join([b"a"] * 5000))
    (folder / "nulls.py").write_bytes(b"a\0b")
    (folder / "encoding.py").write_bytes(b"# coding: nonsense\na")
    (folder / "digits.py").write_bytes(b"9" * 10_000)
    (folder / "inside.py").symlink_to("inner/program.py")
    (folder / "out.py").symlink_to("../outside/program.py")
    (folder / "null.py").symlink_to("/dev/zero")
    (folder / "away").symlink_to("../outside")
    (folder / "round.py").symlink_to("round.py")
    return folder


def test_a_program_in_a_trusted_folder_is_read(root: Path) -> None:
    (root.parent / "link").symlink_to("root")
    names = ("inner/program.py", "inner/../inner/program.py", "inside.py")
    for folder in (root, root.parent / "link"):
        files = SourceFiles([root.parent / "link", "/nowhere"])
        for name in names:
            assert files.program(f"{folder}/{name}")[0] is not None
        assert files.not_read == {}


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("{root}/fifo.py", NotRead.MISSING),
        ("{root}", NotRead.OUTSIDE),
        ("{root}/inner", NotRead.MISSING),
        ("{root}/nothing.py", NotRead.MISSING),
        ("{root}/round.py", NotRead.MISSING),
        ("{root}/a\0b", NotRead.MISSING),
        ("{root}/" + "n" * 5000, NotRead.MISSING),
        ("{root}/\ud800", NotRead.MISSING),
        ("{root}/inner/program.py/x", NotRead.MISSING),
        ("{root}/out.py", NotRead.OUTSIDE),
        ("{root}/null.py", NotRead.OUTSIDE),
        ("{root}/away/program.py", NotRead.OUTSIDE),
        ("{root}/../outside/program.py", NotRead.OUTSIDE),
        ("{root}-too/program.py", NotRead.OUTSIDE),
        ("/dev/zero", NotRead.OUTSIDE),
        ("/proc/self/mem", NotRead.OUTSIDE),
        ("inner/program.py", NotRead.OUTSIDE),
        ("", NotRead.OUTSIDE),
        ("{root}/large.py", NotRead.TOO_LARGE),
        ("{root}/minus.py", NotRead.TOO_LARGE),
        ("{root}/attributes.py", NotRead.TOO_LARGE),
        ("{root}/sums.py", NotRead.TOO_LARGE),
        ("{root}/lists.py", NotRead.NO_PROGRAM),
        ("{root}/nulls.py", NotRead.NO_PROGRAM),
        ("{root}/encoding.py", NotRead.NO_PROGRAM),
        ("{root}/digits.py", NotRead.NO_PROGRAM),
    ],
)
def test_what_is_not_read_is_told(root: Path, name: str, why: NotRead) -> None:
    files = SourceFiles([root])
    path = name.format(root=root)
    assert files.program(path) == (None, 0)
    assert files.not_read == {path: why}
    assert use_of_result(files, f"{path}:2", f"{path}:2", 2**62) is Use.UNKNOWN


def test_all_files_together_are_bounded(root: Path) -> None:
    files = SourceFiles([root])
    for number in range(15):
        (root / f"{number}.py").write_bytes(b"#" * (LARGEST_SOURCE - 1) + b"\n")
    read = [files.program(f"{root}/{number}.py")[0] is not None for number in range(15)]
    assert read == [True] * 10 + [False] * 5


@pytest.mark.parametrize("line", ["²", "٣", "-1", "", "1e9", "9" * 5000, "x"])
def test_a_line_that_is_none(line: str) -> None:
    assert place_of(f"/a/b.py:{line}") == ("/a/b.py", 0)
    assert place_of("/a/b.py:12") == ("/a/b.py", 12)
