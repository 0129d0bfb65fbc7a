"""Claims about what is kept: the file that a result names has the weights that its scores are of, whatever averages."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

import lightning_base as lb
from lightning_base.errors import FoldsFailed
from tests.helpers import CONFIGS, assert_same_weights, checkpoint, read_json

CANCER = CONFIGS / "breast_cancer_mlp.yaml"
SHORT: Mapping[str, Any] = {
    "trainer.max_epochs": 2,
    "data.split": {"class_path": "sklearn.model_selection.StratifiedKFold", "init_args": {"n_splits": 2}},
}
BEST = ("lightning.pytorch.callbacks.ModelCheckpoint", {"monitor": "val_loss", "filename": "best"})
SWA = ("lightning.pytorch.callbacks.StochasticWeightAveraging", {"swa_lrs": 0.05, "swa_epoch_start": 1})
EMA = ("lightning.pytorch.callbacks.EMAWeightAveraging", {"decay": 0.9})
PRUNING = ("lightning.pytorch.callbacks.ModelPruning", {"pruning_fn": "l1_unstructured", "amount": 0.5})
FINDER = ("lightning.pytorch.callbacks.LearningRateFinder", {"num_training_steps": 30})


def callbacks(*given: tuple[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {"trainer.callbacks": [{"class_path": path, "init_args": dict(arguments)} for path, arguments in given]}


class Breaks(Callback):
    """Fails once, before other callbacks end the training."""

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if (fuse := Path("fuse")).exists():
            fuse.unlink()
            raise RuntimeError("broken")


VARIANTS: dict[str, Mapping[str, Any]] = {
    "averaged, with BatchNorm": {**callbacks(SWA), "model.network.init_args.batch_norm": True},
    "the best of a moving average, with class weights": {**callbacks(EMA, BEST), "data.inner_val": 0.2},
    "pruned": callbacks(PRUNING),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_the_checkpoint_that_a_result_names_scores_what_the_result_says(work: Path, name: str) -> None:
    found = lb.crossval(CANCER, overrides={**SHORT, **VARIANTS[name]}, name="kept", folds=[1])
    fold = found.directory / "fold_1"
    result = read_json(fold / "result.json")
    assert result["checkpoint"] == ("best.ckpt" if "best" in name else "last.ckpt")
    assert result["epochs"] == 2
    again = lb.validate(fold / "checkpoints" / result["checkpoint"])
    for metric, value in result["metrics"].items():
        assert again.scores[metric] == pytest.approx(value, abs=1e-6), metric  # kept to seven digits
    kept = checkpoint(fold, result["checkpoint"])
    if "averaged" in name:  # Lightning keeps the average beside the weights, in its callback's state
        state = next(s for key, s in kept["callbacks"].items() if key.startswith("Stochastic"))
        assert state["n_averaged"] == 2
        for key, weight in state["average_model_state"].items():
            if "running" not in key and "tracked" not in key:
                torch.testing.assert_close(kept["state_dict"][key], weight, rtol=0, atol=0)
    if "moving" in name:
        key = "network.layers.1.weight"
        assert not torch.equal(kept["state_dict"][key], kept["current_model_state"][key])
    if name == "pruned":
        assert (kept["state_dict"]["network.layers.1.weight"] == 0).float().mean() > 0.5


def test_an_average_is_not_lost_where_a_run_breaks_after_its_last_epoch(work: Path) -> None:
    options = {**SHORT, **callbacks((f"{__name__}.Breaks", {}), SWA)}
    whole = lb.crossval(CANCER, overrides=options, name="whole", folds=[0]).directory / "fold_0"
    Path("fuse").touch()
    with pytest.raises(FoldsFailed, match="broken"):
        lb.crossval(CANCER, overrides=options, name="broken", folds=[0])
    again = lb.crossval(CANCER, overrides=options, name="broken", folds=[0]).directory / "fold_0"
    assert read_json(again / "result.json")["resumed"]
    assert read_json(again / "result.json")["metrics"] == read_json(whole / "result.json")["metrics"]
    assert_same_weights(again, whole)


def test_a_fold_whose_rate_is_found_is_bit_identical_to_one_that_is_given_it(work: Path) -> None:
    found = lb.crossval(CANCER, overrides={**SHORT, **callbacks(FINDER)}, name="found", folds=[1]).directory / "fold_1"
    told = read_json(found / "learning_rate.json")
    assert 1e-8 < told["lr"] < 1
    assert told["lr"] in told["rates"]
    assert len(told["losses"]) == len(told["rates"]) <= 30
    given = lb.crossval(
        CANCER, overrides={**SHORT, "model.optimizer.init_args.lr": told["lr"]}, name="given", folds=[1]
    )
    assert_same_weights(found, given.directory / "fold_1")
    assert pd.read_csv(found / "metrics.csv")["lr"].dropna().unique() == pytest.approx(told["lr"])
