"""Ends a command that takes more memory than it may, with a message instead of the machine's trouble."""

import os
import re
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from raytrace_analyze.errors import EXIT_USAGE, UsageError

_LOOK_S = 0.05
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_GIVEN = re.compile(r"\s*(\d{1,18}(?:\.\d+)?)\s*(?:([KMGT]?)B?|(%))\s*", re.ASCII | re.IGNORECASE)


LIMIT_VARIABLE = "RAYTRACE_MAX_MEMORY"
"""How much memory a command may take: a size (`500M`, `4G`), a share of what is there (`80%`), or 0 for no limit."""

_NAME = "memory"
"""Of the thread that watches."""


_ALLOCATOR = "_RJEM_MALLOC_CONF"
"""What the allocator of polars reads as that is loaded; what is said later counts."""
_KEEPING = "dirty_decay_ms:60000,muzzy_decay_ms:60000"


def keep_freed_memory() -> None:
    """Let polars keep what it gives up for a while, to take it again; to be called before that is loaded.

    Asking the system for the same memory again and again takes a third of the time of what goes through large tables.
    """
    if "polars" not in sys.modules:
        said = os.environ.get(_ALLOCATOR)
        os.environ[_ALLOCATOR] = f"{_KEEPING},{said}" if said else _KEEPING


def set_limit(limit: str | None) -> None:
    """Say how much memory this process, and those that it starts, may take. Raises UsageError for what is no limit."""
    if limit is not None:
        limit_bytes(limit)
        os.environ[LIMIT_VARIABLE] = limit


def allowed_bytes() -> int:
    """Tell how much memory this process, and those that it starts, may take; 0 for no limit. Raises UsageError."""
    return limit_bytes(os.environ.get(LIMIT_VARIABLE, ""), LIMIT_VARIABLE)


def watch_memory() -> None:
    """From now on end this process, with exit code 2 and a line, when it takes more memory than it may.

    What the processes that it started take counts, too. By default it may take half of what is there.
    """
    most = allowed_bytes()
    is_watched = any(thread.name == _NAME for thread in threading.enumerate())
    if most and not is_watched and Path("/proc/self/statm").exists():
        threading.Thread(target=_watch, args=(most,), daemon=True, name=_NAME).start()


def limit_bytes(limit: str, given_as: str = "--max-memory") -> int:
    """Read a limit, in bytes; half of what is there where it is empty. Raises UsageError, which names `given_as`."""
    there = memory_there()
    if not limit.strip():
        return there // 2
    match = _GIVEN.fullmatch(limit)
    if match is None:
        raise UsageError(f"{given_as} takes a size such as 4G, or a share such as 80%, not {limit!r}")
    number, unit, percent = float(match[1]), match[2], match[3]
    return int(there * number / 100) if percent else int(number * _UNITS[(unit or "").upper()])


def memory_there() -> int:
    """Give how much memory this process may have at most: the machine's, or its container's."""
    found = [os.sysconf("SC_PHYS_PAGES") * _PAGE_BYTES]
    for path in _CGROUP_LIMITS:
        with suppress(OSError, ValueError):
            found.append(int(Path(path).read_text()))
    return min(found)


def _watch(most: int) -> None:
    while True:
        time.sleep(_LOOK_S)
        if (taken := sum(map(_resident, _family(os.getpid())))) > most:
            message = (
                f"raytrace-analyze: this takes more than {most / 1e9:.2g} GB of memory ({taken / 1e9:.2g} GB), so it "
                "was stopped: give it fewer files at a time, or more with --max-memory\n"
            )
            with suppress(OSError):
                os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, message.encode())
            # The main thread may be anywhere, in code that no exception reaches. The next merge removes what this one
            # leaves of its file; processes that were started see that this one has gone.
            os._exit(EXIT_USAGE)


def _family(process: int) -> Iterator[int]:
    yield process
    with suppress(OSError, ValueError):
        for tasks in Path(f"/proc/{process}/task").iterdir():
            for child in (tasks / "children").read_text().split():
                yield from _family(int(child))


def _resident(process: int) -> int:
    with suppress(OSError, ValueError, IndexError):
        # Without what it shares with others, such as the program itself.
        _, resident, shared = Path(f"/proc/{process}/statm").read_text().split()[:3]
        return (int(resident) - int(shared)) * _PAGE_BYTES
    return 0
