"""Claims about the page: each kind of input is given as a person gives it, and its answer is the model's."""

import base64
import csv
import io
import json
import wave
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.support.browser import ask, bars, big, choose, fill_loan, give, give_rows
from tests.support.page_models import beep, encoded, grey
from tests.support.page_server import Served, table


def test_a_row_is_typed_into_a_form_of_the_schema_and_missing_values_stay_missing(page: Page) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text("loans")
    assert page.locator("#form label").all_text_contents() == [
        *("age", "amount", "purpose", "owner", "since", "income optional", "note optional"),
        *("city optional", "debt optional"),
    ]
    assert page.get_by_label("purpose").locator("option").all_text_contents() == [
        *("choose …", "car", "furniture", "repairs", "other")
    ]
    fill_loan(page)
    with page.expect_request("**/predict") as asked:
        ask(page)
    assert asked.value.post_data_json == {
        "age": 50,
        "amount": 2000,
        "purpose": "car",
        "owner": True,
        "since": "2020-03-01",
        "income": None,
    }
    # 0.2 for the amount, 0.1 for the unknown income, 1/50 for the age
    big(page, "bad")
    assert bars(page) == {"good": "68.0\xa0%", "bad": "32.0\xa0%"}
    expect(page.locator("#answer .headline")).to_contain_text("bad is chosen where it is more than 30.0\xa0% probable")
    mark = page.locator("#answer .track .mark")
    expect(mark).to_have_count(1)
    at = mark.evaluate(
        "m => { const t = m.parentElement.getBoundingClientRect(), r = m.getBoundingClientRect();"
        "return (r.x + r.width / 2 - t.x) / t.width }"
    )
    assert at == pytest.approx(0.3, abs=0.01)


def test_a_category_is_one_of_those_known_or_another_and_numbers_with_a_notation_are_sent_as_they_are_written(
    page: Page, server: Served
) -> None:
    fill_loan(page)
    city = page.get_by_label("city optional")
    assert city.locator("option").all_text_contents() == ["not given", "Berlin", "Bonn", "another value …"]
    city.select_option("another value …")
    page.get_by_label("city, another value").fill("Köln")
    page.get_by_label("debt").fill("1.234")
    ask(page)
    big(page, "bad")
    assert (server.last()["city"], server.last()["debt"]) == ("Köln", "1.234")
    city.select_option("Bonn")
    with page.expect_response("**/predict"):
        ask(page)
    assert server.last()["city"] == "Bonn"


def test_another_version_answers_where_it_is_chosen(page: Page) -> None:
    page.get_by_label("Version").focus()
    page.get_by_label("Version").select_option("1")
    expect(page.get_by_label("Version")).to_be_focused()
    fill_loan(page)
    with page.expect_request("**/models/loans/versions/1/predict"):
        ask(page)
    big(page, "good")
    expect(page.locator("#answer .foot")).to_contain_text("by loans/1")


def test_the_example_fills_the_form_in_and_is_answered(page: Page) -> None:
    page.get_by_role("button", name="Try an example").click()
    big(page, "bad")
    values = {name: page.get_by_label(name).input_value() for name in ("age", "amount", "since", "income", "note")}
    assert values == {"age": "41", "amount": "2500.5", "since": "2019-05-17", "income": "", "note": "none"}
    page.get_by_label("age").fill("42")
    expect(page.get_by_text("The input has changed since this answer.")).to_be_visible()
    page.get_by_role("button", name="Clear").click()
    assert page.get_by_label("age").input_value() == ""


@pytest.mark.parametrize(("level", "name"), [(0, "black"), (130, "grey"), (255, "white")])
def test_a_picture_is_chosen_and_answered_at_once(page: Page, level: int, name: str) -> None:
    choose(page, "shades")
    give(page, "picture.png", grey(level))
    big(page, name)
    shown = list(bars(page).items())
    assert shown[0] == (name, "90.0\xa0%")
    assert len(shown) == 5
    shares = [float(text.removesuffix("\xa0%")) for _, text in shown]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100, abs=0.3)
    expect(page.locator("#status")).to_have_text(f"Answer: {name}, 90.0\xa0% probable")


TRANSFER = """([content, type, name]) => {
  const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
  const carried = new DataTransfer();
  carried.items.add(new File([bytes], name, { type }));
  return carried;
}"""


def test_a_picture_is_dropped_on_the_button_or_beside_it_and_pasted(page: Page) -> None:
    choose(page, "shades")
    for place, level, name in ((".drop", 255, "white"), ("body", 0, "black")):
        carried = page.evaluate_handle(TRANSFER, [encoded(grey(level)), "image/png", "dropped.png"])
        page.locator(place).dispatch_event("drop", {"dataTransfer": carried})
        big(page, name)
    paste = f"given => document.dispatchEvent(new ClipboardEvent('paste', {{ clipboardData: ({TRANSFER})(given) }}))"
    page.evaluate(paste, [encoded(grey(200)), "image/png", "image.png"])
    big(page, "light")


def sideways() -> bytes:
    """A JPEG that is stored lying, 80 × 40, and is to be looked at standing."""
    exif = Image.Exif()
    exif[0x0112] = 6
    out = io.BytesIO()
    Image.new("RGB", (80, 40), (90, 120, 90)).save(out, "JPEG", exif=exif)
    return out.getvalue()


RECTANGLES = """() => {
  const frame = document.querySelector('#answer .frame img').getBoundingClientRect();
  return [...document.querySelectorAll('#answer .boxes g:not([hidden]) .edge')].map((edge) => {
    const r = edge.getBoundingClientRect();
    return [(r.left - frame.left) / frame.width, (r.top - frame.top) / frame.height,
            (r.right - frame.left) / frame.width, (r.bottom - frame.top) / frame.height];
  });
}"""


def test_boxes_lie_where_they_were_found_on_the_upright_picture(page: Page) -> None:
    choose(page, "cells")
    give(page, "cells.jpg", sideways())
    big(page, "4 objects")
    page.wait_for_function("document.querySelector('#answer .frame img').complete")
    for place in ("#form .preview img", "#answer .frame img"):
        box = page.locator(place).bounding_box()
        assert box is not None
        assert box["height"] == pytest.approx(2 * box["width"], rel=0.02), place
    expected = [(0.02, 0.02, 0.3, 0.4), (0.35, 0.3, 0.62, 0.7), (0.7, 0.05, 0.98, 0.35), (0.1, 0.6, 0.25, 0.8)]
    assert np.asarray(page.evaluate(RECTANGLES)) == pytest.approx(np.asarray(expected), abs=0.02)
    rows = page.locator("#answer .found tbody tr:visible")
    assert rows.locator("th").all_text_contents() == ["WBC", "RBC", "RBC", "Platelets"]
    assert rows.first.locator("td").all_text_contents() == ["98.0\xa0%", "1, 2 – 12, 32"]
    expect(page.get_by_text("1 less certain one is hidden.")).to_be_visible()
    page.get_by_label("Show what is at least this certain").fill("0")
    assert page.locator("#answer .found tbody tr:visible").count() == 5


def test_a_mask_lies_over_the_picture_with_its_classes_named(page: Page) -> None:
    choose(page, "tissue")
    give(page, "tissue.png", grey(120, (96, 64)))
    expect(page.locator("#answer .legend li")).to_have_count(3)
    disc = sum((y - 16) ** 2 + (x - 20) ** 2 < 90 for y in range(32) for x in range(48))
    assert page.locator("#answer .legend li").all_text_contents()[1:] == [
        f"tumour: {100 * disc / (32 * 48):.1f}\xa0%",
        f"vessel: {100 * 80 / (32 * 48):.1f}\xa0%",
    ]
    drawn = "canvas => [...canvas.getContext('2d').getImageData(0, 0, 48, 32).data]"
    pixels = np.asarray(page.locator("canvas.mask").evaluate(drawn)).reshape(32, 48, 4).tolist()
    tumour, vessel, nothing = pixels[16][20], pixels[2][40], pixels[30][1]
    assert tumour[3] == vessel[3] == 255
    assert tumour[:3] != vessel[:3]
    assert nothing[3] == 0
    page.wait_for_function("document.querySelector('#answer .frame img').complete")
    assert page.locator("canvas.mask").bounding_box() == page.locator("#answer .frame img").bounding_box()


def test_a_sound_is_chosen_drawn_and_played_back(page: Page) -> None:
    choose(page, "tones")
    give(page, "beep.wav", beep(700))
    big(page, "middling")
    expect(page.locator("#form .wave")).to_be_visible()
    expect(page.locator("#form figcaption")).to_have_text("beep.wav, 8 kB, 0.5 s")
    heights = page.locator("#form .wave path").get_attribute("d") or ""
    assert heights.count("M") == 160
    page.wait_for_function("document.querySelector('#form audio').readyState > 0")
    assert page.locator("#form audio").evaluate("a => a.duration") == pytest.approx(0.5, abs=0.01)
    assert len(bars(page)) == 10
    page.get_by_role("button", name="Show all 14").click()
    assert len(bars(page)) == 14


def test_a_sound_is_recorded_as_a_wav_without_loss(page: Page, server: Served) -> None:
    choose(page, "tones")
    page.get_by_role("button", name="Record", exact=True).click()
    expect(page.get_by_role("button", name="Stop (1.")).to_be_visible()
    page.get_by_role("button", name="Stop (").click()
    expect(page.locator("#answer .big")).not_to_be_empty()
    with wave.open(io.BytesIO(base64.b64decode(server.last()["sound"]))) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        assert file.getnframes() / file.getframerate() > 0.9
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    assert np.abs(samples).max() > 500, "the browser's own microphone beeps"
    expect(page.locator("#form figcaption")).to_contain_text("recording.wav")
    expect(page.get_by_role("button", name="Record anew")).to_be_focused()


def test_labels_that_apply_are_chips(page: Page) -> None:
    choose(page, "topics")
    page.get_by_label("Text").fill("Music, sport and other things")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#answer .chips li")).to_have_text(["music", "sport"])
    assert list(bars(page).values()) == ["90.0\xa0%"] * 2 + ["5.0\xa0%"] * 5
    page.get_by_label("Text").fill("Nothing of these" * 10)
    ask(page)
    big(page, "No label")
    expect(page.locator("#answer .notes li")).to_have_text(["only the first 100 characters were read"])


def test_estimates_are_numbers_and_several_a_table(page: Page) -> None:
    choose(page, "houses")
    page.get_by_label("rooms").fill("4")
    page.get_by_label("area").fill("97.127")
    ask(page)
    big(page, "4,098.13")  # six digits of 4 × 1000.25 + 97.127
    expect(page.locator("#answer .whole pre")).to_contain_text("4098.127")
    choose(page, "energy")
    page.get_by_label("rooms").fill("4")
    page.get_by_label("area").fill("97.5")
    ask(page)
    expect(page.locator("#answer table.plain tr")).to_have_text(["heating195", "cooling1.33333"])


def test_quantiles_are_an_interval_drawn_in_proportion(page: Page) -> None:
    choose(page, "prices")
    page.get_by_label("rooms").fill("3")
    page.get_by_label("area").fill("100")
    ask(page)
    big(page, "250")
    expect(page.locator("#answer .headline")).to_contain_text("Expected 90 % of the time between 100 and 500.")
    wide, narrow = page.locator("#answer .band").evaluate_all(
        "bands => bands.map(b => [+b.getAttribute('x'), +b.getAttribute('width')])"
    )
    # 5 % to 95 % is 100 to 500; 25 % to 75 % is 200 to 300
    assert narrow[1] / wide[1] == pytest.approx(0.25)
    assert (narrow[0] - wide[0]) / wide[1] == pytest.approx(0.25)
    rows = page.locator("#answer table.plain tr")
    expect(rows).to_have_text(
        ["5 % are below100", "25 % are below200", "50 % are below250", "75 % are below300", "95 % are below500"]
    )


def test_a_text_is_translated(page: Page) -> None:
    choose(page, "german")
    page.get_by_label("Text").fill("Two dogs\n<b>run</b>")
    page.get_by_role("button", name="Translate").click()
    expect(page.locator("#answer .written")).to_have_text("owT sgod >b/<nur>b<")


def test_numbers_are_pasted_as_lists(page: Page) -> None:
    choose(page, "series")
    page.get_by_label("Numbers").fill("1, 2.5, 4")
    expect(page.locator("#form .hint")).to_contain_text("3 numbers")
    with page.expect_request("**/predict") as asked:
        ask(page)
    assert asked.value.post_data_json == {"x": [1, 2.5, 4]}
    big(page, "rises")


def test_text_is_shown_as_it_is_written(page: Page, server: Served) -> None:
    server.open(False)
    choose(page, "writer")
    page.get_by_label("Text").fill("once upon a time")
    page.get_by_role("button", name="Write").click()
    expect(page.locator("#answer .pieces")).to_have_text(" ecno")
    expect(page.locator("#status")).to_have_text("Writing …")
    server.open()
    expect(page.locator("#answer .pieces")).to_have_text(" ecno nopu a emit")
    expect(page.locator("#answer .written")).to_have_text("once upon a time ecno nopu a emit")
    expect(page.locator("#status")).to_have_text("Answer:  ecno nopu a emit")
    expect(page.get_by_role("button", name="Stop")).to_be_hidden()


def test_writing_is_stopped_and_what_is_written_stays(page: Page, server: Served) -> None:
    server.open(False)
    choose(page, "writer")
    page.get_by_label("Text").fill("once upon a time")
    page.get_by_role("button", name="Write").click()
    expect(page.locator("#answer .pieces")).to_have_text(" ecno")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator("#answer .foot")).to_contain_text("stopped")
    server.open()
    expect(page.locator("#answer .pieces")).to_have_text(" ecno")


def test_settings_of_writing_are_folded_away_and_heeded(page: Page, server: Served) -> None:
    server.open()
    choose(page, "writer")
    page.get_by_label("Text").fill("once upon a time")
    page.get_by_text("Settings").click()
    assert page.get_by_label("new").get_attribute("placeholder") == "40, if not given"
    page.get_by_label("new").fill("2")
    ask(page)
    expect(page.locator("#answer .foot")).to_be_visible()
    expect(page.locator("#answer .pieces")).to_have_text(" ecno nopu")


def test_several_inputs_are_given_together(page: Page) -> None:
    choose(page, "pets")
    give(page, "dog.png", grey(100, (70, 30)))
    page.get_by_label("Text").fill("a dog")
    page.get_by_label("weight").fill("2.5")
    with page.expect_request("**/predict") as asked:
        ask(page)
    given = asked.value.post_data_json
    assert (given["text"], given["weight"]) == ("a dog", 2.5)
    assert base64.b64decode(given["image"]) == grey(100, (70, 30))
    big(page, "77.5")


@pytest.mark.parametrize(("n", "parts"), [(3, 1), (1234, 3)])
def test_a_csv_of_any_length_gives_a_csv_with_every_row(page: Page, server: Served, n: int, parts: int) -> None:
    asked: list[str] = []
    page.on("request", lambda request: "/predict" in request.url and asked.append(request.url))
    give_rows(page, "new loans.csv", table(n))
    button = page.get_by_role("button", name="Download predictions")
    expect(button).to_be_focused()
    assert page.locator("#batch .result tbody tr").count() == min(n, 10)
    with page.expect_download() as download:
        button.click()
    assert download.value.suggested_filename == "new loans.predictions.csv"
    found = list(csv.DictReader(io.StringIO(download.value.path().read_text())))
    assert asked == [f"{server.url}/models/loans/versions/2/predict/batch"] * parts
    risks = [min(0.99, (i + 0.5) / 10000 + 0.1 * (i % 2 == 0) + 1 / (20 + i % 60)) for i in range(n)]
    assert [float(row["prob_bad"]) for row in found] == pytest.approx(risks)
    assert [row["pred"] for row in found] == ["bad" if risk > 0.3 else "good" for risk in risks]


def test_a_csv_to_fill_in_has_the_columns_and_an_example(page: Page) -> None:
    with page.expect_download() as download:
        page.get_by_role("button", name="Download a CSV to fill in").click()
    (row,) = csv.DictReader(io.StringIO(download.value.path().read_text()))
    assert list(row) == ["age", "amount", "purpose", "owner", "since", "income", "note", "city", "debt"]
    assert (row["amount"], row["owner"], row["income"]) == ("2500.5", "false", "")


def test_the_answer_says_who_gave_it_how_long_it_took_and_all_of_itself(page: Page) -> None:
    choose(page, "shades")
    give(page, "picture.png", grey(255))
    foot = page.locator("#answer .foot")
    expect(foot).to_contain_text("by shades/a1b2c3")
    expect(foot).to_contain_text("ms there and back")
    page.get_by_text("The whole answer as JSON").click()
    whole: dict[str, Any] = json.loads(page.locator("#answer .whole pre").inner_text())
    assert whole["pred"] == "white"
    assert sum(whole["prob"].values()) == pytest.approx(1)
