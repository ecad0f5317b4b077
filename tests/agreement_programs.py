"""Small programs, one for each kind of wait, and what each function wins if it takes no time; times in ns."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from tests.tables import Row, run, span, submit, table, wait

MS = 1_000_000


@dataclass(frozen=True)
class Case:
    """A program's spans, and what making a function infinitely fast wins."""

    spans: pl.DataFrame
    wins: Mapping[str, int]


def _driver(*rows: Row, **columns: Any) -> pl.DataFrame:
    """A driver from 0 to 1000 ms that does these things."""
    driver = span("driver", 0, 1000 * MS, name="ray.driver", **columns)
    return table(driver, *rows, recorded=True)


def _call(number: int, at: int, start: int, end: int, function: str, **columns: Any) -> list[Row]:
    """A submit by the driver at a time, and its run (ms)."""
    task = f"T{number}"
    about = {"function": function, **columns}
    return [
        submit(f"s{number}", at * MS, (at + 1) * MS, "driver", submitted_task_id=task, function=function),
        run(f"r{number}", start * MS, end * MS, f"s{number}", task, **about),
    ]


def _get(start: int, end: int, *tasks: int, **columns: Any) -> Row:
    return wait("get", start * MS, end * MS, "driver", [f"T{task}" for task in tasks], **columns)


def _actor(limit: int, *, loop: bool = False, group: str | None = None) -> dict[str, Any]:
    told = {"raytrace.max_concurrency": limit, "raytrace.on_event_loop": loop}
    told |= {} if group is None else {"raytrace.concurrency_group": group}
    return {"actor_id": "A", "worker_id": "w", "pid": 77, "attributes": json.dumps(told), "concurrent": True}


def _idle(start: int, end: int) -> dict[str, Any]:
    stretch = {"start_ns": start * MS, "end_ns": end * MS, "in": "time.sleep", "at": "f.py:1"}
    told = {"raytrace.cpu_ns": MS, "raytrace.idle": json.dumps({"stretches": [stretch]})}
    return {"attributes": json.dumps(told)}


def _sleep(span_id: str, start: int, end: int, parent: str, *, awaited: str = "", loops: bool = False) -> Row:
    told = {"raytrace.awaited": awaited} if awaited else {"raytrace.awaited": "asyncio.sleep", "raytrace.loops": loops}
    about = json.dumps(told)
    own = {"name": "await", "attributes": about, "pid": 77, "actor_id": "A", "task_id": "T" + parent[1:]}
    return wait(span_id, start * MS, end * MS, parent, [], **own)


def _ask(name: str, caller: str, at: int, start: int, end: int, function: str, **columns: Any) -> list[Row]:
    """A call of a method on an event loop out of a run, which waits for it (ms)."""
    about = {"function": function, **_actor(9, loop=True), **columns}
    return [
        submit(f"s{name}", at * MS, (at + 1) * MS, caller, submitted_task_id=f"T{name}", function=function),
        run(f"r{name}", start * MS, end * MS, f"s{name}", f"T{name}", **about),
        wait(f"w{name}", (at + 2) * MS, (end + 2) * MS, caller, [f"T{name}"]),
    ]


PROGRAMS = {
    # driver [s]~~~~~~~~~~~~~~~~~~~~~~~~~~~^[===]      idle until the delivery of fit's result
    "a delivery": Case(
        _driver(
            *_call(1, 5, 10, 800, "fit"),
            wait("delivery", 810 * MS, 810 * MS, "driver", ["T1"], name="ray.delivery"),
            **_idle(20, 808),
        ),
        {"fit": 780 * MS},
    ),
    # driver [s][get load][s][s][get fit ......^....][===]      a callback gets another result meanwhile
    "a delivery beside a wait": Case(
        _driver(
            *_call(1, 5, 10, 400, "load"),
            _get(20, 405, 1),
            *_call(2, 410, 420, 900, "fit"),
            *_call(3, 412, 420, 690, "other"),
            wait("get2", 430 * MS, 905 * MS, "driver", ["T2"]),
            wait("delivery", 700 * MS, 700 * MS, "driver", ["T3"], name="ray.delivery"),
        ),
        {"load": 380 * MS, "fit": 205 * MS},
    ),
    # load  [====]            one at a time in its group; crunch, of another group, is in nobody's way
    # load        [=====]
    # crunch [=======]
    "groups": Case(
        _driver(
            *_call(1, 1, 10, 410, "A.load", **_actor(1, group="io")),
            *_call(2, 3, 411, 900, "A.load", **_actor(1, group="io")),
            *_call(3, 5, 10, 800, "A.crunch", **_actor(2, group="cpu")),
            _get(20, 905, 1, 2, 3),
        ),
        # Without load only crunch, 105 ms sooner, is left.
        {"A.load": 100 * MS, "A.crunch": 0},
    ),
    # a [==][await sleep ......................][=]     b executes while a is suspended, and c after it
    # b      [============]
    # c                    [=========]
    "an event loop": Case(
        _driver(
            *_call(1, 1, 10, 700, "A.a", **_actor(100, loop=True)),
            wait(
                "pause", 20 * MS, 690 * MS, "r1", [], name="await", attributes='{"raytrace.awaited": "asyncio.sleep"}'
            ),
            *_call(2, 3, 21, 400, "A.b", **_actor(100, loop=True)),
            *_call(3, 5, 401, 900, "A.c", **_actor(100, loop=True)),
            _get(20, 905, 2, 3),
        ),
        {"A.b": 379 * MS, "A.c": 499 * MS},
    ),
    # wait [=][await Event.wait ............][=]      goes on because of send
    # send                               [==]
    "a signal": Case(
        _driver(
            *_call(1, 1, 10, 705, "A.wait", **_actor(100, loop=True)),
            wait(
                "p", 20 * MS, 701 * MS, "r1", [], name="await", attributes='{"raytrace.awaited": "asyncio.Event.wait"}'
            ),
            *_call(2, 3, 21, 700, "A.send", **_actor(100, loop=True)),
            _get(20, 710, 1),
        ),
        {"A.send": 679 * MS},
    ),
    # loop [=][await compiled graph to end ...............][=]      runs the steps until it is torn down
    # step       [====][====]
    # cancel                                        [=]
    "steps of a compiled graph": Case(
        _driver(
            *_call(1, 1, 10, 760, "A.loop", **_actor(1, group="_ray_system")),
            wait(
                "p",
                12 * MS,
                758 * MS,
                "r1",
                [],
                name="await",
                attributes='{"raytrace.awaited": "compiled graph to end"}',
            ),
            *_call(2, 20, 22, 320, "A.step", **_actor(1, group="compiled graph")),
            *_call(3, 22, 321, 620, "A.step", **_actor(1, group="compiled graph")),
            _get(24, 622, 3, attributes='{"raytrace.awaited": "compiled graph"}'),
            *_call(4, 700, 702, 708, "A.cancel", **_actor(1, group="_ray_system")),
            wait("end", 710 * MS, 762 * MS, "driver", ["T1"]),
        ),
        {"A.step": 596 * MS, "A.loop": 2 * MS, "A.cancel": 6 * MS},
    ),
    # two threads: c takes the turn of a, which ended first; it would take that of b, if that did
    # a [=====]
    # b [============================]
    # c        [===============]
    "threads": Case(
        _driver(
            *_call(1, 1, 10, 300, "A.a", **_actor(2)),
            *_call(2, 3, 10, 850, "A.b", **_actor(2)),
            *_call(3, 5, 301, 900, "A.c", **_actor(2)),
            _get(20, 905, 3),
        ),
        {"A.a": 290 * MS, "A.b": 290 * MS},
    ),
    # driver [s]=========[cancel][get]==]         the driver decides when loop ends
    # loop      [===============x
    "a call that ends a run": Case(
        _driver(
            *_call(1, 1, 10, 610, "loop", status="ERROR", error_type=None),
            span(
                "cancel",
                600 * MS,
                600 * MS,
                "driver",
                name="ray.cancel",
                attributes='{"raytrace.target_task_id": "T1"}',
            ),
            _get(601, 615, 1),
        ),
        {"loop": 0, "(driver)": 976 * MS},
    ),
    # driver [s][get, timed out][s][get .........]     waited for slow, then for backup
    # slow      [=================================...
    "a timeout": Case(
        _driver(
            *_call(1, 1, 5, 990, "slow"),
            wait(
                "late",
                10 * MS,
                400 * MS,
                "driver",
                [],
                attributes=json.dumps({"raytrace.timed_out": True, "raytrace.awaited_task_ids": ["T1"]}),
            ),
            *_call(2, 410, 420, 800, "backup"),
            _get(430, 805, 2),
        ),
        {"slow": 390 * MS, "backup": 370 * MS},
    ),
    # driver [s][get fetch ....................][s][get look ..............]===
    # fetch     [==][asyncio.sleep .........][==]   a sleep of its own: faster, it sleeps less
    # look                                        [=][sleep][=][sleep][=]   ends when something is there
    "timers": Case(
        _driver(
            *_call(1, 5, 10, 410, "A.fetch", **_actor(9, loop=True)),
            _sleep("z1", 20, 400, "r1", loops=False),
            _get(20, 415, 1),
            *_call(2, 420, 430, 830, "A.look", **_actor(9, loop=True)),
            _sleep("z2", 440, 620, "r2", loops=True),
            _sleep("z3", 640, 820, "r2", loops=True),
            wait("get2", 435 * MS, 835 * MS, "driver", ["T2"]),
        ),
        {"A.fetch": 390 * MS, "A.look": 40 * MS},
    ),
    # gathered [=][asyncio.gather ..........][=]   coroutines of its own, which nobody lets go on
    # asks     [=][asyncio.Event.wait ......][=]   somebody else's matter, though nobody knows whose
    "coroutines": Case(
        _driver(
            *_call(1, 5, 10, 410, "A.gathered", **_actor(9, loop=True)),
            _sleep("z1", 20, 400, "r1", awaited="asyncio.gather"),
            _get(20, 415, 1),
            *_call(2, 420, 430, 830, "A.asks", **_actor(9, loop=True)),
            _sleep("z2", 440, 820, "r2", awaited="asyncio.Event.wait"),
            wait("get2", 435 * MS, 835 * MS, "driver", ["T2"]),
        ),
        {"A.gathered": 390 * MS, "A.asks": 20 * MS},
    ),
    # driver [s]==============[get ...|.....]===      told meanwhile, of no length: the wait is what it was
    # work      [======================]
    "a note during a wait": Case(
        _driver(
            *_call(1, 1, 10, 800, "work"),
            span("note", 700 * MS, 700 * MS, "driver", name="ray.data.operator"),
            span("other", 700 * MS, 700 * MS, "driver", name="ray.data.operator"),
            _get(600, 805, 1),
        ),
        {"work": 200 * MS, "(driver)": 196 * MS},
    ),
    # consume [next]==========[next]===     the second item was there: only the first was waited for
    # produce [==1==2==========]
    "items": Case(
        _driver(
            *_call(
                1,
                1,
                10,
                400,
                "produce",
                attributes=json.dumps({"raytrace.items": 2, "raytrace.item_ready": json.dumps([100 * MS, 150 * MS])}),
            ),
            wait("n0", 20 * MS, 110 * MS, "driver", ["T1"], name="ray.next", attributes='{"raytrace.item": 0}'),
            wait("n1", 500 * MS, 505 * MS, "driver", ["T1"], name="ray.next", attributes='{"raytrace.item": 1}'),
        ),
        {"produce": 80 * MS},
    ),
    # produce   ====[s][get put .....x][s][get put .......]=====       full: put gives up, and is made again
    # A.put         [await Queue.put .x]  [await Queue.put ..]          for what the second came through for
    # consume   ========================================[s][get]==
    # A.get                                                [=]
    "a queue that is full, with timeouts": Case(
        _driver(
            *_call(1, 1, 10, 600, "produce"),
            *_call(2, 3, 10, 550, "consume"),
            *_ask("put1", "r1", 100, 103, 353, "A.put", status="ERROR"),
            _sleep("z1", 105, 352, "rput1", awaited="asyncio.Queue.put"),
            *_ask("put2", "r1", 356, 360, 503, "A.put"),
            _sleep("z2", 361, 501, "rput2", awaited="asyncio.Queue.put"),
            *_ask("get", "r2", 495, 498, 500, "A.get"),
            _get(20, 605, 1, 2),
        ),
        {"consume": 386 * MS, "produce": 50 * MS},
    ),
}
