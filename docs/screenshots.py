"""Makes the pictures of the docs anew from the sample spans: `make screenshots`."""

import tempfile
from pathlib import Path

import raytrace_analyze as rt
from tests.report.browser import chromium, shown

ROOT = Path(__file__).parent.parent
SPANS = ROOT / "sample_spans" / "nested-ours" / "spans"
IMAGES = ROOT / "docs" / "images"


def main() -> None:
    """Make them."""
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        file = Path(folder) / "report.html"
        file.write_text(rt.html_report(rt.read_spans(SPANS)))
        with shown(browser, file, width=1180) as seen:
            seen.page.screenshot(path=IMAGES / "report.png")
            seen.page.locator("#timeline").screenshot(path=IMAGES / "report-timeline.png")


if __name__ == "__main__":
    main()
