"""Screens of 60 to 200 columns: labels, verdicts and ids are whole; what is left out is named.

`RAYTRACE_REGENERATE=1` writes the screens in `tests/screens/` anew.
"""

import os
import re
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

import raytrace_analyze as rt
from raytrace_analyze.cli import app
from tests.sizes import first

ROOT = Path(__file__).parent.parent
SCREENS = Path(__file__).with_name("screens")
WIDTHS = (60, 80, 100, 200)
COMMANDS = {
    "critical-path": "critical-path {0} --near 50% --confidence",
    "critical-path-all": "critical-path {0} --all traces",
    "stats": "stats {0}",
    "jobs": "jobs {0}",
    "traces": "traces {0}",
    "advise": "advise {0} --at-least 0%",
    "why": "why {1} {0}",
    "what-if": "what-if {0}",
    "what-if-change": "what-if {0} --speedup {1}=2",
    "diff": "diff {0} sample_spans/map_reduce-stock/spans",
    "hang": "hang {0}",
    "tree": "tree {0}",
}
CAPTURES = {"failures-ours": "convert", "actor_pipeline-doc-old": "Writer.write"}
ID = re.compile(r"(?<![0-9a-f])(?:[0-9a-f]{16}|[0-9a-f]{32}|[0-9a-f]{48}|session_[\d_-]+(?:/[0-9a-f]{8})?)(?![0-9a-f])")


def screen(command: str, width: int, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("NO_COLOR", "1")
    done = CliRunner().invoke(app, command.split())
    assert done.exit_code == 0, done.output
    return "\n".join(line.rstrip() for line in done.stdout.splitlines()) + "\n"


@pytest.fixture(scope="module")
def merged(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The captures as tables, which are read faster."""
    folder = tmp_path_factory.mktemp("merged")
    for capture in CAPTURES:
        rt.write_table(rt.read_spans(ROOT / "sample_spans" / capture / "spans"), folder / f"{capture}.parquet")
    return {capture: folder / f"{capture}.parquet" for capture in CAPTURES}


@pytest.mark.parametrize("capture", first(1, CAPTURES))
@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_is_cut_at_any_width(
    command: str, capture: str, merged: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    spans = merged[capture]
    line = COMMANDS[command].format(spans, CAPTURES[capture])
    shown = {width: screen(line, width, monkeypatch) for width in (1000, *WIDTHS)}
    functions = {name.removeprefix("__main__.") for name in rt.read_spans(spans)["function"].drop_nulls()}
    verdicts = {"noise", "changed", "longer", "shorter", "longer?", "shorter?", "only in BASE", "only in NEW"}
    for width in WIDTHS:
        text, widest = shown[width], shown[1000]
        words = set(text.split())
        whole = {word for word in widest.split() if ID.search(word)}
        left_out = "Not shown at this width" in text
        assert whole <= words or left_out, (width, whole - words)
        assert {word for word in words if ID.search(word)} <= whole, width
        for names in (functions, verdicts):
            flat, wide = " ".join(text.split()), " ".join(widest.split())
            assert {name for name in names if name in flat} == {name for name in names if name in wide}, width
        assert not re.findall(r".*\d\n\s*(?:[nµm]?s|min|h|[kMGT]?i?B|%)(?!\w).*", text), width
        too_long = [line for line in text.splitlines() if len(line) > width and len(line.split()) > 1]
        assert too_long == [], width


def test_where_there_is_little_room_a_column_with_nothing_in_it_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    text = screen("advise sample_spans/map_reduce-ours/spans", 60, monkeypatch)
    assert "of the time" in text.partition("Not shown")[0]
    assert "where" not in text.partition("Not shown")[0]


@pytest.mark.parametrize("width", WIDTHS)
def test_a_narrow_screen_says_which_columns_are_gone(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    text = screen("stats sample_spans/failures-ours/spans", width, monkeypatch)
    wide = screen("stats sample_spans/failures-ours/spans", 1000, monkeypatch)
    heads = ("p50", "p90", "p95", "p99", "max", "total", "errors")
    named = re.search(r"Not shown at this width: (.*?); --format", " ".join(text.split()))
    gone = set(named[1].split(", ")) if named else set()
    table = text.partition("Not shown")[0]
    assert gone == {head for head in heads if head in wide and not re.search(rf"\b{head}\b", table)}
    assert bool(gone) == (width <= 100)


def test_a_name_that_is_wider_than_the_screen_is_whole(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    name = "package.module.Class." + "a_long_name_" * 8
    spans = rt.read_spans(ROOT / "sample_spans" / "map_reduce-ours" / "spans")
    rt.write_table(spans.with_columns(function=pl.lit(name)), tmp_path / "t.parquet")
    for command in ("stats", "critical-path", "what-if", "advise --at-least 0%"):
        text = screen(f"{command} {tmp_path / 't.parquet'}", 60, monkeypatch)
        assert name in text.split() or f"(`{name}`)" in text.split(), command
        assert not [word for word in text.split() if word.startswith("package.module") and len(word) < len(name)]


@pytest.mark.parametrize("command", ["stats", "traces", "tree"])
def test_screens_are_as_they_were(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    capture, task = "failures-ours", "convert"
    for width in WIDTHS:
        text = screen(COMMANDS[command].format(f"sample_spans/{capture}/spans", task), width, monkeypatch)
        golden = SCREENS / f"{command}-{width}.txt"
        if "RAYTRACE_REGENERATE" in os.environ:
            golden.parent.mkdir(exist_ok=True)
            golden.write_text(text)
        assert text == golden.read_text(), f"{golden.name} is old; RAYTRACE_REGENERATE=1 writes it anew"
