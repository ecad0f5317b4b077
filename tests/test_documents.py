"""Results for programs are the same bytes however many rows are written at a time."""

import csv
import io
import json
from datetime import UTC, datetime

import polars as pl
import pytest

from raytrace_analyze.text.printable import printable
from raytrace_analyze.views import many_rows
from raytrace_analyze.views.documents import Records, write_csv, write_json

HOSTILE = [
    None,
    "",
    "plain",
    "=1",
    "-x",
    "a,b",
    'say "so"',
    "two\nlines",
    "\x1b[2J",
    "\x7f",
    "\u202e",
    "é",
    "\U0001f600",
]
ROWS = pl.DataFrame(
    {
        "text": HOSTILE,
        "number": pl.Series([None, -1, 2**63 - 1, *range(len(HOSTILE) - 3)], dtype=pl.Int64),
        "is_so": [True, False, None] * 4 + [True],
        "at": pl.Series([datetime(2026, 1, 2, tzinfo=UTC)] * len(HOSTILE)).cast(pl.Datetime("ns", "UTC")),
        "texts": [["a", None], [], None] * 4 + [["é"]],
    }
)
WITH_FLOATS = ROWS.with_columns(share=pl.lit(1e16), small=pl.lit(1e-7))


@pytest.fixture(autouse=True, params=[3, 10_000])
def _at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(many_rows, "AT_ONCE", request.param)


def plain(frame: pl.DataFrame) -> pl.DataFrame:
    spelled = pl.col("at").dt.strftime("%Y-%m-%dT%H:%M:%S%.9fZ")
    ns = pl.col("at").dt.epoch("ns").alias("at_ns")
    return frame.select(*["text", "number", "is_so"], spelled, ns, *frame.columns[4:])


@pytest.mark.parametrize("frame", [ROWS, WITH_FLOATS, ROWS.clear()])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_json_is_spelled_as_the_standard_library_does(frame: pl.DataFrame, encoding: str) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="")
    write_json({"name": "a\u202eb", "rows": Records(frame), "none": [], "last": {"x": 0.1}}, stream)
    stream.seek(0)
    content = {"schema_version": 1, "name": "a\u202eb", "rows": plain(frame).to_dicts(), "none": [], "last": {"x": 0.1}}
    expected = json.dumps(content, indent=1, ensure_ascii=encoding == "ascii")
    for acts in ("\u202e", "\x7f"):
        expected = expected.replace(acts, f"\\u{ord(acts):04x}")
    assert stream.read() == expected + "\n"


def test_json_keeps_what_is_no_text() -> None:
    stream = io.StringIO()
    write_json({"file": "\udcff"}, stream)
    assert stream.getvalue() == '{\n "schema_version": 1,\n "file": "\\udcff"\n}\n'


def test_json_has_no_numbers_that_are_none() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json({"rows": Records(pl.DataFrame({"share": [float("nan")]}))}, io.StringIO())


@pytest.mark.parametrize("frame", [ROWS, WITH_FLOATS, ROWS.clear()])
def test_csv_is_spelled_as_the_standard_library_does(frame: pl.DataFrame) -> None:
    stream, expected = io.StringIO(), io.StringIO()
    write_csv(frame, stream)
    writer = csv.writer(expected, lineterminator="\n")
    writer.writerow(plain(frame).columns)
    for row in plain(frame).iter_rows():
        writer.writerow([value if value is None or not isinstance(value, str | list) else cell(value) for value in row])
    assert stream.getvalue() == expected.getvalue()


@pytest.mark.parametrize("values", [HOSTILE, [None, "", "a"]])
def test_csv_of_one_column_has_a_line_for_each_row(values: list[str | None]) -> None:
    stream = io.StringIO()
    write_csv(pl.DataFrame({"text": values}), stream)
    assert len(list(csv.reader(io.StringIO(stream.getvalue())))) == len(values) + 1


def cell(value: object) -> str:
    text = printable(str(value))
    return f"'{text}" if text.startswith(("=", "-")) else text
