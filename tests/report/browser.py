"""A real Chromium for the tests of the page, or the reason why there is none."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
MUST_RUN = "CI" in os.environ
"""In CI a missing browser is a failure, and no reason to skip."""


@dataclass
class Seen:
    """A page in the browser, with all that it said and asked for."""

    page: Any
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    @property
    def drawn_ms(self) -> int:
        """How long after it was asked for the page was drawn, timeline and all."""
        return int(self.page.get_attribute("html", "data-drawn"))


@contextmanager
def chromium() -> Iterator[Any]:
    """Start it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS])
        yield browser
        browser.close()


@contextmanager
def shown(browser: Any, file: Path, *, width: int = 1280, scheme: str = "light", **options: Any) -> Iterator[Seen]:
    """Show a page, drawn to the end unless it has no script."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **options)
    seen = Seen(context.new_page())
    seen.page.on("console", lambda message: seen.messages.append(message.text))
    seen.page.on("pageerror", lambda error: seen.messages.append(str(error)))
    seen.page.on("request", lambda request: seen.requests.append(request.url))
    seen.page.goto(file.as_uri())
    if options.get("java_script_enabled", True):
        seen.page.wait_for_selector("html[data-drawn]", timeout=60_000)
    yield seen
    context.close()
