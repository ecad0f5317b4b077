"""Percentages on the command line: one rule for every option that takes one."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

import raytrace_analyze as rt
from raytrace_analyze.cli import app
from raytrace_analyze.command_line.options import read_percent

SPANS = str(Path(__file__).parent.parent / "sample_spans" / "map_reduce-stock" / "spans")
OPTIONS = {
    "--near": ["critical-path", SPANS],
    "--overlap-tolerance": ["critical-path", SPANS],
    "--at-least": ["advise", SPANS],
    "--fail-over": ["diff", SPANS, SPANS],
}


@pytest.mark.parametrize(("text", "share"), [("10%", 0.1), ("10", 0.1), ("0.5 %", 0.005), ("0", 0), ("2.5", 0.025)])
def test_percentages(text: str, share: float) -> None:
    assert float(read_percent(text, "near")) == share


@pytest.mark.parametrize("wrong", ["ten", "-5%", "10%%", "", "nan", "1e1", "٣", "5 percent"])
def test_what_is_no_percentage_is_refused(wrong: str) -> None:
    with pytest.raises(rt.UsageError, match="--near takes a percentage such as 5%, not "):
        read_percent(wrong, "near")


def test_more_than_all_is_refused_where_it_means_nothing() -> None:
    with pytest.raises(rt.UsageError, match="at most 100%"):
        read_percent("101%", "near")
    assert read_percent("250%", "fail-over", at_most=None) == 2.5


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_asks_what_a_small_number_means(option: str) -> None:
    done = CliRunner().invoke(app, [*OPTIONS[option], f"{option}=0.05"])
    assert str(done.exception) == f"{option} 0.05 can be read in two ways; write 5% or 0.05%"


@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("text", ["0", "0.05%", "3%"])
def test_every_option_takes_these(option: str, text: str) -> None:
    assert CliRunner().invoke(app, [*OPTIONS[option], f"{option}={text}"]).exit_code == 0
