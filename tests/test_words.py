"""One vocabulary: every value of JSON has one word on screen, and stands in the docs; commands say what is next."""

import os
import pty
import subprocess
import sys
from enum import StrEnum
from pathlib import Path

import pytest

from raytrace_analyze import cli
from raytrace_analyze.advice.patterns import REFERENCES
from raytrace_analyze.views import words
from raytrace_analyze.views.screen.next_step import _NEXT, next_step
from raytrace_analyze.vocabulary import paths, queues
from raytrace_analyze.vocabulary.advice import Pattern
from raytrace_analyze.vocabulary.spans import Ending

ROOT = Path(__file__).parent.parent
COMMANDS = {str(command.name) for command in cli.app.registered_commands}


def test_every_command_says_what_is_next() -> None:
    assert COMMANDS - {"man"} <= set(_NEXT)
    for then, _ in _NEXT.values():
        assert then.split()[0] in COMMANDS | {"--help"}


def test_the_next_line_names_what_was_given(tmp_path: Path) -> None:
    spans = tmp_path / "my spans"
    spans.mkdir()
    assert next_step("summary", [str(spans)]).startswith(f"next: raytrace-analyze critical-path '{spans}' (")
    assert "--task train" in next_step("why", ["train", str(spans)])
    assert "elsewhere/spans.parquet" in next_step("record", ["--dir", "elsewhere", "x.py"], {"--dir"})
    written = tmp_path / "t.json"
    written.touch()
    assert str(written) not in next_step("export", [str(spans), "-o", str(written)], {"-o"})
    for given in (["--output=all.parquet"], ["-o", "all.parquet"]):
        assert "summary all.parquet (" in next_step("merge", [str(spans), *given], {"-o", "--output"})


def test_it_is_the_last_line_of_a_terminal_and_not_there_in_a_pipe() -> None:
    capture = ROOT / "sample_spans" / "map_reduce-ours" / "spans"
    command = [sys.executable, "-m", "raytrace_analyze", "jobs", str(capture)]
    reader, writer = pty.openpty()
    with os.fdopen(reader, "rb") as terminal:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=writer, check=True)
        os.close(writer)
        shown = b""
        try:
            while piece := os.read(terminal.fileno(), 4096):
                shown += piece
        except OSError:
            pass  # how a terminal ends
    assert b"next: raytrace-analyze summary" in shown.splitlines()[-1]
    assert b"next:" not in done.stdout
    piped = subprocess.run(command, capture_output=True, check=True)
    assert b"next:" not in piped.stderr


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (paths.Category, words.CATEGORIES),
        (queues.Cause, words.CAUSES),
        (paths.Activity, words.ACTIVITIES),
        (paths.Spent, words.SPENT),
        (Ending, words.ENDINGS),
        (Pattern, words.PATTERNS),
    ],
)
def test_every_value_has_a_word_and_stands_in_the_docs(kind: type[StrEnum], said: dict[str, str]) -> None:
    assert set(kind) == set(said)
    page = (ROOT / "docs" / ("advise.md" if kind is Pattern else "glossary.md")).read_text()
    assert [value for value in kind if f"`{value}`" not in page] == []


def test_every_pattern_has_a_page() -> None:
    assert set(REFERENCES) == set(Pattern)


def test_one_function_leaves_the_programs_module_out() -> None:
    source = {str(path.relative_to(ROOT)): path.read_text() for path in (ROOT / "raytrace_analyze").rglob("*.py")}
    stripping = [path for path, text in source.items() if 'prefix("__main__.' in text or '"__main__."' in text]
    assert stripping == ["raytrace_analyze/names/functions.py"]
