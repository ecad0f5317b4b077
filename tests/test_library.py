"""The library under a caller's mistakes: each is told in one line of ours, and none is taken for something else."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

import raytrace_analyze as rt
from raytrace_analyze.advice.program.files import SourceFiles

SPANS = Path(__file__).parent.parent / "sample_spans" / "map_reduce-ours" / "spans"
ASKED = (rt.critical_path, rt.advise, rt.evidence, rt.jobs, rt.span_graph)
WRONG_TABLES: dict[str, Callable[[pl.DataFrame], Any]] = {
    "start": lambda table: table.drop("start"),
    "status": lambda table: table.drop("status"),
    "name": lambda table: table.with_columns(name=pl.lit(None, pl.String)),
    "start holds String": lambda table: table.with_columns(pl.col("start").cast(pl.String)),
    "int": lambda table: 5,
}


@pytest.fixture(scope="module")
def table() -> pl.DataFrame:
    return rt.read_spans(SPANS)


@pytest.mark.parametrize("what", WRONG_TABLES)
@pytest.mark.parametrize("ask", ASKED)
def test_a_table_that_holds_something_else_is_told(ask: Any, what: str, table: pl.DataFrame) -> None:
    with pytest.raises(rt.UsageError, match=what):
        ask(WRONG_TABLES[what](table))


def test_times_of_another_unit_are_read(table: pl.DataFrame) -> None:
    in_us = table.with_columns(pl.col("start", "end").cast(pl.Datetime("us", "UTC")))
    assert abs(rt.critical_path(in_us).makespan_ns - rt.critical_path(table).makespan_ns) <= 1000


@pytest.mark.parametrize(
    "ask",
    [
        lambda table: rt.what_if(table, slots=1.5),
        lambda table: rt.what_if(table, speedup={"map_part": "2"}),
        lambda table: rt.advise(table, had_slots=0),
        lambda table: rt.cluster_use(table, bins=-3),
        lambda table: rt.critical_path(table, infer_within_ns=-1),
        lambda table: rt.critical_path(table, options={"infer": False}),
        lambda table: rt.critical_path(table, job=1),  # type: ignore[arg-type]
        lambda table: rt.critical_path(table, trace=b"1"),  # type: ignore[arg-type]
        lambda table: rt.critical_path(table, task=["map_part"]),  # type: ignore[arg-type]
        lambda table: rt.diff(table, table, job=1),  # type: ignore[arg-type]
        lambda table: rt.correct_clocks(table.select("start"), rt.clock_offsets(table)),
        lambda table: rt.correct_clocks(table, table),
        rt.read_spans,
        lambda table: rt.read_spans(),
    ],
)
def test_a_wrong_argument_is_told(ask: Callable[[pl.DataFrame], Any], table: pl.DataFrame) -> None:
    with pytest.raises(rt.UsageError):
        ask(table)


def test_an_unknown_word_and_what_was_meant_are_told_as_words(table: pl.DataFrame) -> None:
    with pytest.raises(rt.UsageError, match=r"'nod' \(did you mean 'node'\?\)"):
        rt.latency_stats(table, by="nod")


def test_one_folder_of_source_is_one_folder(
    table: pl.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not a folder a letter, among them the root."""
    trusted: list[str] = []
    monkeypatch.setattr(SourceFiles, "__init__", _noting(trusted, SourceFiles.__init__))
    rt.advise(table, source=str(tmp_path))
    assert trusted == [os.fspath(Path.cwd()), str(tmp_path)]


def _noting(trusted: list[str], original: Callable[..., None]) -> Callable[..., None]:
    def init(files: SourceFiles, roots: list[str | os.PathLike[str]]) -> None:
        trusted.extend(map(os.fspath, roots))
        original(files, roots)

    return init
