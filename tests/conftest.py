"""What holds for all tests."""

import os
import runpy
from itertools import groupby
from pathlib import Path

import pytest
from hypothesis import settings

# Ray without its dashboard and autoscaler, in this process and in those that tests start.
LEAN = Path(__file__).parent / "lean_ray"
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(LEAN), os.environ.get("PYTHONPATH"))))
runpy.run_path(str(LEAN / "sitecustomize.py"))

# The hundreds of processes that tests start need not compile the same modules each.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

if "PYTEST_XDIST_WORKER" in os.environ:
    # As many tests as there are cores run at a time: on small tables more threads would mostly wait for each other.
    os.environ.setdefault("POLARS_MAX_THREADS", "1")

# Tests say what is true, not how fast: a busy machine must not fail them.
settings.register_profile("no deadline", deadline=None, max_examples=40)
settings.load_profile("no deadline")


LONGEST = (
    "test_advise_real",
    "test_clusters",
    "test_setup",
    "test_serve",
    "test_real_ray",
    "test_collect",
    "test_paths",
)
"""Begun first, lest the end of a run is one of them alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files with Ray evenly among the others: those mostly wait, these compute, and several run at a time."""
    files = [list(of_file) for _, of_file in groupby(items, lambda item: item.path)]
    on_ray = [file for file in files if any(item.get_closest_marker("ray") for item in file)]
    on_ray.sort(key=lambda file: file[0].path.stem not in LONGEST)
    others = sorted((file for file in files if file not in on_ray), key=len, reverse=True)
    placed = [((number + 0.5) / len(some), file) for some in (on_ray, others) for number, file in enumerate(some)]
    items[:] = [item for _, file in sorted(placed, key=lambda one: one[0]) for item in file]
