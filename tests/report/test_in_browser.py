"""The page in a real browser: nothing asked for, nothing complained about, nothing that some cannot use."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import raytrace_analyze as rt
from benchmarks.synthetic import fan_out_table
from tests.report.browser import CHROMIUM, MUST_RUN, Seen, chromium, shown
from tests.report.test_page import SAMPLES, hostile_copy
from tests.test_data import pipeline, table
from tests.test_data import told as told_by_the_hook

pytestmark = pytest.mark.skipif(
    CHROMIUM is None and not MUST_RUN,
    reason="THE PAGE IS NOT TESTED IN A BROWSER: there is no chromium here (apt install chromium)",
)
WIDTHS = (390, 820, 1280)
WITHIN_MS = 30_000
"""How long a loaded machine may take for what the page does after a click."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("page"), rt.html_report(rt.read_spans(SAMPLES / "failures-ours" / "spans")))


def write(folder: Path, content: str) -> Path:
    file = folder / "report.html"
    file.write_text(content)
    return file


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_quiet_and_fits_at_every_width(browser: Any, page: Path, scheme: str) -> None:
    with shown(browser, page, scheme=scheme) as seen:
        for width in WIDTHS:
            seen.page.set_viewport_size({"width": width, "height": 900})
            seen.page.wait_for_timeout(100)
            assert seen.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
            assert seen.page.evaluate(CUT_LABELS) == []
        assert seen.messages == []
        assert seen.requests == [page.as_uri()]


@pytest.mark.parametrize("job", ["failed", "data"])
def test_on_paper_no_table_is_wider_than_the_sheet(browser: Any, page: Path, job: str, tmp_path: Path) -> None:
    of_data = rt.html_report(table(*pipeline(), *told_by_the_hook(), recorded=True))
    file = page if job == "failed" else write(tmp_path, of_data)
    with shown(browser, file, width=718) as seen:  # A4, less the margins
        seen.page.emulate_media(media="print")
        assert seen.page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0
        assert seen.page.evaluate("[...document.querySelectorAll('table')].every(t => t.scrollWidth <= 718)")


def test_on_paper_the_timeline_goes_from_start_to_end(browser: Any, page: Path) -> None:
    with shown(browser, page) as seen:
        wide, high = seen.page.evaluate(SIZE_OF_CANVAS)
        seen.page.emulate_media(media="print")
        # A sheet is laid out anew, but no script runs before it is printed.
        narrow, low = seen.page.evaluate(f"{{ document.body.style.width = '718px'; {SIZE_OF_CANVAS} }}")
        assert narrow < 718 < wide
        assert low / narrow == pytest.approx(high / wide, rel=0.02)


SIZE_OF_CANVAS = "(({ width, height }) => [width, height])(document.querySelector('canvas').getBoundingClientRect())"


CUT_LABELS = """() => [...document.querySelectorAll('svg text')].filter((text) => {
  if (getComputedStyle(text).visibility === 'hidden') return false;
  const inner = text.getBoundingClientRect();
  const outer = text.ownerSVGElement.getBoundingClientRect();
  return inner.width > 0 && (inner.left < outer.left - 1 || inner.right > outer.right + 1);
}).map((text) => text.textContent)"""


WIDE = 1400
TORN = """[...document.querySelectorAll('tbody th')].flatMap((cell) => {
  const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
  const torn = [];
  while (walker.nextNode()) {
    const range = document.createRange();
    range.selectNodeContents(walker.currentNode);
    const lines = new Set([...range.getClientRects()].map((box) => Math.round(box.top)));
    if (lines.size > 1 && !walker.currentNode.data.includes(' ')) torn.push(walker.currentNode.data);
  }
  return torn;
})"""


def test_a_long_name_breaks_between_its_words_and_pushes_no_column_out(browser: Any, tmp_path: Path) -> None:
    read, mapped = "ReadParquet->SplitBlocks(12)->MapBatches(tokenize_and_truncate_documents)", "Predictor" * 20
    rows = table(*pipeline(read, mapped), *told_by_the_hook(read, mapped), recorded=True)
    with shown(browser, write(tmp_path, rt.html_report(rows)), width=WIDE) as seen:
        seen.page.click("#all-tasks summary")
        for width in (*WIDTHS, WIDE):
            seen.page.set_viewport_size({"width": width, "height": 900})
            seen.page.wait_for_timeout(100)
            assert seen.page.evaluate(TORN) == []
        beyond = (
            "document.querySelector('#datasets .scroll').scrollWidth - document.querySelector('#datasets').clientWidth"
        )
        assert seen.page.evaluate(beyond) <= 0


def test_a_click_tells_all_attributes_and_keys_follow_the_path(browser: Any, page: Path) -> None:
    from playwright.sync_api import expect

    with shown(browser, page) as seen:
        scroll = seen.page.locator("#timeline-scroll")
        scroll.focus()
        seen.page.keyboard.press("n")
        told(seen, "raytrace.entrypoint")
        first = seen.page.locator("#details h3").text_content()
        for _ in range(3):
            seen.page.keyboard.press("n")
        told(seen, "on the critical path")
        expect(seen.page.locator("#details h3")).not_to_have_text(first, timeout=WITHIN_MS)
        for key in ("+", "-", "ArrowLeft", "ArrowRight", "Home", "Enter"):
            seen.page.keyboard.press(key)
        seen.page.keyboard.press("Escape")
        expect(seen.page.locator("#details")).to_be_hidden(timeout=WITHIN_MS)
        box = scroll.bounding_box()
        # Right below the first headings lies the driver's own span, from one end to the other.
        seen.page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 42 + 4 + 2 * 19 + 7)
        told(seen, "raytrace.entrypoint")
        assert seen.messages == []


def told(seen: Seen, text: str) -> None:
    """Wait until the details of the chosen span, which are unpacked meanwhile, hold a text."""
    from playwright.sync_api import expect

    expect(seen.page.locator("#details")).to_contain_text(text, timeout=WITHIN_MS)


def test_search_finds_and_the_table_of_tasks_sorts(browser: Any, page: Path) -> None:
    from playwright.sync_api import expect

    with shown(browser, page) as seen:
        seen.page.fill("#find", "convert")
        expect(seen.page.locator("#found")).to_contain_text("spans found", timeout=WITHIN_MS)
        seen.page.click("#all-tasks summary")
        rows = seen.page.locator("#all-tasks tbody tr")
        # All seven runs, and the attempt that left no span: laid out once the table is open.
        expect(rows).to_have_count(8, timeout=WITHIN_MS)
        seen.page.click("#all-tasks th:nth-child(2) button")
        heading = seen.page.locator("#all-tasks th:nth-child(2)")
        expect(heading).to_have_attribute("aria-sort", "descending", timeout=WITHIN_MS)
        expect(rows.first).to_contain_text("convert", timeout=WITHIN_MS)
        seen.page.fill("#all-tasks input", "download")
        expect(rows).to_have_count(3, timeout=WITHIN_MS)
        assert seen.messages == []


def test_hostile_names_do_nothing(browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spans = rt.read_spans(hostile_copy(tmp_path, monkeypatch))
    with shown(browser, write(tmp_path, rt.html_report(spans))) as seen:
        seen.page.locator("#timeline-scroll").focus()
        for _ in range(4):
            seen.page.keyboard.press("n")
        seen.page.click("#all-tasks summary")
        told(seen, "span_id")
        assert seen.page.evaluate("document.querySelectorAll('img, iframe, script').length") == 2
        assert seen.page.title() != "owned"
        assert seen.messages == [] and len(seen.requests) == 1


def test_without_a_script_the_tables_are_read(browser: Any, page: Path) -> None:
    with shown(browser, page, java_script_enabled=False) as seen:
        for key in ("path", "functions", "tasks", "errors", "cluster"):
            assert seen.page.locator(f"#{key} table").first.is_visible(), key
        assert not seen.page.locator("#timeline-parts").is_visible()


def test_many_spans_are_drawn(browser: Any, tmp_path: Path) -> None:
    page = write(tmp_path, rt.html_report(fan_out_table(5_000)))
    with shown(browser, page) as seen:
        assert seen.messages == []
        drawn = (
            "[...document.querySelector('canvas').getContext('2d').getImageData(0, 60, 900, 200).data].some(Boolean)"
        )
        assert seen.page.evaluate(drawn)


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Deque's checker of accessibility, as npm gives it."""
    npm = shutil.which("npm")
    folder = tmp_path_factory.mktemp("axe")
    command = [
        npm or "npm",
        "install",
        "--silent",
        "--no-audit",
        "--no-fund",
        "--prefix",
        str(folder),
        "axe-core@4.10.3",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False) if npm else None
    if done is None or done.returncode:
        assert not MUST_RUN, done
        pytest.skip("ACCESSIBILITY IS NOT TESTED: npm does not give axe-core here")
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_use_it(browser: Any, page: Path, axe: str, scheme: str) -> None:
    with shown(browser, page, scheme=scheme, bypass_csp=True) as seen:
        seen.page.keyboard.press("Tab")
        seen.page.evaluate(axe)
        found = seen.page.evaluate("axe.run().then((told) => told.violations)")
        serious = [
            (each["id"], [node["html"][:200] for node in each["nodes"]][:3])
            for each in found
            if each["impact"] in ("serious", "critical")
        ]
        assert serious == []


@pytest.mark.slow
@pytest.mark.parametrize("width", [WIDTHS[0], WIDTHS[-1]])
def test_a_hundred_thousand_spans_are_drawn_within_two_seconds(browser: Any, width: int, tmp_path: Path) -> None:
    page = write(tmp_path, rt.html_report(fan_out_table(100_000)))
    assert page.stat().st_size < 4_000_000
    context = browser.new_context(viewport={"width": width, "height": 900})
    tab = context.new_page()
    measured = context.new_cdp_session(tab)
    # What the page itself computed, whatever else the machine is doing.
    measured.send("Performance.enable", {"timeDomain": "threadTicks"})
    tab.goto(page.as_uri())
    tab.wait_for_selector("html[data-drawn]", timeout=120_000)
    found = {each["name"]: each["value"] for each in measured.send("Performance.getMetrics")["metrics"]}
    assert found["TaskDuration"] < 2
    context.close()
