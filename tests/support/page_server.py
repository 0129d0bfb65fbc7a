"""A server of `page_models`: `python -m tests.support.page_server FOLDER SETTINGS`.

Models write what they are asked into FOLDER, and what is written piece by piece waits there for a file called gate.
"""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.page_models import Json, models

ROOT = Path(__file__).parents[2]


def table(n: int) -> str:
    """A CSV of n loans; amounts differ, and every seventh note has a comma, quotes and a line break in it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(["age", "amount", "purpose", "owner", "since", "income", "note"])
    for i in range(n):
        note = 'a "note",\nof two lines' if i % 7 == 0 else f"row {i}"
        writer.writerow([20 + i % 60, i + 0.5, "car", "true", "2020-01-01", 100 if i % 2 else "", note])
    return out.getvalue()


@dataclass
class Served:
    """A server that runs.

    Attributes:
        home: the folder that its models write into.
    """

    url: str
    home: Path

    def last(self) -> Json:
        """The input that was answered last."""
        found: Json = json.loads((self.home / "asked.jsonl").read_text().splitlines()[-1])
        return found

    def open(self, yes: bool = True) -> None:
        """Opens the gate that writing waits for, or shuts it."""
        if yes:
            (self.home / "gate").touch()
        else:
            (self.home / "gate").unlink(missing_ok=True)


@contextmanager
def serving(home: Path, **settings: object) -> Iterator[Served]:
    """A server on a free port of this computer, as a process."""
    command = [sys.executable, "-m", "tests.support.page_server", str(home), json.dumps(settings)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            assert " at http://" in line, line
            yield Served(line.rpartition(" at ")[2].strip(), home)
        finally:
            process.terminate()
            process.wait(60)


def main(home: Path, options: Json) -> int:
    """Serves until it is told to end."""
    from lightning_base.serving.app import Application
    from lightning_base.serving.logs import Log
    from lightning_base.serving.server import bind, run
    from lightning_base.serving.settings import Settings

    found = models()
    for model in found:
        model.home = home
        model.folder.mkdir()
        if model.example is not None:
            (model.folder / "examples.json").write_text(json.dumps([{"input": model.example}]))
    with (home / "log").open("w") as log:
        settings = Settings(drain=0, grace=5, **options)
        return run(
            Application([(model.folder, model) for model in found], settings, Log(file=log)), bind("127.0.0.1", 0)
        )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), json.loads(sys.argv[2])))
