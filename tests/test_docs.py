"""The documentation is true: its output is real, every command and option is in it, its links lead somewhere."""

import inspect
import os
import re
from collections.abc import Callable
from enum import EnumType
from itertools import takewhile
from pathlib import Path
from typing import get_args

import pytest
import typer
from typer.models import ArgumentInfo

import raytrace_analyze
from raytrace_analyze.cli import app
from raytrace_analyze.errors import EXIT_CODES
from tests import notebook
from tests.command_line import cli

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
REFERENCE = ROOT / "docs" / "cli.md"
COMMANDS = {str(command.name): command.callback for command in app.registered_commands if command.callback}
REGENERATE = "RAYTRACE_REGENERATE" in os.environ
"""Set it to write the reference and the README's output anew."""
HOW = 'a page is old; to write it anew: make tests ARGS="tests/test_docs.py" RAYTRACE_REGENERATE=1'


def run(command: str, width: int) -> str:
    done = cli(*command.removeprefix("raytrace-analyze ").split(), cwd=ROOT, width=width)
    assert done.returncode == 0, done.stderr
    return "\n".join(line.rstrip() for line in done.stdout.splitlines())


PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def shown_commands(page: Path) -> list[tuple[str, str]]:
    """The commands of a page with the output that it shows for them."""
    return re.findall(r"```\n\$ (raytrace-analyze [^\n]+)\n(.*?)```", page.read_text(), re.DOTALL)


@pytest.mark.parametrize("page", [page for page in PAGES if shown_commands(page)], ids=lambda page: page.name)
def test_the_output_that_is_shown_is_real(page: Path) -> None:
    for command, shown in shown_commands(page):
        real = run(command, 110) + "\n"
        if REGENERATE:
            text = page.read_text()
            page.write_text(text.replace(f"$ {command}\n{shown}```", f"$ {command}\n{real}```"))
        else:
            assert shown == real, HOW


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_that_are_named_are_there(page: Path) -> None:
    """Each command line of a page without output names a command, and options that this command has."""
    for line in re.findall(r"^(?:\$ )?raytrace-analyze (.+?)(?: +#.*)?$", page.read_text(), re.MULTILINE):
        name, *words = re.split(r"[|>]", line)[0].split()
        assert name in COMMANDS, line
        known = reference_options(COMMANDS[name]) | {"--help"}
        # What stands behind a recorded script, or module, is the script's.
        given = words if name != "record" else list(takewhile(lambda word: not re.search(r"\w\.[a-z]", word), words))
        assert {word for word in given if re.match(r"--?[a-z]", word)} <= known, line


def reference_options(command: Callable[..., None]) -> set[str]:
    """All names of a command's options."""
    return {word for text, _ in parameters(command) for word in re.findall(r"(?<![\w-])--?[a-z][\w-]*", text)}


@pytest.mark.parametrize("page", [page for page in PAGES if "```python\nimport" in page.read_text()], ids=str)
def test_python_on_a_page_runs(page: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    for code in re.findall(r"```python\n(import .*?)```", page.read_text(), re.DOTALL):
        exec(code.replace('"/tmp/spans"', '"sample_spans/nested-ours/spans"'), {})
    assert capsys.readouterr().out


def test_the_notebook_runs_and_shows_what_it_gave(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a drawing is made of may change; what is said in words is compared."""
    monkeypatch.chdir(ROOT / "docs")
    kept = notebook.read()
    code = [cell for cell in kept["cells"] if cell["cell_type"] == "code"]
    outputs = notebook.run(kept)
    assert sum("text/html" in each["data"] for output in outputs for each in output) > len(code) / 2
    if REGENERATE:
        for number, (cell, output) in enumerate(zip(code, outputs, strict=True), start=1):
            cell.update(execution_count=number, outputs=output)
        notebook.write(kept)
    words = [[each["data"]["text/plain"] for each in output] for output in outputs]
    assert [[each["data"]["text/plain"] for each in cell["outputs"]] for cell in code] == words, HOW


DEFAULTS = """\
Defaults of options can stand in `raytrace.toml` in the working directory, or below `[tool.raytrace-analyze]` in its
`pyproject.toml`; at the top they count for every command that has the option:

```toml
top = 30

[critical-path]
queues = "show"
```

A command that takes more than half of the memory that is there is ended; `raytrace-analyze --max-memory 4G COMMAND`, or
`RAYTRACE_MAX_MEMORY`, says how much it may take. `raytrace-analyze PATH...` without a command is `summary`.

`raytrace-analyze --install-completion` teaches bash, zsh and fish the commands, the options, and the functions, jobs
and traces of the table."""


def reference() -> str:
    """The page of commands, from what the commands say of themselves."""
    codes = "\n".join(f"- {code}: {meaning}" for code, meaning in EXIT_CODES.items())
    intro = f"# Commands\n\nExit codes; `record` ends with that of the program it ran:\n\n{codes}\n\n{DEFAULTS}"
    return "\n\n".join([intro, *(section(name, COMMANDS[name]) for name in sorted(COMMANDS))]) + "\n"


def section(name: str, command: Callable[..., None]) -> str:
    text = inspect.cleandoc(command.__doc__ or "")
    examples = re.findall(r"^ +(raytrace-analyze.*)$", text, re.MULTILINE)
    prose = text[: text.index("Example")].strip()
    given = parameters(command)
    usage = " ".join(["raytrace-analyze", name, *(word for word, _ in given if not word.startswith("-"))])
    options = "\n".join(f"- `{word}`: {text}" for word, text in given)
    return f"## {name}\n\n`{usage}`\n\n{prose}\n\n{options}\n\n```\n" + "\n".join(examples) + "\n```"


def parameters(command: Callable[..., None]) -> list[tuple[str, str]]:
    """A command's arguments and options, as they are written on the command line, and what its help says of each."""
    taken = inspect.signature(command, eval_str=True).parameters.values()
    return [described(parameter) for parameter in taken if parameter.annotation is not typer.Context]


def described(parameter: inspect.Parameter) -> tuple[str, str]:
    """How a parameter is written on the command line, and what its help says."""
    kind, info = get_args(parameter.annotation)
    if isinstance(info, ArgumentInfo):
        return str(info.metavar), str(info.help)
    # Within Annotated, Typer keeps the first name that was given in the place of the default.
    named = [name for name in (info.default, *(info.param_decls or ())) if isinstance(name, str)]
    words = ", ".join(named or [f"--{parameter.name.replace('_', '-')}"])
    choices = "|".join(kind) if isinstance(kind, EnumType) else info.metavar or ""
    is_told = isinstance(parameter.default, str | int | float | Path) and not isinstance(parameter.default, bool)
    default = f" Default: {parameter.default}." if is_told else ""
    return f"{words} {choices}".rstrip(), f"{info.help}{default}"


def test_the_reference_is_what_help_says() -> None:
    if REGENERATE:
        REFERENCE.write_text(reference())
    assert REFERENCE.read_text() == reference(), HOW


def test_every_command_is_in_the_readme_or_its_neighbours() -> None:
    text = README + REFERENCE.read_text()
    assert all(f"raytrace-analyze {command}" in text for command in COMMANDS)


@pytest.mark.parametrize(
    "page",
    [*PAGES, *(ROOT / name for name in ("CONTRIBUTING.md", "hook/README.md", "sample_spans/README.md"))],
    ids=lambda page: page.name,
)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize(
    "page", [*PAGES, ROOT / "hook" / "README.md"], ids=lambda page: f"{page.parent.name}-{page.name}"
)
def test_tables_are_tables(page: Path) -> None:
    """Each has a head, a line below it, and as many cells in every row: else a site shows its source."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for found in re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE):
        head, *rows = [re.findall(r"(?<!\\)\|", re.sub(r"`[^`]*`", "", line)) for line in found.splitlines()]
        assert re.fullmatch(r"[|: -]+", found.splitlines()[1]), found.splitlines()[0]
        assert all(len(row) == len(head) for row in rows), found.splitlines()[0]


def test_every_page_is_in_the_sites_contents() -> None:
    listed = set(re.findall(r"[\w-]+\.md", (ROOT / "mkdocs.yml").read_text()))
    assert listed == {page.name for page in (ROOT / "docs").glob("*.md")}


def test_every_public_name_is_there_and_has_a_docstring() -> None:
    for name in raytrace_analyze.__all__:
        assert getattr(raytrace_analyze, name).__doc__, name
