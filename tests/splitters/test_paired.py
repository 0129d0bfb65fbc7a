"""Claims about pairs of folds: the ordinary folds come first, and each further one holds out two of them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lightning_base.splitters.paired import Paired
from lightning_base.splitters.split import default_splitter, make_split
from tests.helpers import CONFIGS, folds_of, refused


def test_the_first_folds_are_the_default_splits_and_the_others_hold_out_two_of_them() -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({"id": [f"{i:02d}" for i in range(60)], "target": rng.integers(0, 2, 60)})
    for columns in ({}, {"group": np.arange(60) // 4}):
        own = table.assign(**columns)
        plain = make_split(own, default_splitter(own, classification=True), seed=5)
        split = make_split(own, Paired(5, 2), seed=5)
        assert folds_of(split)[:5] == folds_of(plain)
        assert [fold.repeat for fold in split.ordinary] == [0] * 5 + [1] * 5
        assert len(split.folds) == 10 + 2 * 10
        assert folds_of(split)[5:10] != folds_of(split)[:5]
        for fold in split.folds[10:]:
            assert fold.pair is not None
            one, other = (split.folds[k] for k in fold.pair)
            assert one.repeat == other.repeat == fold.repeat
            assert set(fold.val) == set(one.val) | set(other.val)
            assert set(fold.train) == set(range(60)) - set(fold.val)
        if columns:
            assert not any(set(own["group"][fold.train]) & set(own["group"][fold.val]) for fold in split.folds)
        shuffled = make_split(own.sample(frac=1, random_state=1), Paired(5, 2), seed=5)
        assert shuffled.hash == split.hash


def test_two_folds_are_too_few_to_hold_out_two(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    overlay = ("--config", CONFIGS / "cv" / "nested_interval.yaml", "--data.split.n_splits", 2)
    refused(capsys, ["crossval", "--config", CONFIGS / "breast_cancer_mlp.yaml", *overlay], "give n_splits 3 or more")
