"""Claims about preprocessing: statistics of the given rows alone, applied alike to every source, kept in a state."""

import io

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_diabetes, load_digits
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from lightning_base.errors import UserError
from lightning_base.preprocess import Preprocess, Standardize, TablePreprocess, Vocabulary
from lightning_base.samples.batch import Batch
from lightning_base.samples.loader import BatchLoader
from lightning_base.samples.payload import Ragged
from lightning_base.samples.samples import Feature, Samples

NAN = float("nan")


def samples_of(inputs: object, features: tuple[Feature, ...] = ()) -> Samples:
    n = len(inputs)  # type: ignore[arg-type]
    return Samples(inputs, pd.DataFrame({"id": [f"{i:04d}" for i in range(n)]}), features=features)  # type: ignore[arg-type]


def apply(preprocess: Preprocess, samples: Samples) -> npt.NDArray[np.float32]:
    """All samples, through the loader's encoder and the preprocessing."""
    rows = np.arange(len(samples))
    loader = BatchLoader(samples, rows, len(rows), encoder=preprocess.encoder(samples), longest=preprocess.longest)
    return preprocess.apply(next(iter(loader))).x.numpy()


def restored(preprocess: Preprocess, fresh: Preprocess) -> Preprocess:
    """A fresh one with the state, which went through a file that is loaded without unpickling."""
    file = io.BytesIO()
    torch.save(preprocess.state(), file)
    file.seek(0)
    fresh.load(torch.load(file, weights_only=True))
    return fresh


COLOURS = ("blue", "green", "red")
TABLE = np.array(
    [[1, 2, 5], [3, 0, NAN], [NAN, 2, 7], [100, 1, 9], [NAN, NAN, NAN], [-50, 0, 1]],
    dtype=np.float32,
)
FEATURES = (Feature("age", None), Feature("colour", COLOURS), Feature("size", None))
TRAIN = np.array([0, 1, 2, 4])


@pytest.mark.parametrize("impute", ["mean", "median", "zero"])
@pytest.mark.parametrize("missing", [True, False])
def test_a_table_is_imputed_scaled_and_one_hot_as_scikit_learn_would(impute: str, missing: bool) -> None:
    samples = samples_of(TABLE, FEATURES)
    preprocess = TablePreprocess(impute=impute, missing=missing)  # type: ignore[arg-type]
    preprocess.fit(samples, TRAIN)
    x = apply(preprocess, samples)
    numbers = pd.DataFrame(TABLE[:, [0, 2]].astype(np.float64))
    known = numbers.iloc[TRAIN]
    fill = {"mean": known.mean(), "median": known.median(), "zero": 0.0}[impute]
    scaled = (numbers.fillna(fill) - known.mean()) / known.std(ddof=0)
    names = pd.Series(TABLE[:, 1]).map(dict(enumerate(COLOURS))).fillna("nothing").to_numpy()[:, None]
    encoder = OneHotEncoder(categories=[["blue", "red"]], handle_unknown="ignore", sparse_output=False)
    seen = encoder.fit(names[:2]).transform(names)  # green comes outside training only: its column is 0
    parts = [
        scaled.to_numpy(),
        *([numbers.isna().to_numpy()] if missing else []),
        np.insert(seen, 1, 0.0, axis=1),
    ]
    assert np.allclose(x, np.concatenate(parts, axis=1), atol=1e-5)
    assert x.shape[1] == preprocess.width()
    assert preprocess.numeric == 2
    again = restored(preprocess, TablePreprocess(impute=impute, missing=missing))  # type: ignore[arg-type]
    assert np.array_equal(apply(again, samples), x)


def test_table_statistics_are_the_given_rows_alone() -> None:
    changed = TABLE.copy()
    changed[[3, 5]] = [[9e6, 1, -9e6], [7, 1, NAN]]
    first, second = TablePreprocess(missing=True), TablePreprocess(missing=True)
    first.fit(samples_of(TABLE, FEATURES), TRAIN)
    second.fit(samples_of(changed, FEATURES), TRAIN)
    for key, value in first.state().items():
        other = second.state()[key]
        assert torch.equal(value, other) if isinstance(value, torch.Tensor) else value == other


def test_a_category_has_one_number_in_every_source() -> None:
    preprocess = TablePreprocess(encode="code")
    pool = samples_of(np.array([[0], [1], [2], [NAN]], np.float32), (Feature("colour", COLOURS),))
    preprocess.fit(pool, np.array([0, 2]))
    assert apply(preprocess, pool)[:, 0].tolist() == [1, 0, 2, 0]
    other = samples_of(np.array([[0], [1], [2]], np.float32), (Feature("colour", ("amber", "blue", "red")),))
    assert apply(preprocess, other)[:, 0].tolist() == [0, 1, 2]


def test_other_columns_and_other_kinds_are_refused_with_the_mend() -> None:
    preprocess = TablePreprocess()
    preprocess.fit(samples_of(TABLE, FEATURES), TRAIN)
    renamed = samples_of(TABLE, (Feature("years", None), *FEATURES[1:]))
    with pytest.raises(UserError, match="no column 'age', which the model was trained on; give the same columns"):
        preprocess.encoder(renamed)
    retyped = samples_of(TABLE, (Feature("age", ("1", "3")), *FEATURES[1:]))
    with pytest.raises(
        UserError, match=r"column 'age' is categorical here and was not in training; declare it in data\."
    ):
        preprocess.encoder(retyped)


def test_columns_are_taken_by_name_and_others_left_out() -> None:
    preprocess = TablePreprocess()
    preprocess.fit(samples_of(TABLE, FEATURES), TRAIN)
    order = [2, 0, 1]
    moved = np.column_stack([TABLE[:, order], np.ones(len(TABLE), np.float32)])
    features = (*(FEATURES[i] for i in order), Feature("new"))
    found, expected = (apply(preprocess, samples_of(x, f)) for x, f in ((moved, features), (TABLE, FEATURES)))
    np.testing.assert_array_equal(found, expected)


def test_a_column_without_values_or_with_one_is_zero() -> None:
    x = np.array([[NAN, 5], [NAN, 5], [3, 7]], np.float32)
    preprocess = TablePreprocess()
    preprocess.fit(samples_of(x, (Feature("a"), Feature("b"))), np.array([0, 1]))
    assert apply(preprocess, samples_of(x, (Feature("a"), Feature("b")))).tolist() == [[0, 0], [0, 0], [3, 2]]


def test_numbers_stay_as_they_are_where_asked() -> None:
    samples = samples_of(TABLE[:, [0, 2]], (Feature("a"), Feature("b")))
    preprocess = TablePreprocess(normalize=False, impute="zero")
    preprocess.fit(samples, TRAIN)
    assert np.array_equal(apply(preprocess, samples), np.nan_to_num(TABLE[:, [0, 2]]))


def test_gathering_does_not_write_into_the_source() -> None:
    samples, before = samples_of(TABLE, FEATURES), TABLE.copy()
    preprocess = TablePreprocess()
    preprocess.fit(samples, TRAIN)
    apply(preprocess, samples)
    assert np.array_equal(TABLE, before, equal_nan=True)


TEXTS = [["a", "b", "a", "c"], ["b", "a"], ["c", "d", "d", "d", "d"], ["e"]]


def corpus(texts: list[list[str]]) -> Samples:
    words = tuple(sorted({w for text in texts for w in text}))
    codes = [np.array([words.index(w) for w in text], np.int32) for text in texts]
    return samples_of(Ragged.of(codes, np.zeros(0, np.int32)), (Feature("text", words),))


def test_words_are_numbered_by_frequency_then_alphabet() -> None:
    vocabulary = Vocabulary()
    vocabulary.fit(corpus(TEXTS), np.array([0, 1, 2]))
    assert vocabulary.words == ["d", "a", "b", "c"]  # 4, 3, 2 and 2 times; e is not in training
    x = apply(vocabulary, corpus(TEXTS))
    assert x.tolist() == [[3, 4, 3, 5, 0], [4, 3, 0, 0, 0], [5, 2, 2, 2, 2], [1, 0, 0, 0, 0]]
    assert x.dtype == np.int64


def test_a_source_with_other_words_gets_the_same_numbers() -> None:
    vocabulary = Vocabulary()
    vocabulary.fit(corpus(TEXTS), np.array([0, 1, 2]))
    again = restored(vocabulary, Vocabulary())
    assert apply(again, corpus([["zebra", "a", "d"], ["b"]])).tolist() == [[1, 3, 2], [4, 0, 0]]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"max_words": 4}, ["d", "a"]),
        ({"min_count": 3}, ["d", "a"]),
        ({"max_length": 2}, ["a", "b", "c", "d"]),  # of "c d d d d", "c d" is left
    ],
)
def test_the_vocabulary_is_limited(settings: dict[str, int], words: list[str]) -> None:
    vocabulary = Vocabulary(**settings)
    vocabulary.fit(corpus(TEXTS), np.array([0, 1, 2]))
    assert vocabulary.words == words
    assert apply(vocabulary, corpus(TEXTS)).max() < vocabulary.max_words


@pytest.mark.parametrize("key", ["max_words", "min_count", "max_length"])
def test_impossible_limits_are_named(key: str) -> None:
    with pytest.raises(UserError, match=rf"data\.{key}: 0 is below"):
        Vocabulary(**{key: 0})


def test_columns_are_standardised_as_by_scikit_learn() -> None:
    x = load_diabetes(scaled=False).data.astype(np.float32)
    x[:, 1] += 1e5  # a large mean
    samples, rows = samples_of(x), np.arange(0, 442, 3)
    preprocess = Standardize()
    preprocess.fit(samples, rows)
    expected = StandardScaler().fit(x[rows].astype(np.float64)).transform(x.astype(np.float64))
    found = apply(preprocess, samples)
    assert np.allclose(np.delete(found, 1, axis=1), np.delete(expected, 1, axis=1), atol=1e-4)
    assert np.allclose(found[:, 1], expected[:, 1], atol=2e-2)  # float32 keeps 1e5 to 0.008
    assert np.array_equal(apply(restored(preprocess, Standardize()), samples), found)


def test_image_channels_are_standardised_each() -> None:
    images = load_digits().images.astype(np.uint8)
    x = np.stack([images, 255 - images], axis=1)  # (N, 2, 8, 8)
    preprocess = Standardize()
    preprocess.fit(samples_of(x), np.arange(1000))
    known = x[:1000].astype(np.float64)
    expected = (x - known.mean(axis=(0, 2, 3), keepdims=True)) / known.std(axis=(0, 2, 3), keepdims=True)
    assert np.allclose(apply(preprocess, samples_of(x)), expected, atol=1e-5)


@pytest.mark.parametrize(("normalize", "largest"), [("unit", 1.0), ("none", 255.0), ("imagenet", (1 - 0.406) / 0.225)])
def test_fixed_scales_of_uint8_images(normalize: str, largest: float) -> None:
    x = np.full((2, 3, 4, 4), 255, np.uint8)
    preprocess = Standardize(normalize)  # type: ignore[arg-type]
    preprocess.fit(samples_of(x), np.arange(2))
    assert np.allclose(apply(preprocess, samples_of(x))[:, 2], largest, atol=1e-5)


def test_imagenets_statistics_need_three_channels() -> None:
    with pytest.raises(UserError, match=r"data\.normalize: imagenet needs images of 3 channels"):
        Standardize("imagenet").fit(samples_of(np.zeros((2, 1, 4, 4), np.uint8)), np.arange(2))


def test_texts_cut_in_the_middle_keep_padding_behind_their_end() -> None:
    vocabulary = Vocabulary(max_length=2)
    vocabulary.fit(corpus(TEXTS), np.arange(4))
    batch = vocabulary.apply(Batch(torch.tensor([[5, 6], [7, 9]]), None, torch.arange(2), lengths=torch.tensor([2, 1])))
    assert batch.x.tolist() == [[5, 6], [7, 0]]
