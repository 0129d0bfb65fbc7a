"""Claims about what an exported model tells others: nothing."""

import io
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

from lightning_base.serving.logs import Log
from tests.helpers import ROOT
from tests.support.small_export import write

ANSWERS = """
import sys
from pathlib import Path
from lightning_base.runtime.model import load

model = load(Path(sys.argv[1]))
print(model.run([model.read({"x": [1.0] * 16})]))
"""


def test_a_model_that_answers_keeps_no_id_and_reports_nothing_to_the_maker_of_its_runtime(work: Path) -> None:
    """onnxruntime from 1.29 on keeps an id of the machine in the home folder, and what it is yet to send."""
    home = work / "home"
    home.mkdir()
    write(work / "export")
    dropped = ("ORT_", "XDG_", "CI", "GITHUB_")  # with the latter two it keeps quiet by itself
    environment = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    done = subprocess.run(
        [sys.executable, "-c", ANSWERS, work / "export"],
        cwd=ROOT,
        env={**environment, "HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "pred" in done.stdout
    assert not [path for path in home.rglob("*") if path.is_file()]


def test_a_warning_is_a_line_of_the_log_without_its_words() -> None:
    """Decoders warn of damaged files, by default in lines of their own between those of the log."""
    written = io.StringIO()
    log = Log("json", written)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = log.warned
        warnings.warn("of what was given", UserWarning, stacklevel=1)
    log.close()
    (line,) = [json.loads(one) for one in written.getvalue().splitlines()]
    assert (line["level"], line["event"], line["kind"]) == ("warning", "warning", "UserWarning")
    assert "given" not in written.getvalue()
