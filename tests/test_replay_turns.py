"""Turns on actors in a replay: whoever is ready first has the next one, however it was observed."""

import polars as pl

from raytrace_analyze import what_if
from tests.tables import Row, run, span, submit, table, wait

MS = 1_000_000


def caller(name: str, start: int, asks: int, turn: int) -> list[Row]:
    """A task that works until it calls an actor at `asks`, which runs the call from `turn` on for 100; times in ms."""
    push = {"function": "P.push", "actor_id": "A", "worker_id": "w", "pid": 77}
    return [
        submit(f"s-{name}", start * MS, (start + 1) * MS, "driver", submitted_task_id=name, function=name),
        run(f"r-{name}", (start + 2) * MS, (turn + 110) * MS, f"s-{name}", name, function=name),
        submit(
            f"p-{name}", asks * MS, (asks + 1) * MS, f"r-{name}", submitted_task_id=f"push-{name}", function="P.push"
        ),
        run(f"q-{name}", turn * MS, (turn + 100) * MS, f"p-{name}", f"push-{name}", **push),
        wait(f"w-{name}", (asks + 1) * MS, (turn + 110) * MS, f"r-{name}", [f"push-{name}"]),
    ]


def shared() -> pl.DataFrame:
    """
    one   [== 100 ==|push 102-202 ]
    two   [================ 400 =================|push 402-502 ]       the driver waits for both
    """
    rows = [*caller("one", 0, 100, 102), *caller("two", 1, 400, 402)]
    gets = wait("get", 10 * MS, 520 * MS, "driver", ["one", "two"])
    return table(span("driver", 0, 530 * MS, name="ray.driver"), *rows, gets, recorded=True)


def takes(function: str, speed: float) -> float:
    return what_if(shared(), speedup={function: speed}).predicted_ns / MS


def test_who_is_faster_has_its_turn_sooner() -> None:
    assert takes("two", 1) == 530
    # Ready at 43 instead of 400, it is the first: the other one waits until 144 now, and decides.
    assert 144 + 100 < takes("two", 10) < 144 + 100 + 8 + 20 + 10


def test_turns_are_still_one_at_a_time() -> None:
    # Both ask at once: the second of the calls of 100 ends after 200.
    faster = what_if(shared(), speedup={"one": 1000, "two": 1000}).predicted_ns / MS
    assert 200 < faster < 200 + 40
