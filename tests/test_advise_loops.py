"""Advice on event loops of asynchronous actors that methods keep while they are idle."""

import json
from typing import Any

import polars as pl

import raytrace_analyze as rt
from tests.tables import run, span, submit, table, wait
from tests.test_activity import sampled

MS = 1_000_000
ABOUT: dict[str, Any] = {"actor_id": "m", "pid": 9, "worker_id": "wm"}


def keeping(*, asleep: bool = True, looked_at: bool = True) -> pl.DataFrame:
    """
    d  [s0..s4][get of all ...........................]
    m          [k0 ][k1 ][k2 ][k3 ][k4 ]                  each keeps the loop for 200 ms: asleep, or on the CPU
               [~~ a: awaits ~~~~]                        another method, which lets them
    """
    loop = {"raytrace.max_concurrency": 1000, "raytrace.on_event_loop": True}
    rows = [span("driver", 0, 1100 * MS, name="ray.driver")]
    for number in range(5):
        begin, end = (10 + 200 * number) * MS, (205 + 200 * number) * MS
        seen = sampled(2 if asleep else 195, *([(begin // MS + 20, end // MS, "time.sleep", "/p/a.py:7")] * asleep))
        told = json.dumps({**loop, **(json.loads(seen) if looked_at else {})})
        rows += [
            submit(f"s{number}", number * MS, (number + 1) * MS, "driver", submitted_task_id=f"K{number}"),
            run(f"k{number}", begin, end, f"s{number}", f"K{number}", function="A.keeps", attributes=told, **ABOUT),
        ]
    rows += [
        submit("sa", 6 * MS, 7 * MS, "driver", submitted_task_id="KA"),
        run("a", 9 * MS, 450 * MS, "sa", "KA", function="A.awaits", attributes=json.dumps(loop), **ABOUT),
        wait("y", 9 * MS + 1, 449 * MS, "a", [], name="await", attributes='{"raytrace.awaited":"asyncio.sleep"}'),
        wait("get", 8 * MS, 1010 * MS, "driver", [*(f"K{number}" for number in range(5)), "KA"]),
    ]
    return table(*rows, recorded=True)


def test_a_method_that_sleeps_on_its_event_loop_is_named_and_what_awaiting_saves() -> None:
    (found,) = rt.advise(keeping()).filter(pattern="blocked-loop").to_dicts()
    assert (found["function"], found["file"], found["line"]) == ("A.keeps", "/p/a.py", 7)
    assert "longest in time.sleep" in found["what"] and "asyncio.to_thread" in found["remedy"]
    # All five sleep at once then.
    assert found["saved_ns"] > 500 * MS and not found["certain"]


def test_a_method_that_works_on_its_event_loop_or_that_nobody_looked_at_does_not_block_it() -> None:
    for other in (keeping(asleep=False), keeping(looked_at=False)):
        assert "blocked-loop" not in rt.advise(other).get_column("pattern").to_list()
