"""Claims about the user's own code: a run knows it, goes on where it is the same, and mixes no two networks."""

import importlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml

import lightning_base as lb
from lightning_base.cli.entry import main
from lightning_base.errors import ArtefactError, ConfigError
from lightning_base.training.own_code import own_code
from tests.helpers import refused
from tests.verbs.test_functions import CONFIG

NET = """from torch import Tensor, nn

from models.blocks import block


class MyNet(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.layers = nn.Sequential(block(width), nn.Linear(width, 3))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)
"""
BLOCK = """from torch import nn


def block(width: int) -> nn.Module:
    return nn.Sequential(nn.Linear(13, width), nn.ReLU())
"""


def forget() -> None:
    """As a new process would: own modules are imported anew."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("models", "datamodules")]:
        del sys.modules[name]


@pytest.fixture
def config(own: Path) -> Iterator[Path]:
    (own / "models").mkdir()
    (own / "models" / "mine.py").write_text(NET)
    (own / "models" / "blocks.py").write_text(BLOCK)
    rng = np.random.default_rng(0)
    (own / "data").mkdir()
    np.savez(own / "data" / "x.npz", x=rng.normal(size=(24, 13)).astype(np.float32), y=np.arange(24) % 3)
    content = yaml.safe_load(yaml.safe_dump(CONFIG))
    content["trainer"] |= {"max_epochs": 1}
    content["model"]["init_args"]["network"] = {"class_path": "models.mine.MyNet"}
    content["data"]["init_args"] |= {"source": "data/x.npz", "test_size": None}
    (own / "mine.yaml").write_text(yaml.safe_dump(content))
    yield own / "mine.yaml"
    forget()


def test_a_run_goes_on_with_the_same_code_and_refuses_another(
    config: Path, own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["crossval", "--config", "mine.yaml"]
    assert main([*words, "--folds", "[0]"]) == 0
    first = (own / "runs/mine/crossval/fold_0/result.json").read_bytes()
    with (own / "models" / "blocks.py").open("a") as file:
        file.write("\n\n# the same code, with a remark\n")
    forget()
    assert main([*words, "--folds", "[1]"]) == 0
    assert (own / "runs/mine/crossval/fold_0/result.json").read_bytes() == first
    (own / "models" / "blocks.py").write_text(BLOCK.replace("ReLU", "Tanh"))
    refused(capsys, words, "models/blocks.py was changed after Python had imported it", "start Python anew")
    forget()
    refused(capsys, words, "models/blocks.py has changed since it was begun", "--overwrite true")
    refused(
        capsys, ["test", "--ckpt_path", "runs/mine/crossval/fold_0"], "models/blocks.py has changed since the run began"
    )
    with pytest.raises(ArtefactError, match=r"models/blocks\.py has changed.*overwrite=True"):
        lb.crossval("mine.yaml")
    assert not (own / "runs/mine/crossval/fold_2").exists()
    assert lb.crossval("mine.yaml", overwrite=True).finished


def test_a_run_that_has_moved_with_its_code_and_its_data_goes_on(
    config: Path, own: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["crossval", "--config", "mine.yaml", "--data.source", str(own / "data" / "x.npz")]
    assert main([*words, "--folds", "[0]"]) == 0
    (own / "elsewhere").mkdir()
    for name in ("runs", "models", "data", "mine.yaml"):
        shutil.move(own / name, own / "elsewhere" / name)
    monkeypatch.chdir(own / "elsewhere")
    monkeypatch.setattr(sys, "path", [str(own / "elsewhere"), *sys.path[1:]])
    forget()
    begun = os.stat("runs/mine/crossval/fold_0/result.json").st_mtime_ns
    words[-1] = str(own / "elsewhere" / "data" / "x.npz")
    assert main(words) == 0
    assert os.stat("runs/mine/crossval/fold_0/result.json").st_mtime_ns == begun
    assert (
        yaml.safe_load(Path("runs/mine/crossval/config.yaml").read_text())["data"]["init_args"]["source"] == words[-1]
    )
    with np.load("data/x.npz") as held:
        np.savez("data/other.npz", x=held["x"] + 1, y=held["y"])
    refused(capsys, [*words[:-1], "data/other.npz"], "data.init_args.source was", "is now 'data/other.npz'")


def test_own_code_is_what_classes_are_made_of_and_no_library(config: Path, own: Path) -> None:
    importlib.import_module("models.mine")

    found = own_code({"model": {"class_path": "models.mine.MyNet", "other": ["torch.nn.ReLU", "data.npz", "no text"]}})
    assert {"models.mine", "models.blocks"} <= found.keys()
    assert not [name for name in found if name.partition(".")[0] in ("torch", "lightning_base", "numpy")]
    assert own_code({"class_path": "torch.nn.ReLU"}) == {}
    (own / "models" / "mine.py").write_text(NET + "\nWIDTH = 3\n")
    with pytest.raises(ConfigError, match=r"models/mine\.py was changed after Python had imported it"):
        own_code({"class_path": "models.mine.MyNet"})
