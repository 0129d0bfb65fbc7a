"""Claims about damaged runs: whichever file is missing, cut or another's, every reader says one line that names it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lightning_base as lb
from lightning_base.cli.entry import main
from lightning_base.errors import UserError
from lightning_base.verbs.results import CrossValidation
from tests.verbs.test_functions import CONFIG
import yaml

FILES = [
    *("config.yaml", "identity.json", "split.parquet", "summary.json", "oof.parquet"),
    *("fold_0/result.json", "fold_0/predictions.parquet", "fold_0/checkpoints/last.ckpt", "fold_0/state.json"),
]
DAMAGE: dict[str, Callable[[Path], Any]] = {
    "missing": lambda path: path.unlink(missing_ok=True),
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if path.is_file() else b"{"),
    "a list": lambda path: path.write_text("[1, 2]\n"),
    "another object": lambda path: path.write_text('{"a": 1}\n'),
    "bytes": lambda path: path.write_bytes(b"\xff\xfe\x00\x01" * 8),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a finished cross-validation."""
    work = tmp_path_factory.mktemp("finished")
    content = yaml.safe_load(yaml.safe_dump(CONFIG))
    content["trainer"]["max_epochs"] = 1
    content["data"]["init_args"]["split"]["init_args"]["n_splits"] = 2
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(work)
        Path("wine.yaml").write_text(yaml.safe_dump(content))
        assert main(["crossval", "--config", "wine.yaml"]) == 0
    yield work


def readers(found: CrossValidation) -> dict[str, Callable[[], Any]]:
    """Everything that reads a run's directory, from Python."""
    directory = found.directory
    return {
        "load": lambda: repr(lb.load(directory)),
        "result.oof": lambda: CrossValidation.oof.func(found),  # type: ignore[attr-defined]  # past its cache
        "result.summary": lambda: CrossValidation.summary.func(found),  # type: ignore[attr-defined]
        "result.folds": lambda: found.folds,
        "result.predict": lambda: found.predict(np.zeros((2, 13), dtype=np.float32)),
        "predict": lambda: lb.predict(directory, np.zeros((2, 13), dtype=np.float32)),
        "test": lambda: lb.test(directory),
        "compare": lambda: lb.compare(directory, directory),
        "crossval": lambda: lb.crossval("wine.yaml"),
    }


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", FILES)
def test_a_damaged_run_is_one_line_or_is_read_as_it_was(
    name: str, damage: str, finished: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(finished, work, dirs_exist_ok=True)
    found = lb.load("runs/wine/crossval")
    assert isinstance(found, CrossValidation)
    path = work / "runs/wine/crossval" / name
    DAMAGE[damage](path)
    told = {}
    for reader, read in readers(found).items():
        try:
            read()
        except UserError as error:
            told[reader] = str(error)
    status = main(["crossval", "--status", "runs/wine/crossval"])
    if status == 2:
        told["--status"] = capsys.readouterr().err.strip()
    for reader, text in told.items():
        assert "\n" not in text, (reader, text)
        assert "--" not in text.replace("--status", "") or reader == "--status", (reader, text)
        assert path.name in text or "run" in text, (reader, text)
    print(name, damage, told)
