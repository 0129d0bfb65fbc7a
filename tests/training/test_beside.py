"""Claims about what scores are set beside: groups that vary as wholes, the trivial model, folds that have a class."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from sklearn.metrics import f1_score, precision_score, recall_score
from sklearn.model_selection import KFold, TimeSeriesSplit
from torch import nn

from lightning_base.folds.summary import pooled_details
from lightning_base.samples.samples import Samples
from lightning_base.splitters.split import make_split
from lightning_base.stats.linear import Lines
from lightning_base.tasks.classification import Classification
from lightning_base.training import evaluate
from lightning_base.training.beside import are_windows, held_out, sealed


def predictions(n: int = 240, **columns: Any) -> evaluate.Predictions:
    rng = np.random.default_rng(0)
    y = np.repeat(rng.integers(0, 2, n // 8), 8)  # a group has one class
    table = pd.DataFrame({"id": np.arange(n).astype(str), "target": y, **columns})
    logit = rng.normal(size=n // 8).repeat(8) + y - 0.5
    p = torch.tensor(1 / (1 + np.exp(-logit))).float()
    samples = Samples(np.zeros((n, 1), dtype=np.float32), table, ("no", "yes"))
    return evaluate.Predictions(samples, np.arange(n), torch.stack([1 - p, p], dim=1))


def test_sealed_samples_of_a_group_are_not_taken_as_independent() -> None:
    task = Classification(nn.Linear(1, 2), 2)
    found = {}
    for name, columns in {"alone": {}, "grouped": {"group": np.arange(240) // 8}}.items():
        scored = predictions(**columns)
        found[name], _ = evaluate.estimates(task, scored, evaluate.scores(task, scored))
    pred = scored.preds.argmax(dim=1).numpy()
    right = pd.Series((pred == scored.target.numpy()) * 1.0)  # type: ignore[union-attr]
    sums = (right - right.mean()).groupby(np.arange(240) // 8).sum()
    half = stats.t.ppf(0.975, 29) * np.sqrt(30 / 29 * (sums**2).sum()) / 240
    assert found["grouped"]["accuracy"].ci95 == pytest.approx((right.mean() - half, min(right.mean() + half, 1)))
    for name in ("accuracy", "loss", "auroc"):
        wide, narrow = (np.ptp(found[kind][name].ci95) for kind in ("grouped", "alone"))
        assert wide > 1.8 * narrow, name


def data(table: pd.DataFrame, classes: tuple[str, ...] = (), **more: Any) -> Any:
    """What of a data module the trivial model is made from."""
    samples = Samples(np.zeros((len(table), 1), dtype=np.float32), table, classes)
    split = make_split(table, TimeSeriesSplit(3) if "time" in table else KFold(3), 0)
    return SimpleNamespace(
        **{"samples": lambda _: samples, "folds": split, "classes": classes, "trivial_key": lambda: None} | more
    )


def test_the_trivial_model_over_time_is_the_last_value_and_of_sealed_samples_that_of_the_whole_pool() -> None:
    table = pd.DataFrame({"id": list("abcdefgh"), "target": np.arange(8.0), "time": [7, 6, 5, 4, 3, 2, 1, 0]})
    pool = data(table)
    assert are_windows(table, pool.folds.ordinary)
    oof = pd.concat(
        [table.iloc[fold.val][["id", "target"]].assign(fold=k, pred=0.0) for k, fold in enumerate(pool.folds.ordinary)]
    )
    lines = Lines.of(oof)
    assert lines is not None
    found = held_out(pool, lines, oof["id"].tolist(), pool.folds.ordinary)
    assert found is not None
    assert found[0].pred.tolist() == [6.0, 6.0, 4.0, 4.0, 2.0, 2.0]  # of two, four and six samples before
    assert "last value" in found[1]
    other = sealed(pool, lines, None)
    assert other is not None
    assert set(other[0].pred) == {0.0}  # "a" is the latest
    rated = held_out(data(table, trivial_key=lambda: np.arange(8) % 2), lines, oof["id"].tolist(), pool.folds.ordinary)
    assert rated is not None
    assert rated[0].pred.tolist() == [6.0, 7.0, 5.0, 6.0, 4.0, 5.0]  # the mean of those before with the same key
    assert "item" in rated[1]


def test_a_class_of_two_folds_in_five_has_the_means_of_these_two() -> None:
    """Every prediction is right: recall, precision and F1 of class 2 are 1, in two folds."""
    y = [np.array([0, 1, 2, 2]), np.array([0, 1, 2]), *[np.array([0, 0, 1])] * 3]
    task = Classification(nn.Linear(1, 3), 3)
    results = []
    for target in y:
        found = task.details()(torch.eye(3)[target], torch.tensor(target))
        results.append(SimpleNamespace(details={name: value.tolist() for name, value in found.items()}))
    pooled = pooled_details(results, True)  # type: ignore[arg-type]
    for name in ("precision", "recall", "f1"):
        assert pooled[name] == pooled[f"{name}_pooled"] == [1.0, 1.0, 1.0]
    assert pooled["folds_with_class"] == [5, 5, 2]


def test_pooled_scores_of_classes_are_those_of_all_samples() -> None:
    rng = np.random.default_rng(0)
    task = Classification(nn.Linear(1, 3), 3)
    target, pred = rng.integers(0, 3, (4, 30)), rng.integers(0, 3, (4, 30))
    results = []
    for y, z in zip(target, pred, strict=True):
        found = task.details()(torch.eye(3)[z], torch.tensor(y))
        results.append(SimpleNamespace(details={name: value.tolist() for name, value in found.items()}))
    pooled = pooled_details(results, True)  # type: ignore[arg-type]
    for name, score in (("precision", precision_score), ("recall", recall_score), ("f1", f1_score)):
        assert pooled[f"{name}_pooled"] == pytest.approx(score(target.ravel(), pred.ravel(), average=None))
