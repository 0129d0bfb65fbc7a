"""Claims about the audit: columns that tell the target, and statistics of more than the training role, are found."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.model_selection import KFold, StratifiedKFold

from datamodules.arrays import Arrays
from lightning_base.auditing import poison
from lightning_base.auditing.audit import audit
from lightning_base.clean.cleaning import Cleaning
from lightning_base.data import BaseDataModule, Samples, Source
from lightning_base.errors import NoSourceError
from lightning_base.preprocess import Preprocess, Standardize, TablePreprocess, Vocabulary
from lightning_base.samples.payload import Ragged
from lightning_base.samples.samples import Feature
from lightning_base.splitters import ByFiles
from tests.support.clean_data import N, arrays, kinds, source, table


def _leaking(how: str) -> tuple[dict[str, Any], str]:
    """Arrays of 400 rows with a leaking column 2, and the measure that tells."""
    rng = np.random.default_rng(0)
    n = 400
    x, y = rng.normal(size=(n, 5)), rng.integers(0, 4, n)
    x[:, 4] = rng.permutation(n)  # numbers of rows, all different: memorised, they would tell each target
    if how == "codes":
        x[:, 2] = np.array([2, 0, 3, 1])[y]
    elif how == "noisy":
        x[:, 2] = y + rng.normal(0, 0.1, n)
    elif how == "missing":
        y = rng.integers(0, 2, n)
        x[y == 1, 2] = np.nan
    elif how == "rare":
        y = (np.arange(n) % 25 == 0).astype(int)  # always saying "no" is right in 96 %
        x[:, 2] = np.where(y == 1, rng.normal(5, 1, n), rng.normal(-5, 1, n))
    elif how == "values":
        y = rng.normal(size=n).astype(np.float32)
        x[:, 2] = 3 - 20 * y
    elif how == "curve":
        y = rng.normal(size=n).astype(np.float32)
        x[:, 2] = np.exp(y)
    return {"x": x.astype(np.float32), "y": y}, "R²" if how in ("values", "curve") else "balanced accuracy"


@pytest.mark.parametrize("how", ["codes", "noisy", "missing", "rare", "values", "curve"])
def test_a_column_that_tells_the_target_is_found(tmp_path: Path, how: str) -> None:
    arrays, measure = _leaking(how)
    np.savez(tmp_path / "source.npz", **arrays)
    data = Arrays(source=str(tmp_path / "source.npz"))
    if how == "missing":  # of arrays cleaning refuses them, of tables not
        columns = tuple(Feature(str(i)) for i in range(arrays["x"].shape[1]))
        read = Samples(arrays["x"], table(arrays["y"]), ("a", "b"), features=columns)

        def dataset(source: Source) -> Samples:
            if source != "pool":
                raise NoSourceError("no such source")
            return read

        data.dataset = dataset  # type: ignore[method-assign]
    (leak,) = audit(data)
    assert leak.kind == "target"
    assert leak.detail.startswith(f"column '2' alone predicts the target ({measure} ")


def test_columns_that_tell_the_target_nearly_are_left(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 1000)
    x = np.stack([np.where(rng.random(1000) < 0.95, y, 1 - y), y + rng.normal(0, 0.4, 1000)], axis=1)
    x += rng.normal(0, 0.01, x.shape)
    np.savez(tmp_path / "source.npz", x=x, y=y)
    assert audit(Arrays(source=str(tmp_path / "source.npz"))) == []
    y = rng.normal(size=1000)
    np.savez(tmp_path / "source.npz", x=(y + rng.normal(0, 0.2, 1000))[:, None].repeat(2, axis=1), y=y)
    assert audit(Arrays(source=str(tmp_path / "source.npz"))) == []


def test_a_leaking_column_among_thousands_is_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 2, (500, 3000)).astype(np.float32), rng.integers(0, 2, 500)
    x[:, 1000:2000] = 7  # constant
    x[:, 2345] = 1 - y
    np.savez(tmp_path / "source.npz", x=x, y=y)
    (leak,) = audit(Arrays(source=str(tmp_path / "source.npz")))
    assert leak.kind == "target"
    assert "column '2345' alone" in leak.detail


class _FitsPool(Standardize):
    """Takes the statistics of all samples, whatever the rows."""

    def fit(self, samples: Samples, rows: np.ndarray[Any, Any]) -> None:
        super().fit(samples, np.arange(len(samples)))


@dataclass(kw_only=True, eq=False)
class FitsPool(Arrays):
    """A preprocessing that ignores the rows it is given."""

    def make_preprocess(self) -> Preprocess:
        """See BaseDataModule."""
        return _FitsPool(self.normalize)


@dataclass(kw_only=True, eq=False)
class FitsVal(Arrays):
    """A setup of its own, with train and val together."""

    def setup(self, stage: str) -> None:
        """See BaseDataModule."""
        self.preprocess.fit(self.samples("pool"), np.concatenate([self.rows("train"), self.rows("val")[:1]]))


@dataclass(kw_only=True, eq=False)
class FitsTest(Arrays):
    """Statistics of the test source."""

    def setup(self, stage: str) -> None:
        """See BaseDataModule."""
        test = self.samples("test")
        self.preprocess.fit(test, np.arange(len(test)))


@dataclass(kw_only=True, eq=False)
class FitsSource(Arrays):
    """Statistics of what `dataset` reads, before anything is split."""

    def make_preprocess(self) -> Preprocess:
        """See BaseDataModule."""
        made = Standardize()
        whole = self.dataset("pool")
        made.fit(whole, np.arange(len(whole)))
        return made


class FitsOnce(BaseDataModule):
    """No dataclass; it keeps what it has computed, with the methods of an array."""

    def __init__(self, path: str) -> None:
        super().__init__(split=KFold(5), test_size=0.2)
        self.path = path

    def dataset(self, source: Source) -> Samples:
        """See BaseDataModule."""
        with np.load(self.path) as content:
            return Samples(content["x"], table(content["y"]), ("a", "b", "c"))

    def make_preprocess(self) -> Preprocess:
        """See BaseDataModule."""
        made, inputs = Standardize(), self.samples("pool").inputs
        base: Any = inputs.base  # type: ignore[attr-defined]
        made.load({"mean": base.reshape(len(base), -1).max(axis=0), "std": base.std(axis=0)})
        return made


LEAKY = [FitsPool, FitsVal, FitsTest, FitsSource]


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("kind", LEAKY)
def test_statistics_of_held_out_samples_are_found(
    tmp_path: Path, kind: type[Arrays], lazy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lazy:
        monkeypatch.setattr(poison, "SMALL", -1)
    path = source(tmp_path)
    data = kind(source=path, test_size=0.2)
    (leak,) = audit(data)
    assert leak.kind == "statistics"
    assert f"of {kind.__name__} is fitted on samples outside the training role (`mean` changes" in leak.detail
    assert audit(Arrays(source=path, test_size=0.2)) == []


@pytest.mark.parametrize("lazy", [False, True])
def test_statistics_kept_by_a_module_of_another_make_are_found(
    tmp_path: Path, lazy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if lazy:
        monkeypatch.setattr(poison, "SMALL", -1)
    assert kinds(audit(FitsOnce(source(tmp_path)))) == ["statistics"]


def test_uint8_images_fitted_as_a_whole_are_found_and_fixed_statistics_are_none(tmp_path: Path) -> None:
    x = np.random.default_rng(0).integers(0, 60, (N, 3, 4, 4)).astype(np.uint8)
    path = source(tmp_path, x=x)
    assert audit(Arrays(source=path)) == []
    assert kinds(audit(FitsPool(source=path), near=False)) == ["statistics"]
    assert audit(FitsPool(source=path, normalize="unit"), near=False) == []


@dataclass(kw_only=True, eq=False)
class Words(BaseDataModule):
    """Texts of words drawn from 60; `honest` counts those of the training role."""

    honest: bool = True

    def dataset(self, source: Source) -> Samples:
        """See BaseDataModule."""
        if source != "pool":
            raise NoSourceError("no such source")
        rng = np.random.default_rng(0)
        parts = [rng.integers(0, 60, rng.integers(3, 9)).astype(np.int32) for _ in range(N)]
        words = Feature("text", tuple(f"word{i:02d}" for i in range(60)))
        return Samples(Ragged.of(parts, parts[0]), table(np.arange(N) % 2), ("a", "b"), features=(words,))

    def make_preprocess(self) -> Preprocess:
        """See BaseDataModule."""
        return Vocabulary()

    def setup(self, stage: str) -> None:
        """See BaseDataModule."""
        pool = self.samples("pool")
        self.preprocess.fit(pool, self.rows("train") if self.honest else np.arange(len(pool)))


def test_a_vocabulary_of_all_texts_is_found() -> None:
    assert audit(Words(), near=False) == []
    (leak,) = audit(Words(honest=False), near=False)
    assert leak.kind == "statistics"
    assert "(`words` changes" in leak.detail


@dataclass(kw_only=True, eq=False)
class Categories(BaseDataModule):
    """Two columns of categories; one category is held out in the first fold."""

    honest: bool = True

    def dataset(self, source: Source) -> Samples:
        """See BaseDataModule."""
        if source != "pool":
            raise NoSourceError("no such source")
        x = np.random.default_rng(0).integers(0, 3, (N, 2)).astype(np.float32)
        x[5, 1] = 3
        columns = (Feature("sort", ("a", "b", "c")), Feature("place", ("p", "q", "r", "s")))
        return Samples(x, table(np.arange(N) % 2), ("no", "yes"), features=columns)

    def make_preprocess(self) -> Preprocess:
        """See BaseDataModule."""
        return TablePreprocess()

    def setup(self, stage: str) -> None:
        """See BaseDataModule."""
        pool = self.samples("pool")
        self.preprocess.fit(pool, self.rows("train") if self.honest else np.arange(len(pool)))


def test_categories_taken_from_held_out_rows_are_found() -> None:
    cleaning = Cleaning(duplicate="drop")  # rows of two columns are often alike
    splitter = StratifiedKFold(3)
    for honest, found in ((True, []), (False, ["statistics"])):
        leaks = audit(Categories(honest=honest, split=splitter, clean=cleaning))
        assert [kind for kind in kinds(leaks) if kind == "statistics"] == found


def test_inputs_scaled_before_they_were_split_are_found(tmp_path: Path) -> None:
    x = arrays()["x"].astype(np.float64)
    scaled = (x - x.mean(axis=0)) / x.std(axis=0)
    for size in (None, 0.2):
        (leak,) = audit(Arrays(source=source(tmp_path, x=scaled), test_size=size))
        assert leak.kind == "statistics"
        assert f"mean 0 and deviation 1 over all {N} samples" in leak.detail
    train = np.arange(N) < 100
    honest = (x - x[train].mean(axis=0)) / x[train].std(axis=0)
    (tmp_path / "val.txt").write_text("\n".join(f"{row:03d}" for row in range(100, N)))
    assert audit(Arrays(source=source(tmp_path, x=honest), split=ByFiles(val=str(tmp_path / "val.txt")))) == []


@dataclass(kw_only=True, eq=False)
class Counts(Arrays):
    """Counts of small whole numbers, by a table that far values do not fit."""

    whole: bool = True
    strict: bool = False

    def setup(self, stage: str) -> None:
        """See BaseDataModule."""
        inputs: Any = self.samples("pool").inputs
        if self.strict and not isinstance(inputs, np.ndarray):
            raise TypeError("an array is needed")
        counts = np.zeros(50)
        for value in inputs[np.arange(N) if self.whole else self.rows("train")].ravel():
            counts[int(value)] += 1
        self.preprocess.load({"mean": counts, "std": counts})


def test_fitting_that_fails_on_other_held_out_values_has_read_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.random.default_rng(0).integers(0, 50, (N, 4))
    path = source(tmp_path, x=x)
    (leak,) = audit(Counts(source=path))
    assert leak.kind == "statistics"
    assert "fitting fails with IndexError when they change" in leak.detail
    assert audit(Counts(source=path, whole=False)) == []
    monkeypatch.setattr(poison, "SMALL", -1)  # large data are wrapped, which some code cannot take: that is said
    (leak,) = audit(Counts(source=path, whole=False, strict=True))
    assert leak.kind == "unchecked"
    assert "statistics: not looked at" in leak.detail
    assert "TypeError: an array is needed" in leak.detail
