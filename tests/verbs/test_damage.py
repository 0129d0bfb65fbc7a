"""Claims about damaged runs: whichever file is missing, cut or another's, every reader says one line that names it."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

import lightning_base as lb
from lightning_base.cli.entry import main
from lightning_base.errors import UserError
from lightning_base.verbs.results import CrossValidation
from tests.verbs.test_functions import CONFIG

DAMAGE: dict[str, Callable[[Path], Any]] = {
    "missing": lambda path: path.unlink(missing_ok=True),
    "empty": lambda path: path.write_bytes(b""),
    "cut": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2] if path.is_file() else b"{"),
    "a list": lambda path: path.write_text("[1, 2]\n"),
    "another object": lambda path: path.write_text('{"a": 1}\n'),
    "bytes": lambda path: path.write_bytes(b"\xff\xfe\x00\x01" * 8),
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished cross-validation."""
    work = tmp_path_factory.mktemp("finished")
    content = yaml.safe_load(yaml.safe_dump(CONFIG))
    content["trainer"]["max_epochs"] = 1
    content["data"]["init_args"]["split"]["init_args"]["n_splits"] = 2
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(work)
        Path("wine.yaml").write_text(yaml.safe_dump(content))
        assert main(["crossval", "--config", "wine.yaml"]) == 0
    return work


def cheap(found: CrossValidation, other: Path) -> dict[str, Callable[[], Any]]:
    """What reads a run's directory without torch."""
    return {
        "load": lambda: repr(lb.load(found.directory)),
        "summary": lambda: lb.load(found.directory).summary,  # type: ignore[union-attr]
        "oof": lambda: lb.load(found.directory).oof,  # type: ignore[union-attr]
        "folds": lambda: lb.load(found.directory).folds,  # type: ignore[union-attr]
        "compare": lambda: lb.compare(found.directory, other),
    }


def dear(found: CrossValidation) -> dict[str, Callable[[], Any]]:
    """What builds the experiment first."""
    return {
        "predict": lambda: lb.predict(found.directory, np.zeros((2, 13), dtype=np.float32)),
        "crossval": lambda: lb.crossval("wine.yaml"),
    }


def told(readers: dict[str, Callable[[], Any]]) -> dict[str, str]:
    """What each reader says of the damage, if anything; each says it in one line, in Python's words."""
    said = {}
    for name, read in readers.items():
        try:
            read()
        except UserError as error:
            said[name] = str(error)
            assert "\n" not in said[name]
            assert "--" not in said[name]
    return said


def damaged(finished: Path, work: Path, name: str, damage: str) -> CrossValidation:
    """A copy of the run, loaded, and then damaged."""
    shutil.copytree(finished, work, dirs_exist_ok=True)
    found = lb.load("runs/wine/crossval")
    assert isinstance(found, CrossValidation)
    DAMAGE[damage](found.directory / name)
    return found


READ = {  # what reads which file without torch; a fold's state is read where it is not done
    "config.yaml": set[str](),
    "identity.json": {"compare"},
    "split.parquet": {"folds"},
    "summary.json": {"load", "summary", "compare"},
    "oof.parquet": {"oof", "compare"},
    "fold_0/result.json": {"folds", "compare"},
    "fold_0/state.json": {"folds"},
}


@pytest.mark.parametrize("name", READ)
def test_a_damaged_file_is_one_line_that_names_it(
    name: str, finished: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for damage in DAMAGE:
        found = damaged(finished, work, name, damage)
        if name == "fold_0/state.json":
            (found.directory / "fold_0/result.json").unlink()
        said = told(cheap(found, finished / "runs/wine/crossval"))
        if damage != "missing":
            assert READ[name] <= said.keys(), (damage, said)
            assert all(Path(name).name in text for key, text in said.items() if key in READ[name] - {"compare"}), said
        capsys.readouterr()
        status = main(["crossval", "--status", "runs/wine/crossval"])
        assert (status == 2) == ("folds" in said and name != "identity.json"), (damage, said)
        if status == 2:
            assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *(("config.yaml", "cut"), ("identity.json", "missing"), ("identity.json", "another object")),
        *(("split.parquet", "cut"), ("fold_0/result.json", "cut"), ("fold_0/predictions.parquet", "cut")),
    ],
)
def test_a_damaged_run_is_not_gone_on_with(name: str, damage: str, finished: Path, work: Path) -> None:
    found = damaged(finished, work, name, damage)
    said = told(dear(found))
    assert Path(name).name in said["crossval"], said
    assert ("predict" in said) == (name.startswith("fold_0") or name == "config.yaml"), said
    assert (found.directory / "oof.parquet").read_bytes() == (finished / "runs/wine/crossval/oof.parquet").read_bytes()


def test_a_run_that_was_deleted_is_one_line(finished: Path, work: Path) -> None:
    found = damaged(finished, work, "summary.json", "missing")
    shutil.rmtree(found.directory)
    said = told(
        {
            "summary": lambda: found.summary,
            "folds": lambda: found.folds,
            "oof": lambda: found.oof,
            "predict": lambda: found.predict(np.zeros((2, 13), dtype=np.float32)),
            "test": lambda: found.test(),
        }
    )
    assert len(said) == 5
    assert all("identity.json is not there: the run was deleted" in said[key] for key in ("summary", "folds", "oof"))
