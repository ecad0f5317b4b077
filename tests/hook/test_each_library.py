"""Programs with Ray's libraries: they give what they give without the hook, and each table has what this Ray tells."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl
import pytest

import raytrace_analyze as rt
from raytrace_analyze.views.libraries.version_notes import version_notes
from raytrace_analyze.vocabulary.spans import Library

from .reader import free_port, run_program
from .test_libraries import complaints

ray = pytest.importorskip("ray")
pytest.importorskip("pyarrow", reason="Ray Data is not installed")
pytest.importorskip("fastapi", reason="Ray Serve is not installed")
pytestmark = pytest.mark.ray

HOOK = "raytrace_hook:setup_tracing"
EVERY = ("data", "train", "tune", "classes", "serve")
GRID = [[0, 4 + 1 / 3, 3], [1, 1 + 1 / 3, 3], [2, 1 / 3, 3]]
"""What the trials of the function give: parameter, loss, number of results."""
VERSION = tuple(int(part) for part in re.findall(r"\d+", ray.__version__)[:2])
SINCE = {
    ("data", "rows_out"): (2, 9),
    ("data", "busy_ns"): (2, 9),
    ("data", "held_submission_ns"): (2, 40),
    ("data", "held_output_ns"): (2, 41),
    ("train", "work_ns"): (2, 9),
    ("train", "report_ns"): (2, 9),
    ("train", "checkpoint_ns"): (2, 9),
    ("tune", "waited_ns"): (2, 9),
    ("tune", "ran_ns"): (2, 9),
    ("tune", "saved_ns"): (2, 9),
    ("tune", "parameters"): (2, 9),
    ("serve", "router_mean_ns"): (2, 41),
    ("serve", "handler_mean_ns"): (2, 41),
}
"""With which of the versions that are tried (2.9.3, 2.40.0, the current one) a column is told first; see the docs."""


class Done(NamedTuple):
    """A run: what the libraries gave, its spans, and the lines in which something of ours complains."""

    gave: dict[str, Any]
    spans: pl.DataFrame
    complaints: list[str]


def run(folder: Path, *libraries: str, hook: str = HOOK) -> Done:
    done = run_program(
        "each_library.py", folder / "spans", str(folder), str(free_port()), hook, *libraries,
        RAY_SERVE_TRACING_SAMPLING_RATIO="1",
    )  # fmt: skip
    assert done.output.endswith("\ndone\n"), done.errors
    (line,) = (line for line in done.output.splitlines() if line.startswith('{"'))
    gave = json.loads(line)
    said = [one for one in done.errors.splitlines() if "raytrace" in one]
    spans = rt.read_spans(folder / "spans") if hook else pl.DataFrame()
    return Done(gave, spans, said + complaints(Path(gave.pop("session"))))


def test_trials_give_what_they_compute_and_nobody_complains(tmp_path: Path) -> None:
    done = run(tmp_path, "tune")
    assert done.gave == {"tune": {"best": 2, "every": [pytest.approx(one) for one in GRID]}}
    assert done.complaints == []
    trials = rt.tune(done.spans)
    assert sorted(json.loads(text)["x"] for text in trials.get_column("parameters")) == [0, 1, 2]
    assert trials.get_column("results").to_list() == [3, 3, 3]


@pytest.fixture(scope="module")
def every(tmp_path_factory: pytest.TempPathFactory) -> Done:
    return run(tmp_path_factory.mktemp("every"), *EVERY)


@pytest.mark.slow
def test_the_libraries_give_what_they_give_without_the_hook(every: Done, tmp_path: Path) -> None:
    (tmp_path / "spans").mkdir()
    assert run(tmp_path, *EVERY, hook="").gave == every.gave
    assert every.gave["serve"]["answers"][3] == {"x": 7, "model": "m1"}
    assert every.gave["tune"]["every"] == [pytest.approx(one) for one in GRID]


@pytest.mark.slow
def test_nobody_complains_with_any_library(every: Done) -> None:
    assert every.complaints == []


@pytest.mark.slow
@pytest.mark.parametrize(("library", "column"), SINCE)
def test_each_table_has_what_this_version_tells_and_says_what_not(every: Done, library: str, column: str) -> None:
    found = getattr(rt, library)(every.spans)
    if library == "data":
        found = found.filter(~pl.col("operator").str.starts_with("("))
    is_told = bool(found.height) and found.get_column(column).drop_nulls().len() > 0
    assert is_told == (SINCE[library, column] <= VERSION)
    assert is_told or version_notes(every.spans, Library(library))
