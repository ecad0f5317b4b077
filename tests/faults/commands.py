"""Runs the command line on some input as a user would: some command, with some of its options, in some format."""

import io
import json
import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from raytrace_analyze import cli
from tests.test_hostile_names import ACTS, COMMANDS, READ_NO_SPANS, formats, variants

_WIDTHS = ("1", "20", "80", "120", "3000")
_BINARY = {"export", "report"}
"""Commands whose standard output may be a file of another format."""
_CONNECT = {"collect"}
"""Commands that ask a cluster whatever they are given."""
_CODES = {None, 0, 1, 2, 3, 4}


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
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2))
    code: object = None
    with (
        chdir(folder),
        patch.object(sys, "argv", ["raytrace-analyze", *line]),
        patch.dict(os.environ, {"COLUMNS": width}),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
    assert code in _CODES, f"exit code {code}"
    out.flush()
    err.flush()
    written, said = out.buffer.getvalue(), err.buffer.getvalue().decode()  # type: ignore[attr-defined]
    assert "Traceback" not in said, said
    assert not ACTS.findall(said), f"what acts on a terminal is said: {said!r}"
    if line[0] in _BINARY:
        return
    text = written.decode()
    assert not ACTS.findall(text), "what acts on a terminal is written"
    if "json" in line and code in (None, 0, 1, 4) and text:
        json.loads(text)
