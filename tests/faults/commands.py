"""Runs the command line on some input as a user would: some command, with some of its options, in some format."""

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.command_line import cli
from tests.test_hostile_names import ACTS, COMMANDS, READ_NO_SPANS, formats, variants

_WIDTHS = ("1", "20", "80", "120", "3000")
_BINARY = {"export", "report"}
"""Commands whose standard output may be a file of another format."""
_CONNECT = {"collect"}
"""Commands that ask a cluster whatever they are given."""
_CODES = {0, 1, 2, 3, 4}


def asked_of(given: Path, folder: Path, chance: random.Random, count: int) -> Iterator[tuple[str, Callable[[], None]]]:
    """Choose commands with options, a format and a width; each is named, and checks itself when it is called."""
    for command in chance.choices(sorted(COMMANDS.keys() - READ_NO_SPANS - _CONNECT), k=count):
        arguments = chance.choice(list(variants(command, given)))
        form = chance.choice(formats(command))
        line = [command, *arguments, *(["--format", form] if form else [])]
        width = chance.choice(_WIDTHS)
        yield f"{' '.join(line)!r} in {width} columns", lambda line=line, width=width: check(line, folder, width)


def check(line: list[str], folder: Path, width: str) -> None:
    """Run a command line in a folder: an exit code of the contract, nothing that acts on a terminal, whole JSON."""
    done = cli(*line, cwd=folder, width=width)
    assert done.returncode in _CODES, f"exit code {done.returncode}"
    assert "Traceback" not in done.stderr, done.stderr
    assert not ACTS.findall(done.stderr), f"what acts on a terminal is said: {done.stderr!r}"
    if line[0] in _BINARY:
        return
    assert not ACTS.findall(done.stdout), "what acts on a terminal is written"
    if "json" in line and done.returncode in (0, 1, 4) and done.stdout:
        json.loads(done.stdout)
