"""Advice on real Ray programs: each pattern is found where it is, and not where something only looks like it."""

import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import raytrace_analyze as rt
from tests.advice_programs import ALONE, PATTERNS, PROGRAMS, together
from tests.real_ray import run_traced

pytestmark = pytest.mark.ray
SLOW = {
    "cold beside the driver's work",
    "actors that hold none and wait",
    "actors that hold a CPU and wait",
    "driver beside its tasks",
}
"""Programs that need a cluster of their own each, for what others show too: on one cluster, or by being twins."""
CULPRITS = [
    pytest.param(pattern, name, marks=[pytest.mark.slow] if name in SLOW else []) for pattern, name, _ in PATTERNS
]
TWINS = [
    pytest.param(pattern, twin, marks=[pytest.mark.slow] if twin in SLOW else [])
    for pattern, _, twins in PATTERNS
    for twin in twins
]


def jobs() -> dict[str, list[str]]:
    """Name the jobs with the programs that each is made of: all culprits, all innocent ones, and those of their own."""
    alone = [name for name in PROGRAMS if name.startswith(tuple(ALONE))]
    culprits = dict.fromkeys(name for _, name, _ in PATTERNS if name not in alone)
    innocent = dict.fromkeys(twin for _, _, twins in PATTERNS for twin in twins if twin not in alone)
    return {"culprits": list(culprits), "innocent": list(innocent)} | {name: [name] for name in alone}


def run(folder: Path, job: str) -> rt.Ingested:
    path = folder / f"{job.replace(' ', '_')}.py"
    path.write_text(together(jobs()[job]))
    spans = path.with_suffix("")
    run_traced(path, spans)
    return rt.load([spans])


@pytest.fixture(scope="module")
def recorded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, rt.Ingested]:
    """The jobs that the chosen tests are about, two at a time: they mostly sleep."""
    folder = tmp_path_factory.mktemp("programs")
    tests = [item for item in request.session.items if getattr(item, "module", None) is request.module]
    asked = {"one by one", *(item.callspec.params["name"] for item in tests if hasattr(item, "callspec"))}
    needed = [job for job, names in jobs().items() if asked & set(names)]
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(needed, pool.map(lambda job: run(folder, job), needed), strict=True))


IF_THE_PROGRAM_ALLOWS = {"driver-idle"}
"""Patterns of which only the author knows whether they can be mended."""


Findings = Callable[[str, str], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def findings(recorded: dict[str, rt.Ingested]) -> Findings:
    """Gives the findings of a pattern that are about one program of a job."""

    @functools.cache
    def advice_on(job: str) -> pl.DataFrame:
        # In a job of several, a part of each is a smaller part of the whole; also where processes start slowly.
        spans, folder = recorded[job].spans, Path(recorded[job].report.files[0]).parent.parent
        took_s = (spans["end"].max() - spans["start"].min()).total_seconds()
        least = min(0.02 / len(jobs()[job]), 0.2 / took_s)
        return rt.advise(spans, recorded[job].task_events, at_least=least, source=[folder])

    def of(pattern: str, name: str) -> list[dict[str, Any]]:
        job, number = next((job, names.index(name)) for job, names in jobs().items() if name in names)
        advice = advice_on(job)
        is_own = [f"_{number}" in function or len(jobs()[job]) == 1 for function in advice["function"]]
        return advice.filter(is_own).filter(pattern=pattern).to_dicts()

    return of


@pytest.mark.parametrize(("pattern", "name"), CULPRITS)
def test_the_pattern_is_found(findings: Findings, pattern: str, name: str) -> None:
    (finding,) = findings(pattern, name)
    assert finding["certain"] == (pattern not in IF_THE_PROGRAM_ALLOWS)
    assert (finding["saved_ns"] > 0) != (pattern == "too-many-in-flight")
    assert finding["url"].startswith("https://docs.ray.io/en/latest/ray-core/")


@pytest.mark.parametrize(("pattern", "name"), TWINS)
def test_an_innocent_twin_is_not_flagged(findings: Findings, pattern: str, name: str) -> None:
    assert findings(pattern, name) == []


def test_the_finding_names_the_line(findings: Findings) -> None:
    (finding,) = findings("get-in-loop", "one by one")
    assert (
        "out.append(ray.get(work_0.remote(i)))" in Path(finding["file"]).read_text().splitlines()[finding["line"] - 1]
    )
    assert "8 times" in finding["what"]
