"""Claims about `lightning-base init`: what it lays out runs, is whole, and never takes the place of what is there."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.datasets import load_wine

from lightning_base.cli.entry import main
from tests.helpers import CONFIGS, ROOT, crossval, read_json, refused, run_without


def laid_out(folder: Path) -> set[str]:
    """The paths of all files below a folder."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_a_workspace_has_every_configuration_and_examples_without_importing_torch(work: Path) -> None:
    done = run_without(("torch", "numpy", "pandas", "jsonargparse"), "init", str(work / "new" / "place"))
    assert done.returncode == 0, done.stderr
    place = work / "new" / "place"
    configs = {path.relative_to(ROOT).as_posix() for path in CONFIGS.rglob("*.yaml")}
    own = {"README.md", "test_mine.py", "models/mine.py", "datamodules/mine.py", "configs/mine.yaml"}
    assert configs | own | {"launch/README.md", "launch/pytorchjob.yaml"} <= laid_out(place)
    assert all((place / name).read_bytes() == (ROOT / name).read_bytes() for name in configs)
    assert f"cd {place}" in done.stdout


def test_the_example_of_ones_own_trains_tests_and_predicts(own: Path) -> None:
    assert main(["init"]) == 0
    short = ["--trainer.max_epochs", "10", "--data.split.n_splits", "2"]
    assert main(["crossval", "--config", "configs/mine.yaml", *short]) == 0
    assert main(["test", "--ckpt_path", "runs/mine/crossval"]) == 0
    wines = load_wine(as_frame=True).frame
    wines.drop(columns="target").to_csv("new.csv", index=False)
    assert main(["predict", "--ckpt_path", "runs/mine/crossval", "--data.predict", "new.csv"]) == 0
    summary = read_json(crossval("mine") / "summary.json")
    assert summary["n"] + read_json(crossval("mine") / "test.json")["n"] == len(wines)
    predicted = pd.read_parquet(crossval("mine") / "ensemble.parquet")["pred"].to_numpy()
    names = np.array(["Barolo", "Grignolino", "Barbera"])  # as datamodules/mine.py has them
    assert np.mean(predicted == names[wines["target"]]) > 0.9


def test_files_that_are_there_are_kept_and_missing_ones_added(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("README.md").write_text("mine\n")
    assert main(["init", "."]) == 0
    everything = laid_out(work)
    Path("models/mine.py").write_text("changed\n")
    Path("configs/digits_cnn.yaml").unlink()
    capsys.readouterr()
    assert main(["init", "."]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f".: 1 file written; {len(everything) - 1} files were there and kept\n")
    assert "not as they are shipped: README.md, models/mine.py\n" in said
    assert Path("README.md").read_text() == "mine\n"
    assert Path("models/mine.py").read_text() == "changed\n"
    assert laid_out(work) == everything


@pytest.mark.parametrize(
    ("obstacle", "arguments", "parts"),
    [
        ("configs", [], ("configs is no folder", "move it")),
        ("there", ["there"], ("there is no folder", "another")),
        ("there", ["there/below"], ("there is no folder", "another")),
        ("x", ["a", "b"], ("init: unrecognized arguments: b", "--help")),
        ("x", ["--forse"], ("init: unrecognized arguments: --forse", "--help")),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(
    obstacle: str, arguments: list[str], parts: tuple[str, ...], work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(obstacle).write_text("a file\n")
    refused(capsys, ["init", *arguments], *parts)
    assert laid_out(work) == {obstacle}


def test_what_the_readme_of_a_workspace_names_is_there(work: Path) -> None:
    assert main(["init"]) == 0
    text = Path("README.md").read_text()
    named = re.findall(r"--config (\S+\.yaml)", text) + re.findall(r"^\| `([^`]+)`", text, re.MULTILINE)
    assert len(named) > 8
    assert not [name for name in named if not Path(name).exists() and name != "runs/"]


def texts(value: Any) -> list[str]:
    """Every string in a configuration."""
    if isinstance(value, dict | list):
        return [text for item in (value.values() if isinstance(value, dict) else value) for text in texts(item)]
    return [value] if isinstance(value, str) else []


def test_configurations_look_for_data_below_the_working_directory() -> None:
    paths = [t for file in CONFIGS.rglob("*.yaml") for t in texts(yaml.safe_load(file.read_text())) if "/" in t]
    assert len(paths) >= 9
    assert all(path.startswith("data/") and ".." not in path for path in paths)
