"""Waits of asynchronous methods for something else than a result of Ray's: an event, a lock, a timer, a socket.

The method's coroutine is driven through a wrapper, which sees it give way and go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import os
import time
import weakref
from collections.abc import Generator
from types import CodeType, FrameType
from typing import Any, Callable

from raytrace_hook import names
from raytrace_hook.log import warn_once
from raytrace_hook.record.origin.call_sites import is_program, site_of
from raytrace_hook.record.waiting import holders
from raytrace_hook.record.waiting.flows import Flow, current
from raytrace_hook.record.waiting.waits import Waits
from raytrace_hook.sampling.loops import may_end_early

_SHOWN_AFTER_S = 0.1
"""What gives way for longer is shown among the open spans: most go on at once, for which this would cost too much."""
_LOOKS_AGAIN_AFTER_S = 1
_LIBRARIES = ("ray.serve.", "ray.data.", "ray.dashboard.", "ray._private.")
"""Their actors wait for themselves."""

_SLEEP = "asyncio.sleep"
_NOT_RECORDED = "what an asynchronous method waited for could not be recorded"
_ASYNCIO = os.path.dirname(asyncio.__file__)

of_ray: weakref.WeakSet[Any] = weakref.WeakSet()
"""Futures of asyncio that stand for results of Ray's; waits for them have spans already."""


def watched(method: Callable[..., Any], waits: Waits) -> Callable[..., Any]:
    """Return the same asynchronous method, recording what it waits for."""
    body = inspect.unwrap(method)
    if waits_for_itself(body):
        return method
    holders.install()

    @functools.wraps(method)
    async def run(*arguments: Any, **keywords: Any) -> Any:
        return await Steps(method(*arguments, **keywords), body.__code__, waits)

    return run


def waits_for_itself(body: Callable[..., Any]) -> bool:
    """Tell whether a method is one of Ray's libraries', whose waits say nothing about the program.

    A replica of Serve waits for its deployment's code, which runs in another thread's event loop.
    """
    return (getattr(body, "__module__", None) or "").startswith(_LIBRARIES)


class Steps:
    """Drives a coroutine (or one step of an asynchronous generator) and records where it gives way."""

    __slots__ = ("_coroutine", "_flow", "_innermost", "_waits")

    def __init__(self, coroutine: Any, body: CodeType, waits: Waits, innermost: Any = None) -> None:
        self._coroutine, self._waits = coroutine, waits
        self._innermost = (innermost or coroutine, body)
        self._flow = Flow()

    def __await__(self) -> Generator[Any, Any, Any]:
        coroutine = self._coroutine
        current.set(self._flow)
        step, argument = coroutine.send, None
        while True:
            try:
                given = step(argument)
            except StopIteration as done:
                return done.value
            pause = self._pause(given)
            try:
                argument = yield given
                step = coroutine.send
            except BaseException as error:
                step, argument = coroutine.throw, error
            if pause is not None:
                pause.finish()

    def _pause(self, given: Any) -> _Pause | None:
        try:
            return None if given in of_ray else _Pause(self._waits, self._flow, self._innermost, given)
        except Exception as error:
            warn_once(_NOT_RECORDED, error)
            return None


class _Pause:
    """The time from where a run gave way to where it goes on."""

    __slots__ = ("_flow", "_given", "_innermost", "_start_ns", "_timer", "_wait", "_waits")

    def __init__(self, waits: Waits, flow: Flow, innermost: tuple[Any, CodeType], given: Any) -> None:
        self._waits, self._flow, self._innermost, self._given = waits, flow, innermost, given
        self._wait: Any = None
        self._timer: Any = None
        flow.ended.clear()
        with contextlib.suppress(RuntimeError):  # another library's loop
            self._timer = asyncio.get_running_loop().call_later(_SHOWN_AFTER_S, self._show)
        self._start_ns = time.time_ns()

    def _show(self) -> None:
        if not self._flow.going_on:
            awaited, more = told(*self._innermost, self._given)
            site = more.get(names.CALL_SITE)
            self._wait = self._waits.begin(names.AWAIT_SPAN, 0, awaited=awaited, start_ns=self._start_ns, site=site)
            lock = holders.lock_of(_frames(self._innermost[0]))
            if self._wait is not None and lock is not None:
                self._show_holders(self._wait, lock)

    def _show_holders(self, wait: Any, lock: Any) -> None:
        """Show who holds a lock, and look again from time to time: it may pass from one to another meanwhile."""
        held_by = holders.holders_of(lock)
        if held_by != wait.held_by:
            wait.held_by = held_by
            self._waits.show_again(wait)
        self._timer = asyncio.get_running_loop().call_later(_LOOKS_AGAIN_AFTER_S, self._show_holders, wait, lock)

    def _told(self) -> tuple[str, dict[str, Any]]:
        awaited, more = told(*self._innermost, self._given)
        if self._wait is not None and self._wait.held_by:
            more[names.HELD_BY] = self._wait.held_by
        return awaited, more

    def finish(self) -> None:
        end_ns = time.time_ns()
        if self._timer is not None:
            self._timer.cancel()
        try:
            parts = self._flow.rest(self._start_ns, end_ns)
            if parts:
                self._waits.record_pause(parts, self._told, self._wait)
            self._waits.forget(self._wait)
        except Exception as error:
            warn_once(_NOT_RECORDED, error)


def told(coroutine: Any, body: CodeType, given: Any) -> tuple[str, dict[str, Any]]:
    """Return what a coroutine that gave way waits in, like `asyncio.Event.wait`, and more: where in the program."""
    program: list[FrameType] = []
    awaited = ""
    for level, frame in _levels(coroutine):
        module = frame.f_globals.get("__name__") or ""
        if frame.f_code is body or (program and not awaited and is_program(module)):
            program.append(frame)
        elif program and not level.__qualname__.rpartition(".")[2].startswith("_"):
            awaited = f"{module.partition('.')[0]}.{level.__qualname__}"
            task = frame.f_locals.get("fut") if awaited == "asyncio.wait_for" else None
            if isinstance(task, asyncio.Task):
                awaited = _named_in(task) or awaited
    site = site_of(program[::-1]) if program and is_program(program[-1].f_globals.get("__name__") or "") else None
    awaited = awaited or _named(given)
    more: dict[str, Any] = {} if site is None else {names.CALL_SITE: site}
    if awaited == _SLEEP:
        more[names.LOOPS] = may_end_early((frame.f_code, frame.f_lasti) for frame in program[::-1])
    return awaited, more


def _named_in(task: asyncio.Task[Any]) -> str:
    """Return the function of asyncio that a task runs."""
    level: Any = task.get_coro()
    code = getattr(level, "cr_code", None)  # its frame is gone once it has ended
    is_asyncio = code is not None and (
        os.path.dirname(code.co_filename) == _ASYNCIO or code.co_filename == holders.lock_of.__code__.co_filename
    )
    return f"asyncio.{level.__qualname__}" if is_asyncio else ""


def _levels(coroutine: Any) -> Generator[tuple[Any, FrameType], None, None]:
    """Go from a coroutine through what it awaits."""
    level = coroutine
    while level is not None:
        for kind in ("cr", "gi", "ag"):
            frame = getattr(level, f"{kind}_frame", None)
            if frame is not None:
                yield level, frame
                level = getattr(level, "gi_yieldfrom" if kind == "gi" else f"{kind}_await", None)
                break
        else:
            return


def _frames(coroutine: Any) -> Generator[FrameType, None, None]:
    """Go through the code in which a coroutine waits; `asyncio.wait_for` may have made a task of what it waits for."""
    for level, frame in _levels(coroutine):
        yield frame
        task = frame.f_locals.get("fut") if level.__qualname__ == "wait_for" else None
        if isinstance(task, asyncio.Task):
            yield from _frames(task.get_coro())


def _named(given: Any) -> str:
    if given is None:
        return _SLEEP
    name = type(given).__qualname__
    return {"_GatheringFuture": "asyncio.gather"}.get(
        name, f"{type(given).__module__.lstrip('_').partition('.')[0]}.{name}"
    )
