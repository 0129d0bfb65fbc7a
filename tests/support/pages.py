"""Pages that run: what a page of the docs tells a reader to write and to type is written and typed, in its order.

A fenced block with a title (`yaml title="configs/mine.yaml"`) is a file; `bash` and `python` are run, `python` in one
interpreter after another; `text` behind these is what they print, where a line of "…" stands for any lines. Words are
compared as they stand, fractions to within TOLERANCE, as another processor rounds otherwise, seconds not at all.
`console` is for what needs a machine that the reader has and the tests have not.

`python -m tests.support.pages docs/tutorials/table.md …` writes into pages anew what their commands print.
"""

import contextlib
import io
import math
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lightning_base.cli.entry import main
from tests.helpers import ROOT, environment
from tests.support.preloaded import Preloaded

BLOCK = re.compile(r"^```(?P<kind>\w+)(?: title=\"(?P<title>[^\"]+)\")?\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"-?\d+(\.\d+)?")
TOLERANCE = 0.08
REST = "…"


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the file that it is (or ""), its text, and where that begins in the page."""

    kind: str
    title: str
    body: str
    start: int


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page."""
    return [Block(b["kind"], b["title"] or "", b["body"], b.start("body")) for b in BLOCK.finditer(page)]


def follow(page: str, folder: Path, python: str) -> Iterator[tuple[Block, str, str]]:
    """Does what a page says, in a folder; gives each block of output, what was run before it, and what that printed.

    Args:
        page: its text.
        folder: the working directory, with what the page takes to be there.
        python: the program that stands for `python`, and runs `lightning-base`.

    Raises:
        AssertionError: where a command fails.
    """
    programs = folder.parent / f"{folder.name}_bin"
    program(programs / "lightning-base", f'exec {shlex.quote(python)} -m lightning_base "$@"')
    program(programs / "python", f'exec {shlex.quote(python)} "$@"')
    given = environment(
        PATH=f"{programs}:{os.environ['PATH']}",
        COLUMNS="100",
        NO_COLOR="1",
        OMP_NUM_THREADS="1",
        PYTHONWARNINGS="ignore",
    )
    ran = printed = ""
    for block in blocks(page):
        if block.title:
            (folder / block.title).parent.mkdir(parents=True, exist_ok=True)
            (folder / block.title).write_text(block.body)
        elif block.kind in ("bash", "python"):
            command = ["bash", "-euo", "pipefail", "-c"] if block.kind == "bash" else [python, "-c"]
            done = subprocess.run(
                [*command, block.body],
                cwd=folder,
                env=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
                timeout=300,
            )
            ran, printed = block.body, done.stdout
            assert done.returncode == 0, f"{ran}\nended with {done.returncode}:\n{printed}"
        elif block.kind == "text":
            yield block, ran, printed


def program(path: Path, line: str) -> None:
    """Writes a program of one line."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def commands(page: str) -> list[list[str]]:
    """The words of each command of a page's `console` blocks, which stand behind `$`."""
    shown = "".join(block.body for block in blocks(page) if block.kind == "console").replace("\\\n", " ")
    return [shlex.split(line[2:], comments=True) for line in shown.splitlines() if line.startswith("$ ")]


def differs(shown: str, printed: str) -> str:
    """In which lines what a page shows is not what was printed; empty where it is."""
    found, at = lines(printed), 0
    parts = [part.strip("\n") for part in re.split(rf"^{REST}$", shown, flags=re.MULTILINE)]
    for number, part in enumerate(parts):
        expected = lines(part)
        last = number == len(parts) - 1
        places = [at] if number == 0 else [len(found) - len(expected)] if last else range(at, len(found))
        place = next((p for p in places if p >= at and fits(expected, found[p : p + len(expected)])), None)
        if place is None or (last and place + len(expected) != len(found)):
            return f"shown:\n{part}\nprinted:\n{printed}"
        at = place + len(expected)
    return ""


def lines(text: str) -> list[list[str]]:
    """The words of each line that has any; a table's rules are words of one length."""
    return [words for line in text.splitlines() if (words := re.sub("[━─]+", "─", line).split())]


def fits(expected: list[list[str]], found: list[list[str]]) -> bool:
    """The lines hold the same words."""
    return len(expected) == len(found) and all(
        len(a) == len(b) and all(same(a, b, at) for at in range(len(a))) for a, b in zip(expected, found, strict=True)
    )


def same(a: list[str], b: list[str], at: int) -> bool:
    """The words of two lines at one place are the same."""
    if a[at] == b[at] or (a[at + 1 : at + 2] in (["s"], ["s,"]) and a[at + 1] == b[at + 1]):
        return True
    one, other = a[at], b[at]
    return (
        NUMBER.fullmatch(one) is not None
        and NUMBER.fullmatch(other) is not None
        and "." in one + other
        and math.isclose(float(one), float(other), rel_tol=TOLERANCE / 5, abs_tol=TOLERANCE)
    )


def workspace(folder: Path, page: str = "") -> Path:
    """The folder, laid out as `init` does it; empty for a page that begins with that."""
    if "lightning-base init" in page:
        folder.mkdir()
    else:
        with contextlib.redirect_stdout(io.StringIO()):
            assert main(["init", str(folder)]) == 0
    return folder


def checkout(folder: Path) -> Path:
    """A folder with copies of what of the checkout is imported."""
    for name in ("configs", "models", "datamodules", "lightning_base"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def renew(path: Path) -> None:
    """Writes into a page what its commands print, where nothing is left out of what it shows."""
    page = path.read_text()
    with tempfile.TemporaryDirectory() as home, Preloaded() as one:
        if path.name == "CONTRIBUTING.md":  # adds to the framework itself
            outputs = [*follow(page, checkout(Path(home) / "work"), sys.executable)]
        else:
            outputs = [*follow(page, workspace(Path(home) / "work", page), one.path)]
    for block, _, printed in reversed(outputs):
        if not re.search(rf"^{REST}$", block.body, re.MULTILINE):
            new = "".join(f"{line.rstrip()}\n" for line in printed.splitlines())
            page = page[: block.start] + new + page[block.start + len(block.body) :]
    path.write_text(page)


if __name__ == "__main__":
    for argument in sys.argv[1:]:
        renew(Path(argument))
