"""A program that fails shows the same with the hook and without: types, texts, frames."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from .reader import run_program

pytestmark = pytest.mark.ray

_CHANCE = re.compile(
    r"(pid|ip)=[^,)]+|(pid|ip|namespace|Worker PID|Worker port): \S+|actor_id=\w+|0x[0-9a-f]+|\b[0-9a-f]{32,}\b"
)
_RAYS_OWN_FRAME = re.compile(r'^ +File "[^"]*/(?:tracing_helper|_base)\.py", .*\n(?: {4}.*\n)*', re.MULTILINE)
"""Ray calls from another line of it when tracing is on; a future's result comes before or after it is asked for."""


def shown(output: str) -> list[str]:
    return _RAYS_OWN_FRAME.sub("", _CHANCE.sub("*", output)).splitlines()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="a frame that has been taken off a traceback comes back")
def test_errors_look_as_they_do_without_the_hook(tmp_path: Path) -> None:
    spans, reports = tmp_path / "spans", [tmp_path / "traced", tmp_path / "untraced"]
    runs = [
        run_program("failing.py", spans, hook, str(report))
        for hook, report in zip(("raytrace_hook:setup_tracing", ""), reports, strict=True)
    ]
    assert [run.code for run in runs] == [0, 0], [run.errors for run in runs]
    traced, untraced = (report.read_text() for report in reports)
    assert len(re.findall(r"^\d+: ", untraced, re.MULTILINE)) > 15
    assert shown(traced) == shown(untraced)
    assert not any("raytrace_hook" in text for text in (traced, runs[0].output, runs[0].errors))
    assert runs[0].recording.driver()
