"""The folder of a traced run: one run at a time, and the runs before it are kept."""

import fcntl
import os
from pathlib import Path

from raytrace_analyze.errors import UsageError

EARLIER = "earlier"
"""Where the runs before lie, each in a folder with its number."""

OURS = "spans-"
"""How the names of the hook's files begin."""
_OF_A_RUN = ("spans", "spans.parquet", "spans.task_events.parquet", "nodes")


def prepare_run(raw: Path) -> Path | None:
    """Make the folder for a run's span files, with nothing in it; gives where the run before is kept, None without one.

    The folder around it is ours until this process ends: what the run wrote is to be merged into it, too. Raises
    UsageError where it cannot be used, where another run uses it, and where files lie there that are of no run.
    """
    folder = raw.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _lock(folder)
        kept = _keep_earlier(folder, raw)
        raw.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot use {raw}: {error.strerror or error}; choose another folder with --dir") from error
    return kept


def _lock(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # closed when this process ends
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UsageError(f"another run is being recorded in {folder}; choose another folder with --dir") from None
    except OSError:  # a file system without locks
        os.close(descriptor)


def _keep_earlier(folder: Path, raw: Path) -> Path | None:
    """Move what a run has left to a folder of its own."""
    foreign = [path for path in raw.glob("*") if not path.name.startswith((".", OURS))] if raw.is_dir() else []
    if foreign:
        raise UsageError(f"{foreign[0]} is none of a recorded run's files; choose another folder with --dir")
    left = [path for name in _OF_A_RUN if _has_something(path := folder / name)]
    if not left:
        return None
    numbers = [int(path.name) for path in (folder / EARLIER).glob("*") if path.name.isdecimal()]
    kept = folder / EARLIER / str(max(numbers, default=0) + 1)
    kept.mkdir(parents=True)
    for path in left:
        path.rename(kept / path.name)
    return kept


def _has_something(path: Path) -> bool:
    return any(path.iterdir()) if path.is_dir() and not path.is_symlink() else os.path.lexists(path)
