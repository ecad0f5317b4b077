"""Where memory is limited from outside (`ulimit -v`), a library that gets none ends its process, past all exceptions.

So the program is a process of its own there, and the one that was started says in a line what became of it.
"""

import os
import re
import resource
import signal
import sys
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from raytrace_analyze.errors import EXIT_GATE_FAILED, EXIT_USAGE

NOT_ENOUGH = "there is not enough memory for this; give it fewer files at a time"
_COMPLAINTS = rb"\s*$|<jemalloc>|OpenBLAS |libgcc_s\.so\.1 must be installed"
"""What libraries say before they do without, or give up; empty lines stand between."""
_LAST_WORDS = rb"memory allocation of \d+ bytes failed|thread '.*' (\(\d+\) )?panicked at |stack backtrace:"
"""What a library says when it gives up, in many lines."""
_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_DRAIN_S = 1.0
_DYING_S = 5.0
"""How long a process may live on after the last words of a library: threads can wait for ever for one that is gone."""
_LOOK_S = 0.5
_TIGHT = 4 << 30
"""With less address space (bytes) threads take more of it than they are worth."""


def is_limited() -> bool:
    """Tell whether this process may have less memory than there is."""
    return bool(_limits())


def _limits() -> list[int]:
    limits = (resource.getrlimit(kind)[0] for kind in (resource.RLIMIT_AS, resource.RLIMIT_DATA))
    return [limit for limit in limits if limit != resource.RLIM_INFINITY]


def run_apart(work: Callable[[], None]) -> NoReturn:
    """Do the work, which ends by SystemExit, in a new process; this one waits for its end, and ends as it does.

    What the work writes to standard error comes there, but for what libraries say that get no memory.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    said, saying = os.pipe()
    done, doing = os.pipe()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {*_PASSED_ON, signal.SIGCHLD})
    child = os.fork()
    if child:
        os.close(saying)
        os.close(doing)
        _end_like(child, said, done)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    told = sys.stderr
    # Ours goes where it went, to a terminal as it does; what libraries write past Python goes by way of the other one.
    sys.stderr = open(os.dup(2), "w", buffering=1, encoding=told.encoding, errors=told.errors)  # noqa: SIM115, PTH123
    os.dup2(saying, 2)
    for descriptor in (said, done, saying):
        os.close(descriptor)
    # Libraries wait for ever for threads of theirs that could not be started, or that got no memory.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    if min(_limits()) < _TIGHT:
        os.environ.setdefault("POLARS_MAX_THREADS", "1")
    # Of libraries: that a part of them cannot be loaded.
    warnings.simplefilter("ignore")
    sys.excepthook = lambda *_: None
    try:
        work()
    except SystemExit as end:
        os.write(doing, bytes([end.code if isinstance(end.code, int) and 0 < end.code < 256 else 0]))
        raise
    except BaseException:
        os.abort()
    raise AssertionError("the work ends by SystemExit")


def _end_like(child: int, said: int, done: int) -> NoReturn:
    """Pass on what a child says and what signals come, and end as it ended."""
    last_words = threading.Event()
    passing = threading.Thread(target=_pass_on, args=(said, last_words), daemon=True)
    passing.start()
    found, left_s = 0, _DYING_S
    while not found:
        came = signal.sigtimedwait({*_PASSED_ON, signal.SIGCHLD}, _LOOK_S)
        if came is None:
            left_s -= _LOOK_S * last_words.is_set()
            if left_s <= 0:
                os.kill(child, signal.SIGKILL)
        elif came.si_signo == signal.SIGCHLD:
            found, status = os.waitpid(child, os.WNOHANG)
        elif came.si_code <= 0:  # sent to this process; what a terminal sends, the child has got, too
            os.kill(child, came.si_signo)
    passing.join(_DRAIN_S)
    code = os.waitstatus_to_exitcode(status)
    # A library that exits does so with what is a failed gate here.
    told = _told(done)
    gave_up = left_s <= 0 or (code == EXIT_GATE_FAILED and told is None)
    if told and code == -signal.SIGABRT:  # a library that cannot even end: what there was to say is said
        os._exit(told)
    if gave_up or code in (-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS):
        os.write(2, f"raytrace-analyze: {NOT_ENOUGH}\n".encode())
        os._exit(EXIT_USAGE)
    os._exit(code if code >= 0 else 128 - code)


def _told(done: int) -> int | None:
    """With what code the work ended by itself, as far as it came to say so."""
    os.set_blocking(done, False)
    with suppress(BlockingIOError):
        return next(iter(os.read(done, 1)), None)
    return None


def _pass_on(said: int, last_words: threading.Event) -> None:
    with open(said, "rb") as lines:
        for line in lines:
            if re.match(_LAST_WORDS, line):
                last_words.set()
                break
            if not re.match(_COMPLAINTS, line):
                os.write(2, line)
        while lines.read(1 << 16):
            pass
