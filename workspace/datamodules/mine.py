"""Data of your own, named in configs/mine.yaml as datamodules.mine.Mine; here measurements of wines, to be replaced.

Cleaning, splitting, audit, statistics, loaders and folds come with the base class.
"""

from dataclasses import dataclass

import pandas as pd
from sklearn.datasets import load_wine

from lightning_base.data import BaseDataModule, Samples, Source
from lightning_base.errors import NoSourceError

CLASSES = ("Barolo", "Grignolino", "Barbera")


@dataclass(kw_only=True, eq=False)
class Mine(BaseDataModule):
    """Wines of three cultivars, by 13 measurements.

    Args:
        path: a CSV with a column for each measurement, and `target`, the number of the class; without it, the 178
            wines that come with scikit-learn.
        predict: a CSV of new wines, for `lightning-base predict`; it needs no `target`.
    """

    path: str | None = None
    predict: str | None = None

    def dataset(self, source: Source) -> Samples:
        """The samples of "pool" or "predict"; "test" is the share of the pool that data.test_size sets aside."""
        if source == "test":
            raise NoSourceError("data.test_size: give a share of the samples to seal for the test, such as 0.2")
        if source == "predict" and self.predict is None:
            raise NoSourceError("data.predict: give a CSV of new wines")
        path = self.predict if source == "predict" else self.path
        frame = load_wine(as_frame=True).frame if path is None else pd.read_csv(path)
        inputs = frame.drop(columns="target", errors="ignore").to_numpy(dtype="float32")
        table = frame.filter(["target"]).assign(id=[f"wine_{row:05d}" for row in range(len(frame))])
        return Samples(inputs, table, CLASSES, origin=path or "load_wine")
