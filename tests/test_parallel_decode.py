"""Decoding with several threads or processes: the same spans in the same order, and no hang when one dies."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest

from raytrace_analyze.decode import decode_file, otlp, parquet, span_json, task_events
from raytrace_analyze.engines import local
from raytrace_analyze.engines.local import decode_files
from raytrace_analyze.engines.plan import Task, plan
from raytrace_analyze.errors import RaytraceError, UsageError
from raytrace_analyze.model import Compression, InputFile, ProblemKind
from tests.span_files import FORMS, PACK, one_line, pretty, span, span_file

ROOT = Path(__file__).parent.parent


@pytest.fixture
def files(tmp_path):
    """Files of every kind: small and large, plain and packed, whole and damaged."""
    found = []
    for number in range(12):
        form = FORMS[number % len(FORMS)]
        content = b"".join(form(span(1000 * number + one)) for one in range(40))
        compression = list(PACK)[number % 3]
        found.append(span_file(tmp_path / f"{number:02}", content + b"\0x\n{" * (number % 2), compression))
    large = b"".join(one_line(span(20_000 + one)) + pretty(span(30_000 + one)) for one in range(1000))
    found.append(span_file(tmp_path / "large", large))
    found.append(InputFile(tmp_path / "gone", span_json.FORMAT.name, Compression.NONE, 1))
    found.append(span_file(tmp_path / "events", b"", format=task_events.FORMAT.name))
    return found


@pytest.fixture
def documents(tmp_path):
    """Files that are read record by record, for which it takes processes; packed, or they would be one task."""
    found = []
    for number in range(6):
        ids = [{"traceId": f"{number + 1:032x}", "spanId": f"{one + 1:016x}"} for one in range(40)]
        spans = [one | {"name": "a", "startTimeUnixNano": "1", "endTimeUnixNano": "2"} for one in ids]
        request = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": spans}]}]}
        content = json.dumps(request).encode() + b"\n"
        found.append(span_file(tmp_path / f"{number:02}.otlp", content, Compression.GZIP, format=otlp.FORMAT.name))
    return found


def join(parts):
    parts = list(parts)
    return pl.concat([part.frame for part in parts]), [one for part in parts for one in part.problems]


def one_by_one(files):
    return join(part for file in files if file.format != task_events.FORMAT.name for part in decode_file(file))


@pytest.mark.parametrize("workers", [None, 1, 2, 3])
def test_spans_and_problems_are_those_of_one_by_one_and_in_order(files, workers):
    frame, problems = join(decode_files(files, workers=workers))
    expected, expected_problems = one_by_one(files)
    assert frame.equals(expected)
    assert problems == expected_problems
    assert ProblemKind.UNREADABLE in {problem.kind for problem in problems}


@pytest.mark.parametrize("part_bytes", [3000, 50_000, 100_000])
@pytest.mark.parametrize("form", FORMS)
def test_parts_of_a_file_give_the_whole(tmp_path, form, part_bytes):
    content = b"".join(form(span(number)) for number in range(300))
    file = span_file(tmp_path / "large", content + b"{")
    tasks = list(plan([file], part_bytes))
    assert tasks[0].start == 0
    assert tasks[-1].stop is None
    assert [task.start for task in tasks[1:]] == [task.stop for task in tasks[:-1]]
    if form in (one_line, pretty):
        assert len(tasks) > 1
    frame, problems = join(part for task in tasks for part in task.run())
    assert frame.equals(one_by_one([file])[0])
    assert [problem.offset for problem in problems] == [len(content)]


def test_half_a_record_at_the_end_of_a_part_is_damage_not_a_cut(tmp_path):
    file = span_file(tmp_path / "large", one_line(span(1)) + one_line(span(2))[:99] + b"\n" + one_line(span(3)))
    stop = len(one_line(span(1))) + 100
    frame, problems = join([*Task((file,), 0, stop).run(), *Task((file,), stop).run()])
    assert frame.height == 2
    assert [problem.kind for problem in problems] == [ProblemKind.DAMAGED_RECORD]


def test_small_files_share_tasks_and_a_large_one_has_its_own(files):
    tasks = list(plan(files[:1] * 5 + files[1:2] + files[:1] * 2))
    assert [len(task.files) for task in tasks] == [5, 1, 2]
    huge = InputFile(files[0].path, span_json.FORMAT.name, Compression.NONE, 2 << 20)
    assert [len(task.files) for task in plan([files[0], huge, files[0]])] == [1, 1, 1]


def test_little_input_starts_no_process(files, monkeypatch):
    monkeypatch.setattr(local, "_Worker", None)
    assert join(decode_files(files))[0].height > 2000
    assert list(decode_files([])) == []


def test_an_error_for_the_user_comes_through(tmp_path, files):
    newer = tmp_path / "newer.parquet"
    pl.DataFrame({"a": [1]}).write_parquet(newer, metadata={"raytrace.schema_version": "99"})
    newer_file = InputFile(newer, parquet.FORMAT.name, Compression.NONE, 1)
    for workers in (1, 2):
        with pytest.raises(UsageError, match=r"newer\.parquet has schema version 99"):
            list(decode_files([*files, newer_file, *files], workers=workers))


def test_processes_give_the_same_as_one(documents):
    frame, problems = join(decode_files(documents, workers=2))
    assert frame.height == 6 * 40
    assert frame.equals(one_by_one(documents)[0])
    assert not problems


def test_a_process_that_dies_is_an_error_and_no_hang(documents, monkeypatch):
    kill = f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})"
    monkeypatch.setattr(local, "_COMMAND", [sys.executable, "-c", kill])
    with pytest.raises(RaytraceError, match=r"a decoding process ended \(signal 9\) while it read .*00\.otlp"):
        list(decode_files(documents, workers=2))


def test_a_process_that_fails_is_an_error_that_says_why(documents, monkeypatch):
    fail = (
        "from raytrace_analyze.engines import plan, worker\n"
        "def run(task): raise ZeroDivisionError('because')\n"
        "plan.Task.run = run\n"
        "worker.serve()"
    )
    monkeypatch.setattr(local, "_COMMAND", [sys.executable, "-P", "-c", fail])
    with pytest.raises(RaytraceError, match="ZeroDivisionError: because"):
        list(decode_files(documents, workers=2))


def test_processes_end_when_the_rest_is_not_wanted(documents, monkeypatch):
    started = []
    real = local._Worker

    def noting_worker():
        started.append(real())
        return started[-1]

    monkeypatch.setattr(local, "_Worker", noting_worker)
    parts = decode_files(documents, workers=2)
    next(parts)
    parts.close()
    assert len(started) == 2
    assert all(worker._process.poll() is not None for worker in started)


def test_a_script_without_a_main_guard_may_decode(documents, tmp_path):
    script = tmp_path / "script.py"
    paths = [str(file.path) for file in documents[:3]]
    script.write_text(
        "from pathlib import Path\n"
        "from raytrace_analyze.decode import find_span_files\n"
        "from raytrace_analyze.engines.local import decode_files\n"
        f"found = find_span_files([Path(path) for path in {paths!r}])\n"
        "print('rows', sum(part.frame.height for part in decode_files(found.files, workers=2)))\n"
    )
    done = subprocess.run(
        [sys.executable, str(script)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "rows 120\n"
