"""The bar that shows how far work is: on a terminal only, after a second only, and gone in the end."""

import io
import sys
import time
from pathlib import Path

import pytest

import raytrace_analyze as rt
from raytrace_analyze.engines.local import decode_files
from raytrace_analyze.exports.formats import FORMATS
from raytrace_analyze.exports.output_format import OutputFormat
from raytrace_analyze.exports.selected.select import select
from raytrace_analyze.views.screen import progress
from tests.span_files import one_line, span, span_file

CAPTURES = Path(__file__).parent.parent / "sample_spans"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("stream", "quiet_s", "is_shown"), [(Terminal, 0, True), (Terminal, 60, False), (io.StringIO, 0, False)]
)
def test_it_is_shown_to_somebody_who_waits(
    stream: type[io.StringIO], quiet_s: float, is_shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", stream())
    monkeypatch.setattr(progress, "_QUIET_S", quiet_s)
    monkeypatch.setenv("TERM", "xterm")
    with progress.progress_shown("merging") as tell:
        tell(0.25)
        tell(0.5)
    shown = sys.stderr.getvalue()  # type: ignore[attr-defined]  # a StringIO
    assert ("merging" in shown) == is_shown
    assert bool(shown) == is_shown


@pytest.mark.parametrize(("stream", "is_shown"), [(Terminal, True), (io.StringIO, False)])
def test_a_command_that_is_at_work_shows_that_and_takes_it_back(
    stream: type[io.StringIO], is_shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stderr", stream())
    monkeypatch.setattr(progress, "_QUIET_S", 0)
    monkeypatch.setenv("TERM", "xterm")
    progress.begin_work()
    while is_shown and "working" not in sys.stderr.getvalue():  # type: ignore[attr-defined]  # a StringIO
        time.sleep(0.01)
    progress.end_work()
    shown = sys.stderr.getvalue()  # type: ignore[attr-defined]  # a StringIO
    assert bool(shown) == is_shown
    progress.end_work()
    assert sys.stderr.getvalue() == shown  # type: ignore[attr-defined]  # a StringIO


@pytest.mark.parametrize("format_", FORMATS, ids=lambda one: one.name)
def test_an_export_tells_its_share_up_to_the_end(format_: OutputFormat, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raytrace_analyze.exports.selected.selection._PART_ROWS", 8)
    selection = select(rt.read_spans(CAPTURES / "map_reduce-ours" / "spans"))
    shares: list[float] = []
    format_.write(selection.telling(shares.append, format_.times), io.BytesIO())
    assert shares == pytest.approx([(part + 1) / len(shares) for part in range(len(shares))])
    assert len(shares) == format_.times * selection.part_count


@pytest.mark.parametrize("workers", [1, 2])
def test_decoding_tells_its_share_of_the_bytes(workers: int, tmp_path) -> None:  # type: ignore[no-untyped-def]
    files = [span_file(tmp_path / str(number), one_line(span(number)) * 9000 * number) for number in range(1, 4)]
    shares: list[float] = []
    for _ in decode_files(files, workers=workers, progress=shares.append):
        pass
    assert shares == pytest.approx([1 / 6, 3 / 6, 1])
