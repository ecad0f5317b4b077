"""Nothing that stands in the input acts on a terminal or a spreadsheet: every command, every option, every format."""

import ast
import csv
import inspect
import io
import json
import re
import types
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin

import polars as pl
import pytest
import typer
from typer.models import ArgumentInfo

import raytrace_analyze as rt
from raytrace_analyze.cli import app
from raytrace_analyze.command_line.options import OutputFormat
from raytrace_analyze.command_line.traced import merge_and_show
from raytrace_analyze.text.printable import printable
from raytrace_analyze.vocabulary.options import Engine
from tests.command_line import cli
from tests.hostile_spans import PREFIX, SUFFIX, hostile, write_hostile
from tests.test_hang import two_that_wait_for_each_other
from tests.test_train import training
from tests.test_tune import tuning

ROOT = Path(__file__).parent.parent
COMMANDS = {str(command.name): command.callback for command in app.registered_commands if command.callback}
READ_NO_SPANS = {"record", "demo", "man", "collect"}
JOINS_A_CLUSTER = {"collect"}
"""What is given right here would be looked for on whatever cluster runs on this machine; the engine on Ray, too."""
"""What those that run a program show of spans is tested below; here only their errors are."""
ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
FORMULA = re.compile(r"[=+@\t\r]|-(?![\d.]+$)")
ONLY_TOGETHER = {
    "critical-path": [["--near", "50%"], ["--all", "jobs", "--tail", "p50"], ["--all", "traces", "--by", "entrypoint"]],
    "what-if": [["--speedup", f"{hostile('Loader.load')}=2"], ["--slots", "1"]],
    "advise": [["--at-least", "0%"]],
    "diff": [["--fail-over", "5%"]],
}
"""Options that need a value of their own, or another option."""


@pytest.fixture(scope="module")
def spans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    # An actor's program, and one whose tasks fail, each a job of its own.
    for name in ("actor_pipeline-ours", "failures-ours"):
        write_hostile(ROOT / "sample_spans" / name / "spans", folder / f"{name}{SUFFIX.replace(chr(0), '')}")
    # And what had not ended, which those captures have none of.
    stuck = two_that_wait_for_each_other()
    rt.write_table(stuck.with_columns(function=PREFIX + pl.col("function") + SUFFIX), folder / "stuck.parquet")
    # And what Ray's libraries tell.
    rt.write_table(training(hostile("mnist")), folder / "training.parquet")
    rt.write_table(tuning(hostile("search")), folder / "tuning.parquet")
    return folder


@pytest.fixture(scope="module")
def merged(spans: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rt.write_table(
        rt.read_spans(spans), tmp_path_factory.mktemp("merged") / f"table{SUFFIX.replace(chr(0), '')}.parquet"
    )


def formats(command: str) -> list[str | None]:
    kinds = [kind for kind, _, _ in parameters(command)]
    chosen = [kind for kind in kinds if inspect.isclass(kind) and issubclass(kind, OutputFormat)]
    return list(map(str, chosen[0])) if chosen else [None]


def parameters(command: str) -> Iterator[tuple[Any, Any, inspect.Parameter]]:
    """What each parameter takes, how Typer is told of it, and the parameter."""
    for parameter in inspect.signature(COMMANDS[command], eval_str=True).parameters.values():
        if parameter.annotation is typer.Context:
            continue
        kind, info = get_args(parameter.annotation)
        if isinstance(kind, types.UnionType):
            (kind,) = (each for each in get_args(kind) if each is not types.NoneType)
        yield kind, info, parameter


def variants(command: str, spans: Path) -> Iterator[list[str]]:
    """The command with what it needs, then with each value of each option, then with each text option misused."""
    needed: list[str] = []
    options: list[list[str]] = [[], *ONLY_TOGETHER.get(command, [])]
    for kind, info, parameter in parameters(command):
        listed = get_origin(kind) is list
        inner = get_args(kind)[0] if listed else kind
        if isinstance(info, ArgumentInfo):
            assert inner in (Path, str), f"say what to give {command} for {parameter.name}"
            needed.append(str(spans) if inner is Path else hostile("Loader.load"))
            continue
        names = [name for name in (info.default, *(info.param_decls or ())) if isinstance(name, str)]
        name = (names or [f"--{parameter.name.replace('_', '-')}"])[0]
        if inner is bool:
            options += [[each] for each in name.split("/")]
        elif inspect.isclass(inner) and issubclass(inner, Enum) and inner is not OutputFormat:
            options += [[name, str(each)] for each in inner if each is not Engine.RAY]
        elif inner in (str, Path):
            options.append([name, f"nothing{SUFFIX}"])
    for each in options:
        yield [*needed, *each]


NO_ROWS = {"data", "serve", "watch"}
"""Of what these list there is nothing in the spans here: their CSV is a header."""


def cases() -> Iterator[Any]:
    """Every option with the format that the screen shows; with the others only some, and all when there is time."""
    for command in COMMANDS:
        first, *others = formats(command)
        # `demo` takes no spans: a whole job on Ray, only to see what it says of them.
        marks = [pytest.mark.slow] if command == "demo" else []
        yield pytest.param(command, first, True, id=f"{command}-{first}", marks=marks)
        for form in others:
            yield pytest.param(command, form, False, id=f"{command}-{form}-some options")
            yield pytest.param(command, form, True, id=f"{command}-{form}", marks=pytest.mark.slow)


@pytest.mark.parametrize(("command", "form", "every"), list(cases()))
def test_nothing_acts_on_a_terminal_or_a_spreadsheet(
    command: str, form: str | None, every: bool, spans: Path, merged: Path, tmp_path: Path
) -> None:
    nowhere = Path(f"nothing{SUFFIX}")
    arguments = [[f"--no-such{SUFFIX}"]]
    if command not in JOINS_A_CLUSTER:
        arguments += list(variants(command, nowhere))[: None if every else 1]
    if command not in READ_NO_SPANS:
        # The files themselves once: what is said of them does not hang on the options.
        arguments += list(variants(command, spans))[:1]
        arguments += list(variants(command, merged))[1 : None if every else 1 + len(ONLY_TOGETHER.get(command, []))]
    shown = 0
    for given in arguments:
        done = cli(command, *given, *(["--format", form] if form else []), cwd=tmp_path, width=3000)
        check(done.stderr, given)
        check(done.stdout, given)
        if form == "json" and done.stdout:
            shown += holds(json.loads(done.stdout))
        elif form == "csv":
            cells = [cell for row in csv.reader(io.StringIO(done.stdout)) for cell in row]
            assert [cell for cell in cells if FORMULA.match(cell)] == [], given
            shown += any(printable(SUFFIX) in cell for cell in cells)
        else:
            shown += "END" in done.stdout + done.stderr
    assert shown or (form == "csv" and command in NO_ROWS), (
        "no run showed any of the hostile texts: this test would see nothing"
    )


def holds(value: Any) -> bool:
    """Whether the original text stands anywhere in a document."""
    if isinstance(value, dict):
        return any(map(holds, value.values()))
    if isinstance(value, list):
        return any(map(holds, value))
    return isinstance(value, str) and SUFFIX in value


def check(text: str, given: list[str]) -> None:
    assert ACTS.findall(text) == [], given
    assert not any(line.startswith(("[bold]", "END")) for line in text.splitlines()), given
    # What looks like markup is shown as it is.
    assert all(before == "[bold]" for before in re.findall(r"(.{6})END", text)), given


def test_what_record_and_demo_show(spans: Path, tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.setenv("COLUMNS", "3000")
    merge_and_show(spans, tmp_path / "spans.parquet")
    done = capsys.readouterr()
    check(done.out, [])
    check(done.err, [])
    assert "END" in done.out


def test_an_error_is_harmless_wherever_it_is_raised(spans: Path) -> None:
    with pytest.raises(rt.UsageError) as raised:
        rt.critical_path(rt.read_spans(spans), job=hostile("x"))
    assert ACTS.findall(str(raised.value)) == []


@pytest.mark.parametrize("command", [["report"], ["export", "--to", "otlp"], ["merge"]])
def test_where_something_is_written_is_told_harmlessly(command: list[str], spans: Path, tmp_path: Path) -> None:
    target = tmp_path / f"f{SUFFIX.replace(chr(0), '')}"
    done = cli(command[0], spans / "stuck.parquet", *command[1:], "-o", target)
    assert done.returncode == 0 and target.exists()
    check(done.stderr, command)


def test_commands_write_to_the_screen_through_labels_alone() -> None:
    for file in (ROOT / "raytrace_analyze" / "commands").rglob("*.py"):
        assert not re.search(r"\becho\(|\bprint\((?<!\.print\()|\bsecho\(", file.read_text()), file


def test_all_that_views_show_is_a_label() -> None:
    """Rich's own texts and tables are made in two modules only; each makes labels of what it is given."""
    makers = {"rich.text": "label.py", "rich.table": "fitted_table.py", "rich.markup": "", "rich.markdown": ""}
    for file in sorted((ROOT / "raytrace_analyze").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module in makers:
                names = {alias.name for alias in node.names} - {"Table"}
                assert not names or file.name == makers[node.module], f"{file}: {names}"
                is_made = re.search(r"(?<![\w_])Table\(", file.read_text())
                assert not is_made or file.name == "fitted_table.py", file
