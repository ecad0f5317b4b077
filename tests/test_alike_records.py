"""Span JSON that is read as whole columns: the same comes out as where each record is read for itself."""

import random
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from raytrace_analyze.decode.records.layout import Layout
from raytrace_analyze.decode.records.stretch import LARGE_BYTES, read_stretch
from raytrace_analyze.decode.span_json import decode_span_json
from raytrace_analyze.model import Problem
from tests.sizes import first
from tests.span_files import one_line, pretty, span, span_file

SAMPLES = Path(__file__).parents[1] / "sample_spans"
LEAST = LARGE_BYTES + (LARGE_BYTES >> 1)


def captures() -> Iterator[Path]:
    """One span file of each capture, the largest."""
    for folder in sorted(path for path in SAMPLES.iterdir() if path.is_dir()):
        files = [path for path in folder.rglob("*") if path.suffix in (".json", ".jsonl", ".txt") and path.is_file()]
        if files:
            yield max(files, key=lambda path: path.stat().st_size)


def place(problem: Problem) -> tuple[int, str]:
    return problem.offset or 0, problem.detail


def both_ways(path: Path, content: bytes) -> tuple[pl.DataFrame, list[Problem]]:
    """Decode as one stretch and as many small ones, see that both say the same, and give it."""
    file = span_file(path, content)
    told = []
    for block_bytes in (LARGE_BYTES >> 1, len(content) + 1):
        parts = list(decode_span_json(file, block_bytes=block_bytes))
        told.append((pl.concat([part.frame for part in parts]), [one for part in parts for one in part.problems]))
    (small, problems), (large, found) = told
    assert_frame_equal(large, small)
    # What is wrong within a record turns out when a block of them is put together.
    assert sorted(found, key=place) == sorted(problems, key=place)
    return large, found


def enough(content: bytes) -> bytes:
    return (content.rstrip(b"\n") + b"\n") * (LEAST // len(content) + 1)


@pytest.mark.parametrize("capture", list(captures()), ids=lambda path: path.parent.name)
def test_real_captures(tmp_path, capture):
    both_ways(tmp_path / "spans", enough(capture.read_bytes()))


def many(form, count: int = 1500, **changes: object) -> bytes:
    return b"".join(form(span(number, **changes)) for number in range(count))


@pytest.mark.parametrize("form", [one_line, pretty])
def test_what_is_laid_out_alike_is_read_as_columns(tmp_path, form):
    content = enough(many(form))
    stretch = read_stretch(content, [])
    assert stretch.raw is not None
    assert stretch.raw.height == len(read_stretch(content).records)
    both_ways(tmp_path / "spans", content)


ODD = [
    {"attributes": {"ray.task_id": 'a"b'}},
    {"attributes": {"ray.function": "\\", "n": 1}},
    {"attributes": {"ray.function": "caf\xe9 \u2028"}},
    {"attributes": {"raytrace.attempt": 1 << 40}},
    {"attributes": {"raytrace.attempt": -1}},
    {"attributes": {"raytrace.attempt": "2"}},
    {"attributes": {"raytrace.dependency_task_ids": ["", "a", "],["]}},
    {"attributes": {"raytrace.dependency_task_ids": ["a,b", 'c","d']}},
    {"attributes": {"raytrace.dependency_task_ids": []}},
    {"attributes": {"raytrace.ready_task_ids": [1, 2]}},
    {"attributes": {"ray.pid": 17}},
    {"attributes": {}},
    {"attributes": None},
    {"attributes": {"x": {"attributes": {"context": 1}}}},
    {"events": [{"name": "e", "attributes": {"a": "}\n{"}}]},
    {"end_time": None},
    {"parent_id": None},
    {"name": ""},
    {"name": "x" * 3000},
    {"start_time": "2026-11-23T08:55:46.5+01:00"},
    {"start_time": "2026-02-30T08:55:46.000000Z"},
    {"start_time": "2026-11-23T24:55:46.000000Z"},
    {"start_time": "1969-11-23T08:55:46.000000Z"},
    {"status": {"status_code": "ERROR", "description": "no"}},
    {"kind": "SpanKind.SERVER"},
    {"resource": {"attributes": {"host.name": "b"}}},
]


@pytest.mark.parametrize("odd", ODD, ids=range(len(ODD)))
def test_odd_records_among_others(tmp_path, odd):
    """One of them, and many: those are alike again."""
    usual = enough(many(one_line))
    record = one_line(span(7, **odd))
    both_ways(tmp_path / "one", usual + record + usual)
    both_ways(tmp_path / "many", usual + record * 300 + usual)


def test_a_few_long_values_among_others(tmp_path):
    """What is cut out is bounded by what there is, not by the longest for each."""
    usual = many(one_line, 6000)
    long = one_line(span(7, name="x" * 15_000))
    content = usual + long * 3 + usual
    stretch = read_stretch(content, [])
    assert stretch.raw is not None
    both_ways(tmp_path / "spans", content)


def test_a_file_in_which_each_record_is_another_process(tmp_path):
    """Nothing is alike: that is not looked for again and again, and nothing of it is kept."""
    records = [one_line(span(number, resource={"attributes": {"host.name": f"h{number}"}})) for number in range(2000)]
    layouts: list[Layout] = []
    assert read_stretch(b"".join(records), layouts).raw is None
    assert len(layouts) <= 40
    both_ways(tmp_path / "spans", b"".join(records))


@pytest.mark.parametrize("form", [one_line, pretty])
@pytest.mark.parametrize("seed", first(6, range(200)))
def test_damage_anywhere(tmp_path, form, seed):
    """A byte changed, taken out or put in, or a stretch cut out: found as it is where each is read for itself."""
    source = random.Random(seed)
    content = bytearray(enough(many(form, 400)))
    for _ in range(source.choice((1, 3))):
        place = source.randrange(len(content))
        byte = source.choice(b'"\\{}[],:\n \x00a0\xff')
        match source.randrange(4):
            case 0:
                content[place] = byte
            case 1:
                del content[place]
            case 2:
                content.insert(place, byte)
            case 3:
                del content[place : place + source.randrange(3000)]
    both_ways(tmp_path / "spans", bytes(content))
