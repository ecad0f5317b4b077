"""Advice on real Ray programs: each pattern is found where it is, and not where something only looks like it."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest

import raytrace_analyze as rt
from tests.advice_programs import BEGINNING, PATTERNS, PROGRAMS

pytestmark = pytest.mark.ray
TWINS = [(pattern, twin) for pattern, _, twins in PATTERNS for twin in twins]


def run(folder: Path, name: str) -> rt.Ingested:
    """Run a program with tracing on."""
    path = folder / f"{name.replace(' ', '_').replace(',', '')}.py"
    path.write_text(BEGINNING + PROGRAMS[name])
    spans = path.with_suffix("")
    done = subprocess.run(
        [sys.executable, str(path)],
        env={**os.environ, "RAYTRACE_DIR": str(spans)},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return rt.load([spans])


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, rt.Ingested]:
    """All programs, two at a time: they mostly sleep."""
    folder = tmp_path_factory.mktemp("programs")
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(PROGRAMS, pool.map(lambda name: run(folder, name), PROGRAMS), strict=True))


def advice(recorded: dict[str, rt.Ingested], name: str) -> pl.DataFrame:
    found = recorded[name]
    return rt.advise(found.spans, found.task_events)


@pytest.mark.parametrize(("pattern", "name"), [(pattern, name) for pattern, name, _ in PATTERNS])
def test_the_pattern_is_found(recorded: dict[str, rt.Ingested], pattern: str, name: str) -> None:
    found = advice(recorded, name).filter(pattern=pattern)
    assert found.height == 1, advice(recorded, name).select("pattern", "what").to_dicts()
    finding = found.row(0, named=True)
    assert finding["certain"]
    assert (finding["saved_ns"] > 0) != (pattern == "too-many-in-flight")
    assert set(finding["span_ids"]) <= set(recorded[name].spans["span_id"])
    assert finding["url"].startswith("https://docs.ray.io/en/latest/ray-core/")


@pytest.mark.parametrize(("pattern", "name"), TWINS)
def test_an_innocent_twin_is_not_flagged(recorded: dict[str, rt.Ingested], pattern: str, name: str) -> None:
    found = advice(recorded, name)
    assert found.filter(pattern=pattern).is_empty(), found.select("pattern", "what", "saved_ns").to_dicts()


def test_the_finding_names_the_line(recorded: dict[str, rt.Ingested]) -> None:
    finding = advice(recorded, "one by one").filter(pattern="get-in-loop").row(0, named=True)
    assert Path(finding["file"]).name == "one_by_one.py"
    assert "ray.get(work.remote(i))" in Path(finding["file"]).read_text().splitlines()[finding["line"] - 1]
    assert "8 times" in finding["what"]
