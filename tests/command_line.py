"""Runs the command line: in this process, which costs no start of Python, or in one of its own, as a shell does."""

import io
import os
import subprocess
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

from raytrace_analyze import cli as program
from raytrace_analyze.command_line.memory import LIMIT_VARIABLE

Done = subprocess.CompletedProcess[str]


def cli(*arguments: str | Path, cwd: Path | None = None, width: int | str = 120) -> Done:
    """Run it here; its exit code, and what it wrote to each of its streams."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="") for _ in range(2))
    line = ["raytrace-analyze", *map(str, arguments)]
    with (
        chdir(cwd or Path.cwd()),
        patch.object(sys, "argv", line),
        # No limit of memory: what it would end is the process of all tests.
        patch.dict(os.environ, {"COLUMNS": str(width), "NO_COLOR": "1", LIMIT_VARIABLE: "0"}),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            program.main()
            code: object = None
        except SystemExit as end:
            code = end.code
    assert code is None or isinstance(code, int), f"exit code {code!r}"
    return Done(line, code or 0, _text(out), _text(err))


def cli_apart(*arguments: str | Path, cwd: Path | None = None, width: int | str = 120) -> Done:
    """Run it in a process of its own."""
    line = [sys.executable, "-m", "raytrace_analyze", *map(str, arguments)]
    environment = {**os.environ, "COLUMNS": str(width), "NO_COLOR": "1"}
    return subprocess.run(line, capture_output=True, text=True, cwd=cwd, env=environment, timeout=120, check=False)


def _text(stream: io.TextIOWrapper) -> str:
    stream.flush()
    written = stream.buffer
    assert isinstance(written, io.BytesIO)
    return written.getvalue().decode(errors="surrogateescape")
