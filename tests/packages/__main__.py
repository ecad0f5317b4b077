"""`python -m tests.packages FOLDER [PYTHON...]`: builds both packages, and tries them alone on every Python here."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.packages.building import PROJECTS, ROOT, build

SPANS = ROOT / "sample_spans" / "map_reduce-ours" / "spans"
_PYTHONS = ("python3.11", "python3.12", "python3.13")
_LIBRARY = f"""
import raytrace_analyze as rt
path = rt.critical_path({str(SPANS)!r})
assert path.segments["duration_ns"].sum() == path.makespan_ns > 0
assert rt.__version__ and set(rt.__all__) <= set(dir(rt))
assert "<svg" in rt.html_report({str(SPANS)!r})
"""
_HOOK = """
import raytrace_hook
from opentelemetry import trace
raytrace_hook.setup_tracing()
with trace.get_tracer("here").start_as_current_span("tried"):
    pass
"""


def pythons() -> Iterator[str]:
    """Find the Pythons that the packages are made for; those named on the command line, too."""
    named = [*_PYTHONS, *sys.argv[2:]]
    for path in sorted({path for each in named if (path := shutil.which(each))}):
        # A version manager puts names on the path that have no Python behind them.
        if subprocess.run([path, "-c", ""], capture_output=True, check=False).returncode == 0:
            yield path


def tried(python: str, files: list[Path], home: Path) -> str:
    """Install the files alone and use them, outside the repository; gives the version of Python."""
    inside = home / "venv" / "bin"

    def run(*command: str, **variables: str) -> str:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL"))}
        done = subprocess.run(
            [str(inside / command[0]), *command[1:]],
            cwd=home,
            env={**clean, **variables},
            text=True,
            stdout=subprocess.PIPE,
            check=True,
        )
        return done.stdout

    subprocess.run([python, "-m", "venv", str(home / "venv")], check=True)
    run("python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *map(str, files))
    run("python", "-m", "pip", "check")
    run("python", "-c", _LIBRARY)
    run("python", "-c", _HOOK, RAYTRACE_DIR=str(home / "traced"))
    run("raytrace-analyze", "merge", str(SPANS))
    assert json.loads(run("raytrace-analyze", "critical-path", "--format", "json"))["makespan_ns"] > 0
    assert "tried" in run("raytrace-analyze", "traces", str(home / "traced"))
    assert "took" in run("raytrace-analyze", "summary")
    return run("python", "-c", "import platform; print(platform.python_version())").strip()


def main() -> None:
    """Build, then try the wheels and the source archives."""
    folder = Path(sys.argv[1]).resolve()  # each package is built in its own folder
    shutil.rmtree(folder, ignore_errors=True)
    built = [build(folder, package) for package in PROJECTS]
    for number, kind in enumerate(("sdist", "wheel")):
        for python in pythons():
            with tempfile.TemporaryDirectory() as home:
                version = tried(python, [files[number] for files in built], Path(home))
                print(f"{kind} on Python {version}: installs, and works", flush=True)


main()
