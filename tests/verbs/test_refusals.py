"""Claims about what cannot be: it is told in one line before anything is trained, and nothing is half-written."""

import errno
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from sklearn.model_selection import LeavePOut

import lightning_base as lb
from datamodules.arrays import Arrays
from lightning_base.data import Samples, Source
from lightning_base.errors import ArtefactError, ConfigError
from lightning_base.splitters.split import make_split
from lightning_base.tasks import Regression
from lightning_base.tools.files import write_text
from models.linear import Linear


class NoTarget(Arrays):
    """Inputs alone."""

    def dataset(self, source: Source) -> Samples:
        """See BaseDataModule."""
        samples = super().dataset(source)
        return Samples(samples.inputs, samples.table.drop(columns="target"), origin="inputs.npz")


def crossval(data: Any = lambda: Arrays(source="diabetes"), **options: Any) -> Any:
    trainer = {"max_epochs": 1, "accelerator": "cpu", "logger": False, **options}
    return lb.crossval(task=lambda: Regression(Linear(10)), data=data, trainer=trainer, name="refused", folds=[0])


def test_data_without_a_target_is_told_before_training(work: Path) -> None:
    with pytest.raises(ConfigError, match=r"inputs\.npz has no target, and Regression learns one"):
        crossval(lambda: NoTarget(source="diabetes"))
    assert not (work / "runs").exists()


def test_a_splitter_without_what_it_needs_names_it() -> None:
    splitter = LeavePOut(p=1)
    splitter.p = None  # as the parser leaves it
    with pytest.raises(ConfigError, match=r"data\.split: LeavePOut needs 'p'; give data\.split\.p"):
        make_split(pd.DataFrame({"id": list("abc")}), splitter, 0)


@pytest.mark.parametrize("how", ["file", "dangling", "full"])
def test_results_that_cannot_be_written_are_one_line(work: Path, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "file":
        Path("runs").write_text("mine")
    elif how == "dangling":
        Path("runs").symlink_to("/nowhere/at/all")
    else:

        def full(*_: Any) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "runs/refused")

        monkeypatch.setattr(os, "replace", full)
    mend = "make room there, make the folder writable" if how == "full" else "a file stands where a folder is made"
    with pytest.raises(ArtefactError, match=mend):
        crossval()
    left = [path for path in work.rglob("*") if path.is_file()]
    assert [path.name for path in left if path.suffix != ".lock"] == (["runs"] if how == "file" else [])


def test_a_link_is_written_through(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    write_text(tmp_path / "link", "new")
    assert ((tmp_path / "real").read_text(), (tmp_path / "link").is_symlink()) == ("new", True)
    assert sorted(os.listdir(tmp_path)) == ["link", "real"]
