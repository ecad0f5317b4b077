"""The settings, read from the environment once per process."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass

from raytrace_hook.log import warn_once

_OFF = {"0", "false", "no", "off"}


@dataclass(frozen=True)
class Settings:
    """What the environment says about the hook."""

    directory: str
    """Where the files go."""
    waits: bool
    """Record waits, puts and the driver's span."""
    min_wait_ns: int
    """A wait shorter than this is counted, not recorded."""

    sample_s: float
    """Look this often at what the threads of long spans do; 0: never."""
    events_interval_s: float
    """Save Ray's task events this often; 0: only at the end."""
    events_wait_s: float
    """Wait this long at the driver's end for the last task events."""
    max_file_bytes: int
    """No span file gets larger; 0: no limit."""
    max_directory_bytes: int
    """All files together stay below it, the oldest of ended processes going first; 0: no limit."""
    keep_days: float
    """Files of ended processes that are older are deleted; 0: never."""
    instrument: tuple[str, ...]
    """Names of OpenTelemetry instrumentations to switch on."""

    @classmethod
    def from_environment(cls) -> Settings:
        """Read the `RAYTRACE_*` variables; what makes no sense is reported and replaced by the default."""
        max_directory_bytes = int(_number("RAYTRACE_MAX_DIR_MB", 0) * 1_000_000)
        # A limit for the directory is only kept if files are closed now and then.
        max_file_mb = _number("RAYTRACE_MAX_FILE_MB", max_directory_bytes / 8_000_000)
        return cls(
            directory=os.environ.get("RAYTRACE_DIR") or default_directory(),
            waits=_flag("RAYTRACE_WAITS", default=True),
            min_wait_ns=int(_number("RAYTRACE_MIN_WAIT_US", 20) * 1000),
            sample_s=_number("RAYTRACE_SAMPLE_MS", 50) / 1000,
            events_interval_s=_number("RAYTRACE_EVENTS_INTERVAL_S", 10),
            events_wait_s=_number("RAYTRACE_EVENTS_WAIT_S", 1.5),
            max_file_bytes=int(max_file_mb * 1_000_000),
            max_directory_bytes=max_directory_bytes,
            keep_days=_number("RAYTRACE_KEEP_DAYS", 0),
            instrument=tuple(filter(None, os.environ.get("RAYTRACE_INSTRUMENT", "").replace(" ", "").split(","))),
        )


def default_directory() -> str:
    """Return the directory of this user in the temporary directory."""
    return os.path.join("/tmp" if os.path.isdir("/tmp") else tempfile.gettempdir(), f"raytrace-{os.getuid()}")


def _flag(name: str, default: bool) -> bool:
    text = os.environ.get(name, "").strip().lower()
    return default if not text else text not in _OFF


def _number(name: str, default: float) -> float:
    text = os.environ.get(name, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < float("inf"):
        warn_once(f"{name}={text!r} is not a number of zero or more; using {default:g}")
        return default
    return value
