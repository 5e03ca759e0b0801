"""Debian's Chromium, driven by Playwright; what a page prints to the console or asks of the network is kept."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Page, sync_playwright

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


@dataclass
class Seen:
    """Console errors and uncaught exceptions of a page, and the addresses that it asked for."""

    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


def executable() -> str:
    """The browser. Without one the test is skipped, in CI (I2I_BENCH_CI) it fails."""
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        say = "no Chromium here; apt-get install chromium"
        if os.environ.get("I2I_BENCH_CI"):
            pytest.fail(say)
        pytest.skip(say)
    return found


@contextmanager
def opened(**context: object) -> Iterator[tuple[Page, Seen]]:
    """A fresh page; keyword arguments are those of Playwright's browser.new_context (viewport, color_scheme)."""
    path = executable()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            page = browser.new_context(**context).new_page()  # type: ignore[arg-type]
            seen = Seen()
            page.on("console", lambda message: seen.errors.append(message.text) if message.type == "error" else None)
            page.on("pageerror", lambda error: seen.errors.append(str(error)))
            page.on("request", lambda request: seen.requests.append(request.url))
            yield page, seen
        finally:
            browser.close()


def wait_until(page: Page, expression: str) -> None:
    """Waits up to 20 seconds until a JavaScript expression holds.

    Asked from here: our pages' security policy forbids the polling script of Playwright's own wait_for_function.
    """
    for _ in range(400):
        if page.evaluate(f"Boolean({expression})"):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"after 20 seconds this still does not hold: {expression}")
