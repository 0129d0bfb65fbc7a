"""Quantile regression: its loss and coverage are what scikit-learn and NumPy give, through the verbs."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_diabetes
from sklearn.linear_model import QuantileRegressor
from sklearn.metrics import mean_pinball_loss

from lightning_base.errors import UserError
from lightning_base.tasks import Quantiles
from lightning_base.tasks.quantiles import Below, Interval, Pinball
from models.linear import Linear
from tests.helpers import Run, crossval, read_json, refused

LEVELS = (0.05, 0.5, 0.95)
CONFIG = Path(__file__).parents[2] / "configs" / "diabetes_quantiles.yaml"


def mean_loss(y: np.ndarray, found: np.ndarray) -> float:
    """scikit-learn's pinball loss, the mean over levels."""
    return float(np.mean([mean_pinball_loss(y, found[:, i], alpha=level) for i, level in enumerate(LEVELS)]))


def test_metrics_are_scikit_learns_and_numpys() -> None:
    rng = np.random.default_rng(0)
    y, found = rng.normal(50, 20, 301), np.sort(rng.normal(50, 25, (301, 3)), axis=1)
    found[:9, 0] = y[:9]  # ends count as inside
    metrics = {"loss": Pinball(LEVELS), "in": Interval("coverage"), "wide": Interval("width"), "below": Below(3)}
    for part in np.array_split(np.arange(301), 4):
        for metric in metrics.values():
            metric.update(torch.from_numpy(found[part]), torch.from_numpy(y[part]))
    assert metrics["loss"].compute().item() == pytest.approx(mean_loss(y, found), rel=1e-6)
    inside = (found[:, 0] <= y) & (y <= found[:, 2])
    assert metrics["in"].compute().item() == pytest.approx(inside.mean(), rel=1e-6)
    assert metrics["wide"].compute().item() == pytest.approx((found[:, 2] - found[:, 0]).mean(), rel=1e-6)
    assert metrics["below"].compute().tolist() == pytest.approx((y[:, None] <= found).mean(axis=0).tolist(), rel=1e-6)


def test_the_shipped_config_bounds_what_linear_programming_bounds(run: Run, work: Path) -> None:
    """Held out, its loss is near that of scikit-learn's exact solution of the same folds, and far below the trivial."""
    run("crossval", "--config", str(CONFIG), "--trainer.logger", "false")
    oof, summary = (
        pd.read_parquet(crossval("diabetes_quantiles") / "oof.parquet"),
        read_json(crossval("diabetes_quantiles") / "summary.json"),
    )
    x, y = load_diabetes(return_X_y=True)
    names = [f"pred_{level:g}" for level in LEVELS]
    ours = oof[names].to_numpy()
    assert (np.diff(ours, axis=1) >= 0).all()
    row, fold = oof["id"].astype(int).to_numpy(), oof["fold"].to_numpy()
    assert oof["target"].to_numpy() == pytest.approx(y[row])
    metrics = summary["metrics"]
    per_fold = [mean_loss(y[row[fold == k]], ours[fold == k]) for k in range(5)]
    assert metrics["pinball"]["folds"] == pytest.approx(per_fold, rel=1e-5)
    inside = (ours[:, 0] <= y[row]) & (y[row] <= ours[:, 2])
    assert metrics["coverage"]["folds"] == pytest.approx([inside[fold == k].mean() for k in range(5)], abs=1e-6)
    exact = np.empty_like(ours)
    for k in range(5):
        train = row[fold != k]
        for i, level in enumerate(LEVELS):
            exact[fold == k, i] = (
                QuantileRegressor(quantile=level, alpha=0).fit(x[train], y[train]).predict(x[row[fold == k]])
            )
    assert mean_loss(y[row], ours) == pytest.approx(mean_loss(y[row], exact), rel=0.05)
    trivial = [np.tile(np.quantile(y[row[fold != k]], LEVELS), ((fold == k).sum(), 1)) for k in range(5)]
    expected = np.mean([mean_loss(y[row[fold == k]], trivial[k]) for k in range(5)])
    assert metrics["pinball"]["trivial"] == pytest.approx(expected, rel=1e-4)
    assert metrics["pinball"]["score"] < 0.8 * metrics["pinball"]["trivial"]
    run("test", "--ckpt_path", str(crossval("diabetes_quantiles")))


@pytest.mark.parametrize("levels", [[], [0.5, 0.1], [0.5, 0.5], [0.0, 0.5], [0.5, 1.0]])
def test_levels_that_are_none_are_refused(levels: list[float]) -> None:
    with pytest.raises(UserError, match=r"model\.levels"):
        Quantiles(Linear(10, 3), levels)


def test_a_network_of_another_width_is_refused(capsys: pytest.CaptureFixture[str], work: Path) -> None:
    levels = ("--model.init_args.levels", "[0.1, 0.9]", "--model.network.num_outputs", 3)
    arguments = ["crossval", "--config", CONFIG, *levels]
    refused(capsys, arguments, "Linear gives (2, 3) where Quantiles needs (2, 2); set model.network.num_outputs to 2")
