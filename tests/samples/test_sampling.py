"""Claims about sampling: an epoch draws as often as said, the same anywhere, and evaluation knows nothing of it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes
from torch.utils.data import Dataset

import lightning_base as lb
from datamodules.arrays import Arrays
from lightning_base.augment import MixUp
from lightning_base.data import AnyDataset, Sampling
from lightning_base.errors import UserError
from lightning_base.samples.sampling import Draws, turns
from tests.helpers import CONFIGS, Run, crossval, read_json


def module(**options: Any) -> Arrays:
    """Breast cancer's 569 samples, set up."""
    made = Arrays(source=options.pop("source", "breast_cancer"), **options)
    made.setup("fit")
    return made


def test_each_epoch_draws_classes_equally_often_and_over_epochs_each_sample_alike() -> None:
    data = module(sampling="balanced")
    loader, rows, y = data.loader("train"), data.rows("train"), data.samples("pool").target
    assert y is not None
    assert np.bincount(y[rows]).tolist() == [169, 286]
    drawn = []
    for epoch in range(10):
        loader.sampler.set_epoch(epoch)
        order = loader.sampler.order()
        assert len(order) == len(rows) == 455
        assert sorted(np.bincount(y[order])) == [227, 228]
        drawn.append(np.bincount(order, minlength=len(y)))
    assert np.sum(drawn, axis=0)[np.setdiff1d(np.arange(len(y)), rows)].sum() == 0
    for c, n in enumerate((169, 286)):
        of_class = rows[y[rows] == c]
        for counts in drawn:
            assert set(counts[of_class]) <= {227 // n, 228 // n + 1}
        assert abs(np.sum(drawn, axis=0)[of_class] - 10 * 227.5 / n).max() < 1.5


def test_draws_come_as_often_as_their_weights_say() -> None:
    rng = np.random.default_rng(0)
    rates = rng.exponential(size=500)
    rates *= 500 / rates.sum()
    draws = Draws(rates, np.zeros(500, dtype=np.int64), seed=3)
    counts = np.array([draws.counts(epoch) for epoch in range(200)])
    assert (counts.sum(axis=1) == 500).all()
    assert (counts >= np.floor(rates)).all()
    assert (counts <= np.ceil(rates)).all()
    np.testing.assert_allclose(counts.mean(axis=0), rates, atol=0.03)
    assert (draws.places(7) == np.repeat(np.arange(500), counts[7])).all()


def test_an_epoch_is_the_same_in_shares_from_its_middle_and_in_any_process() -> None:
    data = module(sampling="balanced", batch_size=32, augment=[MixUp()])
    whole = list(data.loader("train"))
    ranks = []
    for rank in range(3):
        loader = data.loader("train")
        loader.rank, loader.world_size = rank, 3
        ranks.append(list(loader))
    for batch, *shares in zip(whole, *ranks, strict=True):
        for field in ("rows", "key"):
            parts = torch.cat([getattr(share, field) for share in shares])
            assert sorted(parts.tolist()) == sorted(getattr(batch, field).tolist())
    onward = data.loader("train")
    onward.load_state_dict({"epoch": 0, "position": 5})
    for batch, again in zip(whole[5:], onward, strict=True):
        assert torch.equal(batch.rows, again.rows)
        assert torch.equal(batch.key, again.key)
        assert batch.partner is not None
        assert again.partner is not None
        assert torch.equal(batch.partner.rows, again.partner.rows)


def test_a_sample_that_comes_again_is_augmented_otherwise_and_partners_are_balanced_too() -> None:
    data = module(sampling=Sampling(classes={"malignant": 9.0}), augment=[MixUp()])
    batches = list(data.loader("train"))
    rows, keys = (torch.cat([getattr(batch, field) for batch in batches]).numpy() for field in ("rows", "key"))
    first = turns(rows) == 0
    assert first.sum() < len(rows)
    assert (keys[first] == data.samples("pool").keys[rows[first]]).all()
    assert len(np.unique(keys)) == len(keys)
    y = data.samples("pool").target
    assert y is not None
    expected = 9 * 169 / (9 * 169 + 286)
    assert (y[rows] == 0).mean() == pytest.approx(expected, abs=0.005)
    partners = np.concatenate([batch.partner.rows for batch in batches if batch.partner is not None])
    assert (y[partners] == 0).mean() == pytest.approx(expected, abs=0.06)


def test_without_sampling_an_epoch_is_what_it_was() -> None:
    plain = module(batch_size=32).loader("train")
    assert plain.sampler.order().tolist() == np.random.default_rng([0, 0]).permutation(plain.sampler.rows).tolist()


def test_evaluation_and_the_trivial_model_know_nothing_of_it(run: Run, work: Path) -> None:
    results = []
    for name, overlay in (("plain", ()), ("drawn", ("--config", CONFIGS / "habits" / "balanced.yaml"))):
        run(
            *("crossval", "--config", CONFIGS / "breast_cancer_mlp.yaml", *overlay, "--name", name, "--folds", "[0]"),
            *("--trainer.max_epochs", 2, "--audit", "off"),
        )
        fold = crossval(name, work) / "fold_0"
        results.append((pd.read_parquet(fold / "predictions.parquet"), read_json(fold / "result.json")))
    (plain, before), (drawn, after) = results
    assert plain["id"].tolist() == drawn["id"].tolist()
    assert before["trivial"] == after["trivial"]
    assert before["selection"] == "last epoch"
    assert after["selection"] == (
        "last epoch; trained on classes drawn equally often, so that probabilities are of such a prior"
    )
    data = module(sampling="balanced", test_size=0.2)
    drawn_rows = [data.loader("train").sampler.covered(epoch) for epoch in range(2)]
    assert after["n_train"] <= after["n_given"] == before["n_train"] == len(data.rows("train")) == len(drawn_rows[0])


def test_balanced_class_weights_are_of_what_is_drawn(work: Path) -> None:
    folds = [
        lb.crossval(
            [CONFIGS / "breast_cancer_mlp.yaml", CONFIGS / "habits" / "balanced.yaml"],
            overrides={"model.class_weights": weights, "trainer.max_epochs": 1},
            folds=[0],
            name=str(weights),
            audit="off",
        ).directory
        for weights in ("balanced", None)
    ]
    one, other = (pd.read_parquet(path / "fold_0" / "predictions.parquet")["prob_1"] for path in folds)
    np.testing.assert_allclose(one, other, atol=1e-5)  # weights of 1, and 1 within 1 / n


def test_samples_of_weight_0_train_nothing(work: Path) -> None:
    x, y = load_diabetes(return_X_y=True)
    weight = np.where(np.arange(len(y)) % 2, 0.0, 3.0)
    np.savez("half.npz", x=x, y=y.astype(np.float32), weight=weight)
    np.savez("other.npz", x=np.where(weight[:, None] > 0, x, x[:, ::-1]), y=y.astype(np.float32), weight=weight)
    scored = []
    for source in ("half", "other"):
        found = lb.crossval(
            [CONFIGS / "linear_regression_gd.yaml", CONFIGS / "habits" / "weighted.yaml"],
            overrides={"data.source": f"{source}.npz", "data.normalize": "none", "trainer.max_epochs": 2},
            folds=[0],
            name=source,
            audit="off",
        )
        fold = found.directory / "fold_0"
        assert read_json(fold / "result.json")["n_train"] < 200
        scored.append(pd.read_parquet(fold / "predictions.parquet"))
    kept = scored[0]["id"].astype(int) % 2 == 0
    assert scored[0]["pred"][kept].tolist() == scored[1]["pred"][kept].tolist()
    assert len(scored[0]) == len(scored[1]) == 89


def test_a_table_is_drawn_by_one_of_its_columns(run: Run, work: Path) -> None:
    frame = load_breast_cancer(as_frame=True).frame
    frame["weight"] = np.where(frame["target"] == 0, 5, 1)
    frame.to_csv("own.csv", index=False)
    run(
        *("crossval", "--config", CONFIGS / "breast_cancer_mlp.yaml", "--folds", "[0]", "--trainer.max_epochs", 1),
        *("--data", "datamodules.table.Table", "--data.path", "own.csv", "--data.target", "target", "--audit", "off"),
        *("--data.split_columns", '["weight"]', "--config", CONFIGS / "habits" / "weighted.yaml"),
    )
    result = read_json(crossval("breast_cancer_mlp") / "fold_0" / "result.json")
    assert result["selection"].startswith("last epoch; trained on samples drawn by weight")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source": "diabetes", "sampling": "balanced"}, "targets that are no classes; balance a column"),
        ({"sampling": Sampling(balance="hospital")}, "no column 'hospital'; it has target"),
        ({"sampling": "weighted"}, "no column 'weight'"),
        ({"sampling": Sampling(classes={"malignent": 2})}, "no class 'malignent'.*did you mean 'malignant'"),
        ({"sampling": Sampling(classes={"malignant": 0, "benign": 0})}, "all weights .* are 0"),
    ],
)
def test_what_cannot_be_drawn_by_is_refused(options: Mapping[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        module(**options).loader("train")


def test_a_sampling_that_says_nothing_or_twice_is_refused(work: Path) -> None:
    for given in ({}, {"balance": "group", "weight": "weight"}, {"classes": {"a": -1.0}}):
        with pytest.raises(UserError, match=r"data\.sampling"):
            Sampling(**given)  # type: ignore[arg-type]
    x, y = load_breast_cancer(return_X_y=True)
    np.savez("many.npz", x=x, y=np.stack([y == 0, y == 1], axis=1))
    with pytest.raises(UserError, match="several labels per sample, which cannot all come equally often"):
        module(source="many.npz", sampling="balanced").loader("train")


def test_groups_come_equally_often(work: Path) -> None:
    x, y = load_breast_cancer(return_X_y=True)
    group = np.sqrt(np.arange(569)).astype(int)  # of 1, 3, 5 … samples
    np.savez("grouped.npz", x=x, y=y, group=group)
    data = module(source="grouped.npz", sampling=Sampling(balance="group"))
    loader = data.loader("train")
    counts = np.bincount(group[loader.sampler.order()], minlength=24)
    there = np.unique(group[data.rows("train")])
    assert set(np.flatnonzero(counts)) == set(there)
    assert np.ptp(counts[there]) <= 1


def test_items_of_any_dataset_are_drawn_so_too() -> None:
    y = (torch.arange(120) % 6 == 0).long()
    drawn = []
    for processes in (0, 1):
        data = AnyDataset(
            items=Listed([*zip(torch.randn(120, 3), y, strict=True)]),
            sampling="balanced",
            batch_size=32,
            processes=processes,
        )
        data.setup("fit")
        drawn.append([batch.x[1] for batch in data.loader("train")])
    assert torch.cat(drawn[0]).tolist() == torch.cat(drawn[1]).tolist()
    assert torch.bincount(torch.cat(drawn[0])).tolist() == [48, 48]


class Listed(Dataset[Any]):
    """Items of a list."""

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, place: int) -> Any:
        return self.items[place]
