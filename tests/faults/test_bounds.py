"""No input costs more than it may, and one bad byte no more than its field; what is no spans is named."""

import bz2
import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zstandard
from polars.testing import assert_frame_equal

import raytrace_analyze as rt
from raytrace_analyze.command_line.memory import LIMIT_VARIABLE, allowed_bytes, limit_bytes, memory_there
from tests.span_files import one_line, span

EVENTS = next((Path(__file__).parents[2] / "sample_spans" / "map_reduce-ours" / "spans").glob("*.events"))
MEGABYTE = b"a" * (1 << 20)


def packed(path: Path, parts: Iterable[bytes]) -> None:
    with path.open("wb") as file, zstandard.ZstdCompressor().stream_writer(file) as packer:
        for part in parts:
            packer.write(part)


def merge(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "raytrace_analyze", *options, "merge", str(folder), "-o", str(folder / "out")]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("spans.jsonl", one_line(span(1))),
        ("x.events", EVENTS.read_bytes().partition(b"\n")[0] + b'\n{"task_id": "'),
        ("x.log", b"hello\n(f pid=1) " + one_line(span(1)) + b'(f pid=1) {"name": "'),
    ],
)
def test_what_unpacks_to_very_much_is_read_up_to_a_bound_and_told(tmp_path: Path, name: str, start: bytes) -> None:
    (tmp_path / "sound.jsonl").write_bytes(one_line(span(2)))
    packed(tmp_path / name, [start, *[MEGABYTE] * 600])
    report = rt.load(tmp_path).report
    assert report.spans in (1, 2) and report.is_damaged
    assert any("unpacks to more than 1,000 times its size" in problem.detail for problem in report.problems)


@pytest.mark.parametrize("level", [b'{"name": ', b"[", b'{"a":[', b'{"resourceSpans":['])
@pytest.mark.parametrize("name", ["spans.jsonl", "x.events", "x.json", "x.log"])
def test_unclosed_nesting_costs_in_proportion(tmp_path: Path, name: str, level: bytes) -> None:
    start = {
        "x.events": EVENTS.read_bytes().partition(b"\n")[0] + b"\n",
        "x.json": b'{"resourceSpans":',
        "x.log": b"hello\n(f pid=1) " + one_line(span(1)),
    }.get(name, one_line(span(1)))
    (tmp_path / "sound.jsonl").write_bytes(one_line(span(2)))
    before = os.times()
    (tmp_path / name).write_bytes(start + level * (400_000 // len(level)))
    assert rt.load(tmp_path).report.spans in (1, 2)
    after = os.times()
    assert after.user + after.system - before.user - before.system < 20


def test_a_bad_byte_of_utf_8_costs_its_field_alone(tmp_path: Path) -> None:
    good, bad = one_line(span(1)), one_line(span(2)).replace(b"map_part ray", b"map\xffpart ray", 1)
    (tmp_path / "spans.jsonl").write_bytes(good + bad + one_line(span(3)))
    found = rt.load(tmp_path)
    assert found.report.spans == 3
    assert found.spans["name"][1] == "__main__.map\N{REPLACEMENT CHARACTER}part ray.remote_worker"
    (problem,) = (each for each in found.report.problems if each.is_damage)
    assert problem.offset == (good + bad).index(b"\xff") and "1 bytes: not valid UTF-8" in problem.detail
    (line,) = (line for line in merge(tmp_path).stderr.splitlines() if "UTF-8" in line)
    assert line.endswith("U+FFFD stands for it")  # nothing is left out


def test_a_bad_byte_in_a_side_file_costs_its_field_alone(tmp_path: Path) -> None:
    for file in EVENTS.parent.iterdir():
        content = file.read_bytes()
        bad = content.replace(b'"name":"map_part"', b'"name":"map\xffpart"', 1) if file == EVENTS else content
        (tmp_path / file.name).write_bytes(bad)
    sound, found = rt.load(EVENTS.parent), rt.load(tmp_path)
    assert found.spans["state_running"].null_count() == sound.spans["state_running"].null_count()
    assert any("not valid UTF-8" in problem.detail for problem in found.report.problems)


@pytest.mark.parametrize("nuls", [100, 100_000, 1 << 20])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress], ids=["plain", "gzip", "zstd"])
def test_spans_behind_nuls_are_found(tmp_path: Path, nuls: int, pack: Callable[[bytes], bytes]) -> None:
    (tmp_path / "spans.jsonl").write_bytes(pack(b"\0" * nuls + one_line(span(1)) + one_line(span(2))))
    report = rt.load(tmp_path).report
    assert report.spans == 2 and report.is_damaged


@pytest.mark.parametrize("nuls", [1, 100, 100_000])
@pytest.mark.parametrize("form", ["otlp", "jaeger"])
def test_documents_behind_nuls_are_read(tmp_path: Path, nuls: int, form: str) -> None:
    sound = rt.load(EVENTS.parent)
    rt.export(sound.spans, form, tmp_path / "spans.json")
    (tmp_path / "spans.json").write_bytes(b"\0" * nuls + (tmp_path / "spans.json").read_bytes())
    found = rt.load(tmp_path).report
    assert found.spans == sound.report.spans
    assert [problem.offset for problem in found.problems if problem.is_damage] == [0]
    assert f"{max(nuls, 2)} bytes" in next(problem.detail for problem in found.problems if problem.is_damage)


@pytest.mark.parametrize("nuls", [1, 100, 100_000])
def test_side_files_behind_nuls_are_read_with_their_headers(tmp_path: Path, nuls: int) -> None:
    for file in EVENTS.parent.iterdir():
        hole = b"" if file.suffix == ".jsonl" else b"\0" * nuls
        (tmp_path / file.name).write_bytes(hole + file.read_bytes())
    sound, found = rt.load(EVENTS.parent), rt.load(tmp_path)
    assert_frame_equal(found.spans.drop("source"), sound.spans.drop("source"))
    damaged = [problem for problem in found.report.problems if problem.is_damage]
    assert len(damaged) == 4 and {problem.offset for problem in damaged} == {0}


@pytest.mark.parametrize("start", [b"", b"x = 1\n"], ids=["from the start on", "a text"])
def test_files_of_nuls_are_called_so(tmp_path: Path, start: bytes) -> None:
    (tmp_path / "spans.jsonl").write_bytes(start + b"\0" * 200_000)
    with pytest.raises(rt.NoSpansError) as error:
        rt.load(tmp_path)
    assert ("files full of NULs (1)" in str(error.value)) is not bool(start)


def long_names(first: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Files whose first record does not end within what is looked at of a file at first, in several forms."""
    yield "one a line", one_line(first) + one_line(span(2))
    yield "an array", json.dumps([first, span(2)], indent=2).encode()
    yield "sorted", json.dumps(first, sort_keys=True).encode() + b"\n" + one_line(span(2))


@pytest.mark.parametrize("which", range(3))
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("long", ["name", "attribute"])
def test_a_first_record_that_is_long_is_a_record(
    tmp_path: Path, which: int, pack: Callable[[bytes], bytes], long: str
) -> None:
    text = "".join(chr(97 + number % 26) for number in range(1 << 20))
    first = span(1, name=text) if long == "name" else span(1, attributes={"a": text})
    _, content = list(long_names(first))[which]
    (tmp_path / "spans.jsonl").write_bytes(pack(content))
    found = rt.load(tmp_path).report
    assert found.spans == 2 and not found.is_damaged
    assert all(len(problem.detail) < 1000 for problem in found.problems)


def test_jaegers_members_in_another_order_are_found_behind_many_processes(tmp_path: Path) -> None:
    sound = rt.load(EVENTS.parent)
    rt.export(sound.spans, "jaeger", tmp_path / "spans.json")
    document = json.loads((tmp_path / "spans.json").read_text())
    others = {f"a{number}": {"serviceName": "s" * 100, "tags": []} for number in range(2000)}
    document["data"][0]["processes"] |= others
    (tmp_path / "spans.json").write_text(json.dumps(document, sort_keys=True))
    assert rt.load(tmp_path).report.spans == sound.report.spans


@pytest.mark.parametrize(
    ("name", "line", "size", "longest_s"),
    [
        *((name, line, 16 << 20, 4) for name in ("x.events", "x.open", "x.json") for line in (b"\n", b" \r\n")),
        *((name, b"{}\n", 1 << 20, 10) for name in ("x.open", "x.json")),
        *((name, b'"\n', 1 << 20, 5) for name in ("x.events", "x.json")),
    ],
)
def test_short_lines_cost_little_each(tmp_path: Path, name: str, line: bytes, size: int, longest_s: float) -> None:
    start = {
        "x.events": EVENTS.read_bytes().partition(b"\n")[0] + b"\n",
        "x.open": EVENTS.with_suffix(".open").read_bytes().partition(b"\n")[0] + b"\n",
        "x.json": b'{"resourceSpans":[]}\n',
    }[name]
    (tmp_path / "sound.jsonl").write_bytes(one_line(span(2)))
    (tmp_path / name).write_bytes(start + line * (size // len(line)))
    before = os.times()
    assert rt.load(tmp_path).report.spans == 1
    after = os.times()
    assert after.user + after.system - before.user - before.system < longest_s


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\x1f\x8b\x08\0no gzip" * 9, "packed files that are damaged (1)"),
        (b'{"log": {"version": "1.2", "creator": {"name": "x"}, "entries": []}}', "HAR files (1)"),
        (b"\n\x1aP\x01h\x012\x14\n\x04\x08\x06\x10\x00", "Perfetto traces (1)"),
        (bz2.compress(one_line(span(1))), "bzip2 files (1)"),
        (b'{"log":"no span here\\n","stream":"stdout"}\n' * 3, "Docker log lines (1)"),
        (b'{"log":"{\\"trace_id\\": 1}\\n"}\n', "Docker log lines with spans inside (1)"),
        (b'[{"name": "f", "cat": "x", "ph": "Z"}]', "Chrome traces (1)"),
        (b'[{"traceId": "a", "id": "b", "localEndpoint": {}}]', "Zipkin JSON (1)"),
        (b'2026 INFO x trace "trace_id": "abc"\n', "texts that name trace ids (1)"),
    ],
)
def test_what_holds_no_spans_that_can_be_read_is_named(tmp_path: Path, content: bytes, kind: str) -> None:
    (tmp_path / "file").write_bytes(content)
    (tmp_path / "readme").write_text("nothing\n")
    with pytest.raises(rt.NoSpansError, match="no spans that can be read") as error:
        rt.load(tmp_path)
    assert kind in str(error.value) and "is tracing on" not in str(error.value)


def test_where_there_is_nothing_at_all_tracing_may_be_off(tmp_path: Path) -> None:
    (tmp_path / "readme").write_text("nothing\n")
    with pytest.raises(rt.NoSpansError, match="is tracing on"):
        rt.load(tmp_path)


def test_a_command_that_takes_too_much_memory_says_so(tmp_path: Path) -> None:
    text = "x" * 2000
    lines = (json.dumps(span(number, status={"description": f"{number}{text}"})) for number in range(1, 20_000))
    (tmp_path / "spans.jsonl").write_text("\n".join(lines) + "\n")
    done = merge(tmp_path, "--max-memory", "60M")
    assert done.returncode == 2 and not (tmp_path / "out").exists()
    assert done.stderr.count("\n") == 1 and "more with --max-memory" in done.stderr
    assert merge(tmp_path, "--max-memory", "0").returncode == 0


def test_limits_of_memory() -> None:
    assert limit_bytes("") == memory_there() // 2
    assert (limit_bytes("500M"), limit_bytes("1.5 gb"), limit_bytes("0")) == (500_000_000, 1_500_000_000, 0)
    assert limit_bytes("50%") == memory_there() // 2
    for wrong in ("much", "-1", "4X", "1e9", "²G", "9" * 400):
        with pytest.raises(rt.UsageError, match="--max-memory takes a size such as 4G"):
            limit_bytes(wrong)


def test_what_is_no_limit_is_blamed_on_what_gave_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(LIMIT_VARIABLE, "much")
    with pytest.raises(rt.UsageError, match=f"^{LIMIT_VARIABLE} takes a size such as 4G.*'much'"):
        allowed_bytes()
