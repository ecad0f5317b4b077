"""What helps along the way: panels, examples, completion, hints, defaults from a file, plain terminals, the manual."""

import inspect
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from typer.testing import CliRunner

import raytrace_analyze as rt
from raytrace_analyze import cli
from raytrace_analyze.command_line.panels import PANELS
from raytrace_analyze.errors import EXIT_CODES
from raytrace_analyze.text.closest import closest
from tests import command_line

SAMPLES = Path(__file__).parent.parent / "sample_spans"
SPANS = SAMPLES / "map_reduce-ours" / "spans"
PROGRAM: Any = cli.make_program()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with a table."""
    made = tmp_path_factory.mktemp("work")
    table = rt.read_spans(SPANS)
    odd = table.head(1).with_columns(function=pl.lit("$(reboot)"), span_id=pl.lit("f" * 16))
    rt.write_table(pl.concat([table, odd]), made / "spans.parquet")
    return made


def run(capsys: Any, monkeypatch: Any, *arguments: str) -> tuple[int, str, str]:
    """The program as it is run, but in this process: exit code, standard output and error."""
    monkeypatch.setattr(sys, "argv", ["raytrace-analyze", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    done = capsys.readouterr()
    code = ended.value.code
    return (code if isinstance(code, int) else 0), done.out, done.err


def test_every_command_is_in_a_panel_with_its_whole_first_sentence() -> None:
    shown = " ".join(command_line.cli("--help", width=100).stdout.split())
    places = [shown.index(f"{panel}:") for panel in PANELS]
    assert places == sorted(places)
    for name, command in PROGRAM.commands.items():
        assert f"{name} {' '.join(command.help.partition(chr(10) * 2)[0].split())}" in shown
        assert command.rich_help_panel in PANELS
    for code, meaning in EXIT_CODES.items():
        assert f"{code} {meaning}" in shown


def test_what_ctrl_c_ends_has_an_exit_code_that_the_help_tells(capsys: Any, monkeypatch: Any) -> None:
    def interrupted() -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "make_program", interrupted)
    code, out, err = run(capsys, monkeypatch, "--help")
    assert (code, out, err) == (130, "", "")
    assert "Ctrl-C" in EXIT_CODES[code]


def test_the_help_loads_no_command() -> None:
    program = (
        "import sys; sys.argv = ['raytrace-analyze', '--help']\n"
        "from raytrace_analyze.cli import main\n"
        "try: main()\n"
        "except SystemExit: print('loaded', [name for name in sys.modules if 'raytrace_analyze.commands.' in name])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "loaded []"


@pytest.mark.parametrize("name", PROGRAM.commands)
def test_every_command_has_two_examples_that_it_understands(name: str) -> None:
    text = inspect.cleandoc(PROGRAM.commands[name].help)
    examples = re.findall(rf"raytrace-analyze ({name}\b.*)", text)
    assert len(examples) >= 2, "give two examples"
    for example in examples:
        ours = re.split(r" [|>] |\.py|(?<= -m) ", example)[0]  # what follows is the program's own
        options = re.findall(r"(?<= )(--?[a-z][\w-]*)", ours)
        known = {word for one in PROGRAM.commands[name].params for word in (*one.opts, *one.secondary_opts)}
        assert set(options) <= known, example


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("why ", ["map_part", "reduce_pair"]),
        ("why red", ["reduce_pair"]),
        ("critical-path --task m", ["map_part"]),
        ("critical-path --job 0", ["01000000"]),
        ("advise --job ", ["01000000"]),
        ("what-if --speedup map", ["map_part=2"]),
        ("crit", ["critical-path"]),
        ("critical-path --que", ["--queues"]),
        ("critical-path --queues f", ["follow"]),
    ],
)
def test_the_shell_is_told_functions_and_jobs(typed: str, offered: list[str], folder: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(folder)
    words = ["raytrace-analyze", *typed.split()]
    environment = {
        "_RAYTRACE_ANALYZE_COMPLETE": "complete_bash",
        "COMP_WORDS": f"raytrace-analyze {typed}",
        "COMP_CWORD": str(len(words) - 1 + typed.endswith(" ")),
    }
    done = CliRunner().invoke(cli.app, [], env=environment, prog_name="raytrace-analyze")
    assert [word for word in done.stdout.split() if not word.startswith("$")] == offered
    assert "reboot" not in done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_there_is_a_completion_for_each_shell(shell: str) -> None:
    done = CliRunner().invoke(
        cli.app, [], env={"_RAYTRACE_ANALYZE_COMPLETE": f"source_{shell}"}, prog_name="raytrace-analyze"
    )
    assert "raytrace-analyze" in done.stdout
    assert "_RAYTRACE_ANALYZE_COMPLETE" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("why spans.parquet map_part", "did you mean: raytrace-analyze why map_part spans.parquet"),
        ("why spans.parquet", "name the task first: raytrace-analyze why TASK spans.parquet"),
        ("critical-path 01000000", "did you mean: raytrace-analyze critical-path --job 01000000"),
        ("summary 01000000", "did you mean: raytrace-analyze summary --job 01000000"),
        ("01000000", "did you mean: raytrace-analyze summary --job 01000000"),
        ("jobs 01000000", "did you mean: raytrace-analyze critical-path --job 01000000"),
        ("stats map_part", "did you mean: raytrace-analyze critical-path --task map_part"),
        ("why spans.parquet map_prat", "did you mean: raytrace-analyze why map_part spans.parquet"),
        ("critical-path map_prat", "did you mean: raytrace-analyze critical-path --task map_part"),
        ("critical-path build/out", "build/out does not exist"),
        (f"jobs {'ab' * 16}", "raytrace-analyze critical-path --trace"),
        ("why map_prat", "did you mean 'map_part'?"),
        ("critical-path --job 01000001", "did you mean"),
        ("what-if --speedup reduce_par=2", "did you mean 'reduce_pair'?"),
        ("stats --by functoin", "did you mean 'function'?"),
        ("critical-path --by nodes", "did you mean 'node'?"),
        ("export --to perfeto -o x", "did you mean 'perfetto'?"),
        ("stat", "Did you mean 'stats'"),
        ("stats --tops 3", "--top"),
    ],
)
def test_what_was_meant_is_said(arguments: str, says: str, folder: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(folder)
    code, out, told = run(capsys, monkeypatch, *arguments.split())
    assert (code, out) == (2, "")
    assert says in told


def test_nothing_far_off_is_suggested() -> None:
    assert closest("zzz", ["map_part", "reduce_pair"]) == []


def test_defaults_come_from_a_file_and_are_overruled(
    folder: Path, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(folder / "spans.parquet", tmp_path)
    (tmp_path / "pyproject.toml").write_text('[tool.raytrace-analyze]\nformat = "csv"\n')
    assert run(capsys, monkeypatch, "jobs")[1].startswith("session,")
    (tmp_path / "raytrace.toml").write_text('format = "json"\n[critical-path]\nqueues = "show"\n')
    shown = json.loads(run(capsys, monkeypatch, "critical-path")[1])
    assert shown == json.loads(run(capsys, monkeypatch, "critical-path", "--queues", "show", "-f", "json")[1])
    assert run(capsys, monkeypatch, "jobs", "--format", "csv")[1].startswith("session,")


@pytest.mark.parametrize(
    "content",
    [
        '[ tool . "raytrace-analyze" ]\nformat = "csv"',
        '[tool]\nraytrace-analyze.format = "csv"',
        'tool.raytrace-analyze.jobs.format = "csv"',
        'tool = {raytrace-analyze = {format = "csv"}}',
    ],
)
def test_a_shared_file_may_spell_its_section_as_it_likes(
    folder: Path, tmp_path: Path, monkeypatch: Any, capsys: Any, content: str
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(folder / "spans.parquet", tmp_path)
    (tmp_path / "pyproject.toml").write_text(content)
    assert run(capsys, monkeypatch, "jobs")[1].startswith("session,")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('fromat = "csv"', "raytrace.toml: there is no option 'fromat' (did you mean 'format'"),
        ("[critical-pth]\ntop = 3", "there is no command 'critical-pth' (did you mean 'critical-path'?)"),
        ("[jobs]\ntop = 3", "there is no option of jobs 'top'"),
        ("= 3", "raytrace.toml cannot be read"),
        ('top = "many"', "raytrace.toml sets defaults"),
        ("top = [1, 2]", "raytrace.toml: top takes a text, a number, true or false\n"),
        ("top = 1979-05-27", "raytrace.toml: top takes a text"),
        ("[stats]\ntop = {a = 1}", "raytrace.toml: top takes a text"),
        ("speedup = [{a = 1}]", "raytrace.toml: speedup takes a text, a number, true or false, or a list of these"),
        ("top = " + "[" * 5000, "raytrace.toml cannot be read: it is nested too deeply"),
        ("top = 5 #" + "x" * (1 << 20), "raytrace.toml cannot be read: it has more than 1 MiB"),
    ],
)
def test_what_is_wrong_in_the_file_is_said(
    content: str, says: str, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raytrace.toml").write_text(content)
    code, _, told = run(capsys, monkeypatch, "stats", str(SPANS))
    assert code == 2
    assert says in told


@pytest.mark.parametrize(
    "content",
    [
        "tool = 1",
        "tool = [1]",
        "[tool]\nraytrace-analyze = 1",
        "[tool.raytrace-analyze]\ntop = " + "[" * 5000,
        "[tool.raytrace-analyze]\n= 1",
        "[tool.raytrace-analyze]\nfromat = 'csv'\n#" + "x" * (1 << 20),
    ],
)
def test_a_shared_file_that_is_wrong_is_passed_over(
    content: str, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text(content)
    assert run(capsys, monkeypatch, "--version")[0] == 0


def test_a_file_may_give_several_values_or_one_and_start_with_a_mark(
    tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    given = run(capsys, monkeypatch, "what-if", str(SPANS), "--speedup", "map_part=2")
    for content in ('[what-if]\nspeedup = "map_part=2"', 'speedup = ["map_part=2"]'):
        (tmp_path / "raytrace.toml").write_bytes(b"\xef\xbb\xbf" + content.encode())
        assert run(capsys, monkeypatch, "what-if", str(SPANS)) == given


def test_somebody_elses_file_is_not_read(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "raytrace.toml").write_text("= 3")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    monkeypatch.setattr(Path, "is_file", lambda path: path.name == "raytrace.toml")
    os.chown(tmp_path / "raytrace.toml", 1234, -1) if os.getuid() == 0 else pytest.skip("needs to give a file away")
    assert run(capsys, monkeypatch, "--version")[0] == 0


@pytest.mark.parametrize(
    "says", [{"LANG": "C"}, {"LC_ALL": "POSIX"}, {"PYTHONIOENCODING": "cp1252"}, {"PYTHONIOENCODING": "ascii"}]
)
def test_a_terminal_that_is_not_in_utf_8_gets_ascii(says: dict[str, str]) -> None:
    plain = {
        key: value for key, value in os.environ.items() if not key.startswith(("LC_", "LANG", "PYTHONIO", "PYTHONUTF8"))
    }
    command = [sys.executable, "-m", "raytrace_analyze", "critical-path", str(SPANS)]
    done = subprocess.run(command, capture_output=True, env=plain | says, check=True)
    text = done.stdout.decode(says.get("PYTHONIOENCODING", "ascii"))
    assert "###" in text
    assert done.stderr == b""


def test_json_in_another_encoding_is_the_same_json(tmp_path: Path) -> None:
    table = rt.read_spans(SPANS)
    rt.write_table(table.with_columns(function=pl.col("function") + "-größe-\u4e16"), tmp_path / "t.parquet")
    told = []
    for encoding in ("utf-8", "ascii"):
        command = [sys.executable, "-m", "raytrace_analyze", "stats", str(tmp_path / "t.parquet"), "-f", "json"]
        done = subprocess.run(
            command, capture_output=True, env={**os.environ, "PYTHONIOENCODING": encoding}, check=True
        )
        told.append(json.loads(done.stdout))
    assert told[0] == told[1]
    assert "größe" in json.dumps(told[1], ensure_ascii=False)


def test_the_manual_page_names_every_command_and_option(monkeypatch: Any, capsys: Any) -> None:
    code, page, _ = run(capsys, monkeypatch, "man")
    assert code == 0
    plain = page.replace("\\-", "-").replace("\\&", "")
    for name, command in PROGRAM.commands.items():
        assert f".SS {name}" in plain
        assert all(
            word in plain for one in command.params for word in one.opts if word.startswith("--") and word != "--help"
        )
    if groff := shutil.which("groff"):
        done = subprocess.run(
            [groff, "-ww", "-man", "-Tascii", "-z"], input=page, capture_output=True, text=True, check=True
        )
        assert done.stderr == ""
