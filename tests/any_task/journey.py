"""What every kind of task must come through: folds, test, predict, kills, two processes, and a plain loop beside it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import yaml

from lightning_base.data import BaseDataModule
from lightning_base.results.tables import read_table
from lightning_base.samples.batch import Batch
from lightning_base.tasks.base import BaseModule
from lightning_base.training.preflight import preflight
from lightning_base.training.run import build
from lightning_base.verbs.opening import open_files
from tests.helpers import assert_same_crossval, assert_same_weights, crossval, weights
from tests.support.forks import Forks

Loss = Callable[[BaseModule, Batch], torch.Tensor]


def config(name: str, model: dict[str, Any], data: dict[str, Any], epochs: int = 2) -> dict[str, Any]:
    """An experiment of two folds, its classes those of a user's file `tests/any_task/<name>.py`.

    Args:
        name: of the experiment.
        model: class_path and init_args.
        data: class_path and init_args, without split and test_size.
        epochs: of each fold.
    """
    split = {"class_path": "sklearn.model_selection.KFold", "init_args": {"n_splits": 2, "shuffle": True}}
    return {
        "name": name,
        "seed_everything": 0,
        "audit": "off",
        "trainer": {"accelerator": "cpu", "max_epochs": epochs, "logger": False},
        "model": model,
        "data": {**data, "init_args": {**data.get("init_args", {}), "split": split, "test_size": 0.2}},
    }


class Journey:
    """One experiment, run from the shell in folders of its own.

    Args:
        forks: starts the commands.
        content: the experiment, as `config` makes it.
        folder: an empty one.
    """

    def __init__(self, forks: Forks, content: dict[str, Any], folder: Path) -> None:
        self.forks, self.content, self.folder = forks, content, folder
        self.name = content["name"]
        (folder / "task.yaml").write_text(yaml.safe_dump(content))

    def run(self, verb: str, *arguments: object, home: str = "whole", ranks: int = 1, **given: str) -> list[int]:
        """The statuses of a verb's processes, run in a folder of this name."""
        where = self.folder / home
        where.mkdir(exist_ok=True)
        command = (verb, "--config", self.folder / "task.yaml", *arguments)
        return self.forks(where, *command, ranks=ranks, **given)

    def directory(self, home: str = "whole") -> Path:
        """The cross-validation's directory in a folder."""
        return crossval(self.name, self.folder / home)

    def log(self, home: str = "whole") -> str:
        """What the commands run in a folder have printed."""
        return (self.folder / home / "log").read_text()

    def cross_validates(self, *arguments: object) -> pd.DataFrame:
        """Both folds are trained; oof.parquet, in which each sample of the pool stands once."""
        assert self.run("crossval", *arguments) == [0], self.log()
        found = read_table(self.directory() / "oof.parquet")
        assert found["id"].is_unique
        assert set(found["fold"]) == {0, 1}
        return found

    def tests(self) -> pd.DataFrame:
        """The ensemble is scored on the sealed samples; test.parquet."""
        assert self.run("test", "--ckpt_path", self.directory()) == [0], self.log()
        return read_table(self.directory() / "test.parquet")

    def predicts(self) -> pd.DataFrame:
        """The ensemble predicts what the source "predict" has; ensemble.parquet."""
        assert self.run("predict", "--ckpt_path", self.directory()) == [0], self.log()
        return read_table(self.directory() / "ensemble.parquet")

    def survives_kills(self, step: int, home: str = "killed") -> None:
        """Killed twice in fold 0 and resumed, weights, predictions and scores are those of the undisturbed run."""
        kill = ("--trainer.callbacks+", "tests.support.kills.Kill")
        often = ("--trainer.callbacks+", "lightning_base.training.resume.TimedCheckpoint")
        more = (*often, "--trainer.callbacks.every_n_steps", 2, *kill)
        for moment in (f"0:{step}:stepped", f"0:{step + 1}:backward"):
            assert self.run("crossval", *more, home=home, KILL=moment) == [-9], self.log(home)
        assert self.run("crossval", *more, home=home) == [0], self.log(home)
        assert self.run("crossval", *more, home="not_killed") == [0], self.log("not_killed")
        assert_same_crossval(self.directory(home), self.directory("not_killed"))
        for fold in (0, 1):
            assert_same_weights(self.directory(home) / f"fold_{fold}", self.directory() / f"fold_{fold}")

    def trains_in_two_processes(self, columns: list[str], atol: float = 1e-4) -> None:
        """Two processes of DDP train fold 0 as one does, and predict each held-out sample once."""
        more = ("--folds", "[0]", "--trainer.devices", 2, "--trainer.strategy", "ddp")
        assert self.run("crossval", *more, home="two", ranks=2) == [0, 0], self.log("two")
        found, expected = (
            read_table(self.directory(home) / "fold_0" / "predictions.parquet") for home in ("two", "whole")
        )
        assert found["id"].tolist() == expected["id"].tolist()
        for column in columns:
            for ours, theirs in zip(found[column], expected[column], strict=True):
                np.testing.assert_allclose(ours, theirs, rtol=0, atol=atol)

    def equals_a_plain_loop(self, loss: Loss, atol: float = 1e-5) -> None:
        """Fold 0's last weights are those of a loop over batches in plain PyTorch.

        Args:
            loss: of a batch, written without the task's own step.
            atol: how far weights may differ.
        """
        task, data = first_run(self)
        optimizer: Any = task.configure_optimizers()
        task.train()
        loader = data.loader("train")
        for epoch in range(self.content["trainer"]["max_epochs"]):
            loader.sampler.set_epoch(epoch)
            for batch in loader:
                optimizer.zero_grad()
                loss(task, data.transform(batch, epoch)).backward()
                optimizer.step()
        found = weights(self.directory() / "fold_0")
        for name, value in task.state_dict().items():
            torch.testing.assert_close(found[name], value, rtol=0, atol=atol, msg=name)


def first_run(journey: Journey) -> tuple[BaseModule, BaseDataModule]:
    """Task and data module of fold 0, as the experiment builds them: its first weights, its fitted preprocessing."""
    experiment = open_files("crossval", [journey.folder / "task.yaml"], {})
    run = build(experiment, 0, journey.folder / "unused", quiet=True, training=False)
    preflight(run)
    return run.model, run.datamodule
