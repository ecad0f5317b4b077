"""Runs a program as a shell would: signals reach it, it has the terminal, and a signal leaves nothing of it behind.

The program gets a process group of its own, so that what it started can be ended with it and nobody else.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

GRACE_S = 20.0
"""How long a program may take to end after a signal: Slurm and Kubernetes wait 30 s, and merging takes some of it."""

_PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_LEFT_GRACE_S = 5.0
_POLL_S = 0.05


def run_program(command: Sequence[str], environment: Mapping[str, str], *, grace_s: float = GRACE_S) -> int:
    """Run a command to its end, and give its exit code as a shell would: 128 + n where signal n ended it.

    SIGINT, SIGTERM and SIGHUP that come meanwhile are passed on; `grace_s` seconds after the first of them, what is
    left is killed. To be called in the main thread. Raises OSError where the command cannot be started.
    """
    program = _Program(grace_s)
    with _handling(program):
        code = program.run(command, environment)
    return code if code >= 0 else 128 - code


class _Program:
    """A program that runs, and what it was told to do."""

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._group = 0
        self._early: list[int] = []
        self._was_told = False

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> int:
        process = subprocess.Popen(command, env=dict(environment), process_group=0)
        self._group = process.pid
        for number in self._early:
            self.tell(number, None)
        terminal = _Terminal(self._group)
        try:
            terminal.give()
            process.returncode = self._wait(terminal)
        finally:
            terminal.take()
            signal.setitimer(signal.ITIMER_REAL, 0)
        if self._was_told or process.returncode < 0:
            self._end_group()
        return process.returncode

    def _wait(self, terminal: "_Terminal") -> int:
        while True:
            # A wait that blocks would keep a signal that comes just before it until the program's end.
            ended, status = os.waitpid(self._group, os.WUNTRACED | os.WNOHANG)
            if not ended:
                time.sleep(_POLL_S)
            elif not os.WIFSTOPPED(status):
                return os.waitstatus_to_exitcode(status)
            else:
                terminal.stopped(os.WSTOPSIG(status))

    def tell(self, number: int, _: FrameType | None) -> None:
        """Pass a signal on, and see to it that the program ends."""
        if not self._group:
            self._early.append(number)
            return
        # Ctrl-C is for all of them. The other signals are for the program alone: it may still need the Ray processes
        # that it started, for example to save something, and they end with it.
        _send(self._group, number, to_all=number == signal.SIGINT)
        if not self._was_told:
            self._was_told = True
            signal.setitimer(signal.ITIMER_REAL, self._grace_s)

    def kill(self, number: int, frame: FrameType | None) -> None:
        """End all of it at once."""
        _send(self._group, signal.SIGKILL, to_all=True)

    def _end_group(self) -> None:
        """End what the program has left of its group."""
        until = time.monotonic() + _LEFT_GRACE_S
        if not _send(self._group, signal.SIGTERM, to_all=True):
            return
        while time.monotonic() < until:
            time.sleep(_POLL_S)
            if not _send(self._group, 0, to_all=True):
                return
        _send(self._group, signal.SIGKILL, to_all=True)


def _send(group: int, number: int, *, to_all: bool) -> bool:
    """Send a signal to a process group or to its first process; false where it is gone."""
    try:
        (os.killpg if to_all else os.kill)(group, number)
    except OSError:  # PermissionError: what is left is a process that has taken other rights
        return False
    return True


@contextmanager
def _handling(program: _Program) -> Iterator[None]:
    """Pass signals on to a program; one that we were started to ignore stays ignored."""
    wanted = {number: program.tell for number in _PASSED_ON if signal.getsignal(number) != signal.SIG_IGN}
    before = {number: signal.signal(number, handler) for number, handler in wanted.items()}
    before[signal.SIGALRM] = signal.signal(signal.SIGALRM, program.kill)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Terminal:
    """Whose the terminal is: a process group that does not have it is stopped when it reads from it."""

    def __init__(self, group: int) -> None:
        self._group = group
        self._own = os.getpgrp()
        self._descriptor = _terminal()

    def give(self) -> None:
        """Give the terminal to the program, if it is ours to give."""
        if self._is_of(self._own):
            self._set(self._group)

    def take(self) -> None:
        """Take it back."""
        if self._is_of(self._group):
            self._set(self._own)

    def stopped(self, number: int) -> None:
        """Go on after the program was stopped: with Ctrl-Z, then we are too, or as it lacked the terminal."""
        if number not in (signal.SIGTTIN, signal.SIGTTOU) or not self._is_of(self._own):
            self.take()
            os.killpg(self._own, signal.SIGSTOP)  # until the shell's `fg` or `bg`
        self.give()
        _send(self._group, signal.SIGCONT, to_all=True)

    def _is_of(self, group: int) -> bool:
        try:
            return self._descriptor is not None and os.tcgetpgrp(self._descriptor) == group
        except OSError:
            return False

    def _set(self, group: int) -> None:
        assert self._descriptor is not None
        before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # else who takes it from the background is stopped
        with suppress(OSError):
            os.tcsetpgrp(self._descriptor, group)
        signal.signal(signal.SIGTTOU, before)


def _terminal() -> int | None:
    try:
        descriptor = sys.stdin.fileno()
    except (AttributeError, OSError, ValueError):  # closed, or replaced
        return None
    return descriptor if os.isatty(descriptor) else None
