"""Many jobs or traces at once: sums over all their paths, what differs in the slowest, and siblings that overlap."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from benchmarks.synthetic import fan_out_table
from raytrace_analyze import (
    PathOptions,
    UsageError,
    critical_path,
    critical_paths,
    path_aggregates,
    prepare,
    write_table,
)
from raytrace_analyze.path.aggregate import aggregate_paths
from raytrace_analyze.vocabulary.groups import PathGroup
from tests import command_line
from tests.command_line import Done
from tests.random_spans import random_table, span_table
from tests.simulator import simulate
from tests.tables import span, table

CASES = Path(__file__).parent / "cases"
HOUR = 3_600_000_000_000


def requests() -> pl.DataFrame:
    """Three requests of 10, 10 and 100 ns; two have a call of `load`, in the last one it takes nearly all the time."""
    rows = []
    for number, (start, end, load) in enumerate([(0, 10, 4), (HOUR, HOUR + 10, 0), (2 * HOUR, 2 * HOUR + 100, 90)]):
        here = {"trace_id": f"t{number}"}
        rows.append(span(f"root{number}", start, end, name="GET /" if number < 2 else "POST /", **here))
        if load:
            call = {"function": "load", "node_id": "n2"}
            rows.append(span(f"load{number}", start + 1, start + 1 + load, f"root{number}", **call, **here))
    return table(*rows)


def row_of(frame: pl.DataFrame, group: str | None) -> dict[str, Any]:
    return frame.filter(pl.col(frame.columns[0]).eq_missing(group)).row(0, named=True)


def test_a_functions_share_percentiles_and_example() -> None:
    load = row_of(path_aggregates(requests(), scopes="traces"), "load")
    assert (load["total_ns"], load["self_ns"], load["scopes"], load["inferred_ns"]) == (94, 94, 2, 0)
    assert load["share"] == pytest.approx(94 / 120)
    assert (load["p50_ns"], load["p90_ns"], load["max_ns"]) == (47, 81, 90)
    assert (load["example"], load["example_session"]) == ("t2", "s")


def test_the_largest_group_comes_first() -> None:
    assert path_aggregates(requests(), scopes="traces")["function"].to_list() == ["load", "(driver)"]


def test_what_differs_in_the_tail() -> None:
    tail = path_aggregates(requests(), scopes="traces", tail="p99")
    load = row_of(tail, "load")
    assert (load["tail_mean_ns"], load["rest_mean_ns"], load["extra_ns"]) == (90, 2, 88)
    assert load["tail_share"] == pytest.approx(0.9)
    assert load["rest_share"] == pytest.approx(0.2)
    assert tail["extra_ns"].sum() == 100 - 10


@pytest.mark.parametrize(
    ("by", "totals"),
    [
        ("entrypoint", {"GET /": 20, "POST /": 100}),
        ("hour", {"1970-01-01T00:00Z": 10, "1970-01-01T01:00Z": 10, "1970-01-01T02:00Z": 100}),
        ("node", {"n": 26, "n2": 94}),
        ("category", {"self": 120}),
        ("cause", {None: 120}),
        ("actor", {None: 120}),
    ],
)
def test_other_groups(by: str, totals: dict[str | None, int]) -> None:
    frame = path_aggregates(requests(), scopes="traces", by=by)
    assert dict(frame.select(by, "total_ns").iter_rows()) == totals


def test_programs_of_jobs() -> None:
    driver = {"name": "ray.driver", "attributes": json.dumps({"raytrace.entrypoint": "train.py"})}
    frame = path_aggregates(table(span("d", 0, 10, **driver)), by="entrypoint")
    assert frame.select("entrypoint", "total_ns").row(0) == ("train.py", 10)


@pytest.mark.parametrize("tasks", [200, pytest.param(2000, marks=pytest.mark.slow)])
def test_every_grouping_adds_up_to_all_makespans(tasks: int) -> None:
    for spans in (simulate(3).spans, simulate(4).stock_spans, fan_out_table(tasks), random_table(5)):
        for scopes in ("jobs", "traces"):
            segments = critical_paths(spans, scopes=scopes)
            for by in PathGroup:
                found = aggregate_paths(prepare(spans), PathOptions(), scopes=scopes, by=by, tail="p90")
                total = int(segments["duration_ns"].sum())
                assert found.makespan_ns == found.frame["total_ns"].sum() == total
                assert found.frame["inferred_ns"].sum() == segments.filter("inferred")["duration_ns"].sum()


def test_the_tail_is_the_slowest_part() -> None:
    spans = fan_out_table(5000)
    segments = critical_paths(spans, scopes="traces")
    found = aggregate_paths(prepare(spans), PathOptions(), scopes="traces", tail="p90")
    makespans = segments.group_by("scope").agg(pl.col("duration_ns").sum())["duration_ns"].sort(descending=True)
    assert found.tail_scopes == round(found.scopes * 0.1)
    assert found.tail_from_ns == makespans[found.tail_scopes - 1]


@pytest.mark.parametrize("options", [{"by": "colour"}, {"tail": "slow"}, {"tail": "p100"}, {"scopes": "tasks"}])
def test_what_cannot_be_asked(options: dict[str, str]) -> None:
    with pytest.raises(UsageError):
        path_aggregates(requests(), **options)  # type: ignore[arg-type]


# On the command line


@pytest.fixture(scope="module")
def requests_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("requests") / "spans.parquet"
    write_table(requests(), path)
    return path


def cli(*arguments: str | Path) -> Done:
    return command_line.cli("critical-path", *arguments)


def test_all_traces_on_screen(requests_file: Path) -> None:
    lines = cli(requests_file, "--all", "traces").stdout.splitlines()
    assert lines[0] == "3 traces took 120 ns in all; this is what decided it."
    assert lines[2].split() == [
        "load",
        "78.3",
        "%",
        "94",
        "ns",
        "2",
        "47",
        "ns",
        "81",
        "ns",
        "89",
        "ns",
        "90",
        "ns",
        "t2",
    ]
    assert lines[3].startswith("(driver)")


def test_the_tail_on_screen(requests_file: Path) -> None:
    lines = cli(requests_file, "--all", "traces", "--tail", "p99").stdout.splitlines()
    assert lines[1] == "The slowest 1 trace took 100 ns or more. What differs in them:"
    assert lines[3].split()[:7] == ["load", "90.0", "%", "20.0", "%", "88", "ns"]


def test_all_traces_for_programs(requests_file: Path) -> None:
    found = json.loads(cli(requests_file, "--all", "traces", "--tail", "p99", "--format", "json").stdout)
    assert (found["count"], found["makespan_ns"], found["inferred_ns"]) == (3, 120, 0)
    assert found["tail"] == {"count": 1, "from_ns": 100}
    assert [group["function"] for group in found["groups"]] == ["load", "(driver)"]
    rows = cli(requests_file, "--all", "traces", "--by", "hour", "--format", "csv").stdout.splitlines()
    assert rows[0].startswith("hour,total_ns,share,")
    assert len(rows) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--tail", "p99"), "--tail compares many"),
        (("--by", "hour"), "--by hour compares many"),
        (("--all", "jobs", "--job", "01"), "leave out --job"),
        (("--all", "jobs", "--tail", "late"), "a percentile such as p99"),
        (("--overlap-tolerance", "some"), "--overlap-tolerance takes a percentage"),
    ],
)
def test_options_that_make_no_sense(requests_file: Path, options: tuple[str, ...], message: str) -> None:
    done = cli(requests_file, *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1


# Siblings that overlap by a little


def crisp_case(name: str) -> pl.DataFrame:
    cases = {case["name"]: case for case in json.loads((CASES / "crisp_cases.json").read_text())}
    return span_table(
        {
            "span_id": row["span_id"],
            "parent_id": row["parent_id"],
            "kind": row["kind"] or "INTERNAL",
            "start": row["start_us"] * 1000,
            "end": (row["start_us"] + row["duration_us"]) * 1000,
            "session": "s",
        }
        for row in cases[name]["spans"]
    )


def exclusive_us(spans: pl.DataFrame, tolerance: float) -> Counter[str]:
    segments = critical_path(spans, trace="t1", overlap_tolerance=tolerance).segments
    together = critical_paths(spans, scopes="traces", overlap_tolerance=tolerance)
    assert together.drop("scope", "session").equals(segments)
    assert segments["start_ns"].to_list()[1:] == segments["end_ns"].to_list()[:-1]
    times: Counter[str] = Counter()
    for span_id, duration in segments.select("span_id", "duration_ns").iter_rows():
        times[span_id] += duration // 1000
    return times


@pytest.mark.parametrize(
    ("name", "times"),
    [
        ("crisp_10", {"A": 402, "B": 199, "C": 99, "D": 300}),
        ("crisp_19", {"A": 10, "B": 195, "C": 95, "D": 300}),
        ("crisp_20", {"A": 10, "B": 195, "C": 95, "D": 300}),
        ("crisp_21", {"A": 10, "B": 195, "C": 95, "D": 300}),
    ],
)
def test_siblings_that_overlap_by_less_than_a_percent(name: str, times: dict[str, int]) -> None:
    assert exclusive_us(crisp_case(name), 0.01) == times
    assert "C" not in exclusive_us(crisp_case(name), 0.0)


def test_the_tolerance_changes_nothing_in_the_other_published_cases() -> None:
    for case in json.loads((CASES / "crisp_cases.json").read_text()):
        if case["name"] not in ("crisp_10", "crisp_19", "crisp_20", "crisp_21"):
            spans = crisp_case(case["name"])
            assert exclusive_us(spans, 0.01) == exclusive_us(spans, 0.0)


def test_no_tolerance_where_another_one_starts_or_ends_in_between() -> None:
    # root [-----------------------------------]
    # a         [-----------]                     ends 2 after c starts, and b starts in between
    # b                    [------]
    # c                   [---------------]
    spans = table(
        span("root", 0, 1000), span("a", 10, 502, "root"), span("b", 501, 700, "root"), span("c", 500, 900, "root")
    )
    on_path = critical_path(spans, overlap_tolerance=0.01).segments["span_id"].to_list()
    assert on_path == ["root", "c", "root"]


@pytest.mark.parametrize("seeds", [12, pytest.param(60, marks=pytest.mark.slow)])
def test_nonsense_is_tiled_with_a_tolerance(seeds: int) -> None:
    for seed in range(seeds):
        found = critical_paths(random_table(seed), overlap_tolerance=0.3)
        for path in found.partition_by("scope", "session"):
            assert path["start_ns"].to_list()[1:] == path["end_ns"].to_list()[:-1]


@pytest.mark.parametrize("tolerance", [-0.1, 1.0])
def test_a_tolerance_that_cannot_be(tolerance: float) -> None:
    with pytest.raises(UsageError, match="overlap tolerance"):
        critical_path(requests(), overlap_tolerance=tolerance)
