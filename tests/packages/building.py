"""Builds what would be published of both packages, without a network: with what is installed here."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECTS = {"raytrace_analyze": ROOT, "raytrace_hook": ROOT / "hook"}
"""Each package's folder, by its name in the names of files."""


def build(folder: Path, package: str) -> tuple[Path, Path]:
    """Build a package's source archive and wheel in `folder`; gives their paths."""
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder), "-t", "sdist", "-t", "wheel"]
    subprocess.run(command, cwd=PROJECTS[package], check=True, capture_output=True)
    (archive,) = folder.glob(f"{package}-*.tar.gz")
    (wheel,) = folder.glob(f"{package}-*.whl")
    return archive, wheel
