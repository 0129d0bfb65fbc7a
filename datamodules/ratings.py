"""Ratings: one row for each rating that a user gave an item, from CSV or Parquet."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lightning_base.data import BaseDataModule, Samples, Source
from lightning_base.data.readers import row_reader
from lightning_base.errors import NoSourceError
from lightning_base.preprocess import Preprocess, TablePreprocess
from lightning_base.runtime.readers import Reader
from lightning_base.samples.samples import Feature
from lightning_base.sources.columns import Layout
from lightning_base.sources.form import Format, demand_separator
from lightning_base.sources.tables import read_table


@dataclass(kw_only=True, eq=False)
class Ratings(BaseDataModule):
    """Pairs of a user and an item, with the rating as a continuous target.

    A network gets (B, 2) float32 whole numbers: the user's and the item's, each 0 where the training role has no
    rating of it, then 1, 2, … in alphabetical order of its users and items. Where `time` is named, the default split
    is over time: no rating is predicted from later ones.

    Args:
        path: the file: Parquet, Excel, JSON lines or CSV by its name, as `Table` reads them.
        user: the column of users.
        item: the column of items.
        rating: the column of ratings.
        scale: the least and the greatest rating that there can be; others are findings.
        time: the column of times, if there is one: numbers, or ISO 8601 moments.
        header: true where the first line names the columns, else the columns' names.
        separator: between the fields of a CSV, of one character or several, as MovieLens' "::"; "whitespace" for runs
            of it; by default the most frequent of tab, comma, semicolon and bar in the first line.
        encoding: of a CSV.
        test_path: a file of sealed ratings.
        predict: a file of users and items that `predict` reads; it needs no ratings.

    Raises:
        UserError: for a file or column that is not there, or no test file.
    """

    path: str
    user: str = "user"
    item: str = "item"
    rating: str = "rating"
    scale: tuple[float, float] | None = None
    time: str | None = None
    header: bool | Sequence[str] = True
    separator: str | None = None
    encoding: str = "utf-8"
    test_path: str | None = None
    predict: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        demand_separator(self.separator, '"')

    def make_preprocess(self) -> Preprocess:
        """Users and items as codes."""
        return TablePreprocess(encode="code")

    def trivial_key(self) -> npt.NDArray[Any]:
        """(N,) the item of each rating: the trivial model takes its mean."""
        samples = self.samples("pool")
        return np.asarray(samples.inputs[np.arange(len(samples))])[:, 1]

    def readers(self) -> dict[str, Reader]:
        """Pairs of a user and an item."""
        pair = (self.user, self.item)
        return {"row": row_reader(self.samples("pool"), self.rows("train"), self.preprocess, needed=pair)}

    def own_test(self) -> str | None:
        """What names test samples of their own, where something does."""
        return None if self.test_path is None else f"data.test_path ({self.test_path})"

    def dataset(self, source: Source) -> Samples:
        """The ratings of a source: codes of user and item (N, 2) float32."""
        path, key = {
            "pool": (self.path, "data.path"),
            "test": (self.test_path, "data.test_path"),
            "predict": (self.predict, "data.predict"),
        }[source]
        if path is None and source == "test":
            raise NoSourceError(
                f"{self.path} has no test ratings; seal a share with data.test_size, e.g. 0.2, or data.test_path"
            )
        if path is None:
            raise NoSourceError("data.predict: not given; name a file of users and items")
        known = source != "predict"
        lacking = () if known else tuple(name for name in (self.rating, self.time) if name is not None)
        return read_table(
            Layout(
                form=Format(Path(path), self.separator, self.header, self.encoding, ("",), key, lacking),
                needed={"user": self.user, "item": self.item},
                target=self.rating if known else None,
                time=self.time if known else None,
                features=(Feature(self.user, ()), Feature(self.item, ())),
                task="regression",
                target_range=self.scale,
            )
        )
