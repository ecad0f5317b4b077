"""The critical paths of a large table are summed up window by window, and are the same as of all of it."""

import ast
import json
import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

import raytrace_analyze as rt
from benchmarks.generate import write_spans
from benchmarks.shapes import Size
from raytrace_analyze import schema
from raytrace_analyze.analyses.all_paths import large, rows_in_file, windows
from raytrace_analyze.analyses.all_paths.large import paths_of_large
from raytrace_analyze.analyses.all_paths.likely import likely_told
from raytrace_analyze.analyses.all_paths.question import Question
from raytrace_analyze.cli import app
from raytrace_analyze.ingest.loading import find, load_found
from raytrace_analyze.names import attributes
from raytrace_analyze.names.path_attributes import ASKED, asked_attributes
from raytrace_analyze.path.aggregate import aggregate_paths
from raytrace_analyze.path.options import PathOptions
from raytrace_analyze.queueing.beyond import Told
from tests.random_spans import random_table
from tests.simulator import simulate
from tests.sizes import counted, first
from tests.tables import run, span, submit, table, wait

SAMPLES = Path(__file__).parent.parent / "sample_spans"
NAMES = sorted(folder.parent.name for folder in SAMPLES.glob("*/spans"))
MILLISECOND = 1_000_000
Asked = tuple[str, str | None, PathOptions]
SHORT: Sequence[Asked] = (("cause", "p50", PathOptions()),)
ALL: Sequence[Asked] = (
    *SHORT,
    ("function", None, PathOptions(infer=False)),
    ("entrypoint", None, PathOptions()),
    ("hour", "p90", PathOptions()),
    ("name", "p99", PathOptions(queues="show")),
)


@pytest.fixture(autouse=True)
def every_table_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(large, "LARGE_ROWS", 0)
    monkeypatch.setattr(large, "SCATTERED_ROWS", 0)
    monkeypatch.setattr(large, "MARGINS", ((0.05, 10**9), (9.0, 2 * 10**9)))
    for name in ("_MOST_COPIES", "_LARGEST"):
        monkeypatch.setattr(windows, name, 1 << 30)
    for name, rows in (("_BETWEEN", 3), ("_EACH", 0), ("_MOST", 1 << 30)):
        monkeypatch.setattr(rows_in_file, name, rows)


def told_alike(path: Path, asked: Iterable[Asked] = SHORT, *, rows: int = 10, clock_correct: bool = True) -> int:
    """Compare what is told of windows of so many rows with what is told of all; gives how often it was told at all."""
    found = find([path])
    whole = load_found(found)
    trace = rt.prepare(whole.spans, clock_correct=clock_correct)
    told = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(large, "WINDOW_ROWS", rows)
        for by, tail, options in asked:
            question = Question("traces", by, tail, options, clock_correct)
            answer = paths_of_large(found, question, lambda share: None)
            if answer is not None:
                sums = aggregate_paths(trace, options, scopes="traces", by=by, tail=tail)
                assert_frame_equal(answer.sums.frame, sums.frame)
                for name in ("scopes", "makespan_ns", "tail_scopes", "tail_from_ns"):
                    assert getattr(answer.sums, name) == getattr(sums, name)
                assert answer.evidence == rt.evidence(whole)
                assert answer.problems == whole.report.problems
                told += 1
    return told


def written(spans: pl.DataFrame, folder: Path) -> Path:
    path = folder / "spans.parquet"
    rt.write_table(spans, path)
    return path


@pytest.mark.parametrize("format", ["hook", "stock"])
def test_generated_spans_are_told_as_of_the_whole_table(format: str, tmp_path: Path) -> None:
    write_spans(tmp_path / "files", Size(4000, processes=12), format)
    path = written(rt.read_spans(tmp_path / "files").drop("duration_ns"), tmp_path)
    assert told_alike(path, ALL, rows=600) == len(ALL)


class Cluster:
    """Nodes with slots, on which tasks of many traces queue; everything is drawn at random."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.rows: list[dict[str, Any]] = []
        nodes = self.random.randint(1, 3)
        self.slots = [[0] * self.random.randint(1, 4) for _ in range(nodes)]
        self.begun: set[str] = set()
        # Some clusters get busier, so that how much a node holds shows late.
        self.busier = self.random.random() < 0.5
        self.lets_go = self.random.random() < 0.5

    def between(self, least: float, most: float) -> int:
        return round(self.random.uniform(least, most) * MILLISECOND)

    def spans(self, traces: int) -> pl.DataFrame:
        now = 0
        for number in range(traces):
            now += self.between(1, 400 / (1 + number / 4 if self.busier else 3))
            self.trace(f"t{number:03}", now)
        return table(*self.rows, recorded=True)

    def trace(self, name: str, now: int) -> None:
        here = {"trace_id": name, "job_id": "1", "session": "s", "host": "h0", "pid": 1, "node_id": "n0"}
        own = len(self.rows)
        end = now
        for number in range(self.random.randint(1, 5)):
            now += self.between(0.1, 2)
            end = max(end, self.task(f"{name}-{number}", f"{name}-driver", now, here))
        names = [row["task_id"] for row in self.rows[own:] if row.get("task_id") and "." not in row["task_id"]]
        self.rows.append(wait(f"{name}-get", now, end + self.between(0.1, 1), f"{name}-driver", names, **here))
        self.rows.append(
            span(f"{name}-driver", now - 20 * MILLISECOND, end + 2 * MILLISECOND, name="ray.driver", **here)
        )

    def task(self, name: str, parent: str, now: int, here: dict[str, Any], depth: int = 0) -> int:
        """Queue a task where the earliest slot of a node is; gives its end."""
        self.rows.append(submit(f"{name}s", now, now + 50_000, parent, submitted_task_id=name, **here))
        number = self.random.randrange(len(self.slots))
        slots = self.slots[number]
        slot = min(range(len(slots)), key=slots.__getitem__)
        worker = f"{number}-{slot}-{self.random.randint(0, 2)}"
        start = max(now + 50_000, slots[slot]) + self.between(0.1, 90)
        if worker not in self.begun:
            self.begun.add(worker)
            start += self.between(50, 300)
        where = {"node_id": f"n{number}", "worker_id": worker, "host": f"h{number}", "pid": hash(worker) % 9999}
        end = start + self.between(1, 300)
        if depth == 0 and self.lets_go and self.random.random() < 0.3:
            inner = self.task(f"{name}.0", f"{name}r", start + 10_000, here, depth + 1)
            self.rows.append(
                wait(f"{name}w", start + 90_000, inner + 10_000, f"{name}r", [f"{name}.0"], **(here | where))
            )
            end = max(end, inner + 20_000)
        slots[slot] = end
        self.rows.append(run(f"{name}r", start, end, f"{name}s", name, function=f"f{number}", **(here | where)))
        return end


@counted(5, 400)
def test_queues_on_a_cluster_are_told_as_of_the_whole_table(count: int, tmp_path: Path) -> None:
    told = 0
    for seed in range(count):
        path = written(Cluster(seed).spans(40), tmp_path)
        told += told_alike(path, rows=60) + told_alike(path, rows=150)
    assert told > count


@pytest.mark.parametrize("more", [-20_000, -10_000, 10_000, 1_000_000])
def test_what_seemed_likely_and_is_not_so_makes_no_difference(
    more: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(*asked: Any) -> Told:
        likely = likely_told(*asked)
        return replace(
            likely,
            capacity={place: held + more for place, held in likely.capacity.items()},
            lets_go={} if more < 0 else dict.fromkeys(likely.lets_go, True),
        )

    monkeypatch.setattr(large, "likely_told", wrong)
    assert sum(told_alike(written(Cluster(seed).spans(40), tmp_path), rows=60) for seed in range(3)) > 1


def test_what_is_likely_is_mostly_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Told] = []

    def likely(*asked: Any) -> Told:
        told.append(likely_told(*asked))
        return told[-1]

    monkeypatch.setattr(large, "likely_told", likely)
    for seed in range(4):
        path = written(Cluster(seed).spans(40), tmp_path)
        told_alike(path, rows=60)
        whole = rt.prepare(rt.read_spans(path)).rules.about.told
        assert told[-1].capacity == whole.capacity
        assert told[-1].lets_go == {node: True for node, goes in whole.lets_go.items() if goes}


@pytest.mark.parametrize("name", first(4, NAMES))
def test_captures_are_told_as_of_the_whole_table_or_not_at_all(name: str, tmp_path: Path) -> None:
    told_alike(written(rt.read_spans(SAMPLES / name).drop("duration_ns"), tmp_path))


@counted(40, 600)
def test_nonsense_is_told_as_of_the_whole_table_or_not_at_all(count: int, tmp_path: Path) -> None:
    for seed in range(count):
        spans = random_table(seed).filter(pl.col("session").is_not_null())
        if spans.height:
            told_alike(written(spans, tmp_path), rows=5, clock_correct=seed % 2 == 0)


@counted(10, 100)
def test_simulated_programs_are_told_as_of_the_whole_table_or_not_at_all(count: int, tmp_path: Path) -> None:
    for seed in range(count):
        told_alike(written(simulate(seed).spans, tmp_path), rows=20)


def trace_of(number: int, **task: Any) -> list[dict[str, Any]]:
    """A driver that waits for one task."""
    here, start = {"trace_id": f"t{number}", "host": "a", "node_id": "n"}, number * 1000
    return [
        span(f"d{number}", start, start + 100, name="ray.driver", **here),
        submit(f"s{number}", start + 5, start + 10, f"d{number}", submitted_task_id=f"T{number}", **here),
        run(f"r{number}", start + 30, start + 80, f"s{number}", f"T{number}", **(here | {"worker_id": "w"} | task)),
        wait(f"w{number}", start + 20, start + 85, f"d{number}", [f"T{number}"], **here),
    ]


def told_of(*rows: dict[str, Any], folder: Path) -> int:
    spans = table(*(row for number in range(10) for row in trace_of(number)), *rows, recorded=True)
    return told_alike(written(spans, folder))


def test_a_table_that_another_program_wrote_is_told_in_windows(tmp_path: Path) -> None:
    path = written(Cluster(5).spans(40), tmp_path)
    kept = {key: value for key, value in pl.read_parquet_metadata(path).items() if key.startswith("raytrace.")}
    whole = pl.read_parquet(path)
    for spans in (
        whole.select(schema.TABLE.names()),
        whole.sample(fraction=1, shuffle=True, seed=1),
        # What its other columns say is not so.
        whole.with_columns(parent_place=pl.lit(0, pl.Int32), path_attributes=pl.lit("{}")),
    ):
        spans.write_parquet(path, metadata=kept)
        assert told_alike(path, rows=60) == 1


def test_the_file_tells_where_parents_stand(tmp_path: Path) -> None:
    rows = pl.read_parquet(written(table(*trace_of(2), *trace_of(1), span("lost", 1, 2, "gone")), tmp_path))
    spans = rows.select("trace_id", "span_id", "parent_id", place=pl.int_range(pl.len()).over("trace_id"))
    parents = spans.select("trace_id", parent_id="span_id", parent_place=pl.col("place").cast(pl.Int32))
    found = spans.join(parents, on=["trace_id", "parent_id"], how="left", maintain_order="left")
    assert rows.get_column("parent_place").equals(found.get_column("parent_place"))
    assert found.get_column("parent_place").drop_nulls().len() == 6


def test_what_does_not_reach_beyond_its_time_is_told_in_windows(tmp_path: Path) -> None:
    assert told_of(folder=tmp_path) == 1


@pytest.mark.parametrize(
    "rows",
    [
        # A result of a trace long ago.
        [submit("x", 9500, 9510, submitted_task_id="X", dependency_task_ids=["T0"], trace_id="t10")],
        [*trace_of(11), wait("x", 11050, 11060, "d11", ["T1"], trace_id="t11")],
        # A second attempt in another trace.
        [*trace_of(11)[:2], run("again", 11030, 11040, "s11", "T2", trace_id="t11")],
        # An actor, a span without an end, a clock that is off.
        trace_of(11, actor_id="A"),
        [span("open", 11000, None, trace_id="t11")],
        [*trace_of(11)[:2], run("r11", 11001, 11080, "s11", "T11", trace_id="t11", host="b", node_id="m")],
        # A span of the driver's process that lost its context.
        [span("lost", 9050, 9060, trace_id="t11"), span("dr", 9000, 9100, name="ray.driver", trace_id="t12")],
    ],
)  # fmt: skip
def test_what_reaches_beyond_its_time_is_told_of_the_whole_table(rows: list[dict[str, Any]], tmp_path: Path) -> None:
    assert told_of(*rows, folder=tmp_path) == 0


def test_what_paths_are_told_from_is_left_of_attributes() -> None:
    kept = '{"raytrace.resources":"{\\"CPU\\":1}","raytrace.call_site":"a.py:1"}'
    texts = {
        '{"ray.pid":"1","raytrace.resources":"{\\"CPU\\":1}","raytrace.call_site":"a.py:1"}': kept,
        '{"ray.pid":"1","raytrace.shown":"a"}': "{}",
        '{"of": {"raytrace.item":1}}': '{"of": {"raytrace.item":1}}',
        '{"said":"raytrace.item","raytrace.item":1}': '{"said":"raytrace.item","raytrace.item":1}',
        '{"said":"ä","raytrace.item":1}': '{"said":"ä","raytrace.item":1}',
    }
    assert asked_attributes(pl.Series(list(texts))).to_list() == list(texts.values())


def test_all_attributes_that_paths_are_told_from_are_kept() -> None:
    rooms = ("path", "waits", "sampled", "clocks", "queueing", "trace", "table/filled/served.py", "prepared.py")
    rooms += ("views/paths", "analyses/evidence.py", "table/totals.py")
    package = Path(rt.__file__).parent
    files = [file for room in rooms for file in ([package / room] if "." in room else (package / room).rglob("*.py"))]
    asked = {
        name: getattr(attributes, each.name)
        for file in files
        for statement in ast.walk(ast.parse(file.read_text()))
        if isinstance(statement, ast.ImportFrom) and statement.module == "raytrace_analyze.names.attributes"
        for each in statement.names
        if (name := each.name).isupper() and isinstance(getattr(attributes, name), str)
    }
    assert asked and not {name for name, text in asked.items() if text not in ASKED}


def test_the_command_says_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(Cluster(3).spans(30), tmp_path)

    def answer(*arguments: str) -> Any:
        done = CliRunner().invoke(app, ["critical-path", str(path), "--all", *arguments, "--format", "json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.output)

    for arguments in (["traces"], ["traces", "--by", "node", "--tail", "p90"], ["jobs"]):
        monkeypatch.setattr(large, "LARGE_ROWS", 1 << 60)
        whole = answer(*arguments)
        monkeypatch.setattr(large, "LARGE_ROWS", 0)
        monkeypatch.setattr(large, "WINDOW_ROWS", 50)
        assert answer(*arguments) == whole
