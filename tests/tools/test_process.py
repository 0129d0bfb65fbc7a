"""Claims about other processes: they find the modules that this one finds, in the same order."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lightning_base.tools.process import path_variables


def test_another_process_finds_what_this_one_finds_and_not_what_lies_in_its_folder(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("first", "second", "here"):
        (work / name).mkdir()
        (work / name / "found_by_a_notebook.py").write_text(f"PLACE = {name!r}\n")
    monkeypatch.chdir(work / "here")

    def place(*path: str) -> str:
        monkeypatch.setattr(sys, "path", [*path, *sys.path])
        command = [sys.executable, "-m", "found_by_a_notebook"]
        code = [sys.executable, "-c", "import found_by_a_notebook as f; print(f.PLACE)"]
        environment = {**os.environ, **path_variables()}
        assert subprocess.run(command, env=environment, check=False).returncode == 0
        return subprocess.run(code, env=environment, capture_output=True, text=True, check=True).stdout.strip()

    assert place(str(work / "second")) == "second"
    assert place(str(work / "first")) == "first"
    assert place("") == "here"
