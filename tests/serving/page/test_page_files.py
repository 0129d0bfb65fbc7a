"""Claims about the page's files: short, of no other server, and without what a strict policy forbids."""

import csv
import io
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page

from lightning_base.serving.static import HEADERS, TYPES
from tests.helpers import ROOT

PAGE = ROOT / "lightning_base" / "serving" / "page"
FILES = sorted(path for path in PAGE.iterdir() if path.is_file())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_is_short_says_what_it_is_for_and_is_served(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) < 300
    assert path.suffix in TYPES
    if path.suffix == ".js":
        assert re.match(r"// [A-Z].+[.:]\n", text)
    if path.suffix == ".css":
        assert re.match(r"/\* [A-Z].+\. \*/\n", text)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_names_no_other_server_and_keeps_nothing(path: Path) -> None:
    text = path.read_text().replace("http://www.w3.org/2000/svg", "")
    for forbidden in ("http://", "https://", "//cdn", "eval(", "innerHTML", "Storage", "document.cookie", "@import"):
        assert forbidden not in text, forbidden


def test_nothing_is_inline_and_every_file_is_used() -> None:
    index = (PAGE / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\ssrc=)|<style|\sstyle=|\son\w+=", index)
    assert "unsafe" not in HEADERS["Content-Security-Policy"]
    used = {"index.html", *re.findall(r'(?:href|src)="page/([\w.]+)"', index)}
    for _ in range(len(FILES)):
        for name in [name for name in used if name.endswith(".js")]:
            used |= set(re.findall(r'(?:from "\./|new URL\(")([\w.]+)"', (PAGE / name).read_text()))
    assert used == {path.name for path in FILES}


def test_lines_of_a_csv_are_told_apart_as_python_tells_them(page: Page) -> None:
    """Quotes begin cells and end them; within others they are letters."""
    cells = ["plain", "", "5 in", 'a "b"', "of\ntwo lines", "a,b", '"', 'x"\n"y', ' "', "ü\r\nv"]
    out = io.StringIO()
    rows = [[cells[i % 10], cells[(i * 3) % 10], str(i)] for i in range(40)]
    csv.writer(out, lineterminator="\r\n").writerows(rows)
    text = out.getvalue() + 'a 5" screen,of 2",1\nnext,"""",2'
    found = page.evaluate(
        "async (text) => { const m = await import('/page/csv.js');"
        "return [m.records(text).map((one) => [one.text, one.line]), m.read(m.write(m.read(text)))]; }",
        text,
    )
    reader = csv.reader(io.StringIO(text, newline=""))
    expected = [(row, reader.line_num) for row in reader]
    assert [line for _, line in found[0]] == [line for _, line in expected]
    alone = [next(csv.reader(io.StringIO(record, newline=""))) for record, _ in found[0]]
    assert alone == [row for row, _ in expected]
    assert found[1][:40] == rows
