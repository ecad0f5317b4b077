"""Finding span files among whatever else lies in a folder."""

import json
import os
import socket
from pathlib import Path

import polars as pl
import pytest

from raytrace_analyze.decode import find_span_files, open_spans, parquet, span_json, task_events
from raytrace_analyze.errors import UsageError
from raytrace_analyze.files import discover
from raytrace_analyze.model import Compression
from tests.span_files import PACK, one_line, pretty, span

NOT_SPANS, OTHER = "not spans", "texts that name trace ids"


def names(*paths: Path) -> list[str]:
    return [file.path.name for file in find_span_files(paths).files]


def skipped(*paths: Path) -> dict[str, int]:
    return find_span_files(paths).skipped


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("form", [one_line, pretty])
@pytest.mark.parametrize("compression", PACK)
def test_a_span_file_is_known_by_its_content_whatever_its_name(tmp_path, form, compression):
    write(tmp_path / "holiday.jpg", PACK[compression](form(span())))
    (file,) = find_span_files([tmp_path]).files
    assert (file.format, file.compression) == (span_json.FORMAT.name, compression)
    assert file.size_bytes == file.path.stat().st_size


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + one_line(span()),
        b"\n\n" + one_line(span()),
        json.dumps(span(), sort_keys=True).encode(),
        json.dumps([span(), span()]).encode(),
        json.dumps([span(), span()], sort_keys=True, indent=2).encode(),
        json.dumps(span(), separators=(",", ":")).encode(),
        one_line(span())[:200],
        one_line(span(attributes={"log": "x" * 100_000})),
        one_line(span(name='say "hi" \\')),
        b"\0" * 4096 + one_line(span()),
        b"\x93\xfe\xff" + one_line(span()),
        one_line(span())[-300:] + one_line(span()),
        pretty(span())[-300:] + pretty(span()),
        one_line(span())[:100] + one_line(span()),
        one_line(span())[:100] + b"\n" + one_line(span()),
        b"garbage\n" + one_line(span()),
        one_line(span()) + b"a line of text\n" * 5,
    ],
    ids=[
        "byte order mark",
        "blank lines",
        "sorted keys",
        "array",
        "array, sorted keys",
        "compact",
        "cut in the first record",
        "record longer than the head",
        "quotes in the name",
        "hole at the start",
        "bytes that are no text",
        "rest of a record",
        "rest of a pretty record",
        "half a record, glued",
        "half a record",
        "one line of garbage",
        "text after a span",
    ],
)
def test_unusual_and_damaged_span_files_are_found(tmp_path, content):
    write(tmp_path / "spans", content)
    assert names(tmp_path) == ["spans"]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"hello\n", NOT_SPANS),
        (b"\x7fELF" + bytes(range(256)) * 100, "programs"),
        (b'{"name": "my-package", "version": "1.0.0"}', NOT_SPANS),
        (b'{"cells": [{"metadata": {"trace_id": "1", "span_id": "2"}}], "nbformat": 4}', OTHER),
        (b'{"event_id": "1", "source_type": "GCS", "severity": "INFO", "label": "", "message": "m"}\n' * 9, NOT_SPANS),
        (
            b'{"asctime": "2026", "levelname": "INFO", "trace_id": "ab", "span_id": "cd", "message": "m"}\n' * 9,
            OTHER,
        ),
        (b"[1, 2, 3]", NOT_SPANS),
        (b"{" * 100_000, NOT_SPANS),
        (b'{"a":' * 20_000 + b'"trace_id" "span_id"', OTHER),
        (b"x" * 70_000 + one_line(span()), NOT_SPANS),
        (b"PAR1 no parquet", "Parquet files of others"),
    ],
    ids=lambda given: repr(given[:12]),
)
def test_what_is_no_span_file_is_passed_over(tmp_path, content, what):
    write(tmp_path / "spans.json", content)
    found = find_span_files([tmp_path])
    assert found.files == ()
    assert found.skipped == {what: 1}
    assert found.problems == ()


@pytest.mark.parametrize(
    "content", [b"\x1f\x8b\x08 no gzip", b"\x28\xb5\x2f\xfd no zstd", PACK[Compression.ZSTD](one_line(span()))[:-30]]
)
def test_packed_data_that_cannot_be_unpacked_is_counted_and_is_damage_if_given(tmp_path, content):
    path = write(tmp_path / "spans.json", content)
    found = find_span_files([tmp_path])
    assert (found.files, found.skipped, found.problems) == ((), {"cannot be unpacked": 1}, ())
    (problem,) = find_span_files([path]).problems
    assert problem.is_damage
    assert "cannot be unpacked: the compressed data is c" in problem.detail


def test_a_pipe_alone_is_an_error(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(UsageError, match="fifo is a pipe, not a file"):
        find_span_files([tmp_path / "fifo"])
    with pytest.raises(UsageError, match="/dev/null is a device, not a file"):
        find_span_files([Path("/dev/null")])
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        with pytest.raises(UsageError, match="socket is a socket, not a file"):
            find_span_files([Path("socket")])


@pytest.mark.parametrize("version", ["", "one", "1.0", "\u00b2"])
def test_a_version_that_is_no_number_is_none_of_ours(tmp_path, version):
    pl.DataFrame({"a": [1]}).write_parquet(tmp_path / "odd", metadata={"raytrace.schema_version": version})
    assert skipped(tmp_path) == {"Parquet files of others": 1}
    with pytest.raises(UsageError, match="odd is a Parquet file, but none that"):
        find_span_files([tmp_path / "odd"])


def test_side_files_of_the_hook(tmp_path):
    write(tmp_path / "a.open", b'{"raytrace": "open", "version": 1, "slot_bytes": 1024, "resource": {}}\n')
    write(tmp_path / "a.events", b'{"raytrace": "task_events", "version": 1, "session": "s"}\n')
    formats = [file.format for file in find_span_files([tmp_path]).files]
    assert formats == [task_events.FORMAT.name, open_spans.FORMAT.name]


def test_parquet_files_count_if_merge_wrote_them(tmp_path):
    frame = pl.DataFrame({"span_id": ["1"]})
    frame.write_parquet(tmp_path / "ours", metadata={"raytrace.schema_version": "1"})
    frame.write_parquet(tmp_path / "foreign")
    found = find_span_files([tmp_path])
    assert [(file.path.name, file.format) for file in found.files] == [("ours", parquet.FORMAT.name)]
    assert found.skipped == {"Parquet files of others": 1}
    with pytest.raises(UsageError, match="foreign is a Parquet file, but none that"):
        find_span_files([tmp_path / "foreign"])
    with pytest.raises(UsageError, match="damaged Parquet"):
        find_span_files([write(tmp_path / "broken", b"PAR1" + bytes(100))])


def test_empty_files_are_counted_apart(tmp_path):
    write(tmp_path / "1.txt", b"")
    write(tmp_path / "1.gz", PACK[Compression.GZIP](b""))
    assert skipped(tmp_path) == {"empty": 2}


def test_folders_are_walked_to_any_depth_and_files_come_sorted(tmp_path):
    for name in ("b/c/d/e", "a", "b/a", "z/y"):
        write(tmp_path / name, one_line(span()))
    found = [str(file.path.relative_to(tmp_path)) for file in find_span_files([tmp_path]).files]
    assert found == ["a", "b/a", "b/c/d/e", "z/y"]


def test_a_file_that_is_reached_twice_is_there_once(tmp_path):
    real = write(tmp_path / "real", one_line(span()))
    (tmp_path / "alias").symlink_to(real)
    (tmp_path / "hard").hardlink_to(real)
    assert names(tmp_path, tmp_path, real) == ["real"]
    assert names(tmp_path) == ["hard"]
    assert names(tmp_path / "alias") == ["alias"]


def test_links_to_folders_are_not_followed_unless_given(tmp_path):
    outside = tmp_path / "outside"
    write(outside / "spans", one_line(span()))
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "out").symlink_to(outside)
    (inside / "self").symlink_to(inside)
    (inside / "round").symlink_to(inside / "round")
    (inside / "nowhere").symlink_to(tmp_path / "gone")
    found = find_span_files([inside])
    assert found.files == ()
    assert found.skipped["link to a folder"] == 2
    assert names(inside / "out") == ["spans"]


def test_only_regular_files_are_opened(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "fifo")
    monkeypatch.chdir(tmp_path)  # a socket's path must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        write(tmp_path / "spans", one_line(span()))
        opened = []
        real_open = os.open

        def noting_open(path, *args, **kwargs):
            opened.append(Path(os.fspath(path)).name)
            return real_open(path, *args, **kwargs)

        monkeypatch.setattr(os, "open", noting_open)
        found = find_span_files([tmp_path, tmp_path / "fifo"])
    assert [file.path.name for file in found.files] == ["spans"]
    assert found.skipped == {"not a regular file": 3}
    assert "fifo" not in opened
    assert "socket" not in opened


def test_a_large_foreign_file_is_not_read_through(tmp_path, monkeypatch):
    log = write(tmp_path / "log", b"INFO something happened\n" * 10)
    os.truncate(log, 1 << 40)
    read_bytes = []
    real_read = os.pread

    def noting_read(descriptor, size, start):
        content = real_read(descriptor, size, start)
        read_bytes.append(len(content))
        return content

    monkeypatch.setattr(os, "pread", noting_read)
    assert skipped(tmp_path) == {"not spans": 1}
    assert 0 < sum(read_bytes) <= 64 << 10


def test_a_bomb_is_not_unpacked(tmp_path):
    write(tmp_path / "bomb.gz", PACK[Compression.GZIP](b"a" * (1 << 28)))
    assert skipped(tmp_path) == {"not spans": 1}


def test_what_may_not_be_opened_is_named_but_no_damage(tmp_path, monkeypatch):
    write(tmp_path / "private" / "x", one_line(span()))
    write(tmp_path / "secret", one_line(span()))
    write(tmp_path / "spans", one_line(span()))
    deny(monkeypatch, "private", "secret")
    found = find_span_files([tmp_path])
    assert [file.path.name for file in found.files] == ["spans"]
    assert found.skipped == {"not readable": 2}
    assert found.unreadable == (str(tmp_path / "private"), str(tmp_path / "secret"))
    assert found.problems == ()


@pytest.mark.parametrize("name", ["private", "secret"])
def test_a_given_path_that_may_not_be_opened_is_an_error(tmp_path, monkeypatch, name):
    write(tmp_path / "private" / "x", one_line(span()))
    write(tmp_path / "secret", one_line(span()))
    deny(monkeypatch, "private", "secret")
    with pytest.raises(UsageError, match=f"{name} cannot be opened: Permission denied"):
        find_span_files([tmp_path / name])


def deny(monkeypatch, *denied):
    """Let opening fail as it does for a user who may not; tests often run as root, who may."""
    real_open, real_scandir = os.open, os.scandir

    def refuse(path):
        if Path(path).name in denied:
            raise PermissionError(13, "Permission denied", str(path))

    def open_(path, *args, **kwargs):
        refuse(path)
        return real_open(path, *args, **kwargs)

    def scandir(path):
        refuse(path)
        return real_scandir(path)

    monkeypatch.setattr(os, "open", open_)
    monkeypatch.setattr(discover.os, "scandir", scandir)


def test_a_given_path_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(UsageError, match=r"no/such/folder does not exist$"):
        find_span_files([tmp_path / "no/such/folder"])
    with pytest.raises(UsageError, match="is not a path"):
        find_span_files([Path("a\0b")])


def test_a_file_that_vanishes_during_the_walk_is_no_error(tmp_path, monkeypatch):
    gone = write(tmp_path / "gone", one_line(span()))
    write(tmp_path / "stays", one_line(span()))
    real = discover.open_regular

    def late_open(path):
        if Path(path) == gone:
            gone.unlink()
        return real(path)

    monkeypatch.setattr(discover, "open_regular", late_open)
    found = find_span_files([tmp_path])
    assert [file.path.name for file in found.files] == ["stays"]
    assert found.skipped == {"vanished": 1}
