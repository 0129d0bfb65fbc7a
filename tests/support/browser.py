"""The system's chromium, driven by Playwright; a page of it, watched for what it complains of."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
    *("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"),  # a microphone that beeps
]
PATIENCE = 60_000  # ms: a busy machine is slow
expect.set_options(timeout=PATIENCE)


@contextmanager
def browsing() -> Iterator[Browser]:
    """A browser; the test is skipped where this machine has none."""
    if not shutil.which("chromium"):
        pytest.skip("no chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS, timeout=PATIENCE)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Watched:
    """A page, and what it has complained of.

    Attributes:
        page: the page.
        complaints: errors and warnings of the console, exceptions, and requests to other servers.
    """

    page: Page
    complaints: list[str] = field(default_factory=list)


@contextmanager
def watched(browser: Browser, url: str, expected: str = "", **context: Any) -> Iterator[Watched]:
    """A page in a fresh profile; leaving it fails where anything was complained of but what is `expected`."""
    opened = browser.new_context(permissions=["microphone"], locale="en-US", **context)
    opened.set_default_timeout(PATIENCE)
    page = opened.new_page()
    seen = Watched(page)
    page.on("console", lambda message: message.type in ("error", "warning") and seen.complaints.append(message.text))
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    page.on(
        "request",
        lambda request: (
            request.url.startswith((url, "blob:", "data:")) or seen.complaints.append(f"asks {request.url}")
        ),
    )
    try:
        page.goto(url)
        yield seen
        left = [one for one in seen.complaints if not (expected and one.startswith(expected))]
        assert not left, left
    finally:
        opened.close()


def choose(page: Page, model: str) -> None:
    page.get_by_label("Model").select_option(model)
    expect(page.get_by_role("heading", level=1)).to_have_text(model)


def give(page: Page, name: str, content: bytes) -> None:
    file: FilePayload = {"name": name, "mimeType": "", "buffer": content}
    page.locator("#form input[type=file]").set_input_files([file])


def ask(page: Page) -> None:
    page.locator("#form button[type=submit]").click()


def bars(page: Page) -> dict[str, str]:
    """The answer's table of probabilities as a screen reader reads it, in its order."""
    rows = page.locator("#answer table.bars tbody tr:visible")
    expect(rows.first).to_be_visible()
    names = [text.removesuffix(" (chosen)") for text in rows.locator("th").all_text_contents()]
    return dict(zip(names, rows.locator(".share").all_text_contents(), strict=True))


def big(page: Page, text: str) -> None:
    expect(page.locator("#answer .big")).to_have_text(text)


def give_rows(page: Page, name: str, text: str) -> None:
    file: FilePayload = {"name": name, "mimeType": "text/csv", "buffer": text.encode()}
    page.locator("#batch input[type=file]").set_input_files([file])


def fill_loan(page: Page, amount: str = "2000") -> None:
    page.get_by_label("age").fill("50")
    page.get_by_label("amount").fill(amount)
    page.get_by_label("purpose").select_option("car")
    page.get_by_label("owner").select_option("yes")
    page.get_by_label("since").fill("2020-03-01")
