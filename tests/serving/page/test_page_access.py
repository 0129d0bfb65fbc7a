"""Claims about who can use the page: with a keyboard alone, by ear, in the dark, on a telephone, without motion."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.browser import ask, big, choose, give, give_rows, watched
from tests.support.page_server import Served, beep, grey, table

MODELS = [
    *("loans", "shades", "tones", "cells", "tissue", "topics", "houses", "energy", "prices", "german", "writer"),
    *("series", "pets"),
]

UNNAMED = """() => {
  const words = (id) => document.getElementById(id)?.textContent ?? '';
  const name = (e) => [e.getAttribute('aria-label'), e.alt, e.querySelector?.(':scope > caption, :scope > summary')?.textContent,
    ...(e.getAttribute('aria-labelledby') ?? '').split(' ').map(words), ...[...(e.labels ?? [])].map((l) => l.textContent),
    ['BUTTON', 'A', 'SUMMARY', 'OPTION', 'TH'].includes(e.tagName) ? e.textContent : ''].join('').trim();
  const kinds = 'input:not([type=file]), select, textarea, button, a, summary, table, img, audio, section, [role=group]';
  return [...document.querySelectorAll(kinds)].filter((e) => e.checkVisibility() && !name(e)).map((e) => e.outerHTML);
}"""

DOUBLE = """() => {
  const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
  const named = [...document.querySelectorAll('[aria-describedby], [aria-labelledby], label[for], [list]')].flatMap((e) =>
    ['aria-describedby', 'aria-labelledby', 'for', 'list'].flatMap((a) => (e.getAttribute(a) ?? '').split(' ').filter(Boolean)));
  return [...ids.filter((id, i) => ids.indexOf(id) !== i), ...named.filter((id) => !ids.includes(id))];
}"""

FAINT = """() => {
  const parse = (c) => { const [r, g, b, a = 1] = c.match(/[\\d.]+/g).map(Number); return [r, g, b, a]; };
  const over = ([r, g, b, a], [x, y, z]) => [r * a + x * (1 - a), g * a + y * (1 - a), b * a + z * (1 - a), 1];
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const behind = (e) => {
    const layers = [];
    for (let at = e; at; at = at.parentElement) layers.push(parse(getComputedStyle(at).backgroundColor));
    return layers.reverse().reduce((ground, layer) => over(layer, ground), [255, 255, 255, 1]);
  };
  const faint = [];
  const check = (e, colour, text) => {
    const [a, b] = [light(over(parse(colour), behind(e))), light(behind(e))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faint.push([text.slice(0, 40), ratio.toFixed(2)]);
  };
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let n = 0;
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.data.trim() || !e.checkVisibility() || e.closest('.unseen, option, noscript')) continue;
    n += 1;
    check(e, getComputedStyle(e).color, walk.currentNode.data.trim());
  }
  for (const e of document.querySelectorAll('input:not([type=range]), textarea, select')) {
    if (!e.checkVisibility()) continue;
    check(e, getComputedStyle(e).color, 'value of ' + e.id);
    if (e.placeholder) check(e, getComputedStyle(e, '::placeholder').color, e.placeholder);
  }
  return [n, faint];
}"""


@pytest.fixture(params=["light", "dark"])
def themed(request: pytest.FixtureRequest, browser: Browser, server: Served) -> Iterator[Page]:
    """A page as it is seen in a theme, on a telephone."""
    size: Any = {"width": 360, "height": 740}
    with watched(browser, server.url, viewport=size, color_scheme=request.param, reduced_motion="reduce") as seen:
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
    assert page.evaluate(UNNAMED) == [], where
    assert page.evaluate(DOUBLE) == [], where
    n, faint = page.evaluate(FAINT)
    assert n > 8, where
    assert faint == [], where
    assert page.evaluate("document.documentElement.scrollWidth") <= 360, where
    assert page.locator("h1").count() == 1
    small = page.locator("button:visible").evaluate_all(
        "buttons => buttons.filter(b => b.getBoundingClientRect().height < 24 && !b.matches('.link')).map(b => b.outerHTML)"
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


FOCUS = """() => {
  const e = document.activeElement, s = getComputedStyle(e);
  const box = e.getBoundingClientRect();
  return [e.tagName, (e.labels?.[0] ?? e).textContent.trim(), s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2,
          box.width > 0 && box.height > 0];
}"""


def tab(page: Page, to: str) -> list[str]:
    """Presses Tab until what is called so has the focus, each time with a ring to be seen; all that were passed."""
    passed: list[str] = []
    for _ in range(60):
        page.keyboard.press("Tab")
        _, text, ring, shown = page.evaluate(FOCUS)
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
