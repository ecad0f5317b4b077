"""Who holds a lock of asyncio stands with the open wait for it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from raytrace_hook.record.waiting.suspensions import watched

from .reader import Recording
from .test_interrupts import Hook

HELD_BY = "raytrace.held_by"


@pytest.fixture
def hook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hook:
    monkeypatch.setattr("raytrace_hook.ray.internals.tracing_is_on", lambda: True)
    for name in ("_SHOWN_AFTER_S", "_LOOKS_AGAIN_AFTER_S"):
        monkeypatch.setattr(f"raytrace_hook.record.waiting.suspensions.{name}", 0.01)
    hook = Hook(tmp_path)
    monkeypatch.setattr("opentelemetry.trace.get_tracer_provider", lambda: hook.provider)
    return hook


Method = Callable[..., Awaitable[Any]]


class Runs:
    """Asynchronous methods that run beside each other, each in a span of its own as those of actors are."""

    def __init__(self, hook: Hook) -> None:
        self.hook, self.spans, self.tasks = hook, {}, []  # type: dict[str, str], list[Any]

    def start(self, method: Method, *arguments: Any) -> None:
        async def run() -> None:
            with self.hook.tracer.start_as_current_span(method.__name__) as span:
                self.spans[method.__name__] = f"{span.get_span_context().span_id:016x}"
                await watched(method, self.hook.waits)(*arguments)

        self.tasks.append(asyncio.ensure_future(run()))

    async def held_by(self, method: str, expected: list[str]) -> None:
        """Look until the open wait of a method is said to be held by the others, and fail if it never is."""
        for _ in range(500):
            waits = [one for one in Recording(self.hook.directory).open if one.name == "await"]
            parent = self.spans.get(method, "not begun")
            wait = next((one for one in waits if (one.parent_id or "").endswith(parent)), None)
            found = wait and wait.attributes.get(HELD_BY)
            if wait is not None and found == [self.spans[name] for name in expected]:
                assert wait.attributes["raytrace.awaited"] in ("asyncio.Lock.acquire", "asyncio.Semaphore.acquire")
                return
            await asyncio.sleep(0.01)
        raise AssertionError(found)

    def end(self) -> None:
        for task in self.tasks:
            task.cancel()


async def takes(lock: Any, held: asyncio.Event, until: asyncio.Event) -> None:
    async with lock:
        held.set()
        await until.wait()


async def takes_too(lock: Any, held: asyncio.Event, until: asyncio.Event) -> None:
    await lock.acquire()
    held.set()
    await until.wait()
    lock.release()


async def wants(lock: Any) -> None:
    await lock.acquire()


async def wants_for_a_while(lock: Any) -> None:
    await asyncio.wait_for(lock.acquire(), 100)


@pytest.mark.parametrize("kind", [asyncio.Lock, asyncio.Semaphore, asyncio.BoundedSemaphore, asyncio.Condition])
@pytest.mark.parametrize("method", [wants, wants_for_a_while])
@pytest.mark.parametrize("holder", [takes, takes_too])
def test_the_run_that_took_it_holds_it(kind: Any, method: Method, holder: Method, hook: Hook) -> None:
    async def act() -> None:
        runs, lock, held = Runs(hook), kind(), asyncio.Event()
        runs.start(holder, lock, held, asyncio.Event())
        await held.wait()
        runs.start(method, lock)
        await runs.held_by(method.__name__, [holder.__name__])
        runs.end()

    # The lock of a condition is made where the condition is: after the first such method in a process.
    watched(wants, hook.waits)
    asyncio.run(act())


def test_it_passes_from_one_to_another_meanwhile(hook: Hook) -> None:
    async def act() -> None:
        runs, lock = Runs(hook), asyncio.Lock()
        held, until, held_too = asyncio.Event(), asyncio.Event(), asyncio.Event()
        runs.start(takes, lock, held, until)
        await held.wait()
        runs.start(takes_too, lock, held_too, asyncio.Event())
        await runs.held_by("takes_too", ["takes"])
        runs.start(wants, lock)
        await runs.held_by("wants", ["takes"])
        until.set()
        await runs.held_by("wants", ["takes_too"])
        runs.end()

    asyncio.run(act())


def test_all_that_have_a_part_of_a_semaphore_are_told(hook: Hook) -> None:
    async def act() -> None:
        runs, semaphore, held, held_too = Runs(hook), asyncio.Semaphore(2), asyncio.Event(), asyncio.Event()
        runs.start(takes, semaphore, held, asyncio.Event())
        await held.wait()
        runs.start(takes_too, semaphore, held_too, asyncio.Event())
        await held_too.wait()
        runs.start(wants, semaphore)
        await runs.held_by("wants", ["takes", "takes_too"])
        runs.end()

    asyncio.run(act())
