"""Whether a coroutine sleeps in a loop that can end any time, told by its code."""

import types
from collections.abc import AsyncGenerator, Generator
from typing import Any

import pytest
from raytrace_hook.sampling.loops import may_end_early

flag = False


@types.coroutine
def sleeps() -> Generator[None, None, None]:
    yield


async def once() -> None:
    await sleeps()


async def after_a_loop(n: int) -> None:
    for _ in range(n):
        await sleeps()
    await sleeps()


async def counts(n: int) -> None:
    await sleeps()
    for _ in range(n):
        await sleeps()
        await sleeps()


async def polls() -> None:
    while not flag:
        await sleeps()


async def tries(n: int) -> None:
    for _ in range(n):
        await sleeps()
        if flag:
            break


async def gives(n: int) -> AsyncGenerator[int, None]:
    for item in range(n):
        await sleeps()
        yield item


async def goes_through(n: int) -> None:
    async for _ in gives(n):
        await sleeps()


async def goes_through_in_part(n: int) -> None:
    async for _ in gives(n):
        await sleeps()
        if flag:
            break


def place(coroutine: Any, steps: int) -> bool:
    """Go on to where it gives way for the so-manieth time."""
    is_generator = isinstance(coroutine, types.AsyncGeneratorType)
    step = coroutine.__anext__() if is_generator else coroutine
    for _ in range(steps):
        step.send(None)
    frame = coroutine.ag_frame if is_generator else coroutine.cr_frame
    found = may_end_early([(frame.f_code, frame.f_lasti)])
    step.close()
    return found


@pytest.mark.parametrize(
    ("coroutine", "steps"),
    [
        (once(), 1),
        (after_a_loop(1), 2),
        (counts(2), 1),
        (counts(2), 2),
        (counts(2), 3),
        (gives(2), 1),
        (goes_through(2), 2),
    ],
)
def test_a_sleep_that_is_no_question_stands_for_work(coroutine: Any, steps: int) -> None:
    assert not place(coroutine, steps)


@pytest.mark.parametrize(("coroutine", "steps"), [(polls(), 1), (tries(3), 1), (goes_through_in_part(2), 2)])
def test_a_sleep_in_a_loop_with_a_way_out_is_a_question(coroutine: Any, steps: int) -> None:
    assert place(coroutine, steps)
