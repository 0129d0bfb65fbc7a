"""Claims about the number of samples that have trained: those that a step has seen, whatever limits the steps."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lightning.pytorch import Callback
from sklearn.model_selection import KFold

import lightning_base as lb
from lightning_base.data import Batch
from lightning_base.tasks import Classification
from models.linear import Linear
from tests.helpers import CONFIGS, environment, read_json

N = 120
LIMITS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({"max_epochs": 2}, {}),
    "one batch of one epoch": ({"max_epochs": 1, "limit_train_batches": 1}, {}),
    "two batches of one epoch": ({"max_epochs": 1, "limit_train_batches": 2}, {}),
    "two batches of each of three epochs": ({"max_epochs": 3, "limit_train_batches": 2}, {}),
    "a share of the batches": ({"max_epochs": 1, "limit_train_batches": 0.4}, {}),
    "steps within an epoch": ({"max_steps": 3}, {}),
    "steps of two batches": ({"max_steps": 2, "accumulate_grad_batches": 2}, {}),
    "an incomplete last batch": ({"max_epochs": 1}, {"drop_last": True}),
    "an inner slice": ({"max_epochs": 1}, {"inner_val": 0.25}),
}


class Seen(Callback):
    """Notes the samples of each fold's steps."""

    rows: Sequence[set[int]] = [set(), set(), set()]

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Batch, batch_idx: int) -> None:
        self.rows[trainer.datamodule.fold].update(batch.rows.tolist())


@pytest.mark.parametrize("what", LIMITS)
def test_the_number_of_training_samples_is_that_of_those_seen(
    what: str, work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(Seen, "rows", [set(), set(), set()])
    trainer, data = LIMITS[what]
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(N, 3)), rng.integers(0, 2, N)
    found = lb.crossval(
        task=lambda: Classification(Linear(3, 2)),
        x=x,
        y=y,
        data={"split": KFold(3), "batch_size": 15, **data},
        trainer={"accelerator": "cpu", "callbacks": [Seen()], "logger": False, **trainer},
        name="limited",
        verbose=True,
    )
    seen = [len(rows) for rows in Seen.rows]
    given = 60 if "inner_val" in data else 80
    assert found.folds["n_train"].tolist() == seen
    assert (sum(seen) < 3 * given) == (what not in ("nothing", "an inner slice"))
    told = read_json(found.directory / "summary.json")
    assert f"models trained on {np.mean(seen):,.0f} samples" in told["interval"]
    shown = " ".join(capsys.readouterr().out.split())
    if sum(seen) < 3 * given:
        assert f"at least {min(seen)} of {given} (trainer.limit_train_batches" in told["untrained"]
        assert f"! not all training samples have trained: in 3 of 3 folds: at least {min(seen)} of {given}" in shown
    else:
        assert told["untrained"] is None
        assert "not all training samples" not in shown


def test_one_batch_is_one_whatever_was_imported_before() -> None:
    # typing keeps the union that was asked for first, and Lightning's own annotation may become that one
    code = (
        "import lightning_base.verbs.functions\n"  # before anything else, as the command line and Python do
        "from lightning_base.verbs.parser import parse\n"
        f"words = ['crossval', '--config', {str(CONFIGS / 'digits_cnn.yaml')!r}]\n"
        "for given in ('1', '1.0', '2', '0.5', 'null'):\n"
        "    asked = parse([*words, '--trainer.limit_train_batches', given, '--trainer.limit_val_batches', given])\n"
        "    trainer = asked.experiment.config.trainer\n"
        "    print(repr(trainer.limit_train_batches), repr(trainer.limit_val_batches))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment(), check=True)
    assert done.stdout.split() == ["1", "1", "1.0", "1.0", "2", "2", "0.5", "0.5", "None", "None"]
