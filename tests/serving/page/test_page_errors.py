"""Claims about the page when something is wrong: it is said in plain words, beside what it is about."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.support.browser import ask, big, choose, fill_loan, give, give_rows, watched
from tests.support.page_models import grey
from tests.support.page_server import Served, serving, table

REFUSED = "Failed to load resource"  # what the browser itself says of each answer that is an error


@pytest.fixture
def page(browser: Browser, server: Served) -> Iterator[Page]:
    with watched(browser, server.url, REFUSED) as seen:
        seen.page.locator("#form button").first.wait_for()
        yield seen.page


def wrong(page: Page, label: str) -> str:
    """What a screen reader says is wrong with the field of a label; "" where it says that nothing is."""
    field = page.get_by_label(label)
    if field.get_attribute("aria-invalid") != "true":
        return ""
    ids = (field.get_attribute("aria-describedby") or "").split()
    return page.locator(f"#{ids[-1]}").inner_text()


def refuse(route: Route, status: int, message: str | None, **headers: str) -> None:
    body = "<h1>no</h1>" if message is None else json.dumps({"error": message, "field": None})
    route.fulfill(status=status, body=body, headers=headers)


def test_each_field_that_is_wrong_says_so_and_the_first_has_the_focus(page: Page) -> None:
    ask(page)
    expect(page.get_by_label("age")).to_be_focused()
    labels = ("age", "amount", "purpose", "owner", "since", "income", "note")
    said = [wrong(page, label) for label in labels]
    assert said == [*["A value is needed."] * 2, *["Choose one."] * 2, "A value is needed.", "", ""]
    expect(page.locator("#failure")).to_have_text("5 fields need a look.")
    page.get_by_label("age").fill("5")
    assert wrong(page, "age") == ""
    ask(page)
    assert wrong(page, "age") == "Out of range: 18 to 120."


@pytest.mark.parametrize(
    ("label", "text", "said"),
    [
        ("age", "20.5", "A whole number is needed."),
        ("age", "twenty", "Not a number."),
        ("amount", "1,5", "Not a number: write a point, as in 1.5, and no other marks."),
        ("amount", "0", "Out of range: above 0."),
        ("amount", "0x10", "Not a number."),
        ("age", "99999999999999999999", "Too large to be kept exactly."),
    ],
)
def test_what_is_no_such_number_is_not_sent(page: Page, label: str, text: str, said: str) -> None:
    fill_loan(page)
    page.get_by_label(label).fill(text)
    page.route("**/predict", lambda route: pytest.fail("asked all the same"))
    ask(page)
    expect(page.get_by_label(label)).to_be_focused()
    assert wrong(page, label) == said


def test_what_the_server_refuses_is_said_beside_its_field(page: Page) -> None:
    fill_loan(page)
    page.get_by_label("note").fill("unheard of")
    ask(page)
    expect(page.get_by_label("note")).to_be_focused()
    assert wrong(page, "note") == "No such note is known."
    expect(page.locator("#failure")).to_be_hidden()
    expect(page.locator("#status")).to_have_text("note: no such note is known.")


def test_a_file_that_is_no_picture_is_said_beside_the_place_for_it(page: Page) -> None:
    choose(page, "shades")
    ask(page)
    place = page.get_by_role("group", name="Picture")
    expect(place.locator(".wrong")).to_have_text("A picture is needed: choose, drop or paste one.")
    give(page, "letter.png", b"not a picture")
    expect(place.locator(".wrong")).to_have_text("This is no picture that can be read; give PNG or JPEG.")
    expect(place.get_by_role("button")).to_be_focused()
    expect(page.locator("#form figcaption")).to_contain_text("this browser cannot show it")
    give(page, "white.png", grey(255))
    expect(place.locator(".wrong")).to_be_hidden()
    big(page, "white")


@pytest.mark.parametrize("n", [20, 1200])
def test_a_wrong_cell_of_a_csv_is_named_by_its_line_in_the_file(page: Page, n: int) -> None:
    content = table(n)
    head, found, tail = content.rpartition(f"{n - 10}.5,car")
    assert found
    give_rows(page, "loans.csv", head + "much,car" + tail)
    line = head.count("\n") + 1 + ((n - 10) % 7 == 0)  # such a row has two lines, and is named by its last
    said = page.locator("#batch .wrong")
    expect(said).to_have_text(f"Line {line}.amount: 'much' is no number.")
    expect(page.locator("#status")).to_have_text(f"Line {line}.amount: 'much' is no number.")
    expect(page.get_by_role("button", name="Download predictions")).to_have_count(0)


def test_rows_wait_for_a_busy_server(page: Page) -> None:
    times: list[str] = []

    def busy_once(route: Route) -> None:
        times.append(route.request.url)
        if len(times) == 2:
            refuse(route, 503, "busy", **{"Retry-After": "1"})
        else:
            route.continue_()

    page.route("**/predict/batch", busy_once)
    give_rows(page, "loans.csv", table(1200))
    expect(page.locator("#batch .result p").first).to_contain_text("1,200 predictions in")
    assert len(times) == 4


@pytest.mark.parametrize(
    ("status", "message", "headers", "said"),
    [
        (503, "256 requests wait already", {"Retry-After": "3"}, "256 requests wait already. Try again in 3 s."),
        (429, None, {"Retry-After": "1"}, "Too many questions in a short time. Try again in 1 s."),
        (413, None, {}, "This is larger than the server takes."),
        (502, None, {}, "The server refused (status 502)."),
        (404, "no version '2' of loans; there is 3", {}, "No version '2' of loans; there is 3."),
    ],
)
def test_refusals_are_said_in_words(
    page: Page, status: int, message: str | None, headers: dict[str, str], said: str
) -> None:
    page.route("**/predict", lambda route: refuse(route, status, message, **headers))
    fill_loan(page)
    ask(page)
    expect(page.locator("#failure")).to_have_text(said)
    page.unroute("**/predict")
    ask(page)
    big(page, "bad")
    expect(page.locator("#failure")).to_be_hidden()


def test_a_server_that_is_gone_is_said_and_the_page_goes_on_once_it_is_back(page: Page) -> None:
    fill_loan(page)
    page.route("**/predict", lambda route: route.abort("connectionrefused"))
    ask(page)
    expect(page.locator("#failure")).to_contain_text("The server does not answer.")
    page.unroute("**/predict")
    ask(page)
    big(page, "bad")


def test_a_page_that_is_opened_while_models_load_waits_for_them(browser: Browser, server: Served) -> None:
    with watched(browser, f"{server.url}/page/icon.svg", REFUSED) as seen:
        seen.complaints.clear()
        times: list[str] = []

        def loading(route: Route) -> None:
            times.append(route.request.url)
            if len(times) == 1:
                refuse(route, 503, "models are being loaded", **{"Retry-After": "1"})
            else:
                route.continue_()

        seen.page.route("**/models", loading)
        seen.page.goto(server.url)
        expect(seen.page.locator("#about")).to_contain_text("Models are being loaded")
        expect(seen.page.get_by_role("heading", level=1)).to_have_text("loans")
        seen.complaints[:] = [one for one in seen.complaints if not one.startswith("asks")]


def test_a_key_is_asked_for_where_the_server_wants_one_and_kept_nowhere(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path, keys=["open sesame"]) as guarded, watched(browser, guarded.url, REFUSED) as seen:
        page = seen.page
        page.get_by_label("This server asks for an API key").fill("guess")
        page.keyboard.press("Enter")
        key = page.get_by_label("This key was refused. API key")
        expect(key).to_be_focused()
        assert key.get_attribute("type") == "password"
        key.fill("open sesame")
        page.get_by_role("button", name="Use it").click()
        fill_loan(page)
        ask(page)
        big(page, "bad")
        stored = page.evaluate("[localStorage.length, sessionStorage.length, document.cookie, location.search]")
        assert stored == [0, 0, "", ""]
        page.reload()
        expect(page.get_by_label("This server asks for an API key")).to_be_visible()


def test_a_rate_that_is_low_does_not_keep_the_page_from_opening(browser: Browser, tmp_path: Path) -> None:
    with serving(tmp_path, rate=1) as slow, watched(browser, slow.url, REFUSED) as seen:
        expect(seen.page.get_by_role("heading", level=1)).to_have_text("loans")
        fill_loan(seen.page)
        expect(seen.page.locator("#answer")).to_be_visible()


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        ('event: error\ndata: {"error": "no answer within 30 s", "field": null}\n\n', "No answer within 30 s"),
        ("", "The answer broke off: the server ended it before it was whole."),
    ],
)
def test_what_was_written_stays_where_writing_breaks_off(page: Page, rest: str, said: str) -> None:
    choose(page, "writer")
    body = 'data: {"text": "It was"}\r\n\r\ndata: {"text": " a dark\\n"}\n\n' + rest
    page.route(
        "**/predict/stream", lambda route: route.fulfill(body=body, headers={"Content-Type": "text/event-stream"})
    )
    page.get_by_label("Text").fill("Go on:")
    ask(page)
    expect(page.locator("#failure")).to_have_text(said)
    expect(page.locator("#answer .written")).to_have_text("Go on:It was a dark\n")


def answer_with(page: Page, answer: Any) -> None:
    page.route("**/predict", lambda route: route.fulfill(json=answer))
    fill_loan(page)
    ask(page)


def test_an_answer_of_no_known_form_is_shown_as_it_came(page: Page) -> None:
    answer_with(page, {"pred": {"a": [[1, 2], [3]]}, "prob": "none"})
    expect(page.locator("#answer .whole pre")).to_contain_text('"prob": "none"')
    expect(page.locator("#answer .big")).to_have_count(0)
    expect(page.locator("#status")).to_have_text("Answer: The answer is shown as JSON")


def test_names_are_text_and_nothing_else(page: Page) -> None:
    name = "<img src=x onerror=alert(1)>"
    answer_with(page, {"pred": name, "prob": {name: 0.75, "b": 0.25}, "threshold": 0.5})
    big(page, name)
    assert page.locator("#answer img").count() == 0


def test_a_later_question_replaces_an_earlier_one(page: Page) -> None:
    held: list[Route] = []
    page.route("**/predict", lambda route: route.continue_() if held else held.append(route))
    fill_loan(page, "2000")
    ask(page)
    expect(page.get_by_role("button", name="Stop")).to_be_visible()
    fill_loan(page, "10")
    ask(page)
    big(page, "good")
    held[0].fulfill(json={"pred": "late", "prob": {"late": 1.0, "good": 0.0}})
    page.wait_for_timeout(200)
    big(page, "good")
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()


def test_a_microphone_that_may_not_be_used_is_said(page: Page) -> None:
    choose(page, "tones")
    page.evaluate(
        "() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotAllowedError')) }"
    )
    page.get_by_role("button", name="Record", exact=True).click()
    expect(page.get_by_text("The browser may not use the microphone.")).to_be_visible()
    expect(page.get_by_role("button", name="Record", exact=True)).to_be_enabled()
