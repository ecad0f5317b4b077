"""A merge by way of the disk gives the table, and the report, of a merge in memory."""

import errno
import json
import random
import shutil
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

import raytrace_analyze as rt
from raytrace_analyze.cli import app
from raytrace_analyze.files.output import scratch_folder
from raytrace_analyze.ingest import merging
from raytrace_analyze.ingest.loading import Found, Ingested, find, load_found
from raytrace_analyze.schema import DECODED
from raytrace_analyze.spilled.buckets import Buckets
from raytrace_analyze.table.file.order import in_file_order
from tests.span_files import one_line, pretty, span

ROOT = Path(__file__).parent.parent
SPANS = sorted(path for path in ROOT.glob("sample_spans/*/spans") if path.is_dir())
EVENTS = ROOT / "sample_spans" / "events"


@pytest.fixture(autouse=True)
def small_buckets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have many buckets, written to in many pieces."""
    monkeypatch.setattr(merging, "BUCKET_BYTES", 60_000)


def on_disk(found: Found, scratch: Path) -> tuple[pl.DataFrame, merging.LargeIngested]:
    scratch.mkdir()
    merged = merging.merge_on_disk(found, scratch, lambda share: None)
    assert merged.table.count > 1
    return pl.concat(merged.parts()), merged


def assert_same(paths: list[Path], scratch: Path) -> Ingested:
    found = find(paths)
    plain = load_found(found)
    spilled, merged = on_disk(found, scratch)
    assert spilled.equals(in_file_order(plain.spans))
    assert replace(merged.report, problems=()) == replace(plain.report, problems=())
    assert sorted(map(repr, merged.report.problems)) == sorted(map(repr, plain.report.problems))
    return plain


def mixed_files(folder: Path, seed: int) -> list[Path]:
    """Copy some captures' files, cut, damaged, twice, under names that sort in any order."""
    source = random.Random(seed)
    folder.mkdir()
    chosen = source.sample(SPANS, 3)
    files = [file for capture in chosen for file in capture.rglob("*") if file.is_file()]
    for number, file in enumerate(files):
        content = file.read_bytes()
        name = f"{source.random():.6f}-{number}{file.suffix}"
        if source.random() < 0.15:
            content = content[: int(len(content) * source.random())]
        if source.random() < 0.15:
            at = source.randrange(len(content) + 1)
            content = content[:at] + b'\n{"name": "half", "cont\xff' + content[at:]
        (folder / name).write_bytes(content)
        if source.random() < 0.3:
            (folder / f"copy-{name}").write_bytes(content)
    return [folder]


@pytest.mark.parametrize("seed", range(2))
def test_captures_of_several_clusters_with_copies_and_damage(seed: int, tmp_path: Path) -> None:
    plain = assert_same(mixed_files(tmp_path / "spans", seed), tmp_path / "scratch")
    assert plain.report.sessions > 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 60))
def test_more_captures_of_several_clusters(seed: int, tmp_path: Path) -> None:
    assert_same(mixed_files(tmp_path / "spans", seed), tmp_path / "scratch")


def test_events_of_ray_alone_and_beside_spans(tmp_path: Path) -> None:
    plain = assert_same([EVENTS, ROOT / "sample_spans" / "failures-ours"], tmp_path / "scratch")
    assert plain.report.attempts_without_span


def made_up(folder: Path) -> None:
    """Write spans that know little: no node, no job, no function, set-back clocks, contradicting copies."""
    source = random.Random(7)
    records = []
    for number in range(1, 400):
        known = source.choice(
            [{}, {"ray.job_id": f"0{source.randrange(1, 4)}000000"}, {"ray.task_id": f"{number % 9:048x}"}]
        )
        second, first = source.randrange(59), source.randrange(59)
        records.append(
            span(
                number,
                context={"trace_id": f"0x{number % 60 + 1:032x}", "span_id": f"0x{number:016x}"},
                name=source.choice(["load ray.remote", "load ray.remote_worker", "own"]),
                kind=source.choice(["SpanKind.PRODUCER", "SpanKind.CONSUMER", "SpanKind.INTERNAL"]),
                parent_id=source.choice([None, f"0x{source.randrange(1, 400):016x}"]),
                start_time=f"2026-11-23T08:55:{first:02}.{number:06}Z",
                end_time=source.choice([None, f"2026-11-23T08:55:{second:02}.{number:06}Z"]),
                attributes=known
                | source.choice([{}, {"ray.pid": str(number % 3)}, {"ray.node_id": f"{number % 2:056x}"}]),
                resource={"attributes": source.choice([{}, {"service.instance.id": f"i{number % 4}"}])},
            )
        )
    for number in range(6):
        mine = [record for at, record in enumerate(records) if at % 6 == number or at % 50 == 0]
        mine += [record | {"status": {"status_code": "ERROR"}} for record in mine[::20]]
        source.shuffle(mine)
        (folder / f"{number}.json").write_bytes(b"".join(source.choice([one_line, pretty])(record) for record in mine))


def test_spans_that_know_little(tmp_path: Path) -> None:
    (tmp_path / "spans").mkdir()
    made_up(tmp_path / "spans")
    plain = assert_same([tmp_path / "spans"], tmp_path / "scratch")
    kinds = {problem.kind for problem in plain.report.problems}
    assert {"conflicting copies", "missing parent", "set back clock"} <= {str(kind) for kind in kinds}


def test_the_command_writes_the_same_file_and_leaves_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture = ROOT / "sample_spans" / "nested-ours" / "spans"
    plain, spilled = tmp_path / "plain.parquet", tmp_path / "spilled.parquet"
    for table, largest in ((plain, merging.LARGEST_BYTES), (spilled, 1)):
        monkeypatch.setattr(merging, "LARGEST_BYTES", largest)
        done = CliRunner().invoke(app, ["merge", str(capture), "-o", str(table)])
        assert done.exit_code == 0, done.output
    assert pl.read_parquet(plain).equals(pl.read_parquet(spilled))
    assert rt.read_spans(spilled).equals(rt.read_spans(capture))
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["plain.parquet", "spilled.parquet"]


def test_what_a_killed_merge_left_goes_with_the_next_one(tmp_path: Path) -> None:
    output = tmp_path / "spans.parquet"
    with scratch_folder(output) as held:
        left = held.with_name(held.name.replace(held.name.split(".")[-2], "0" * 16))
        shutil.copytree(held, left)
        with scratch_folder(output) as another:
            assert held.exists() and another.exists() and not left.exists()
    assert not list(tmp_path.iterdir())


def test_nothing_to_merge_is_told_as_ever(tmp_path: Path) -> None:
    (tmp_path / "cut.json").write_text(json.dumps(span())[:-20])
    (tmp_path / "scratch").mkdir()
    with pytest.raises(rt.NoSpansError, match="no whole span"):
        merging.merge_on_disk(find(tmp_path), tmp_path / "scratch", lambda share: None)


@pytest.mark.parametrize("what", ["read", "write"])
def test_what_cannot_be_read_is_told_from_what_cannot_be_written(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in.jsonl").write_bytes(one_line(span()))
    table = tmp_path / "spans.parquet"

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "Input/output error", str(tmp_path / "in.jsonl"))

    monkeypatch.setattr(merging, "LARGEST_BYTES", 1)
    if what == "read":
        monkeypatch.setattr(merging, "decode_files", fail)
    else:
        monkeypatch.setattr(pl.DataFrame, "write_ipc", fail)
    done = CliRunner().invoke(app, ["merge", str(tmp_path / "in.jsonl"), "-o", str(table)])
    place = tmp_path / "in.jsonl" if what == "read" else table
    assert str(done.exception) == f"cannot {what} {place}: Input/output error"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.jsonl"]


def test_what_is_told_of_a_bucket_does_not_keep_the_texts_of_all_its_rows(tmp_path: Path) -> None:
    buckets = Buckets(tmp_path / "buckets", whole_bytes=1, bucket_bytes=64 << 20)
    rows = 20_000
    many = (
        DECODED.to_frame()
        .clear(rows)
        .with_columns(
            trace_id=pl.Series([f"{row:032x}" for row in range(rows)]),
            parent_id=pl.Series([f"an id that is longer than what is kept in place {row % 3}" for row in range(rows)]),
        )
    )
    buckets.add(many)
    buckets.close()
    told = list(buckets.each(lambda found: (found.select("parent_id").unique(), [found.height]), ["parent_id"]))
    assert sum(count for _, (count,) in told) == rows
    for ids, _ in told:
        assert ids.height == 3
        texts = ids.get_column("parent_id").to_arrow(compat_level=pl.CompatLevel.newest())
        assert texts.get_total_buffer_size() < 10_000


def test_parts_are_of_about_one_size(tmp_path: Path) -> None:
    folder = tmp_path / "spans"
    folder.mkdir()
    for number in range(4):
        spans = (span(trace * 7919 + 1) for trace in range(number * 1000, number * 1000 + 1000))
        (folder / f"{number}.jsonl").write_bytes(b"".join(map(one_line, spans)))
    (tmp_path / "scratch").mkdir()
    merged = merging.merge_on_disk(find([folder]), tmp_path / "scratch", lambda share: None)
    sizes = [part.height for part in merged.parts()]
    assert sum(sizes) == 4000 and len(sizes) > 10
    assert max(sizes) < 4 * sum(sizes) / len(sizes)
