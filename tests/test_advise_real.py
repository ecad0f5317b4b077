"""Advice on real Ray programs: each pattern is found where it is, and not where something only looks like it."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import raytrace_analyze as rt
from tests.advice_programs import ALONE, PATTERNS, PROGRAMS, together
from tests.real_ray import run_traced

pytestmark = pytest.mark.ray
CULPRITS = [(pattern, name) for pattern, name, _ in PATTERNS]
TWINS = [(pattern, twin) for pattern, _, twins in PATTERNS for twin in twins]
JOBS = 2
"""How many jobs the culprits, and the innocent, are spread over: a job for each would take five minutes."""


def jobs() -> dict[str, list[str]]:
    """Name the jobs with the programs that each is made of."""
    culprits, innocent = ([name for _, name in names] for names in (CULPRITS, TWINS))
    made = {name: [name] for name in PROGRAMS if name.startswith(tuple(ALONE))}
    for kind, names in (("culprits", culprits), ("innocent", innocent)):
        others = [name for name in dict.fromkeys(names) if name not in made]
        made |= {f"{kind} {number}": others[number::JOBS] for number in range(JOBS)}
    return made


def run(folder: Path, job: str) -> rt.Ingested:
    path = folder / f"{job.replace(' ', '_')}.py"
    path.write_text(together(jobs()[job]))
    spans = path.with_suffix("")
    run_traced(path, spans)
    return rt.load([spans])


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, rt.Ingested]:
    """All jobs, two at a time: they mostly sleep."""
    folder = tmp_path_factory.mktemp("programs")
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(jobs(), pool.map(lambda job: run(folder, job), jobs()), strict=True))


IF_THE_PROGRAM_ALLOWS = {"driver-idle"}
"""Patterns of which only the author knows whether they can be mended."""


def findings(recorded: dict[str, rt.Ingested], pattern: str, name: str) -> list[dict[str, Any]]:
    """The findings of a pattern that are about one program of a job."""
    job, number = next((job, names.index(name)) for job, names in jobs().items() if name in names)
    # In a job of several, a part of each is a smaller part of the whole.
    least, folder = 0.02 / len(jobs()[job]), Path(recorded[job].report.files[0]).parent.parent
    advice = rt.advise(recorded[job].spans, recorded[job].task_events, at_least=least, source=[folder])
    is_own = [f"_{number}" in function or len(jobs()[job]) == 1 for function in advice["function"]]
    return advice.filter(is_own).filter(pattern=pattern).to_dicts()


@pytest.mark.parametrize(("pattern", "name"), CULPRITS)
def test_the_pattern_is_found(recorded: dict[str, rt.Ingested], pattern: str, name: str) -> None:
    (finding,) = findings(recorded, pattern, name)
    assert finding["certain"] == (pattern not in IF_THE_PROGRAM_ALLOWS)
    assert (finding["saved_ns"] > 0) != (pattern == "too-many-in-flight")
    assert finding["url"].startswith("https://docs.ray.io/en/latest/ray-core/")


@pytest.mark.parametrize(("pattern", "name"), TWINS)
def test_an_innocent_twin_is_not_flagged(recorded: dict[str, rt.Ingested], pattern: str, name: str) -> None:
    assert findings(recorded, pattern, name) == []


def test_the_finding_names_the_line(recorded: dict[str, rt.Ingested]) -> None:
    (finding,) = findings(recorded, "get-in-loop", "one by one")
    assert (
        "out.append(ray.get(work_0.remote(i)))" in Path(finding["file"]).read_text().splitlines()[finding["line"] - 1]
    )
    assert "8 times" in finding["what"]
