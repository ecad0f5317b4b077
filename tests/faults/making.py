"""Makes damaged, hostile and made-up input from chance: what `tests.faults.fuzz` feeds to everything that reads."""

import gzip
import json
import random
import time
from pathlib import Path
from typing import Any

import polars as pl

import raytrace_analyze as rt
from raytrace_analyze.names import attributes
from tests.faults.foreign import foreign_files
from tests.faults.values import HOSTILE, SAMPLES, mutated, place_value

_FILES = 2
"""Files of a capture in one case, besides the largest."""

NESTED = [
    *("[[0, 1e30, 5]]", "[[1, 2]]", "[1, 1e999]", "[]", "{}", '{"a": 1e30}', "[" * 3000, '["x", null]', "7", "null"),
    *('{"stretches": [{"start_ns": 0, "end_ns": 1e30}], "left_out_ns": 1e30}', '{"stretches": [{"in": 7}]}'),
]
"""Texts in place of the JSON that some attributes hold."""
NAMES = sorted(
    value for name, value in vars(attributes).items() if name.isupper() and str(value).startswith("raytrace.")
)


def make_case(chance: random.Random, folder: Path) -> None:
    """Write one case into a folder."""
    make = chance.choice(
        [
            *(mutated_capture, mutated_capture, made_up_spans, odd_values, odd_values),
            *(odd_side_files, odd_table, foreign_parquet),
            *(foreign_files, foreign_files, foreign_files, foreign_files),
        ]
    )
    make(chance, folder)


def capture(chance: random.Random) -> dict[str, bytes]:
    """Some files of one capture."""
    spans = chance.choice(sorted(SAMPLES.glob("*/spans")))
    files = sorted(spans.iterdir(), key=lambda file: -file.stat().st_size)
    chosen = files[:1] + chance.sample(files[1:], min(_FILES, len(files) - 1))
    return {file.name: file.read_bytes() for file in chosen}


def mutated_capture(chance: random.Random, folder: Path) -> None:
    """A capture with bytes changed, lost, doubled or put in."""
    for name, whole in capture(chance).items():
        content = whole
        for _ in range(chance.choice([0, 1, 1, 3, 20])):
            content = mutated(chance, content)
        if chance.random() < 0.1:
            content = mutated(chance, gzip.compress(content, mtime=0))
        (folder / name).write_bytes(content)


def odd_values(chance: random.Random, folder: Path) -> None:
    """A capture whose records are whole, with values that nobody expects; also in the side files."""
    for name, content in capture(chance).items():
        lines = content.splitlines()
        for number in chance.sample(range(len(lines)), min(len(lines), chance.choice([1, 3, 30]))):
            try:
                record = json.loads(lines[number])
            except ValueError:
                continue
            place_value(chance, record)
            told = record.get("attributes") if isinstance(record, dict) else None
            if isinstance(told, dict) and chance.random() < 0.5:  # few captures have all that the hook can tell
                told[chance.choice(NAMES)] = chance.choice([*HOSTILE, *NESTED])
            lines[number] = json.dumps(record).encode()
        (folder / name).write_bytes(b"\n".join(lines) + b"\n")


def odd_side_files(chance: random.Random, folder: Path) -> None:
    """A capture of our hook, damaged in its side files alone: their headers, slots, states, profiles."""
    spans = chance.choice(sorted(SAMPLES.glob("*-ours/spans")))
    for file in sorted(spans.iterdir()):
        content = file.read_bytes()
        if file.suffix == ".jsonl":
            (folder / file.name).write_bytes(content)
            continue
        lines = content.splitlines(keepends=True)
        for number in chance.sample(range(len(lines)), min(len(lines), chance.choice([1, 2, 10]))):
            try:
                record = json.loads(lines[number])
            except ValueError:
                continue
            for _ in range(chance.choice([1, 3])):
                place_value(chance, record)
            lines[number] = json.dumps(record).encode() + b"\n"
        damaged = b"".join(lines)
        (folder / file.name).write_bytes(mutated(chance, damaged) if chance.random() < 0.3 else damaged)


def foreign_parquet(chance: random.Random, folder: Path) -> None:
    """Parquet that others wrote: any columns, names like ours with other types, our metadata or half of it."""
    height = chance.choice([0, 1, 3])
    own = rt.read_spans(SAMPLES / "nested-ours" / "spans").columns
    names = chance.sample(own, chance.choice([0, 3, len(own)])) + chance.sample(["a", "b", "\u202e", "x" * 300, ""], 2)
    types = [pl.Int8, pl.UInt64, pl.Float32, pl.Boolean, pl.String, pl.Binary, pl.Date, pl.Time, pl.Datetime("us")]
    types += [pl.Duration("ns"), pl.Decimal(10, 2), pl.Categorical, pl.Null, pl.List(pl.List(pl.Int8))]
    types += [pl.Struct({"a": pl.Int8}), pl.Array(pl.Int8, 2), pl.List(pl.Struct({"a": pl.String}))]
    frame = pl.DataFrame({name: pl.Series([None] * height, dtype=chance.choice(types)) for name in names})
    version = chance.choice(["1", "2", "3", "-1", "²", "9" * 400, ""])
    metadata = {"raytrace.schema_version": version} if chance.random() < 0.8 else {}
    metadata |= {"raytrace.table": "task_events"} if chance.random() < 0.2 else {}
    metadata |= {"raytrace.problems": json.dumps(chance.choice(HOSTILE), default=str)} if chance.random() < 0.5 else {}
    frame.write_parquet(folder / "foreign.parquet", metadata=metadata)
    if chance.random() < 0.5:
        mutated_capture(chance, folder)


def made_up_spans(chance: random.Random, folder: Path) -> None:
    """Spans whose times, parents, tasks and processes were drawn from a few, so that they contradict each other."""
    count = chance.choice([1, 2, 5, 20, 60])
    ids = [f"{number + 1:016x}" for number in range(count)]
    tasks = [f"{number + 1:048x}" for number in range(max(count // 3, 1))]
    base = 1_795_000_000_000_000_000
    spread = chance.choice([10, 1000, 10**9, 10**18])

    def moment() -> str:
        ns = base + chance.randrange(spread)
        day = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(ns // 10**9))
        return f"{day}.{ns % 10**9:09d}Z"

    with (folder / "spans.jsonl").open("w") as file:
        for own in ids:
            kind = chance.choice(["PRODUCER", "CONSUMER", "CONSUMER", "INTERNAL", "CLIENT"])
            name = {"PRODUCER": "f ray.remote", "CONSUMER": "f ray.remote_worker"}.get(kind, chance.choice(WAITS))
            attributes: dict[str, Any] = {
                "ray.job_id": chance.choice(["01000000", "02000000"]),
                "ray.pid": str(chance.randrange(4)),
                "ray.node_id": chance.choice("ab"),
                "ray.worker_id": chance.choice("wxyz"),
            }
            attributes |= {key: chance.choice(tasks) for key in TASK_KEYS if chance.random() < 0.3}
            attributes |= {key: chance.choices(tasks, k=2) for key in LIST_KEYS if chance.random() < 0.3}
            attributes |= {"raytrace.attempt": chance.randrange(3)} if chance.random() < 0.3 else {}
            record = {
                "name": name,
                "context": {"trace_id": f"0x{chance.randrange(1, 3):032x}", "span_id": f"0x{own}"},
                "kind": f"SpanKind.{kind}",
                "parent_id": chance.choice([None, f"0x{chance.choice(ids)}", "0x" + "e" * 16]),
                "start_time": moment(),
                "end_time": moment() if chance.random() < 0.9 else None,
                "status": {"status_code": chance.choice(["UNSET", "OK", "ERROR"])},
                "attributes": attributes,
                "events": [],
                "links": [],
                "resource": {"attributes": {"raytrace.records_waits": chance.random() < 0.5, "host.name": "h"}},
            }
            file.write(json.dumps(record) + "\n")


WAITS = ["ray.get", "ray.wait", "await", "ray.next", "ray.put", "driver", "custom", ""]
TASK_KEYS = ("ray.task_id", "raytrace.submitted_task_id", "ray.actor_id")
LIST_KEYS = ("raytrace.ready_task_ids", "raytrace.dependency_task_ids")


def odd_table(chance: random.Random, folder: Path) -> None:
    """A table as `merge` writes it, with columns of other types, values out of range, and columns too many or few."""
    source = folder / "spans"
    source.mkdir()
    for name, content in capture(chance).items():
        (source / name).write_bytes(content)
    path = folder / "spans.parquet"
    rt.write_table(rt.load([source]).spans, path)
    metadata = pl.read_parquet_metadata(path)
    rows = pl.read_parquet(path)
    for _ in range(chance.choice([1, 1, 2, 5])):
        name = chance.choice(rows.columns)
        rows = rows.drop(name) if chance.random() < 0.1 else rows.with_columns(_odd(chance, name).alias(name))
    rows.write_parquet(path, metadata={key: value for key, value in metadata.items() if key.startswith("raytrace.")})
    if chance.random() < 0.3:
        path.write_bytes(mutated(chance, path.read_bytes()))
    if chance.random() < 0.7:  # else merged with the files it is made of
        for file in source.iterdir():
            file.unlink()


def _odd(chance: random.Random, name: str) -> pl.Expr:
    far = chance.choice([-(2**63) + 1, -1, 0, 2**63 - 1])
    return chance.choice(
        [
            pl.lit(None),
            pl.lit(0.5),
            pl.lit(True),
            pl.lit(far).cast(pl.Datetime("ns", "UTC")),
            pl.lit(253_402_300_799_000).cast(pl.Datetime("ms")),
            pl.lit("x" * 300),
            pl.struct(pl.lit(1).alias("a")),
            pl.concat_list(pl.lit(1), pl.lit(2)),
            pl.concat_list(pl.struct(pl.lit(1).alias("a"))),
            pl.col(name).shuffle(seed=chance.randrange(99)),
            pl.when(pl.int_range(pl.len()) == 0).then(None).otherwise(pl.col(name)),
            pl.lit(b"\xff\xfe"),
        ]
    )
