"""Results are whole or not there: full disks, limits, signals at any moment, two writers at a time, foreign files."""

import functools
import os
import random
import resource
import shlex
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

import raytrace_analyze as rt
from raytrace_analyze.errors import UsageError
from raytrace_analyze.files.output import check_output, strictest_mode, whole_file

SAMPLES = Path(__file__).parents[2] / "sample_spans"
SPANS = SAMPLES / "map_reduce-ours" / "spans"
OTHER = SAMPLES / "nested-ours" / "spans"


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "raytrace_analyze", *map(str, arguments)]


def cli(
    *arguments: str | Path, cwd: Path, before: Callable[[], None] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, cwd=cwd, preexec_fn=before, timeout=120, check=False
    )


def partials(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.endswith(".partial")]


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "result"
    with whole_file(path, 0o640) as file:
        file.write(b"one")
        assert not path.exists()
    assert path.read_bytes() == b"one"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    for error in (OSError, KeyboardInterrupt, SystemExit, MemoryError):
        with pytest.raises(error), whole_file(path) as file:
            file.write(b"two")
            raise error
    assert path.read_bytes() == b"one"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_is_replaced_and_never_written_through(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"theirs")
    (tmp_path / "link").symlink_to("target")
    with whole_file(tmp_path / "link") as file:
        file.write(b"ours")
    assert (tmp_path / "target").read_bytes() == b"theirs"
    assert (tmp_path / "link").read_bytes() == b"ours"


def test_leftovers_are_removed_and_files_in_use_are_not(tmp_path: Path) -> None:
    code = (
        "import os, sys; from raytrace_analyze.files.output import whole_file\n"
        "with whole_file('result') as file:\n"
        "    file.write(b'x'); print('writes', flush=True)\n"
        "    if sys.argv[1] == 'die': os._exit(9)\n"
        "    sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, "live"], cwd=tmp_path, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as living:
        assert living.stdout is not None
        living.stdout.readline()
        subprocess.run([sys.executable, "-c", code, "die"], cwd=tmp_path, capture_output=True, check=False)
        (tmp_path / ".result.0.partial.txt").write_bytes(b"of somebody else")
        (tmp_path / ".result.1.partial").symlink_to("/etc/passwd")
        assert len(partials(tmp_path)) == 3
        with whole_file(tmp_path / "result") as file:
            file.write(b"mine")
        assert len(partials(tmp_path)) == 2  # the one in use, and the link
    assert (tmp_path / "result").read_bytes() == b"x"
    assert partials(tmp_path) == [".result.1.partial"]
    assert Path("/etc/passwd").exists()


def test_a_name_as_long_as_names_may_be(tmp_path: Path) -> None:
    for name in ("n" * 255, "ö" * 127, os.fsdecode(b"\xff" * 255)):
        with whole_file(tmp_path / name) as file:
            file.write(b"x")
        assert (tmp_path / name).read_bytes() == b"x"
    assert partials(tmp_path) == []


def test_the_table_may_be_read_by_those_who_may_read_all_of_the_input(tmp_path: Path) -> None:
    for name, mode in (("a", 0o644), ("b", 0o640), ("c", 0o200)):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(mode)
    assert strictest_mode([tmp_path / "a"]) == 0o644
    assert strictest_mode([tmp_path / "a", tmp_path / "b"]) == 0o640
    assert strictest_mode([tmp_path / "a", tmp_path / "c"]) == 0o600
    (tmp_path / "spans").mkdir()
    for file in SPANS.iterdir():
        (tmp_path / "spans" / file.name).write_bytes(file.read_bytes())
        (tmp_path / "spans" / file.name).chmod(0o644)
    assert cli("merge", "spans", cwd=tmp_path).returncode == 0
    assert stat.S_IMODE((tmp_path / "spans.parquet").stat().st_mode) == 0o644
    max((tmp_path / "spans").iterdir(), key=lambda file: file.stat().st_size).chmod(0o600)
    assert cli("merge", "spans", cwd=tmp_path).returncode == 0
    assert stat.S_IMODE((tmp_path / "spans.parquet").stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["program.py", "other.parquet"])
def test_merge_does_not_replace_what_no_merge_wrote(tmp_path: Path, name: str) -> None:
    source = max(SPANS.iterdir(), key=lambda file: file.stat().st_size)
    path = tmp_path / name
    if name == "other.parquet":
        pl.DataFrame({"a": [1]}).write_parquet(path)
    else:
        path.write_bytes(source.read_bytes())
    before = path.read_bytes()
    done = cli("merge", source, "-o", name, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        f"raytrace-analyze: {name} is there, and is not what this command writes: name another file, or use --force\n"
    )
    assert path.read_bytes() == before
    assert cli("merge", source, "-o", name, "--force", cwd=tmp_path).returncode == 0
    assert pl.read_parquet(path).height


@pytest.mark.parametrize("force", [False, True])
def test_folders_links_and_devices_are_never_replaced(tmp_path: Path, force: bool) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("target")
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "folder", tmp_path / "link", tmp_path / "pipe", Path("/dev/null"), tmp_path / "a\0b"):
        with pytest.raises(UsageError):
            check_output(path, lambda _: True, force=force)
    (tmp_path / "empty").touch()
    check_output(tmp_path / "empty", lambda _: False)


def test_a_disk_without_room_is_one_line_and_changes_nothing(tmp_path: Path) -> None:
    assert cli("merge", OTHER, cwd=tmp_path).returncode == 0
    before = (tmp_path / "spans.parquet").read_bytes()
    done = cli("merge", SPANS, cwd=tmp_path, before=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000)))
    assert done.returncode == 2
    assert done.stderr == "raytrace-analyze: cannot write spans.parquet: File too large\n"
    assert (tmp_path / "spans.parquet").read_bytes() == before
    assert partials(tmp_path) == []


@pytest.mark.parametrize("size", [300 << 20, 800 << 20])
def test_no_memory_is_one_line(tmp_path: Path, size: int) -> None:
    """Libraries that get none end the process in ways of their own, some with the code of a gate, some by a signal."""
    limit = functools.partial(resource.setrlimit, resource.RLIMIT_AS, (size, size))
    done = cli("critical-path", SPANS, cwd=tmp_path, before=limit)
    told = "raytrace-analyze: there is not enough memory for this; give it fewer files at a time\n"
    assert (done.returncode, done.stderr) in ((0, ""), (2, told))


def test_a_process_that_hangs_after_a_librarys_last_words_is_ended() -> None:
    program = """
import sys, time
from raytrace_analyze.limited_memory import run_apart

def hang():
    print("thread 'polars-1' panicked at pool.rs:1: no thread", file=sys.__stderr__, flush=True)
    time.sleep(1000)

run_apart(hang)
"""
    program = f"import resource; resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))\n{program}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("raytrace-analyze: there is not enough memory for this")


def test_what_a_process_has_said_of_its_end_is_not_said_again_where_it_cannot_even_end() -> None:
    program = """
import atexit, os, sys
from raytrace_analyze.limited_memory import run_apart

def fail():
    atexit.register(os.abort)
    print("no such job", file=sys.stderr)
    raise SystemExit(4)

run_apart(fail)
"""
    program = f"import resource; resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))\n{program}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (4, "no such job\n")


def test_a_gate_and_what_is_told_of_damage_are_the_same_where_memory_is_limited(tmp_path: Path) -> None:
    limit = functools.partial(resource.setrlimit, resource.RLIMIT_AS, (1 << 40, 1 << 40))
    for arguments in (("diff", OTHER, SPANS, "--fail-over", "0%"), ("stats", tmp_path / "none")):
        free, limited = (cli(*arguments, cwd=tmp_path, before=before) for before in (None, limit))
        assert (limited.returncode, limited.stdout, limited.stderr) == (free.returncode, free.stdout, free.stderr)


@pytest.mark.parametrize(
    ("arguments", "redirection", "code"),
    [
        ("--help", "> /dev/full", 2),
        ("--help", "| true", 0),
        ("critical-path", "> /dev/full 2> /dev/full", 2),
        ("critical-path", "2> /dev/full", 0),
        ("critical-path", ">&- 2>&- <&-", 0),
        ("critical-path", "2>&1 | head -c 10 > /dev/null", 0),
        ("critical-path --format json", "> /dev/full", 2),
        ("critical-path --format json", "| true", 0),
    ],
)
def test_a_broken_terminal_is_no_traceback(tmp_path: Path, arguments: str, redirection: str, code: int) -> None:
    program = shlex.join(command(*arguments.split(), *([] if arguments == "--help" else [str(SPANS)])))
    script = f"{program} {redirection}; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert len(done.stderr.splitlines()) <= 1


AT_IMPORT = """
import os, sys
module = sys.argv.pop(1)
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == module:
            os.kill(os.getpid(), 2)
sys.meta_path.insert(0, Finder())
from raytrace_analyze.__main__ import main
main()
"""


@pytest.mark.parametrize(
    "module", ["raytrace_analyze.limited_memory", "typer", "polars", "raytrace_analyze.path.result"]
)
def test_ctrl_c_during_start_up_is_quiet(tmp_path: Path, module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", AT_IMPORT, module, "critical-path", str(SPANS)],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_nothing_is_imported_before_ctrl_c_is_quiet() -> None:
    look = "import sys; before = {*sys.modules}; import raytrace_analyze.__main__; print(*({*sys.modules} - before))"
    done = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    ours = {"raytrace_analyze", "raytrace_analyze.__main__", "raytrace_analyze.interrupts"}
    assert set(done.stdout.split()) - {"_signal"} == ours


WHERE_IT_IS_LOST = """
import os, sys, time, weakref
number = int(sys.argv.pop(1))
class Thing: pass
def end(_):
    os.kill(os.getpid(), number)
    for _ in range(100): pass
def fsync(_):
    thing = Thing()
    thing.reference = weakref.ref(thing, end)
    kept.append(thing.reference)
    del thing
    time.sleep(20)
kept, os.fsync = [], fsync
from raytrace_analyze.__main__ import main
main()
"""


WHERE_IT_BECOMES_ANOTHER = """
import os, sys
number = int(sys.argv.pop(1))
from raytrace_analyze.ingest import loading
def find(*_, **__):
    import polars as pl
    pl.select(pl.lit(1).map_elements(lambda _: os.kill(os.getpid(), number), return_dtype=pl.Int64))
loading.find = find
from raytrace_analyze.__main__ import main
main()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_a_command_also_where_its_exception_gets_lost(tmp_path: Path, number: signal.Signals) -> None:
    """Such as in what a weak reference calls, or in a function that a library calls from other than Python."""
    for program, arguments in ((WHERE_IT_IS_LOST, ("merge",)), (WHERE_IT_BECOMES_ANOTHER, ("critical-path",))):
        given = [sys.executable, "-c", program, str(int(number)), *arguments, str(SPANS)]
        done = subprocess.run(given, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (128 + number, "", "")
        assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def merges(tmp_path_factory: pytest.TempPathFactory) -> tuple[float, bytes, bytes]:
    """How long a merge takes, and two tables that are made so: the old one, and the new one."""
    folder = tmp_path_factory.mktemp("merges")
    for spans in (OTHER, SPANS):
        started = time.monotonic()
        assert cli("merge", spans, "-o", f"{spans.parent.name}.parquet", cwd=folder).returncode == 0
        took = time.monotonic() - started
    old, new = ((folder / f"{spans.parent.name}.parquet").read_bytes() for spans in (OTHER, SPANS))
    return took, old, new


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_merge_that_is_ended_leaves_the_old_table_or_the_new_one(
    tmp_path: Path, number: signal.Signals, merges: tuple[float, bytes, bytes]
) -> None:
    took, old, new = merges
    (tmp_path / "spans.parquet").write_bytes(old)
    chance = random.Random(int(number))
    for _ in range(2):
        # From the moment on when Python itself has started.
        process = subprocess.Popen(command("merge", SPANS), cwd=tmp_path, stderr=subprocess.PIPE, text=True)
        time.sleep(chance.uniform(0.3, 1) * took)
        process.send_signal(number)
        said = process.communicate(timeout=60)[1]
        assert process.returncode in (0, 128 + number, -number), said
        assert "Traceback" not in said
        assert (tmp_path / "spans.parquet").read_bytes() in (old, new)
        if number != signal.SIGKILL:
            assert partials(tmp_path) == []
    assert cli("merge", SPANS, cwd=tmp_path).returncode == 0
    assert partials(tmp_path) == []


def test_merges_to_one_output_at_once_give_one_of_the_results(tmp_path: Path) -> None:
    heights = set()
    for spans in (OTHER, SPANS):
        assert cli("merge", spans, cwd=tmp_path).returncode == 0
        heights.add(pl.read_parquet(tmp_path / "spans.parquet").height)
    running = [
        subprocess.Popen(command("merge", spans), cwd=tmp_path, stderr=subprocess.DEVNULL)
        for spans in (OTHER, SPANS) * 2
    ]
    while any(process.poll() is None for process in running):
        assert rt.load(tmp_path / "spans.parquet").spans.height in heights
    assert [process.returncode for process in running] == [0] * 4
    assert partials(tmp_path) == []
