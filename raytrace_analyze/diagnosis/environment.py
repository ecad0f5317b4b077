"""This machine: is the hook there, does it load, where does it write, and do the variables leave it on."""

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from raytrace_analyze.diagnosis.checks import Check, Level
from raytrace_analyze.diagnosis.finding import Finding
from raytrace_analyze.diagnosis.ray_versions import lacks, parse_version

_LOADS = "from raytrace_hook import setup_tracing"
_LOAD_S = 60
LEAST_FREE = 100_000_000
"""With less room (bytes) where spans go, some are lost soon."""
_SAMPLERS_OF_ALL = ("", "always_on", "parentbased_always_on")
_OFF = {"0", "false", "no", "off"}


def check_environment(variables: Mapping[str, str] = os.environ) -> Iterator[Finding]:
    """Look at this machine, with the variables that a program started here would have."""
    yield from check_hook()
    yield from check_ray(_version("ray"))
    yield check_directory(trace_directory(variables))
    yield from check_variables(variables)


def check_hook() -> Iterator[Finding]:
    """Tell whether the hook and OpenTelemetry are installed beside this package, and load."""
    sdk = _version("opentelemetry-sdk")
    sdk_level = Level.SERIOUS if sdk is None else Level.FINE
    hook = _version("raytrace-hook")
    if hook is None:
        yield Finding(Check.HOOK, Level.SERIOUS, {"version": None, "error": None})
    else:
        error = _load_error()
        yield Finding(Check.HOOK, Level.SERIOUS if error else Level.FINE, {"version": hook, "error": error})
    yield Finding(Check.OPENTELEMETRY, sdk_level, {"version": sdk})


def check_ray(version: str | None) -> Iterator[Finding]:
    """Tell what this version of Ray lacks; nothing where it is not installed or has no number."""
    numbers = parse_version(version or "")
    if numbers is not None:
        missing = lacks(numbers)
        level = Level.SERIOUS if "too old" in missing else Level.NOTE if missing else Level.FINE
        yield Finding(Check.RAY_VERSION, level, {"version": version, "lacks": missing})


def trace_directory(variables: Mapping[str, str] = os.environ) -> Path:
    """Give the folder that the hook writes to: `RAYTRACE_DIR`, else the user's own in /tmp."""
    return Path(variables.get("RAYTRACE_DIR") or f"/tmp/raytrace-{os.getuid()}")


def check_directory(path: Path) -> Finding:
    """Tell whether the hook can write to a folder, and nobody else may: as the hook checks it, without writing."""
    # A slash at the end would follow a link.
    bare = Path(os.path.normpath(os.path.abspath(path)))  # noqa: PTH100 - that of Path follows links
    facts: dict[str, Any] = {"path": str(bare), "problem": None}
    facts["problem"] = _directory_problem(bare)
    existing = next(each for each in (bare, *bare.parents) if each.is_dir())
    facts["free_bytes"] = shutil.disk_usage(existing).free
    if facts["problem"] is None and facts["free_bytes"] < LEAST_FREE:
        facts["problem"] = "full"
    return Finding(Check.DIRECTORY, Level.SERIOUS if facts["problem"] else Level.FINE, facts)


def _directory_problem(path: Path) -> str | None:
    try:
        status = path.lstat()
    except FileNotFoundError:
        above = next(each for each in path.parents if each.is_dir())
        return None if os.access(above, os.W_OK | os.X_OK) else "not writable"
    except OSError:
        return "not writable"
    if stat.S_ISLNK(status.st_mode):
        return "link"
    if not stat.S_ISDIR(status.st_mode):
        return "no folder"
    if status.st_uid != os.geteuid():
        return "somebody else's"
    if status.st_mode & stat.S_IWOTH:
        return "everybody may write"
    return None if os.access(path, os.W_OK | os.X_OK) else "not writable"


def check_variables(variables: Mapping[str, str]) -> Iterator[Finding]:
    """Tell which variables keep spans, or part of what they say, from being recorded."""
    if variables.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        yield Finding(Check.SDK_OFF, Level.SERIOUS)
    sampler = variables.get("OTEL_TRACES_SAMPLER", "").strip().lower()
    if sampler not in _SAMPLERS_OF_ALL:
        argument = variables.get("OTEL_TRACES_SAMPLER_ARG", "")
        level = Level.SERIOUS if sampler == "always_off" else Level.NOTE
        yield Finding(Check.SAMPLING, level, {"samplers": [f"{sampler} {argument}".strip()], "is_setting": True})
    if variables.get("RAYTRACE_WAITS", "").strip().lower() in _OFF:
        yield Finding(Check.SETTINGS, Level.NOTE, {"variable": "RAYTRACE_WAITS"})


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _load_error() -> str | None:
    """Load the hook in a process of its own, as Ray's workers do, and give the last line of what went wrong."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", _LOADS], capture_output=True, timeout=_LOAD_S, check=False, cwd="/", text=True
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["it ended"])[-1]
