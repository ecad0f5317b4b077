"""The page as a file: complete in itself, escaped, with the same numbers as the command line, and nothing dropped."""

import base64
import hashlib
import json
import re
import subprocess
import sys
import zlib
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import raytrace_analyze as rt
from benchmarks.synthetic import fan_out_table
from raytrace_analyze.report.drawn_spans import drawn_spans
from raytrace_analyze.report.elements import axis
from raytrace_analyze.report.facts import gather
from raytrace_analyze.report.kinds import KINDS, NOTHING_TO_RUN
from raytrace_analyze.report.packing import pack_column
from raytrace_analyze.report.timeline import timeline_data
from raytrace_analyze.text.units import duration_text, share_text
from tests import hostile_spans
from tests.tables import run, span, submit, table
from tests.test_data import pipeline, told
from tests.test_hang import stopped_from_outside, two_that_wait_for_each_other

SAMPLES = Path(__file__).parents[2] / "sample_spans"
HOSTILE = (
    "</script><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">'\"`${x}&amp;\u202e"
)


@pytest.fixture(scope="module")
def spans() -> pl.DataFrame:
    return rt.read_spans(SAMPLES / "nested-ours" / "spans")


@pytest.fixture(scope="module")
def page(spans: pl.DataFrame) -> str:
    return rt.html_report(spans)


class Elements(HTMLParser):
    """What a parser makes of the page: its elements, and the text outside of scripts and styles."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.raw: dict[str, str] = {}
        self.inside = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.inside = tag

    def handle_endtag(self, tag: str) -> None:
        self.inside = ""

    def handle_data(self, data: str) -> None:
        if self.inside in ("script", "style"):
            self.raw[self.inside] = data
        else:
            self.text += f"{data} "


def embedded(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


def unpacked(text: str, count: int) -> list[int]:
    """Undo `pack_column` as a browser does."""
    raw = zlib.decompress(base64.b64decode(text))
    planes = len(raw) // count if count else 0
    return [sum(raw[plane * count + place] << (8 * plane) for plane in range(planes)) for place in range(count)]


def test_the_page_asks_for_nothing_and_may_not(page: str) -> None:
    read = Elements(page)
    for tag, attributes in read.elements:
        for name in ("src", "srcset", "data", "action", "ping", "background"):
            assert name not in attributes, (tag, attributes)
        if tag == "link":
            assert attributes["href"] == "data:,"
        # Style attributes would need a policy that lets them in from anywhere.
        assert "style" not in attributes and not any(name.startswith("on") for name in attributes), (tag, attributes)
    policy = next(a["content"] for t, a in read.elements if t == "meta" and "http-equiv" in a) or ""
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    for element in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(read.raw[element].encode()).digest()).decode()
        assert f"{element}-src 'sha256-{digest}'" in policy


def test_the_numbers_are_those_of_the_command_line(spans: pl.DataFrame, page: str) -> None:
    text = re.sub(r"\s+", " ", Elements(page).text)
    path, stats = rt.critical_path(spans), rt.latency_stats(spans)
    assert f"nested.py took {duration_text(path.makespan_ns)}" in text
    for row in path.by("function").iter_rows(named=True):
        assert f"{duration_text(row['total_ns'])} {share_text(row['share'], 1)}" in text
    for row in stats.iter_rows(named=True):
        assert duration_text(row["run_p99_ns"]) in text
        assert duration_text(row["queue_max_ns"]) in text
    for row in rt.advise(spans).iter_rows(named=True):
        assert all(row[column].replace("`", "") in text for column in ("what", "remedy"))  # names are set as code
    for row in rt.what_if(spans).functions.iter_rows(named=True):
        assert duration_text(row["predicted_2x_ns"]) in text
    longest = rt.queue_causes(spans).sort("duration_ns", descending=True, maintain_order=True)
    for sentence in longest.unique(["cause", "function"], keep="first").get_column("sentence"):
        assert sentence in text
    assert "13 task runs" in text or "All that ran" in text


@pytest.mark.parametrize(
    "sample",
    sorted(str(path.relative_to(SAMPLES)) for path in (*SAMPLES.glob("*/spans"), *SAMPLES.glob("events/map*"))),
)
def test_a_line_break_of_ours_is_one(sample: str) -> None:
    """What stands for characters that are not shown is in no page of names that are."""
    page = rt.html_report(rt.read_spans(SAMPLES / sample))
    assert "\N{REPLACEMENT CHARACTER}" not in page
    tips = re.findall("<title>([^<]+)</title>", page.partition("<body")[2])
    assert tips and all("\n" in tip for tip in tips)


@pytest.mark.parametrize(
    ("entrypoint", "name"),
    [
        ("jobs/train.py --epochs 3", "train.py"),
        ("python train.py --at python other.py", "train.py"),
        ("python3.12 -u -X dev -Wignore jobs/train.py -m 3", "train.py"),
        ("/usr/bin/env A=1 B=two /opt/venv/bin/python -m jobs.train", "jobs.train"),
        ("OMP_NUM_THREADS=2 torchrun train.py", "torchrun"),
        ("pythonic.py", "pythonic.py"),
        ("python -c 'import train'", "python"),
    ],
)
def test_a_program_is_named_by_its_file(entrypoint: str, name: str) -> None:
    driver = span("d", 0, 100, name="ray.driver", attributes=json.dumps({"raytrace.entrypoint": entrypoint}))
    text = Elements(rt.html_report(table(driver, submit("s", 0, 5, "d"), run("r", 10, 60, "s", "T")))).text
    assert f"{name}: raytrace-analyze" in text
    assert entrypoint in text


@pytest.mark.parametrize("size", [0, 1, 5, 6])
def test_columns_come_back_as_they_were(size: int) -> None:
    values = np.array([0, 1, 255, 256, 2**53, 31 * 365 * 86_400 * 10**9][:size], dtype=np.int64)
    assert unpacked(pack_column(values), size) == values.tolist()


def test_every_span_is_there_with_its_times_and_attributes(spans: pl.DataFrame, page: str) -> None:
    data = embedded(page)
    count = data["count"]
    assert count == spans.height
    column = {name: unpacked(text, count) for name, text in data["columns"].items()}
    start = np.cumsum(column["start"]) + data["origin"]
    path = rt.critical_path(spans)
    assert sorted(start) == sorted((spans["start"].to_physical() - path.start_ns).to_list())
    assert sorted(column["duration"]) == sorted((spans["end"] - spans["start"]).dt.total_nanoseconds().to_list())
    blocks = [json.loads(zlib.decompress(base64.b64decode(block))) for block in data["details"]["blocks"]]
    told = {one["span_id"]: one for block in blocks for one in block}
    for row in spans.select("span_id", "attributes").iter_rows(named=True):
        assert set(told[row["span_id"]]["a"]) == set(json.loads(row["attributes"]))
    segments = data["path"]
    assert sum(unpacked(segments["duration"], segments["count"])) == path.makespan_ns


def test_rows_of_the_timeline_hold_spans_that_do_not_overlap(page: str) -> None:
    data = embedded(page)
    column = {name: unpacked(text, data["count"]) for name, text in data["columns"].items()}
    start = np.cumsum(column["start"])
    frame = pl.DataFrame({"row": column["row"], "start": start, "end": start + column["duration"]})
    after = frame.sort("row", "start").with_columns(before=pl.col("end").shift(1).over("row"))
    assert after.filter(pl.col("before") > pl.col("start")).is_empty()


def test_a_page_of_many_spans_is_small() -> None:
    data = timeline_data(gather(fan_out_table(6_000)))
    packed = sum(len(text) for text in data["columns"].values()) * 3 / 4
    assert packed / data["count"] < 13


def test_of_a_large_job_the_path_and_the_slowest_stay_and_nothing_is_dropped() -> None:
    facts = gather(fan_out_table(6_000))
    drawn = drawn_spans(facts, 600)
    frame = drawn.frame
    assert frame.height <= 600
    assert frame["spans"].sum() == facts.timed.height
    alone = frame.filter(pl.col("spans") == 1)
    on_path = set(facts.path.rows[facts.path.rows >= 0].tolist())
    assert on_path <= set(alone["row"].drop_nulls().to_list())
    slowest = facts.timed.sort("run_ns", descending=True).head(100)["row"].to_list()
    assert set(slowest) <= set(alone["row"].drop_nulls().to_list())


def test_hostile_names_are_text_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = rt.html_report(rt.read_spans(hostile_copy(tmp_path, monkeypatch)))
    tags = {tag for tag, _ in Elements(page).elements}
    assert not tags & {"img", "iframe", "object"}
    assert page.count("<script") == 2
    assert "\u202e" not in page
    assert "document.title=" in Elements(page).text


def hostile_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(hostile_spans, "SUFFIX", HOSTILE)
    monkeypatch.setattr(hostile_spans, "PREFIX", "")
    hostile_spans.write_hostile(SAMPLES / "failures-ours" / "spans", tmp_path / "hostile")
    return tmp_path / "hostile"


def test_a_run_that_failed_is_told_with_its_error_and_retries() -> None:
    text = Elements(rt.html_report(rt.read_spans(SAMPLES / "failures-ours" / "spans"))).text
    assert "ValueError: invalid literal" in text
    assert "ConnectionError: no answer" in text
    assert "WORKER_DIED" in text
    assert "1 attempt left no span" in text
    assert "well (attempt 1)" in text and "well (attempt 2)" in text  # counted from 0, as everywhere else
    # Failures come before anything about time, with the line that raised.
    assert text.index("ConnectionError: no answer") < text.index("The chain of work and waits")
    assert "failures.py:41" in text


def test_a_job_of_ray_data_has_its_operators_in_the_page() -> None:
    text = re.sub(r"\s+", " ", Elements(rt.html_report(table(*pipeline(), *told(), recorded=True))).text)
    assert re.search(r"MapBatches\(slow\) limits the rate \([\d.]+ % of the time\)", text)
    assert "operator tasks on the path" in text


def test_a_job_that_hangs_says_for_whom_it_waits() -> None:
    text = Elements(rt.html_report(two_that_wait_for_each_other())).text
    assert "had not ended after" in text and "they wait for each other" in text
    assert "took" not in text[: text.index("task runs")].split()


def test_a_job_that_was_stopped_as_it_hung_says_so_too() -> None:
    stopped = stopped_from_outside(two_that_wait_for_each_other(), "KeyboardInterrupt: ")
    assert "they wait for each other" in Elements(rt.html_report(stopped)).text


def test_every_kind_of_time_has_its_colour(page: str) -> None:
    """In drawings (a class, and its pattern where it has one) and on the canvas (a variable)."""
    style = Elements(page).raw["style"]
    patterns = {attributes["id"] for tag, attributes in Elements(page).elements if tag == "pattern"}
    colours = [re.findall(rf"--c-{kind.key}: ([^;]+);", style) for kind in (*KINDS, NOTHING_TO_RUN)]
    assert all(len(found) == 1 for found in colours), colours
    for kind in (*KINDS, NOTHING_TO_RUN):
        (fill,) = re.findall(rf"^\.k-{kind.key} {{ fill: (.+); }}$", style, re.MULTILINE)
        assert fill == f"var(--c-{kind.key})" or f"p-{kind.key}" in patterns, fill
        assert f".c-{kind.key} {{ fill: var(--c-{kind.key}); }}" in style


def test_axes_have_round_times() -> None:
    for makespan in (1, 13, 5_984_000_000, 10**18):
        marks = re.findall(r">([\d.]+) ", axis(makespan))
        assert 2 <= len(marks) <= 7 and len(set(marks)) == len(marks)
    assert re.findall(r">[1-9][\d.]* s", axis(5_984_000_000)) == [">2.000 s", ">4.000 s", ">5.984 s"]


def test_two_inputs_tell_what_changed() -> None:
    base, new = (rt.read_spans(SAMPLES / f"map_reduce-{hook}" / "spans") for hook in ("stock", "ours"))
    found = rt.diff(base, new)
    text = re.sub(r"\s+", " ", Elements(rt.html_report(new, base, names=("main", "branch"))).text)
    assert "NEW takes" in text and "What changed" in text
    for group in ("function", "cause"):
        for row in found.by(group).iter_rows(named=True):
            assert f"{duration_text(row['base_ns'])} {duration_text(row['new_ns'])}" in text


@pytest.fixture
def command(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def run(*arguments: object) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "raytrace_analyze", "report", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            check=False,
        )

    return run


def test_the_command_writes_a_page_and_replaces_only_pages(tmp_path: Path, command: Callable[..., Any]) -> None:
    spans = SAMPLES / "map_reduce-ours" / "spans"
    done = command(spans)
    assert (done.returncode, done.stdout) == (0, "") and "report.html" in done.stderr
    assert (tmp_path / "report.html").read_text().startswith("<!DOCTYPE html>")
    (tmp_path / "notes.html").write_text("mine")
    refused = command(spans, "-o", "notes.html")
    assert refused.returncode == 2 and (tmp_path / "notes.html").read_text() == "mine"
    assert command(spans, spans, spans).returncode == 2
    assert command(spans, spans, "-o", "report.html").returncode == 0
    assert "What changed" in (tmp_path / "report.html").read_text()
