"""A program that fails shows the same with the hook and without: types, texts, frames."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from .reader import run_program

pytestmark = pytest.mark.ray

_CHANCE = re.compile(r"(pid|ip)=[^,)]+|actor_id=\w+|0x[0-9a-f]+|\b[0-9a-f]{32,}\b")
_RAYS_OWN_FRAME = re.compile(r'^ +File "[^"]*/(?:tracing_helper|_base)\.py", .*\n(?: {4}.*\n)*', re.MULTILINE)
"""Ray calls from another line of it when tracing is on; a future's result comes before or after it is asked for."""


def shown(output: str) -> list[str]:
    return _RAYS_OWN_FRAME.sub("", _CHANCE.sub("*", output)).splitlines()


@pytest.mark.skipif(sys.version_info < (3, 11), reason="a frame that has been taken off a traceback comes back")
def test_errors_look_as_they_do_without_the_hook(tmp_path: Path) -> None:
    traced = run_program("failing.py", tmp_path, "raytrace_hook:setup_tracing")
    untraced = run_program("failing.py", tmp_path, "")
    assert shown(traced.output) == shown(untraced.output), traced.errors
    assert "raytrace_hook" not in traced.output
    assert traced.recording.driver()
