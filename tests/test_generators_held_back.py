"""A generator that is held back goes on to its consumer; an item that was there already is not waited for."""

import json

import polars as pl

from raytrace_analyze import critical_path, what_if
from tests.tables import chain, run, span, submit, table, wait

MS = 1_000_000
HELD = {"name": "back-pressure", "attributes": '{"raytrace.awaited": "consumer", "raytrace.item": 1}'}


def slow_consumer(*, short_nexts: bool) -> pl.DataFrame:
    # driver  [s][next][~~ its loop ~~][next][get][~~ its loop ~~][next ...]-
    # g          [=1==2][held back .....][=3=][held back .........][=======]
    items = json.dumps({"raytrace.items": 3, "raytrace.item_ready": json.dumps([20 * MS, 25 * MS, 108 * MS])})
    rows = [
        span("driver", 0, 300 * MS, name="ray.driver"),
        submit("s", 2 * MS, 4 * MS, "driver", submitted_task_id="G"),
        run("g", 10 * MS, 280 * MS, "s", "G", attributes=items),
        wait("next1", 5 * MS, 21 * MS, "driver", ["G"], name="ray.next", attributes='{"raytrace.item": 0}'),
        wait("held1", 26 * MS, 102 * MS, "g", [], **HELD),
        wait("held2", 109 * MS, 202 * MS, "g", [], **HELD),
        # With which item it came back nobody says: the generator still ran.
        wait("get", 103 * MS, 104 * MS, "driver", ["G"]),
        wait("last", 230 * MS, 282 * MS, "driver", ["G"], name="ray.next"),
    ]
    if not short_nexts:
        nexts = [("next2", 100 * MS, 1), ("next3", 200 * MS, 2)]
        rows += [
            wait(name, at, at + MS, "driver", ["G"], name="ray.next", attributes=f'{{"raytrace.item": {item}}}')
            for name, at, item in nexts
        ]
    return table(*rows, recorded=True)


def test_what_holds_a_generator_back_is_its_consumer() -> None:
    for short_nexts in (False, True):
        path = critical_path(slow_consumer(short_nexts=short_nexts))
        parts = path.segments.filter(pl.col("span_id") == "driver")
        assert parts["duration_ns"].sum() > 170 * MS
        assert "consumer" in path.segments["via"].to_list()
        # From where the last item was asked for on, the generator worked: 78 ms of it.
        assert ("g", 202 * MS, 280 * MS, "self") in chain(path.segments)


def test_what_if_agrees_that_the_consumer_decides() -> None:
    spans = slow_consumer(short_nexts=True)
    found = what_if(spans, speedup={"(driver)": 1e9}).predicted_ns
    assert found < 150 * MS


def test_an_item_that_was_there_is_not_waited_for() -> None:
    path = chain(critical_path(slow_consumer(short_nexts=False)).segments)
    assert ("get", 103 * MS, 104 * MS, "wait") in path
