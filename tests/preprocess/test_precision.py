"""Claims about digits: what varies far from 0 reaches the network, and contents are compared as they were read."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold
from sklearn.preprocessing import StandardScaler

from datamodules.arrays import Arrays
from datamodules.table import Table
from lightning_base.data import BaseDataModule
from lightning_base.data.memory import Memory
from lightning_base.samples.samples import Samples

N, SINCE = 400, 1.7e9  # seconds since 1970: float32 has steps of 128 there


def seconds() -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """(N, 2) float64, of which the first column alone tells the target, and (N,) targets."""
    rng = np.random.default_rng(0)
    x = np.stack([SINCE + rng.uniform(0, 60, N), rng.normal(size=N)], axis=1)
    return x, (x[:, 0] - SINCE > 30).astype(int)


def kinds(path: Path) -> dict[str, BaseDataModule]:
    x, y = seconds()
    np.savez(path / "t.npz", x=x, y=y, x_test=x[:50], y_test=y[:50])
    frame = pd.DataFrame({"seconds": x[:, 0], "noise": x[:, 1], "y": np.where(y == 1, "late", "early")})
    frame.to_csv(path / "t.csv", index=False)
    frame.to_parquet(path / "t.parquet")
    options = {"split": KFold(4, shuffle=True)}
    return {
        "npz": Arrays(source=str(path / "t.npz"), **options),
        "csv": Table(path=str(path / "t.csv"), target="y", **options),
        "parquet": Table(path=str(path / "t.parquet"), target="y", **options),
        "memory": Memory(x=x, y=y, **options),
        "frame": Memory(x=frame.drop(columns="y"), y=frame["y"], **options),
        "images": Memory(x=x[:, :, None, None], y=y, **options),
    }


def ready(data: BaseDataModule, role: Any) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """What the network gets of a role, and the targets."""
    batch = data.loader(role).gather(data.rows(role))
    assert batch.x.dtype == torch.float32
    x = data.transform(batch).x
    assert isinstance(batch.y, torch.Tensor)
    return x.numpy().reshape(len(x), -1), batch.y.numpy()


def test_what_varies_far_from_zero_reaches_the_network(tmp_path: Path) -> None:
    whole = seconds()[0]
    for name, data in kinds(tmp_path).items():
        data.setup("fit")
        x, y = ready(data, "train")
        held, truth = ready(data, "val")
        scaled = StandardScaler().fit(whole[data.rows("train")])
        np.testing.assert_allclose(x, scaled.transform(whole[data.rows("train")]), atol=2e-6, err_msg=name)
        np.testing.assert_allclose(held, scaled.transform(whole[data.rows("val")]), atol=2e-6, err_msg=name)
        assert LogisticRegression(C=100).fit(x, y).score(held, truth) > 0.95, name
        assert not data.findings["pool"]["kind"].isin(["constant", "duplicate", "conflict"]).any(), name
        kept = data.preprocess.state()  # what a checkpoint has standardises alike
        again = data.make_preprocess()
        again.load(kept)
        data.preprocess = again
        np.testing.assert_array_equal(ready(data, "val")[0], held)


def test_a_constant_far_from_zero_becomes_zero_and_is_a_finding(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": [SINCE + 0.1] * 30, "b": np.arange(30) / 10, "y": list("xyz") * 10})
    data = Memory(x=frame.drop(columns="y"), y=frame["y"])
    data.setup("fit")
    column = ready(data, "train")[0][:, 0]
    assert (np.ptp(column), abs(column[0]) < 1e-6) == (0, True)
    assert data.findings["pool"].loc[data.findings["pool"]["kind"] == "constant", "id"].tolist() == ["a"]


@pytest.mark.parametrize("offset", [0.0, SINCE])
def test_duplicates_are_equal_as_read_whatever_their_type(offset: float) -> None:
    x = np.array([[offset], [offset + 0.25], [offset], [offset + 1.0]]).repeat(2, axis=1)
    table = pd.DataFrame({"id": list("abcd")})
    content = Samples(x, table).content
    assert (content[0] == content[2], len(set(content.tolist()))) == (True, 3)
    if offset == 0:  # what float32 holds is the same content in it
        assert Samples(x.astype(np.float32), table).content.tolist() == content.tolist()


def test_what_float32_holds_is_kept_in_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    whole = Memory(x=rng.integers(0, 1000, (50, 3)), y=np.arange(50) % 2)
    images = Memory(x=rng.normal(size=(50, 1, 4, 4)), y=np.arange(50) % 2)
    for data in (whole, images):
        assert data.samples("pool").inputs.dtype == np.float32
    pixels = Memory(x=rng.integers(0, 255, (50, 1, 4, 4)).astype(np.uint8), y=np.arange(50) % 2)
    assert pixels.samples("pool").inputs.dtype == np.uint8
