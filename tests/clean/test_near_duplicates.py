"""Claims about near duplicates: what is found is what a search of all pairs finds, and nothing twice."""

from collections import Counter
from itertools import combinations
from pathlib import Path

import imagehash
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.datasets import load_sample_images

from lightning_base.clean import pairs as pairs_of
from lightning_base.clean.near_duplicates import near_duplicates
from lightning_base.errors import UserError
from lightning_base.samples.samples import Feature, Samples
from lightning_base.tools.files import write_parquet
from tests.support.lookalikes import Pixels, encoded, image_samples, text_samples

pytestmark = pytest.mark.usefixtures("cache")


def pairs(found: pd.DataFrame) -> set[tuple[str, str]]:
    return set(zip(found["id"], found["other"], strict=True))


def alike(pixels: Pixels, bits: int) -> set[tuple[str, str]]:
    """All pairs whose hashes differ in so many bits and whose grey 16×16 versions correlate, computed pair by pair."""
    grey = [Image.fromarray(image).convert("L") for image in pixels]
    hashes = [imagehash.phash(Image.fromarray(image)) for image in pixels]
    small = [np.asarray(g.convert("F").resize((16, 16), Image.Resampling.BOX)).ravel() for g in grey]
    out = set()
    for i, j in combinations(range(len(pixels)), 2):
        if hashes[i] - hashes[j] > bits or np.array_equal(pixels[i], pixels[j]):
            continue
        if min(small[i].std(), small[j].std()) >= 2 and np.corrcoef(small[i], small[j])[0, 1] >= 0.98:
            out.add((f"{i:03d}", f"{j:03d}"))
    return out


def test_images_found_are_those_a_search_of_all_pairs_finds(tiles: Pixels) -> None:
    copies = np.stack([encoded(tiles[i], quality) for i in range(0, 260, 13) for quality in (50, 70, 90)])
    pixels = np.concatenate([tiles, copies])
    found = pairs(near_duplicates(image_samples(pixels)))
    assert alike(pixels, 7) <= found <= alike(pixels, 10)
    assert len(found) > 40


def test_every_reencoded_copy_of_some_contrast_is_found_and_little_else(tiles: Pixels) -> None:
    chosen = [i for i in range(260) if tiles[i].mean(axis=2).std() > 20]
    pool, other = image_samples(tiles, "a"), image_samples(np.stack([encoded(tiles[i], 60) for i in chosen]), "b")
    found = pairs(near_duplicates(pool, other))
    wanted = {(f"a{i:03d}", f"b{k:03d}") for k, i in enumerate(chosen)}
    assert len(chosen) > 100
    assert wanted <= found
    assert len(found - wanted) <= 2


def test_hashes_kept_by_the_source_and_computed_ones_find_the_same(tiles: Pixels) -> None:
    pixels = np.concatenate([tiles, np.stack([encoded(tile, 80) for tile in tiles[130:200]])])
    looks = np.array([int(str(imagehash.phash(Image.fromarray(image))), 16) for image in pixels], dtype=np.uint64)
    plain, kept = image_samples(pixels), image_samples(pixels)
    kept = Samples(kept.inputs, kept.table.assign(group=0), looks=looks)  # another fingerprint
    assert pairs(near_duplicates(plain)) == pairs(near_duplicates(kept)) != set()


def test_equal_samples_are_no_near_duplicates_but_stand_beside_what_is_near(tiles: Pixels) -> None:
    tile = tiles[55]
    found = near_duplicates(image_samples(np.stack([tile, encoded(tile, 70), tile])))
    assert pairs(found) == {("000", "001"), ("001", "002")}
    assert found["score"].between(0.98, 1).all()
    across = near_duplicates(
        image_samples(np.stack([tile, tiles[0]]), "a"), image_samples(np.stack([encoded(tile, 70), tile]), "b")
    )
    assert pairs(across) == {("a000", "b000")}


@pytest.mark.parametrize("n", [10, 30])  # 30 share one hash, as plain skies do
def test_plain_images_are_not_compared(n: int) -> None:
    slope = np.repeat(np.arange(4, dtype=np.uint8), 8)  # from left to right, by three grey levels in all
    faint = np.broadcast_to(slope[None, None, :, None] + np.arange(0, 5 * n, 5)[:, None, None, None], (n, 32, 32, 3))
    assert near_duplicates(image_samples(faint.astype(np.uint8))).empty
    steep = np.clip(faint.astype(int) + 20 * slope[:, None], 0, 255).astype(np.uint8)
    assert len(near_duplicates(image_samples(steep))) == n * (n - 1) // 2
    rng = np.random.default_rng(0)
    noise = rng.normal(rng.integers(0, 256, (n, 1, 1, 3)), 0.7, (n, 32, 32, 3))
    assert near_duplicates(image_samples(np.clip(noise, 0, 255).astype(np.uint8))).empty


def test_pictures_of_any_size_and_of_one_or_four_channels_are_compared(tiles: Pixels) -> None:
    photograph = load_sample_images().images[1]
    large = np.stack([photograph, encoded(photograph, 30), load_sample_images().images[0]])
    assert pairs(near_duplicates(image_samples(large))) == {("000", "001")}
    assert pairs(near_duplicates(image_samples(large.mean(axis=3, keepdims=True).astype(np.uint8)))) == {("000", "001")}
    opaque = np.concatenate([large, np.full_like(large[..., :1], 255)], axis=3)
    assert pairs(near_duplicates(image_samples(opaque))) == {("000", "001")}


def bag(line: str) -> Counter[str]:
    return Counter(line.split())


def jaccard(a: Counter[str], b: Counter[str]) -> float:
    return (a & b).total() / (a | b).total()


def runs(line: str) -> Counter[str]:
    words = line.split()
    return Counter(dict.fromkeys([" ".join(words[i : i + 3]) for i in range(len(words) - 2)] or words, 1))


def test_texts_found_are_those_a_search_of_all_pairs_finds() -> None:
    rng = np.random.default_rng(0)
    vocabulary = [f"w{i}" for i in range(300)]
    lines = [" ".join(rng.choice(vocabulary[:300], rng.integers(1, 40))) for _ in range(100)]
    for line in lines[:60]:  # edits: a word changed, one left out, one twice, the order turned
        words = line.split()
        k = int(rng.integers(len(words)))
        lines.append(" ".join([*words[:k], "new", *words[k + 1 :]]))
        lines.append(" ".join(words[:k] + words[k + 1 :]) or "new")
        lines.append(" ".join([*words[:k], *words[k : k + 1], *words[k:]]))
        lines.append(" ".join(words[::-1]))
    wanted = {}
    for i, j in combinations(range(len(lines)), 2):
        score = jaccard(bag(lines[i]), bag(lines[j]))
        if lines[i] != lines[j] and score >= 0.8 and jaccard(runs(lines[i]), runs(lines[j])) >= 0.5:
            wanted[f"{i:03d}", f"{j:03d}"] = score
    found = near_duplicates(text_samples(lines))
    assert pairs(found) == set(wanted)
    assert len(wanted) > 90
    scores = [wanted[pair] for pair in zip(found["id"], found["other"], strict=True)]
    assert np.allclose(found["score"], scores)


def test_texts_of_two_sources_are_compared_by_their_words_not_by_their_codes() -> None:
    line = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
    pool = text_samples([line, "something else altogether"], "a")
    other = text_samples(["aardvarks change every code", line, line.replace("fourteen", "fifteen")], "b")
    assert other.inputs[1].tolist() != pool.inputs[0].tolist()
    found = pairs(near_duplicates(pool, other))
    assert ("a000", "b002") in found
    assert not any(a == "a001" or b == "b000" for a, b in found)


def test_other_samples_have_no_near_duplicates() -> None:
    table = pd.DataFrame({"id": ["a", "b"]})
    numbers = Samples(np.zeros((2, 3), np.float32), table, features=tuple(map(Feature, "xyz")))
    found = near_duplicates(numbers)
    assert found.empty
    assert list(found.columns) == ["id", "other", "score"]


def test_the_second_search_reads_the_cache(tiles: Pixels, cache: Path) -> None:
    samples = image_samples(np.concatenate([tiles[55:65], encoded(tiles[55], 70)[None]]))
    first = near_duplicates(samples)
    assert pairs(first) == {("000", "010")}
    (file,) = cache.glob("near/*.parquet")
    file.write_bytes(b"damaged")
    assert near_duplicates(samples).equals(first)
    write_parquet(file, first.assign(score=0.5))  # a score that no search finds
    assert near_duplicates(samples)["score"].tolist() == [0.5]


def test_too_many_pairs_are_one_line_that_says_how_to_go_on(tiles: Pixels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs_of, "MOST", 5)
    with pytest.raises(UserError, match=r"more than 5 pairs .* data\.clean\.near_duplicate: skip") as error:
        near_duplicates(image_samples(np.stack([encoded(tiles[55], q) for q in range(60, 90, 5)])))
    assert "\n" not in str(error.value)
