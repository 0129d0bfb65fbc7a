"""Claims about cleaning samples of several inputs: each kind is found in each input, and mended there alone."""

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lightning_base.clean.cleaning import Cleaning, clean
from lightning_base.clean.corrections import correct
from lightning_base.clean.near_duplicates import comparable, near_duplicates
from lightning_base.errors import UserError
from lightning_base.samples.samples import Feature, Samples
from lightning_base.samples.several import Part, Several
from lightning_base.samples.texts import text_values
from tests.support.lookalikes import Pixels, encoded

pytestmark = pytest.mark.usefixtures("cache")
N = 12


def samples(table: dict[tuple[int, int], float] | None = None, wave: dict[tuple[int, int], float] | None = None) -> Any:
    """Twelve samples of an image, a table of age, weight and town, and a wave; with other values at (row, column)."""
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.uniform(20, 60, N), rng.normal(70, 5, N), np.arange(N) % 2]).astype(np.float32)
    waves = rng.normal(size=(N, 5)).astype(np.float32)
    for values, cells in ((x, table), (waves, wave)):
        for (row, column), value in (cells or {}).items():
            values[row, column] = value
    features = (Feature("age"), Feature("weight"), Feature("town", ("Bonn", "Ulm")))
    images = rng.integers(0, 256, (N, 3, 20, 20)).astype(np.uint8)
    rows = pd.DataFrame({"id": [f"{i:02d}" for i in range(N)], "target": np.arange(N) % 2})
    inputs = Several({"image": images, "people": Part(x, features), "wave": waves})
    return Samples(inputs, rows, ("no", "yes"), "made")


def found(one: Samples, policy: Cleaning) -> set[tuple[str, str, str]]:
    rows = clean(one, policy)[1]
    return set(zip(rows["id"], rows["kind"], rows["detail"], strict=True))


def test_clean_samples_have_no_finding_and_stay_as_they_are() -> None:
    left, log = clean(samples(), Cleaning(duplicate="drop", near_duplicate="drop", constant="drop", iqr=20))
    assert log.empty
    assert left.fingerprint == samples().fingerprint


def test_an_outlier_is_found_in_the_input_that_has_it_and_clipped_there_alone() -> None:
    given = samples({(3, 0): 200.0}, {(5, 4): 90.0})
    policy = Cleaning(outlier="fix", ranges={"people.age": (0, 120), "wave.4": (None, 50)})
    assert {(name, kind) for name, kind, _ in found(given, policy)} == {("03", "outlier"), ("05", "outlier")}
    assert {detail for *_, detail in found(given, policy)} == {
        "200 in column 'age', outside 0 to 120 (people)",
        "90 in column '4', outside -inf to 50 (wave)",
    }
    left, _ = clean(given, policy)
    after, before = left.inputs[np.arange(N)], given.inputs[np.arange(N)]
    assert (after["people"][3, 0], after["wave"][5, 4]) == (120, 50)
    for name in before:
        other = np.array(before[name])
        if name == "people":
            other[3, 0] = 120
        elif name == "wave":
            other[5, 4] = 50
        np.testing.assert_array_equal(after[name], other)
    assert left.content[3] == left.take(np.array([3])).inputs.content()[0]  # what changed has a hash of its own


def test_quartiles_are_those_of_each_column_of_each_input() -> None:
    given = samples({(3, 0): 2000.0}, {(5, 4): 90.0})
    assert {name for name, *_ in found(given, Cleaning(iqr=5))} == {"03", "05"}
    left, _ = clean(given, Cleaning(outlier="drop", iqr=5))
    assert left.table["id"].tolist() == [f"{i:02d}" for i in range(N) if i not in (3, 5)]


@pytest.mark.parametrize("name", ["age", "people.size", "people.town", "image.0"])
def test_a_range_of_no_column_of_numbers_is_refused(name: str) -> None:
    with pytest.raises(UserError, match=rf"data\.clean\.ranges: '{name}'") as error:
        clean(samples(), Cleaning(ranges={name: (0, 1)}))
    assert "\n" not in str(error.value)


def test_a_constant_column_goes_from_its_input_alone() -> None:
    given = samples({(row, 1): 70.0 for row in range(N)})
    policy = Cleaning(constant="drop")
    assert found(given, policy) == {("people.weight", "constant", "one value only: 70")}
    left, _ = clean(given, policy)
    assert isinstance(left.inputs, Several)
    assert [f.name for f in left.inputs.parts["people"].features] == ["age", "town"]
    values = left.inputs[np.arange(N)]
    np.testing.assert_array_equal(values["people"], given.inputs[:]["people"][:, [0, 2]])
    np.testing.assert_array_equal(values["image"], given.inputs[:]["image"])
    everything = samples({(row, column): 1.0 for row in range(N) for column in range(3)})
    with pytest.raises(UserError, match=r"made \(people\): every column is constant"):
        clean(everything, policy)


def test_infinite_values_become_missing_in_a_table_and_are_refused_elsewhere() -> None:
    left, log = clean(samples({(3, 0): np.inf}), Cleaning(non_finite="fix"))
    assert log[["id", "kind", "action"]].to_numpy().tolist() == [["03", "non_finite", "fix"]]
    assert np.isnan(left.inputs[np.array([3])]["people"][0, 0])
    with pytest.raises(UserError, match=r"made \(wave\) is no table: row '05'"):
        clean(samples(wave={(5, 0): np.inf}), Cleaning(non_finite="fix"))
    left, _ = clean(samples(wave={(5, 0): np.inf}), Cleaning(non_finite="drop"))
    assert len(left) == N - 1


def test_samples_are_duplicates_where_all_inputs_are_the_same() -> None:
    given = samples()
    parts = {name: np.array(part.payload) for name, part in given.inputs.parts.items()}
    for values in parts.values():
        values[7] = values[2]
    whole = replace(given, inputs=Several({name: Part(v, given.parts[name].features) for name, v in parts.items()}))
    assert {row[:2] for row in found(whole, Cleaning())} == {
        ("07", "duplicate"),
        ("07", "conflict"),
        ("02", "conflict"),
    }
    parts["wave"][7, 0] += 1
    nearly = replace(given, inputs=Several({name: Part(v, given.parts[name].features) for name, v in parts.items()}))
    assert found(nearly, Cleaning()) == set()


def test_samples_are_nearly_the_same_where_an_image_is_and_the_rest_is_the_same(tiles: Pixels) -> None:
    pixels = np.stack([*tiles[40:60], encoded(tiles[55], 70), encoded(tiles[56], 70)]).transpose(0, 3, 1, 2)
    numbers = np.random.default_rng(0).normal(size=(22, 4)).astype(np.float32)
    numbers[20] = numbers[15]  # of tile 55; tile 56's copy has others
    texts = text_values([f"one two three four five six seven eight nine {i}" for i in range(22)])
    table = pd.DataFrame({"id": [f"{i:02d}" for i in range(22)]})
    given = Samples(Several({"image": np.ascontiguousarray(pixels), "numbers": numbers}), table)
    assert comparable(given)
    assert near_duplicates(given)[["id", "other"]].to_numpy().tolist() == [["15", "20"]]
    left, _ = clean(given, Cleaning(near_duplicate="drop"))
    assert set(table["id"]) - set(left.table["id"]) == {"20"}
    both = Samples(Several({"image": given.parts["image"].inputs, "text": texts}), table)
    alike = near_duplicates(both)[["id", "other"]].to_numpy().tolist()  # all texts are near
    assert alike == near_duplicates(both.parts["image"])[["id", "other"]].to_numpy().tolist()
    assert ["16", "21"] in alike
    pool, other = given.take(np.arange(18)), given.take(np.arange(18, 22))
    assert near_duplicates(pool, other)[["id", "other"]].to_numpy().tolist() == [["15", "20"]]
    with pytest.raises(UserError, match="has image, text, where data has image, numbers"):
        near_duplicates(given, both)


def test_texts_as_bytes_are_compared_as_those_of_words_are() -> None:
    lines = [*(f"line {i} of the {i * 7} things that nobody has said {i} times" for i in range(9))]
    lines += ["the quick brown fox jumps over the lazy dog today", "the quick brown fox jumps over the lazy dog too"]
    table = pd.DataFrame({"id": [f"{i:02d}" for i in range(len(lines))]})
    pairs = near_duplicates(Samples(text_values(lines), table))
    assert pairs[["id", "other"]].to_numpy().tolist() == [["09", "10"]]
    assert pairs["score"].tolist() == pytest.approx([9 / 11])  # of eleven words, each counted, nine are shared


def test_labels_correct_the_targets_of_samples_of_several_inputs(tmp_path: Any) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("id,target\n03,no\n")
    mended = correct(samples(), str(path))
    assert mended.table["target"].tolist() == [0 if i == 3 else i % 2 for i in range(N)]
    path.write_text("id,target\n99,no\n")
    with pytest.raises(UserError, match="no such sample in made"):
        correct(samples(), str(path))
