"""What holds for all tests."""

import os
import runpy
from pathlib import Path

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
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
