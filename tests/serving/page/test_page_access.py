"""Claims about who can use the page: with a keyboard alone, by ear, in the dark, on a telephone, without motion."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import ask, big, choose, give, give_rows, watched
from tests.support.page_models import beep, grey
from tests.support.page_server import Served, table

MODELS = [
    *("loans", "shades", "tones", "cells", "tissue", "topics", "houses", "energy", "prices", "german", "writer"),
    *("series", "pets"),
]


CHECKS = (Path(__file__).parent / "checks.js").read_text().partition("\n")[2]


def check(page: Page, name: str) -> Any:
    """What one of the functions in checks.js says of a page."""
    return page.evaluate(f"{CHECKS}.{name}()")


@pytest.fixture(params=["light", "dark"])
def themed(request: pytest.FixtureRequest, browser: Browser, server: Served) -> Iterator[Page]:
    """A page as it is seen in a theme, on a telephone."""
    size: Any = {"width": 360, "height": 740}
    with watched(browser, server.url, viewport=size, color_scheme=request.param, reduced_motion="reduce") as seen:
        seen.page.locator("#form button").first.wait_for()
        yield seen.page


def use(page: Page, server: Served, model: str) -> None:
    """Has a model answer."""
    server.open()
    choose(page, model)
    if model in ("cells", "tissue"):
        give(page, "grey.png", grey(140, (90, 60)))
    elif model == "german":
        page.get_by_label("Text").fill("Two dogs")
        ask(page)
    elif model == "energy":
        page.get_by_label("rooms").fill("3")
        page.get_by_label("area").fill("3")
        ask(page)
    else:
        page.get_by_role("button", name="Try an example").click()
    expect(page.locator("#answer .foot")).to_be_visible()


def look(page: Page, where: str) -> None:
    """Holds the page as it is now against what everybody needs."""
    assert check(page, "unnamed") == [], where
    assert check(page, "double") == [], where
    n, faint = check(page, "faint")
    assert n > 8, where
    assert faint == [], where
    assert page.evaluate("document.documentElement.scrollWidth") <= 360, where
    assert page.locator("h1").count() == 1
    small = page.locator("button:visible").evaluate_all(
        "all => all.filter(b => b.getBoundingClientRect().height < 24 && !b.matches('.link')).map(b => b.outerHTML)"
    )
    assert small == [], where


def test_every_input_and_answer_is_named_legible_and_narrow_enough(themed: Page, server: Served) -> None:
    dark = themed.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    ground = themed.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
    assert (max(ground) < 64) == dark
    look(themed, "at first")
    for model in MODELS:
        use(themed, server, model)
        look(themed, model)


def test_errors_and_rows_are_named_legible_and_narrow_enough(themed: Page) -> None:
    ask(themed)
    expect(themed.locator("[aria-invalid=true]")).to_have_count(5)
    look(themed, "errors")
    give_rows(themed, "loans.csv", table(40))
    expect(themed.get_by_role("button", name="Download predictions")).to_be_visible()
    look(themed, "rows")


def tab(page: Page, to: str) -> list[str]:
    """Presses Tab until what is called so has the focus, each time with a ring to be seen; all that were passed."""
    passed: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        text, ring, shown = check(page, "focus")
        assert ring, text
        assert shown, text
        passed.append(text)
        if text.startswith(to):
            return passed
    raise AssertionError(f"{to} is not reached: {passed}")


def test_a_form_is_filled_in_and_sent_with_the_keyboard_alone(page: Page) -> None:
    passed = tab(page, "age")
    assert passed[:3] == ["Skip to the answer", "Model", "Version"]
    page.keyboard.type("50")
    tab(page, "amount")
    page.keyboard.type("2000")
    tab(page, "purpose")
    page.keyboard.type("car")
    tab(page, "owner")
    page.keyboard.type("yes")
    tab(page, "since")
    page.keyboard.type("03012020")
    page.keyboard.press("Enter")
    big(page, "bad")
    expect(page.locator("#status")).to_contain_text("Answer: bad")
    assert tab(page, "The whole answer")[-3:-1] == ["Try an example", "Clear"]
    page.keyboard.press("Enter")
    expect(page.locator("#answer .whole pre")).to_contain_text('"threshold": 0.3')


def test_a_picture_and_a_csv_are_chosen_with_the_keyboard_alone(page: Page) -> None:
    page.on("filechooser", lambda _: None)  # from here on, so that no key is pressed before choosers are looked for
    tab(page, "Choose a CSV")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files([{"name": "a.csv", "mimeType": "text/csv", "buffer": table(2).encode()}])
    expect(page.get_by_role("button", name="Download predictions")).to_be_focused()
    choose(page, "shades")
    page.get_by_label("Model").focus()
    tab(page, "Choose a picture")
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Space")
    chooser.value.set_files([{"name": "a.png", "mimeType": "image/png", "buffer": grey(255)}])
    big(page, "white")


def test_a_screen_reader_hears_a_form_and_an_answer_as_they_are_seen(page: Page) -> None:
    choose(page, "tones")
    give(page, "beep.wav", beep(100))
    big(page, "very low")
    expect(page.get_by_role("region", name="Input")).to_be_visible()
    region = page.get_by_role("region", name="Answer")
    expect(region.get_by_role("table", name="Probability of each class")).to_be_visible()
    expect(region.get_by_role("row", name="very low (chosen) 80.0 %")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("Answer: very low, 80.0\xa0% probable")
    levels = page.locator(":is(h1, h2, h3):visible").evaluate_all("all => all.map(h => +h.tagName[1])")
    assert levels == [1, 2, 2]


@pytest.mark.parametrize(("motion", "moves"), [("reduce", False), ("no-preference", True)])
def test_nothing_moves_where_motion_is_not_wanted(browser: Browser, server: Served, motion: Any, moves: bool) -> None:
    server.open(False)
    with watched(browser, server.url, reduced_motion=motion) as seen:
        page = seen.page
        choose(page, "writer")
        page.get_by_label("Text").fill("once upon")
        ask(page)
        expect(page.locator("#answer .pieces")).to_have_text(" ecno")
        assert bool(page.evaluate("document.getAnimations().length")) == moves
        server.open()
        expect(page.locator("#answer .foot")).to_be_visible()
