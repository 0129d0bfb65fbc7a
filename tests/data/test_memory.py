"""Data in memory: arrays as an .npz of them is read, a DataFrame as its Parquet file is."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from datamodules.arrays import Arrays
from datamodules.table import Table
from lightning_base.data import Samples
from lightning_base.data.memory import Memory
from lightning_base.errors import ConfigError, DataError


def customers(n: int = 60) -> pd.DataFrame:
    """Numbers with gaps, categories of three kinds, households, and whether they bought."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {
            "age": np.where(rng.random(n) < 0.2, np.nan, rng.normal(40, 10, n)),
            "visits": rng.integers(0, 9, n),
            "city": rng.choice(np.array(["Bern", "Ulm", None], dtype=object), n),
            "plan": pd.Categorical(rng.choice(["small", "large"], n)),
            "member": rng.choice([True, False], n),
            "household": rng.integers(0, 20, n),
            "bought": rng.choice(["yes", "no"], n),
        }
    )
    return frame.set_index(pd.Index([f"c{i:02d}" for i in rng.permutation(n)], name="customer"))


def same(one: Samples, other: Samples) -> None:
    np.testing.assert_array_equal(np.asarray(one.inputs[:]), np.asarray(other.inputs[:]))
    assert (one.features, one.classes) == (other.features, other.classes)
    assert (one.content == other.content).all()


def test_a_table_in_memory_is_read_as_its_file_is(tmp_path: Path) -> None:
    frame = customers()
    frame.reset_index().to_parquet(tmp_path / "customers.parquet", index=False)
    path = str(tmp_path / "customers.parquet")
    read = Table(path=path, target="bought", ids="customer", group="household").dataset("pool")
    for given in (
        Memory(x=frame, y="bought", groups="household"),
        Memory(x=frame.drop(columns=["bought", "household"]), y=frame["bought"], groups=frame["household"]),
    ):
        held = given.dataset("pool")
        same(held, read)
        assert list(held.table["id"]) == list(frame.index)
        pd.testing.assert_frame_equal(held.table[["id", "group", "target"]], read.table[["id", "group", "target"]])


def test_arrays_in_memory_are_read_as_their_file_is(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y, group = rng.normal(size=(30, 4)), rng.choice(["a", "b"], 30), rng.integers(0, 9, 30)
    np.savez(tmp_path / "arrays.npz", x=x, y=y, group=group)
    read = Arrays(source=str(tmp_path / "arrays.npz")).dataset("pool")
    for given in (x, x.tolist(), torch.from_numpy(x)):
        held = Memory(x=given, y=list(y), groups=group).dataset("pool")
        same(held, read)
        assert held.table.equals(read.table)


def test_a_row_is_named_by_a_count_where_the_index_names_none() -> None:
    frame = customers(12)
    for index in (pd.RangeIndex(12), pd.Index([0] * 12)):
        assert list(Memory(x=frame.set_index(index), y="bought").dataset("pool").table["id"])[9:] == ["09", "10", "11"]


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ({"x": np.zeros((3, 2)), "y": [1, 2]}, "y: shape (2,) where x has 3 rows"),
        ({"x": np.zeros((3, 2))}, "y: missing"),
        ({"x": np.zeros(3), "y": [1, 2, 3]}, "inputs are numbers (N, …)"),
        ({"x": [[1, 2], [3]], "y": [1, 2]}, "x: no array can be made of it"),
        ({"x": customers(), "y": "bougth"}, "did you mean 'bought'?"),
        ({"x": customers(), "y": customers()["bought"]}, "y: x has a column 'bought' too"),
        ({"x": customers().drop(columns="bought"), "y": [1, 2]}, "y: shape (2,) where x has 60 rows"),
        (
            {"x": customers().drop(columns="bought"), "y": customers()["bought"].sort_index()},
            "y: its index is not that",
        ),
        ({"x": customers().assign(odd=[1, "a"] * 30), "y": "bought"}, "column 'odd' holds values of several kinds"),
        ({"x": customers().assign(odd=1j), "y": "bought"}, "column 'odd' is complex128"),
    ],
)
def test_what_does_not_fit_is_said(arguments: dict[str, Any], part: str) -> None:
    with pytest.raises(DataError) as error:
        Memory(**arguments).dataset("pool")
    assert "\n" not in str(error.value)
    assert part in str(error.value)


@pytest.mark.parametrize("options", [{"columns": ["a"]}, {"categorical": ["a"]}])
def test_columns_of_an_array_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="give x as a DataFrame"):
        Memory(x=np.zeros((2, 2)), y=[0, 1], **options)
