"""The score that a YAML names: first in tables and files, followed by callbacks, by a search and by compare."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.metrics import cohen_kappa_score, f1_score
from sklearn.model_selection import KFold
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.classification import BinaryCohenKappa, BinaryMatthewsCorrCoef
from torchmetrics.regression import MeanAbsoluteError

import lightning_base as lb
from lightning_base.errors import ArtefactError, UserError
from lightning_base.results.summary import read_summary
from lightning_base.tasks import Binary, Classification, Quantiles
from lightning_base.tasks.lead import ordered
from models.linear import Linear
from models.mlp import MLP
from tests.helpers import CONFIGS, Run, crossval, read_json, refused

CANCER = [
    "--config",
    str(CONFIGS / "breast_cancer_mlp.yaml"),
    "--trainer.logger",
    "false",
    "--data.split.n_repeats",
    "1",
]
SHORT = [*CANCER, "--trainer.max_epochs", "2"]
X, Y = load_breast_cancer(return_X_y=True)
TRAINER: dict[str, Any] = {"max_epochs": 2, "accelerator": "cpu", "logger": False}
KAPPA = "{kappa: {class_path: torchmetrics.classification.MulticlassCohenKappa, init_args: {num_classes: 2}}}"
STOP = "{class_path: lightning.pytorch.callbacks.EarlyStopping, init_args: {monitor: score, min_delta: 0.01}}"
BEST = "{class_path: lightning.pytorch.callbacks.ModelCheckpoint, init_args: {monitor: score}}"


class Nearness(Metric):
    """A user's metric that does not say which way it is better."""

    full_state_update = False
    total: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("total", torch.tensor(0.0), dist_reduce_fx="sum")

    def update(self, preds: Tensor, target: Tensor) -> None:
        self.total += (preds.argmax(dim=1) == target).float().mean()

    def compute(self) -> Tensor:
        return self.total


def rows(text: str) -> list[str]:
    """The metrics of the table that was printed."""
    return [line.split("│")[1].split()[0] for line in text.splitlines() if line.startswith("│")]


@pytest.mark.filterwarnings("ignore:.*LeafSpec")  # -v hushes none
def test_the_score_comes_first_and_three_more_are_shown(
    run: Run, capsys: pytest.CaptureFixture[str], work: Path
) -> None:
    run("crossval", *SHORT, "--model.score", "kappa", "--model.metrics", KAPPA)
    said = capsys.readouterr().out
    assert rows(said) == ["kappa", "accuracy", "auroc", "f1"]
    fold_lines = [line for line in said.splitlines() if line.startswith("fold ")]
    assert [line.split()[5:13:2] for line in fold_lines] == [["kappa", "accuracy", "auroc", "f1"]] * 5
    assert "5 more metrics (loss, ece, ece2, precision, recall): summary.json; -v shows them" in said
    note = said[said.index("intervals:") : said.index("results:")]
    assert "accuracy" in note
    assert "ece" not in note  # what is not shown is not explained
    home = crossval("breast_cancer_mlp")
    summary, oof = read_json(home / "summary.json"), pd.read_parquet(home / "oof.parquet")
    assert summary["score"] == next(iter(summary["metrics"])) == "kappa"
    assert set(summary["metrics"]) > {"ece", "ece2", "precision", "recall", "loss"}
    folds = [cohen_kappa_score(part["target"], part["pred"]) for _, part in oof.groupby("fold")]
    result = lb.load(home)
    assert result.score.name == "kappa"
    assert result.score.value == pytest.approx(np.mean(folds), abs=1e-6)
    assert np.isnan(result.score.low)  # none was simulated for a metric of one's own
    assert "5 more metrics: .metrics" in repr(result)
    run("test", "--ckpt_path", str(home), "-v")
    said = capsys.readouterr().out
    assert rows(said)[:4] == ["kappa", "accuracy", "auroc", "f1"]
    assert {"precision", "recall", "ece", "loss"} < set(rows(said))  # all, where more is asked for
    assert "more metrics" not in said
    assert read_json(home / "test.json")["score"] == "kappa"


def test_the_score_is_value_and_interval_of_the_metric_that_is_named(work: Path) -> None:
    found = lb.crossval(
        task=lambda: Classification(MLP(num_outputs=2, hidden=[8]), score="f1"),
        x=X,
        y=Y,
        data={"split": KFold(3, shuffle=True)},
        trainer={**TRAINER, "max_epochs": 1},
        name="f1",
    )
    value, low, high, name = found.score
    assert name == "f1"
    assert value == pytest.approx(f1_score(found.oof["target"], found.oof["pred"], average="macro"), abs=1e-6)
    assert (low, high) == found.summary.metrics["f1"].ci95
    assert low < value < high


@pytest.mark.parametrize(("score", "mode"), [("auroc", "max"), ("ece", "min")])
def test_callbacks_follow_the_score_to_its_better_end(score: str, mode: str, run: Run, work: Path) -> None:
    """The checkpoint that is scored is that of the epoch whose inner score was the best."""
    more = ["--trainer.callbacks", f"[{STOP}, {BEST}]", "--data.inner_val", "0.2", "--trainer.max_epochs", "8"]
    run("fit", *CANCER, *more, "--model.score", score)
    home = work / "runs" / "breast_cancer_mlp" / "fit" / "version_0"
    logged = pd.read_csv(home / "metrics.csv")[f"val_{score}"].dropna().to_numpy()
    best = int(logged.argmax() if mode == "max" else logged.argmin())
    result = read_json(home / "result.json")
    assert result["scored_epochs"] == best + 1
    gained = logged if mode == "max" else -logged
    record, waited, ended = -np.inf, 0, len(logged)
    for epoch, value in enumerate(gained):  # three epochs without a gain of 0.01 end it
        record, waited = (value, 0) if value - 0.01 > record else (record, waited + 1)
        if waited == 3:
            ended = epoch + 1
            break
    assert len(logged) == ended


def test_early_stopping_is_turned_to_the_larger_with_all_that_hangs_on_it() -> None:
    from lightning_base.training.callbacks import follow_score

    task = Classification(Linear(4, 2), num_classes=2)
    stop, best = EarlyStopping("score", min_delta=0.5), ModelCheckpoint(monitor="score")
    follow_score(task, [stop, best])
    given = (
        EarlyStopping("val_accuracy", mode="max", min_delta=0.5),
        ModelCheckpoint(monitor="val_accuracy", mode="max"),
    )
    for ours, theirs, names in (
        (stop, given[0], ("monitor", "mode", "min_delta", "best_score", "monitor_op")),
        (best, given[1], ("monitor", "mode", "kth_value")),
    ):
        for name in names:
            assert getattr(ours, name) == getattr(theirs, name), name


def test_a_scheduler_follows_the_score_and_the_wrong_way_is_refused(
    run: Run, capsys: pytest.CaptureFixture[str], work: Path
) -> None:
    plateau = (
        "{class_path: lightning.pytorch.cli.ReduceLROnPlateau, init_args: {monitor: score, mode: %s, patience: 0}}"
    )
    refused(capsys, ["fit", *SHORT, "--model.scheduler", plateau % "min"], "follows val_accuracy with mode min", "max")
    run("fit", *SHORT, "--model.scheduler", plateau % "max")


def test_a_search_goes_by_the_score_where_it_names_no_metric(run: Run, work: Path) -> None:
    inner = "{class_path: sklearn.model_selection.KFold, init_args: {n_splits: 2}}"
    search = f"{{grid: {{model.optimizer.lr: [0.001, 0.01]}}, inner: {inner}}}"
    run("crossval", *SHORT, "--search", search, "--model.score", "loss", "--folds", "[0]")
    found = read_json(crossval("breast_cancer_mlp") / "fold_0" / "search.json")
    assert (found["metric"], found["mode"]) == ("loss", "min")
    assert found["chosen"] == int(np.argmin([line["mean"] for line in found["candidates"]]))


def test_compare_goes_by_the_runs_score_and_knows_which_way_is_better(work: Path) -> None:
    def made(name: str, lr: float, **options: Any) -> Path:
        lb.crossval(
            task=lambda: Classification(Linear(30, 2), optimizer=lambda p: torch.optim.Adam(p, lr=lr), **options),
            x=X,
            y=Y,
            data={"split": KFold(3)},
            trainer=TRAINER,
            name=name,
        )
        return crossval(name)

    near = {"metrics": {"nearness": Nearness()}, "score": "nearness", "score_mode": "min"}
    a, b = made("a", 1e-3, **near), made("b", 1e-1, **near)
    (test,) = lb.compare(a, b).tests
    assert (test.metric, test.higher_is_better) == ("nearness", False)
    assert read_summary(a).higher_is_better["nearness"] is False
    c = made("c", 1e-2, score="f1")
    with pytest.raises(ArtefactError, match="different scores"):
        lb.compare(a, c)
    assert lb.compare(a, c, metric="accuracy").tests[0].metric == "accuracy"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"score": "acuracy"}, "did you mean 'accuracy'"),
        ({"score": "val_f1"}, "did you mean 'f1'"),
        ({"score": "near", "metrics": {"near": Nearness()}}, "give model.score_mode: max or min"),
        ({"score": "f1", "score_mode": "min"}, "takes the worst f1 for the best"),
        ({"score": "f1", "score_mode": "up"}, "neither max nor min"),
        ({"score_mode": "max"}, "no metric is named"),
    ],
)
def test_a_score_that_is_none_is_refused_before_training(options: dict[str, Any], said: str, work: Path) -> None:
    with pytest.raises(UserError, match=said):
        lb.crossval(
            task=lambda: Classification(Linear(30, 2), **options),
            x=X,
            y=Y,
            data={"split": KFold(2)},
            trainer=TRAINER,
            name="none",
        )
    assert not list(work.rglob("fold_*"))


def test_the_order_is_score_given_own() -> None:
    names = ["accuracy", "auroc", "ece", "f1", "kappa", "loss"]
    assert ordered(names, None, (), ()) == ["accuracy", "auroc", "f1", "kappa", "loss", "ece"]
    assert ordered(names, "loss", (), ["kappa"]) == ["loss", "kappa", "accuracy", "auroc", "f1", "ece"]
    assert ordered(names, None, ("f1", "ece"), ["kappa"]) == ["f1", "kappa", "ece", "accuracy", "auroc", "loss"]


def test_metrics_of_two_classes_take_the_positive_ones_probability(work: Path) -> None:
    given = {"kappa": BinaryCohenKappa(threshold=0.3), "matthews": BinaryMatthewsCorrCoef()}
    found = lb.crossval(
        task=lambda: Binary(MLP(num_outputs=2, hidden=[4]), positive="ill", threshold=0.3, metrics=given),
        x=X,
        y=np.array(["ill", "well"])[Y],
        data={"split": KFold(2)},
        trainer=TRAINER,
        name="binary",
    )
    for fold, part in found.oof.groupby("fold"):
        expected = cohen_kappa_score(part["target_class"] == "ill", part["prob_0"] > 0.3)
        assert found.summary.metrics["kappa"].folds[fold] == pytest.approx(expected, abs=1e-6)
    assert found.summary.higher_is_better["matthews"] is True


def test_metrics_of_quantiles_take_the_median(work: Path) -> None:
    x, y = load_diabetes(return_X_y=True)
    options: dict[str, Any] = {
        "x": x,
        "y": y,
        "data": {"split": KFold(2)},
        "trainer": TRAINER,
    }
    given = {"away": MeanAbsoluteError()}
    found = lb.crossval(task=lambda: Quantiles(Linear(10, 3), metrics=given), name="quantiles", **options)
    for fold, part in found.oof.groupby("fold"):
        expected = (part["pred_0.5"] - part["target"]).abs().mean()
        assert found.summary.metrics["away"].folds[fold] == pytest.approx(expected, rel=1e-5)
    with pytest.raises(UserError, match=r"put 0\.5 among model\.levels"):
        lb.crossval(task=lambda: Quantiles(Linear(10, 2), levels=(0.1, 0.9), metrics=given), name="no", **options)
