"""Claims about the pool: what is read is read once per process, is the same for every run, and no run can change it."""

import gc
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest
import torch

from datamodules.arrays import Arrays
from lightning_base.clean import cleaning
from lightning_base.data import Samples, Source
from lightning_base.data import pool as pools
from lightning_base.preprocess import Preprocess, Standardize
from tests.helpers import CONFIGS, Run, assert_same_crossval, crossval, read_json

MLP = (
    "crossval",
    "--config",
    CONFIGS / "breast_cancer_mlp.yaml",
    "--trainer.max_epochs",
    1,
    "--trainer.logger",
    "false",
)
KFOLD = ("--data.split", "sklearn.model_selection.KFold", "--data.split.shuffle", "true", "--data.split.n_splits")
INNER = '{"class_path": "sklearn.model_selection.KFold", "init_args": {"n_splits": 2}}'
GRID = (
    '{"grid": {"model.optimizer.lr": [0.001, 0.01], "data.batch_size": [32, 64]}, "metric": "accuracy", '
    f'"inner": {INNER}}}'
)


@dataclass(kw_only=True, eq=False)
class Counted(Arrays):
    """Arrays that note which source is read."""

    reads: ClassVar[list[Source]] = []

    def dataset(self, source: Source) -> Samples:
        self.reads.append(source)
        return super().dataset(source)


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> tuple[list[Source], list[bool]]:
    """What is read, and of what is cleaned whether it is the pool."""
    cleaned: list[bool] = []

    def clean(samples: Samples, policy: cleaning.Cleaning, pool: bool = True) -> tuple[Samples, pd.DataFrame]:
        cleaned.append(pool)
        return cleaning.clean(samples, policy, pool)

    monkeypatch.setattr(pools, "clean", clean)
    Counted.reads.clear()
    return Counted.reads, cleaned


@pytest.mark.slow
def test_a_cross_validation_reads_and_cleans_its_data_once(
    run: Run, work: Path, reads: tuple[list[Source], list[bool]]
) -> None:
    run(*MLP, "--data", "tests.data.test_pool.Counted", *KFOLD, 5, "--refit", "true")
    assert read_json(crossval("breast_cancer_mlp") / "summary.json")["k"] == 5
    assert reads == (["pool"], [True])


@pytest.mark.slow
def test_a_nested_search_reads_and_cleans_its_data_once(
    run: Run, work: Path, reads: tuple[list[Source], list[bool]]
) -> None:
    run(*MLP, "--data", "tests.data.test_pool.Counted", *KFOLD, 3, "--search", GRID, "--refit", "true")
    directory = crossval("breast_cancer_mlp")
    assert len(list(directory.glob("fold_*/inner/candidate_*/fold_*/result.json"))) == 3 * 4 * 2
    assert reads == (["pool"], [True])


@pytest.mark.slow
def test_a_candidate_that_changes_what_is_read_has_its_own_reading(
    run: Run, work: Path, reads: tuple[list[Source], list[bool]]
) -> None:
    grid = '{"grid": {"data.clean.iqr": [30.0, 50.0]}, "metric": "accuracy"}'
    run(*MLP, "--data", "tests.data.test_pool.Counted", *KFOLD, 2, "--search", grid, "--data.clean.outlier", "keep")
    assert reads == (["pool"] * 3, [True] * 3)  # the experiment's own, and each candidate's


@pytest.mark.slow
def test_shared_reading_changes_no_bit(run: Run, work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(*MLP, *KFOLD, 3, "--name", "shared")
    monkeypatch.setattr(
        pools.Pools, "find", lambda self, read_by, divided_by, sources, division: pools.Pool(sources, division)
    )
    run(*MLP, *KFOLD, 3, "--name", "apart")
    assert_same_crossval(crossval("shared"), crossval("apart"))


class Greedy(Standardize):
    """A preprocessing that scales the source in place."""

    def fit(self, samples: Samples, rows: np.ndarray) -> None:
        samples.inputs[:] = samples.inputs - samples.inputs[rows].mean(axis=0)
        super().fit(samples, rows)


@dataclass(kw_only=True, eq=False)
class Careless(Arrays):
    """Arrays with such a preprocessing."""

    def make_preprocess(self) -> Preprocess:
        return Greedy(self.normalize)


def test_a_fold_that_would_change_what_the_others_read_is_refused() -> None:
    data = Careless(source="breast_cancer")
    with pytest.raises(ValueError, match="read-only"):
        data.setup("fit")


def test_batches_gathered_from_a_shared_pool_are_each_runs_own() -> None:
    first, other = Arrays(source="digits"), Arrays(source="digits")
    other.pool = first.pool
    for data in (first, other):
        data.setup("fit")
    batch = first.loader("train").gather(first.rows("train")[:4])
    before = batch.x.clone()
    batch.x.zero_()
    again = other.loader("train").gather(other.rows("train")[:4])
    torch.testing.assert_close(again.x, before, rtol=0, atol=0)


def test_of_many_readings_the_latest_are_kept_and_no_pool_of_the_others() -> None:
    kept = pools.Pools()
    sources = [
        pools.Sources(lambda source: pytest.fail("nothing is read"), cleaning.Cleaning(), None) for _ in range(12)
    ]
    alive = [weakref.ref(one) for one in sources]
    for i in range(12):
        kept.find(str(i), "divided alike", sources[i], pools.Division())
    sources.clear()
    gc.collect()
    assert [one() is not None for one in alive] == [False] * 8 + [True] * 4


def test_what_a_fold_does_to_targets_in_place_is_refused() -> None:
    data = Arrays(source="diabetes")
    data.prepare_data()
    with pytest.raises(ValueError, match="read-only"):
        data.samples("pool").target[0] = 0


def test_what_was_read_outlives_the_data_module_that_read_it_and_nothing_else_does() -> None:
    kept, first, second = pools.Pools(), Arrays(source="diabetes"), Arrays(source="diabetes")
    for data in (first, second):
        data.join(kept, {"source": "diabetes"})
    read = first.samples("pool")
    gone = weakref.ref(first)
    del first, data
    gc.collect()
    assert gone() is None
    assert second.samples("pool") is read
