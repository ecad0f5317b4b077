"""Span JSON in all its forms, whole and damaged: which spans are read, and what is said about the rest."""

import json
import os
import time
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raytrace_analyze.decode import decode_file, decode_small_files, open_spans, span_json
from raytrace_analyze.decode.span_json import decode_span_json
from raytrace_analyze.model import Compression, Decoded, InputFile, Problem, ProblemKind
from raytrace_analyze.schema import DECODED
from tests.span_files import FORMS, PACK, glued, one_line, pretty, span, span_file, span_id

CUT = ProblemKind.CUT_RECORD
DAMAGED = ProblemKind.DAMAGED_RECORD


def join(parts: list[Decoded]) -> tuple[pl.DataFrame, list[Problem]]:
    return pl.concat([part.frame for part in parts]), [one for part in parts for one in part.problems]


def decode(path: Path, content: bytes, compression: Compression = Compression.NONE):
    return join(list(decode_file(span_file(path / "spans", content, compression))))


def places(problems: list[Problem]) -> list[tuple[ProblemKind, int | None]]:
    return [(problem.kind, problem.offset) for problem in problems]


def ids(*numbers: int) -> list[str]:
    return [span_id(number) for number in numbers]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("compression", PACK)
def test_every_form_gives_the_same_table(tmp_path, form, compression):
    records = [span(number) for number in range(5)]
    events = [{"name": "e", "timestamp": "2026-11-23T08:55:46Z", "attributes": {"a, b": "x,\n    y", "l": [1, 2]}}]
    records += [span(9, events=events, attributes={"list": ["a", "b"], "n": 1, "text": "{}[],"})]
    frame, problems = decode(tmp_path, b"".join(map(form, records)), compression)
    expected, _ = decode(tmp_path, b"".join(map(one_line, records)))
    assert frame.equals(expected)
    assert frame.schema == DECODED
    assert frame["span_id"].to_list() == ids(0, 1, 2, 3, 4, 9)
    assert frame["events"][-1] == json.dumps(events)
    assert frame["attributes"][-1] == json.dumps(records[-1]["attributes"])
    assert not problems


def test_forms_mixed_in_one_file_with_blank_lines_and_a_byte_order_mark(tmp_path):
    content = b"\xef\xbb\xbf\n" + b"\n\r\n".join(form(span(number)) for number, form in enumerate(FORMS))
    frame, problems = decode(tmp_path, content)
    assert frame["span_id"].to_list() == ids(*range(len(FORMS)))
    assert not problems


@pytest.mark.parametrize("indent", [0, 1, 2, "\t"])
def test_other_indents_are_read_too(tmp_path, indent):
    records = [span(number, events=[{"name": "a"}, {"name": "b"}]) for number in range(50)]
    content = b"".join(json.dumps(record, indent=indent).encode() + b"\n" for record in records)
    file = span_file(tmp_path / "spans", content)
    frame, problems = join(list(decode_span_json(file, block_bytes=1000)))
    assert frame["span_id"].to_list() == ids(*range(50))
    assert frame["events"][0] == '[{"name": "a"}, {"name": "b"}]'
    assert not problems


def test_an_empty_file_and_one_of_blanks_hold_nothing(tmp_path):
    for content in (b"", b"\n \r\n"):
        frame, problems = decode(tmp_path, content)
        assert frame.schema == DECODED
        assert frame.is_empty()
        assert not problems


def test_a_span_in_flight_has_no_end(tmp_path):
    frame, problems = decode(tmp_path, one_line(span(end_time=None)))
    assert frame["end"].to_list() == [None]
    assert not problems


class TestDamage:
    @pytest.mark.parametrize("form", [one_line, pretty])
    @pytest.mark.parametrize("end", [1, 2, 17, 120, 300, -3])
    def test_a_last_record_that_is_cut(self, tmp_path, form, end):
        whole = form(span(1))
        frame, problems = decode(tmp_path, whole + form(span(2))[:end])
        assert frame["span_id"].to_list() == ids(1)
        assert places(problems) == [(CUT, len(whole))]
        assert not problems[0].is_damage

    @pytest.mark.parametrize(
        "garbage",
        [
            b"\0" * 5000 + b"\n",
            b"\xff\xfe\x80 garbage\n",
            b"a line of text\n",
            b'{"json": "but no span"}\n',
            b'{"name": "x", "context": {}, "start_time": null}\n',
            b'{"name": "no end", "context": {"trace_id": "0x1", "span_id": "0x2"}, "events": [\n',
            b"}}]\n",
            b'"\n',
            one_line(span(5, start_time="yesterday")),
            one_line(span(5, end_time="tomorrow")),
            one_line(span(5, attributes={"deep": 0})).replace(b'"deep": 0', b'"d": ' + b"[" * 10**5 + b"]" * 10**5),
        ],
        ids=lambda garbage: repr(garbage[:20]),
    )
    @pytest.mark.parametrize("form", [one_line, pretty])
    def test_damage_in_the_middle_costs_nothing_else(self, tmp_path, garbage, form):
        before, after = form(span(1)), form(span(2)) + form(span(3))
        frame, problems = decode(tmp_path, before + garbage + after)
        assert frame["span_id"].to_list() == ids(1, 2, 3)
        assert places(problems) == [(DAMAGED, len(before))]
        assert problems[0].is_damage
        assert problems[0].path == str(tmp_path / "spans")

    @pytest.mark.parametrize("form", [one_line, pretty])
    def test_a_byte_that_is_no_text_costs_its_field_alone(self, tmp_path, form):
        bad = form(span(5)).replace(b"map_part", b"map\xffpart")
        frame, problems = decode(tmp_path, form(span(1)) + bad + form(span(2)))
        assert frame["span_id"].to_list() == ids(1, 5, 2)
        assert frame["name"].to_list()[1] not in frame["name"].to_list()[::2]
        assert {problem.kind for problem in problems} == {DAMAGED}

    @pytest.mark.parametrize("form", [one_line, pretty])
    @pytest.mark.parametrize("gap", [b"", b"\n", b"\0\0"])
    def test_half_a_record_and_a_whole_one_glued_to_it(self, tmp_path, form, gap):
        for end in range(1, len(form(span(1))) - 2, 7):
            content = form(span(1))[:end] + gap + form(span(2))
            frame, problems = decode(tmp_path, content)
            assert frame["span_id"].to_list() == ids(2), end
            assert places(problems) == [(DAMAGED, 0)], end

    def test_damage_at_start_and_end_and_offsets_in_text_that_is_not_ascii(self, tmp_path):
        first = one_line(span(1)).replace(b"map_part", "größe€".encode())
        content = b"\x00\x01" + first + b"\x02\n" + first + b"\x03"
        frame, problems = decode(tmp_path, content)
        assert frame["function"].to_list() == ["__main__.größe€"] * 2
        offsets = [0, 2 + len(first), 2 + len(first) + 2 + len(first)]
        assert places(problems) == [(DAMAGED, offset) for offset in offsets]

    def test_a_record_without_end_does_not_fill_the_memory(self, tmp_path, monkeypatch):
        monkeypatch.setattr("raytrace_analyze.decode.span_json.MAX_RECORD_BYTES", 20_000)
        endless = b'{"name": "' + b"x" * 100_000 + b"\n"
        file = span_file(tmp_path / "spans", one_line(span(1)) + endless + one_line(span(2)))
        frame, problems = join(list(decode_span_json(file, block_bytes=1000)))
        assert frame["span_id"].to_list() == ids(1, 2)
        assert {kind for kind, _ in places(problems)} == {DAMAGED}

    def test_a_hole_is_one_problem_however_many_stretches_it_spans(self, tmp_path, monkeypatch):
        monkeypatch.setattr("raytrace_analyze.decode.span_json.MAX_RECORD_BYTES", 4000)
        before = one_line(span(1))
        file = span_file(tmp_path / "spans", before + bytes(50_000) + b"\n" + one_line(span(2)))
        frame, problems = join(list(decode_span_json(file, block_bytes=1000)))
        assert frame["span_id"].to_list() == ids(1, 2)
        assert places(problems) == [(DAMAGED, len(before))]

    def test_the_number_of_problems_is_bounded(self, tmp_path):
        content = (one_line(span(1)) + b"x\n") * 1200
        frame, problems = decode(tmp_path, content)
        assert frame.height == 1200
        assert len(problems) == 1001
        assert problems[-1].detail == "200 more damaged places in this file"

    def test_many_cut_records_cost_little_more_than_whole_ones(self, tmp_path):
        records = [one_line(span(number, attributes={"text": "x" * 200})) for number in range(6000)]
        started = time.process_time()
        decode(tmp_path, b"".join(records))
        whole = time.process_time() - started
        content = b"".join(record[:-20] + b"\n" for record in records) + records[0]
        started = time.process_time()
        frame, problems = decode(tmp_path, content)
        assert time.process_time() - started < 40 * whole  # what is quadratic takes hundreds of times as long
        assert frame["span_id"].to_list() == ids(0)
        assert places(problems) == [(DAMAGED, 0)]

    @pytest.mark.parametrize("size", [4080, 4090, 4095, 4096, 4097, 9000, 20_000])
    def test_a_long_record_is_whole_or_cut_wherever_the_window_ends(self, tmp_path, size):
        for value in (
            '"' + "x" * size + '"',
            " " * size + "-1.5e+3",
            "[" + "null, " * (size // 6) + "true]",
            '"' + "\\ud83d\\ude00" * (size // 12) + '"',
        ):
            text = f'{{"attributes": {{"more": {value}}}, '.encode() + one_line(span(1))[1:].rstrip()
            frame, problems = decode(tmp_path, b"\x01" + text)
            assert frame.height == 1
            assert places(problems) == [(DAMAGED, 0)]
            for end in (size, size + 30, len(text) - 1):
                _, problems = decode(tmp_path, text[:end])
                assert places(problems) == [(CUT, 0)]

    def test_times_that_64_bits_of_nanoseconds_do_not_hold_are_damage(self, tmp_path):
        times = ["0001-01-01T00:00:00Z", "1677-01-01T00:00:00Z", "2263-01-01T00:00:00Z", "9999-12-31T23:59:59.9+01:00"]
        starts = b"".join(one_line(span(number, start_time=text)) for number, text in enumerate(times, 2))
        ends = b"".join(one_line(span(number, end_time=text)) for number, text in enumerate(times, 9))
        frame, problems = decode(tmp_path, one_line(span(1)) + starts + one_line(span(8)) + ends)
        assert frame["span_id"].to_list() == ids(1, 8)
        assert {problem.kind for problem in problems} == {DAMAGED}

    def test_many_bad_times_are_found_in_one_more_pass(self, tmp_path, monkeypatch):
        passes = []
        real = span_json.read_with_offsets
        monkeypatch.setattr(span_json, "read_with_offsets", lambda data: passes.append(1) or real(data))
        frame, problems = decode(tmp_path, (one_line(span(1)) + one_line(span(2, start_time="soon"))) * 50)
        assert (frame.height, len(problems), len(passes)) == (50, 50, 1)


@pytest.mark.parametrize("join_with", [", ", ",\n", "\n,\n", ",\r\n  "])
@pytest.mark.parametrize("around", ["[{}]", "[\n{}\n]\n", "  [ {} ]", "[{},]"])
@pytest.mark.parametrize("indent", [None, 0, 2])
def test_the_elements_of_an_array_are_records_and_its_brackets_no_damage(tmp_path, join_with, around, indent):
    texts = [json.dumps(span(number), indent=indent) for number in range(4)]
    content = around.replace("{}", join_with.join(texts)).encode()
    for block_bytes in (500, 1 << 20):
        file = span_file(tmp_path / "spans", content)
        frame, problems = join([*decode_span_json(file, block_bytes=block_bytes), Decoded(DECODED.to_frame())])
        assert frame["span_id"].to_list() == ids(*range(4))
        assert not problems
    frame, problems = decode(tmp_path, content.replace(b"[", b"[ 7 ", 1))
    assert frame["span_id"].to_list() == ids(*range(4))
    assert len(problems) == 1


class TestPacked:
    @pytest.mark.parametrize("compression", [Compression.GZIP, Compression.ZSTD])
    def test_members_one_after_another(self, tmp_path, compression):
        pack = PACK[compression]
        path = tmp_path / "spans"
        members = b"".join(pack(one_line(span(number))) for number in range(20))
        path.write_bytes(members + pack(b"") + pack(one_line(span(20))))
        frame, problems = join(list(decode_file(InputFile(path, span_json.FORMAT.name, compression, 0))))
        assert frame["span_id"].to_list() == ids(*range(21))
        assert not problems

    @pytest.mark.parametrize("compression", [Compression.GZIP, Compression.ZSTD])
    def test_cut_at_any_byte(self, tmp_path, compression):
        content = b"".join(one_line(span(number, name=os.urandom(200).hex())) for number in range(300))
        packed = PACK[compression](content)
        path = tmp_path / "spans"
        counts = []
        for end in range(5, len(packed), 1501):
            path.write_bytes(packed[:end])
            frame, problems = join(list(decode_file(InputFile(path, span_json.FORMAT.name, compression, end))))
            assert frame["span_id"].to_list() == ids(*range(frame.height))
            assert [problem.kind for problem in problems] == [ProblemKind.UNREADABLE]
            assert problems[0].is_damage
            counts.append(frame.height)
        assert counts == sorted(counts)
        assert counts[-1] > 150

    @pytest.mark.parametrize("compression", [Compression.GZIP, Compression.ZSTD])
    def test_corrupt_data_is_damage_and_what_stands_before_it_is_read(self, tmp_path, compression):
        content = b"".join(one_line(span(number, name=os.urandom(200).hex())) for number in range(3000))
        packed = bytearray(PACK[compression](content))
        middle = len(packed) // 2
        packed[middle : middle + 64] = b"\xaa" * 64
        path = tmp_path / "spans"
        path.write_bytes(packed)
        frame, problems = join(list(decode_file(InputFile(path, span_json.FORMAT.name, compression, 0))))
        assert frame.height > 1000
        assert frame["span_id"][:1000].to_list() == ids(*range(1000))
        assert ProblemKind.UNREADABLE in {problem.kind for problem in problems}

    def test_bytes_after_the_packed_data(self, tmp_path):
        path = tmp_path / "spans"
        for tail, expected in ((bytes(1000), []), (b"garbage", [DAMAGED])):
            path.write_bytes(PACK[Compression.GZIP](one_line(span(1))) + tail)
            frame, problems = join(list(decode_file(InputFile(path, span_json.FORMAT.name, Compression.GZIP, 0))))
            assert frame.height == 1
            assert [problem.kind for problem in problems] == expected


def test_a_span_file_that_cannot_be_read_is_damage(tmp_path):
    gone = InputFile(tmp_path / "gone", span_json.FORMAT.name, Compression.NONE, 1)
    folder = InputFile(tmp_path, span_json.FORMAT.name, Compression.NONE, 1)
    for file in (gone, folder):
        frame, problems = join(list(decode_file(file)))
        assert frame.is_empty()
        assert [problem.kind for problem in problems] == [ProblemKind.UNREADABLE]


def test_several_small_files_at_once_give_what_one_by_one_gives(tmp_path):
    contents = [
        one_line(span(1)),
        b"",
        pretty(span(2)) + one_line(span(3, start_time="never")) + pretty(span(4)),
        one_line(span(5)) + b"{",
    ]
    files = [span_file(tmp_path / str(number), content) for number, content in enumerate(contents)]
    together, problems = join([decode_small_files(files)])
    apart, problems_apart = join([part for file in files for part in decode_file(file)])
    assert together.equals(apart)
    assert problems == problems_apart
    assert together["span_id"].to_list() == ids(1, 2, 4, 5)


texts = st.text(max_size=30) | st.sampled_from(['{"name": "', "}{", "\n{", "\\", '"', "}\n{\n", "\ud800"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
keys = texts | st.sampled_from(["ray.job_id", "ray.pid", "raytrace.attempt", "raytrace.ready_task_ids"])
spans = st.builds(
    span,
    st.integers(0, 2**60),
    name=texts,
    attributes=st.dictionaries(keys, values, max_size=4),
    events=st.lists(st.fixed_dictionaries({"name": texts, "attributes": st.dictionaries(texts, values)}), max_size=2),
)
written = st.lists(st.tuples(spans, st.sampled_from(FORMS)), max_size=6)
relaxed = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def expect(frame: pl.DataFrame, records: list[dict]) -> None:
    assert [int(value, 16) for value in frame["span_id"]] == [int(one["context"]["span_id"], 16) for one in records]
    for column in ("attributes", "events"):
        assert frame[column].to_list() == [json.dumps(one[column]) for one in records]


@relaxed
@given(written, st.sampled_from(list(PACK)), st.integers(1, 3000))
def test_any_spans_in_any_mix_of_forms_are_read_exactly(tmp_path, written, compression, block_bytes):
    content = b"".join(form(record) for record, form in written)
    file = span_file(tmp_path / "spans", content, compression)
    frame, problems = join([*decode_span_json(file, block_bytes=block_bytes), Decoded(DECODED.to_frame())])
    expect(frame, [record for record, _ in written])
    assert not problems


@relaxed
@given(written, st.data(), st.integers(1, 3000))
def test_cut_at_any_byte_every_span_before_is_read(tmp_path, written, data, block_bytes):
    content = b"".join(form(record) for record, form in written)
    end = data.draw(st.integers(0, len(content)))
    file = span_file(tmp_path / "spans", content[:end])
    frame, problems = join([*decode_span_json(file, block_bytes=block_bytes), Decoded(DECODED.to_frame())])
    whole, position = [], 0
    for record, form in written:
        if position + len(form(record).rstrip()) > end:
            break
        whole.append(record)
        position += len(form(record))
    expect(frame, whole)
    is_cut = bool(content[min(position, end) : end].strip())
    assert places(problems) == [(CUT, position)] * is_cut


@relaxed
@given(written, st.binary(min_size=1, max_size=300), st.data())
def test_garbage_anywhere_never_raises_and_costs_only_what_it_hits(tmp_path, written, garbage, data):
    parts = [form(record) for record, form in written]
    content = b"".join(parts)
    start = data.draw(st.integers(0, len(content)))
    frame, _ = decode(tmp_path, content[:start] + garbage + content[start:])
    before, after, position = [], [], 0
    for (record, _), part in zip(written, parts, strict=True):
        if position + len(part.rstrip()) <= start:
            before.append(record["context"]["span_id"][2:])
        elif position >= start:
            after.append(record["context"]["span_id"][2:])
        position += len(part)
    found = frame["span_id"].to_list()
    assert found[: len(before)] == before
    assert found[len(found) - len(after) :] == after


@relaxed
@given(st.binary(max_size=2000) | st.text(alphabet='{}[]",:\\ \n01anetrue', max_size=500).map(str.encode))
def test_garbage_alone_never_raises(tmp_path, garbage):
    for compression in Compression:
        path = tmp_path / "spans"
        path.write_bytes(garbage)
        for format_ in (span_json.FORMAT.name, open_spans.FORMAT.name):
            frame, _ = join(list(decode_file(InputFile(path, format_, compression, len(garbage)))))
            assert frame.schema == DECODED


def test_glue_without_any_line_break_over_many_blocks(tmp_path):
    file = span_file(tmp_path / "spans", b"".join(glued(span(number)) for number in range(200)))
    frame, problems = join(list(decode_span_json(file, block_bytes=1500)))
    assert frame["span_id"].to_list() == ids(*range(200))
    assert not problems
