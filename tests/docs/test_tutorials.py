"""Claims about the tutorials: who types what they say gets what they show."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from lightning_base.cli.entry import main
from tests.helpers import ROOT, crossval, environment, read_json
from tests.support.pages import checkout, commands, differs, follow, workspace

TUTORIALS = ROOT / "docs" / "tutorials"
HOW_TO = ROOT / "docs" / "how-to"
PAGES = sorted(path for path in (*TUTORIALS.glob("*.md"), *HOW_TO.glob("*.md")) if path.stem != "index")


pytestmark = pytest.mark.docs


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_tutorial_runs_and_prints_what_it_shows(path: Path, tmp_path: Path, interpreter: str) -> None:
    page = path.read_text()
    shown = [*follow(page, workspace(tmp_path / "work", page), interpreter)]
    assert shown or commands(page), "a tutorial that shows nothing"
    for block, ran, printed in shown:
        assert not (problem := differs(block.body, printed)), f"{ran}\n{problem}"


def test_the_notebook_runs_and_shows_the_tables_of_its_runs(work: Path) -> None:
    copy = shutil.copy(TUTORIALS / "first_model.ipynb", workspace(work / "here"))
    command = [sys.executable, "-m", "jupyter", "execute", str(copy), "--inplace"]
    done = subprocess.run(command, cwd=work / "here", env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shown = [(cell["source"], output) for cell in read_json(Path(copy))["cells"] for output in cell.get("outputs", ())]
    said = ["".join(output["text"]) for _, output in shown if output["output_type"] == "stream"]
    assert all("was trained on: their predictions say nothing about new ones" in one for one in said), said
    shown = [(source, output) for source, output in shown if output["output_type"] != "stream"]
    assert [output["output_type"] for _, output in shown] == ["execute_result"] * 6
    tables = {"".join(source).splitlines()[-1]: "".join(output["data"]["text/html"]) for source, output in shown}
    for shows, name in (("result", "notebook"), ("own", "notebook_own")):
        metrics = read_json(crossval(name, work / "here") / "summary.json")["metrics"]
        found = {row[0]: float(row[1]) for row in rows(tables[shows]) if row[0] in metrics}
        first = list(metrics.items())[:4]
        assert found == pytest.approx({key: one["score"] for key, one in first}, abs=1e-4)
    assert [row[0] for row in rows(tables["own.predict(wines.data[::60])"])[1:]] == ["0", "60", "120"]


def rows(html: str) -> list[list[str]]:
    """The cells of each row of a table, as text."""
    table = ElementTree.fromstring(html[html.index("<table") : html.index("</table>") + len("</table>")])
    return [[cell.text or "" for cell in row] for row in table.iter("tr")]


def test_what_contributing_shows_how_to_add_trains(tmp_path: Path) -> None:
    """In a copy of the checkout, by an interpreter that imports that copy."""
    folder = checkout(tmp_path / "work")
    for block, ran, printed in follow((ROOT / "CONTRIBUTING.md").read_text(), folder, sys.executable):
        assert not (problem := differs(block.body, printed)), f"{ran}\n{problem}"


ELSEWHERE = [words for path in PAGES for words in commands(path.read_text())]


@pytest.mark.parametrize("words", ELSEWHERE, ids=" ".join)
def test_a_command_for_another_machine_is_one_that_it_would_take(words: list[str], work: Path) -> None:
    """`launch` builds everything but submits nothing, a training's options are read and printed."""
    program, verb, *rest = words
    assert program == "lightning-base"
    workspace(work / "here")
    os.chdir(work / "here")
    if verb == "launch":
        rest = [word for word in rest if word != "--wait"]
        assert main(["launch", rest[0], "--dry-run", *rest[1:]]) == 0
    else:
        assert main([verb, *rest, "--print_config"]) == 0
    assert not Path("runs").exists()


def test_a_tutorial_that_shows_something_else_is_found() -> None:
    printed = "fold 0  accuracy 0.9688  2 epochs  0.9 s\n┏━━━┓\nresults: runs/a"
    for shown in (
        printed,
        printed.replace("0.9688", "0.9712").replace("0.9 s", "7.2 s").replace("━━━", "━"),
        "…\nresults: runs/a",
    ):
        assert not differs(shown, printed)
    for shown in (
        printed.replace("0.9688", "0.8688"),
        printed.replace("2 epochs", "3 epochs"),
        printed.replace("runs/a", "runs/b"),
        printed.replace("accuracy", "auroc"),
        "fold 0  accuracy 0.9688  2 epochs  0.9 s",
        "results: runs/a",
        "…\n┏━━━┓",
        "results: runs/a\n…",
        "",
    ):
        assert differs(shown, printed), shown
