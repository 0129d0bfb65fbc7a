"""Claims about ratings: numbers of users and items, and a factorisation that finds what made them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules.ratings import Ratings
from lightning_base.clean.cleaning import Cleaning
from lightning_base.errors import UserError
from lightning_base.samples.loader import BatchLoader
from models.factorization import Factorization
from tests.helpers import shared

FEW = "user,item,rating,when\nann,jaws,5,3\nbob,jaws,1,1\nann,alien,4,2\neve,up,9,4\n"


def few(tmp_path: Path, text: str = FEW, **changes: object) -> Ratings:
    (tmp_path / "r.csv").write_text(text)
    return Ratings(**{"path": str(tmp_path / "r.csv"), "time": "when", **changes})  # type: ignore[arg-type]


def test_users_and_items_are_numbered_from_the_training_role(tmp_path: Path) -> None:
    data = few(tmp_path)
    pool = data.samples("pool")
    assert pool.classes == ()
    assert pool.table["target"].tolist() == [5, 1, 4, 9]
    assert pool.table["time"].tolist() == [3, 1, 2, 4]
    jaws, also, alien, up = data.trivial_key()  # what the trivial model takes means by
    assert jaws == also != alien != up != jaws
    data.preprocess.fit(pool, np.array([0, 1]))  # ann, bob, jaws
    x = data.transform(next(iter(BatchLoader(pool, np.arange(4), 4, encoder=data.preprocess.encoder(pool))))).x
    assert x.tolist() == [[1, 1], [2, 1], [1, 0], [0, 0]]


def test_ratings_outside_the_scale_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="line 5 has target 9, not a number from 1 to 5"):
        few(tmp_path, scale=(1, 5)).samples("pool")
    assert len(few(tmp_path, scale=(1, 5), clean=Cleaning(target="drop")).samples("pool")) == 3


def test_the_default_split_holds_out_later_ratings_only(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = [f"u{rng.integers(9)},i{rng.integers(9)},{rng.integers(1, 6)},{t}" for t in rng.permutation(60)]
    data = few(tmp_path, "\n".join(["user,item,rating,when", *rows]))
    time = data.samples("pool").table["time"].to_numpy()
    assert len(data.folds.folds) == 5
    for fold in data.folds.folds:
        assert time[fold.train].max() < time[fold.val].min()


def test_predict_needs_no_ratings_and_missing_columns_are_named(tmp_path: Path) -> None:
    (tmp_path / "ask.csv").write_text("item,user\nup,ann\n")
    samples = few(tmp_path, predict=str(tmp_path / "ask.csv")).samples("predict")
    assert [f.name for f in samples.features] == ["user", "item"]
    assert [f.categories for f in samples.features] == [("ann",), ("up",)]
    with pytest.raises(UserError, match=r"no column 'film', only user, item, rating, when"):
        few(tmp_path, item="film").dataset("pool")
    with pytest.raises(UserError, match="no test ratings"):
        few(tmp_path).dataset("test")


def test_an_unknown_user_or_item_gets_the_mean_and_the_other_ones_bias() -> None:
    torch.manual_seed(0)
    network = Factorization(users=3, items=4, factors=2, mean=3.5)
    with torch.no_grad():
        network.user_bias.weight[2], network.item_bias.weight[4] = 0.5, -0.25
        y = network(torch.tensor([[0.0, 0.0], [2.0, 0.0], [0.0, 4.0], [2.0, 4.0]]))
        product = float((network.user.weight[2] * network.item.weight[4]).sum())
    assert torch.allclose(y, torch.tensor([[3.5], [4.0], [3.25], [3.75 + product]]))
    network(torch.tensor([[0, 0], [1, 1]])).sum().backward()
    assert network.user.weight.grad is not None
    assert not network.user.weight.grad[0].any(), "what is unknown learns nothing"


def test_factors_that_made_the_ratings_are_found() -> None:
    torch.manual_seed(0)
    truth = torch.randn(30, 2) @ torch.randn(2, 20) + torch.randn(30, 1)
    pairs = torch.cartesian_prod(torch.arange(30), torch.arange(20))
    order = torch.randperm(600)
    train, held = pairs[order[:480]], pairs[order[480:]]
    network = Factorization(users=30, items=20, factors=2)
    optimizer = torch.optim.Adam(network.parameters(), lr=0.05)
    for _ in range(400):
        loss = (network(train + 1)[:, 0] - truth[train[:, 0], train[:, 1]]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    error = (network(held + 1)[:, 0] - truth[held[:, 0], held[:, 1]]).square().mean()
    assert error < 0.05 * truth.var()


def test_movielens_has_one_impossible_rating() -> None:
    path = shared("ml-100k/u.data")
    raw = np.loadtxt(path, dtype=np.int64)
    data = Ratings(
        path=str(path),
        header=["user", "item", "rating", "time"],
        time="time",
        scale=(1, 5),
        clean=Cleaning(target="drop"),
    )
    pool = data.samples("pool")
    good = raw[(raw[:, 2] >= 1) & (raw[:, 2] <= 5)]
    assert len(data.findings["pool"]) == len(raw) - len(good)
    assert np.array_equal(pool.table["target"].to_numpy(), good[:, 2])
    users = pool.features[0].categories
    assert users is not None
    rows = np.arange(0, len(pool), 997)
    assert [int(users[int(code)]) for code in np.asarray(pool.inputs[rows])[:, 0]] == good[rows, 0].tolist()
