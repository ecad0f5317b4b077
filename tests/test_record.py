"""`record` runs a program as a shell would: exit codes, signals, the terminal, nothing left; earlier runs stay."""

import os
import pty
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from raytrace_analyze.errors import UsageError
from raytrace_analyze.ray_programs.run_folder import prepare_run

RUN = """
import os, sys
from raytrace_analyze.ray_programs.running import run_program
code = run_program([sys.executable, *sys.argv[2:]], os.environ, grace_s=float(sys.argv[1]))
print("ended with", code, flush=True)
"""


def start(program: str, *, grace_s: float = 30, stdin: int = subprocess.DEVNULL) -> subprocess.Popen[str]:
    """Start `run_program` in a process of its own."""
    command = [sys.executable, "-c", RUN, str(grace_s), "-c", program]
    return subprocess.Popen(command, stdin=stdin, stdout=subprocess.PIPE, text=True, start_new_session=True)


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("pass", 0),
        ("raise SystemExit(7)", 7),
        ("raise KeyError('x')", 1),
        ("import os; os.kill(os.getpid(), 9)", 137),
        ("import os; os.kill(os.getpid(), 15)", 143),
    ],
)
def test_the_exit_code_is_that_of_a_shell(program: str, code: int) -> None:
    process = start(program)
    assert line_of(process) == f"ended with {code}"
    assert process.wait(timeout=60) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_passed_on_and_the_end_waited_for(number: signal.Signals) -> None:
    process = start(
        "import signal, sys, time\n"
        "def end(*_): print('cleans up', flush=True); time.sleep(0.3); sys.exit(5)\n"
        f"signal.signal({int(number)}, end)\n"
        "print('runs', flush=True)\n"
        "for _ in range(600): time.sleep(0.1)"
    )
    assert line_of(process) == "runs"
    process.send_signal(number)
    assert line_of(process) == "cleans up"
    assert line_of(process) == "ended with 5"
    assert process.wait(timeout=60) == 0


def test_what_does_not_end_is_killed_with_all_that_it_started() -> None:
    process = start(
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True)\n"
        "for _ in range(600): time.sleep(0.1)",
        grace_s=0.5,
    )
    child = int(line_of(process))
    process.terminate()
    assert line_of(process) == "ended with 137"
    assert not is_alive(child)


def test_what_a_program_leaves_when_it_is_told_to_end_is_ended() -> None:
    process = start(
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True)\n"
        "for _ in range(600): time.sleep(0.1)"
    )
    child = int(line_of(process))
    process.terminate()
    assert line_of(process) == "ended with 143"
    process.wait(timeout=60)
    assert not is_alive(child)


def test_a_program_reads_from_the_terminal_and_gets_its_ctrl_c() -> None:
    program = (
        "import time\n"
        "said = input()\n"
        "try:\n"
        "  print('hello', said, flush=True)\n"
        "  for _ in range(600): time.sleep(0.1)\n"
        "except KeyboardInterrupt: print('interrupted', flush=True)"
    )
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", RUN, "30", "-c", program])
    readable = selectors.DefaultSelector()  # select() takes no descriptor above 1023
    readable.register(terminal, selectors.EVENT_READ)
    seen = b""
    for typed, answer in ((b"you\n", b"hello you"), (b"\x03", b"interrupted"), (b"", b"ended with 0")):
        os.write(terminal, typed)
        deadline = time.monotonic() + 60
        while answer not in seen and time.monotonic() < deadline:
            if readable.select(1):
                try:
                    seen += os.read(terminal, 1000)
                except OSError:  # the other side is closed
                    break
        assert answer in seen
    assert os.waitpid(pid, 0)[1] == 0
    readable.close()
    os.close(terminal)


def record(folder: Path, program: str) -> subprocess.Popen[str]:
    (folder / "program.py").write_text(program)
    command = [sys.executable, "-m", "raytrace_analyze", "record", "program.py"]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_program_without_ray_tasks_keeps_its_exit_code_and_is_told_so(tmp_path: Path) -> None:
    process = record(tmp_path, "raise SystemExit(7)")
    _, said = process.communicate(timeout=120)
    assert process.returncode == 7
    assert said == "raytrace-analyze: the program ran no Ray task, so there is nothing to show\n"


@pytest.mark.parametrize(
    "program", ["def f(:\n    pass\n", "def g():\n    raise ValueError('no')\ng()\n", "import broken\n"]
)
def test_an_error_that_ends_a_program_reads_as_without_us(program: str, tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("x = = 1\n")
    process = record(tmp_path, program)
    _, said = process.communicate(timeout=120)
    command = [sys.executable, "program.py"]
    alone = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    ours = said.partition("raytrace-analyze: ")[0]
    assert ours.replace(f"{tmp_path}/", "") == alone.stderr.replace(f"{tmp_path}/", "")


def test_record_passes_sigterm_on(tmp_path: Path) -> None:
    process = record(
        tmp_path,
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n"
        "print('runs', flush=True)\n"
        "for _ in range(600): time.sleep(0.1)",
    )
    assert line_of(process) == "runs"
    process.terminate()
    process.communicate(timeout=120)
    assert process.returncode == 5


def test_runs_before_are_kept(tmp_path: Path) -> None:
    raw = tmp_path / "run" / "spans"
    code = (
        "from pathlib import Path; from raytrace_analyze.ray_programs.run_folder import prepare_run; "
        f"print(prepare_run(Path({str(raw)!r})))"
    )
    for number in range(3):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        kept = raw.parent / "earlier" / str(number)
        assert done.stdout.strip() == (str(kept) if number else "None")
        assert list(raw.iterdir()) == []
        (raw / "spans-a.jsonl").write_text(str(number))
        (raw.parent / "spans.parquet").write_text(str(number))
    assert (raw.parent / "earlier" / "2" / "spans" / "spans-a.jsonl").read_text() == "1"
    assert (raw.parent / "earlier" / "1" / "spans.parquet").read_text() == "0"


def test_the_folder_of_a_run_is_refused_to_another_one_and_where_it_is_none_of_ours(tmp_path: Path) -> None:
    raw = tmp_path / "run" / "spans"
    prepare_run(raw)
    with pytest.raises(UsageError, match="another run"):
        prepare_run(raw)
    mine = tmp_path / "mine" / "spans"
    mine.mkdir(parents=True)
    (mine / "notes.txt").write_text("x")
    with pytest.raises(UsageError, match=r"notes\.txt"):
        prepare_run(mine)
    assert (mine / "notes.txt").exists()
