"""Near duplicates: images that look the same, and texts of nearly the same words, within a source or across two."""

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from PIL import Image
from torch.nn.functional import adaptive_avg_pool2d

from lightning_base.clean.near_texts import are_texts, near_texts
from lightning_base.clean.pairs import Pairs, meetings
from lightning_base.errors import DataError
from lightning_base.samples.payload import Rows, blocks
from lightning_base.samples.samples import Samples
from lightning_base.samples.several import Several
from lightning_base.tools.cache import kept

VERSION = 2  # of the rules below: results kept under another one are not used
BITS = 10  # perceptual hashes, of 64 bits, may differ in so many
SIDE = 16  # images are compared as grey ones of this side
ALIKE = 0.98  # correlation of two such images; of CIFAR-10 and its JPEG copies of quality 50, 99.7 % have more
FLAT = 2.0  # grey levels: an image whose standard deviation is less shows nothing to compare
CROWD = 20  # a perceptual hash that more images share may be that of flat ones
Found = tuple[Rows, Rows, npt.NDArray[np.float64]]


def near_duplicates(samples: Samples, other: Samples | None = None) -> pd.DataFrame:
    """Pairs of near duplicates, sorted: id, other, score.

    Images (uint8, of 1, 3 or 4 channels) are alike whose perceptual hashes are near and whose grey versions of 16×16
    correlate at 0.98 or more, which is the score: re-encoded, recoloured, lighter or slightly shifted copies. Plain
    images and those of a side below 16 are not compared, and of those of little contrast (a deviation below 20 grey
    levels) some copies are missed.

    Texts are alike whose words have a Jaccard index of 0.8 or more, which is the score, and whose runs of three words
    one of 0.5; none is missed. Other samples have no near duplicates, and samples of equal content are exact ones.
    Results are kept in the cache folder, by the content of the samples.

    Samples of several inputs are alike of which one input at least is, and each other one is too or is the same; the
    score is the least.

    Args:
        samples: a source.
        other: a second one; then `id` is of the first and `other` of the second. Else each pair comes once, the lesser
            id first.

    Raises:
        UserError: for more pairs than can be told.
    """
    if isinstance(samples.inputs, Several):
        return _in_all_inputs(samples, other)
    parts = [samples] if other is None else [samples, other]
    find = _images if all(map(_are_images, parts)) else near_texts if all(map(are_texts, parts)) else None
    if find is None:
        return _table([], [], [])
    key = " ".join([str(VERSION), *(part.fingerprint for part in parts)])
    return kept("near", key, lambda: _search(parts, find))


def _in_all_inputs(samples: Samples, other: Samples | None) -> pd.DataFrame:
    """What `near_duplicates` gives for samples of several inputs."""
    second = samples if other is None else other
    if samples.parts.keys() != second.parts.keys():
        ours, theirs = (", ".join(filter(None, s.parts)) or "one input" for s in (second, samples))
        raise DataError(f"{second.origin} has {ours}, where {samples.origin} has {theirs}; give the same")
    near = {
        name: near_duplicates(part, None if other is None else other.parts[name])
        for name, part in samples.parts.items()
        if comparable(part)
    }
    pairs = pd.concat([table[["id", "other"]] for table in near.values()] or [_table([], [], [])[["id", "other"]]])
    pairs = pairs.drop_duplicates(ignore_index=True)
    one = pd.Index(samples.table["id"]).get_indexer(pd.Index(pairs["id"]))
    two = pd.Index(second.table["id"]).get_indexer(pd.Index(pairs["other"]))
    least = np.ones(len(pairs))
    for name, part in samples.parts.items():
        score = np.where(part.content[one] == second.parts[name].content[two], 1.0, np.nan)
        if name in near:
            told = pairs.merge(near[name], on=["id", "other"], how="left")["score"].to_numpy(dtype=np.float64)
            score = np.where(np.isnan(told), score, told)
        least = np.minimum(least, score)  # NaN where some input is unlike
    alike = ~np.isnan(least)
    return _table(pairs["id"][alike].tolist(), pairs["other"][alike].tolist(), least[alike].tolist())


def _search(parts: list[Samples], find: Callable[[list[Samples], list[Rows]], Found]) -> pd.DataFrame:
    """The pairs of one source, or across two, that `find` gives: id, other, score."""
    # of each content only the first sample is compared, and its copies stand in what was found
    distinct = [np.sort(np.unique(part.content, return_index=True)[1]) for part in parts]
    i, j, score = find(parts, distinct)
    first = len(distinct[0])
    if len(parts) > 1:
        across = (i < first) & (j >= first)
        i, j, score = i[across], j[across] - first, score[across]
    pairs = pd.DataFrame(
        {"a": parts[0].content[distinct[0][i]], "b": parts[-1].content[distinct[-1][j]], "score": score}
    )
    pairs = pairs[pairs["a"] != pairs["b"]]
    for side, part in (("a", parts[0]), ("b", parts[-1])):
        copies = pd.DataFrame({side: part.content, f"id_{side}": part.table["id"].to_numpy(dtype=object)})
        pairs = pairs.merge(copies[copies[side].isin(pairs[side])], on=side)
    ids, others = pairs["id_a"].tolist(), pairs["id_b"].tolist()
    if len(parts) == 1:
        ids, others = [*map(min, ids, others)], [*map(max, ids, others)]
    return _table(ids, others, pairs["score"].tolist())


def _table(ids: Sequence[str], others: Sequence[str], scores: Sequence[float]) -> pd.DataFrame:
    """The pairs as a sorted table: id, other, score."""
    found = pd.DataFrame({"id": ids, "other": others, "score": scores})
    found = found.astype({"id": str, "other": str, "score": float})
    return found.sort_values(["id", "other"], ignore_index=True)


def comparable(samples: Samples) -> bool:
    """Whether near duplicates can be looked for among these samples: 8-bit images of 16 pixels a side, or texts.

    Of several inputs, whether one is such.
    """
    return any(_are_images(part) or are_texts(part) for part in samples.parts.values())


def _are_images(samples: Samples) -> bool:
    shape = samples.inputs.shape
    return samples.inputs.dtype == np.uint8 and len(shape) == 4 and shape[1] in (1, 3, 4) and min(shape[2:]) >= SIDE


def look_of(image: npt.NDArray[np.uint8]) -> int:
    """The perceptual hash (imagehash.phash, 64 bits) of an image (C, H, W)."""
    import imagehash

    c = image.shape[0]
    grey = Image.fromarray(image[0]) if c == 1 else Image.fromarray(np.ascontiguousarray(image[:3].transpose(1, 2, 0)))
    return int.from_bytes(np.packbits(imagehash.phash(grey).hash).tobytes(), "big")


def _looks(part: Samples, rows: Rows) -> npt.NDArray[np.uint64]:
    """(n,) hashes computed from the pixels of these rows."""
    return np.array([look_of(image) for block in blocks(part.inputs, rows) for image in block.values], dtype=np.uint64)


def _images(parts: list[Samples], rows: list[Rows]) -> Found:
    """Places i < j, counted through the rows of all parts, of images that look alike, and their correlations."""
    known = [part.looks[own] for part, own in zip(parts, rows, strict=True) if part.looks is not None]
    if len(known) < len(parts):  # all by one hand
        known = [_looks(part, own) for part, own in zip(parts, rows, strict=True)]
    look = np.concatenate(known)
    _, inverse, count = np.unique(look, return_inverse=True, return_counts=True)
    crowd = np.flatnonzero(count[inverse] > CROWD)
    plain = crowd[_small(parts, rows, crowd)[1] < FLAT]
    kept = np.setdiff1d(np.arange(len(look)), plain)
    i, j = (kept[side] for side in _near_hashes(look[kept], parts[0].origin))
    used, place = np.unique(np.concatenate([i, j]), return_inverse=True)
    small, deviation = _small(parts, rows, used)
    a, b = place[: len(i)], place[len(i) :]
    score = np.empty(len(i))
    for start in range(0, len(i), 1 << 16):
        part = slice(start, start + (1 << 16))
        score[part] = (small[a[part]] * small[b[part]]).sum(axis=1)
    alike = (score >= ALIKE) & (deviation[a] >= FLAT) & (deviation[b] >= FLAT)
    return i[alike], j[alike], np.minimum(score[alike], 1.0)


def _near_hashes(look: npt.NDArray[np.uint64], origin: str) -> tuple[Rows, Rows]:
    """Pairs i < j of hashes of which a band of 16 bits differs in one at most: all up to 7, most up to BITS."""
    pairs = Pairs(origin)
    for shift in (0, 16, 32, 48):
        band = ((look >> np.uint64(shift)) & np.uint64(0xFFFF)).astype(np.int64)
        order = np.argsort(band, kind="stable")
        start = np.searchsorted(band[order], np.arange((1 << 16) + 1))
        for mask in (0, *(1 << bit for bit in range(16))):
            probe = band ^ mask
            for i, j in meetings(order, start[probe], start[probe + 1] - start[probe]):
                near = (i < j) & (np.bitwise_count(look[i] ^ look[j]) <= BITS)
                pairs.add(i[near], j[near])
    return pairs.all()


def _small(
    parts: list[Samples], rows: list[Rows], places: Rows
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """(n, SIDE²) grey versions, without their mean and of length 1, and (n,) their deviations in grey levels."""
    weights = torch.tensor([0.299, 0.587, 0.114])  # of ITU-R BT.601, as PIL's mode L
    small = np.empty((len(places), SIDE * SIDE), dtype=np.float32)
    first = 0
    for part, own in zip(parts, rows, strict=True):
        mine = np.flatnonzero((places >= first) & (places < first + len(own)))
        for start, block in zip(
            range(0, len(mine), 256), blocks(part.inputs, own[places[mine] - first], 256), strict=True
        ):
            x = torch.from_numpy(block.values).float()
            grey = x[:, 0] if x.shape[1] == 1 else torch.einsum("bchw,c->bhw", x[:, :3], weights)
            small[mine[start : start + 256]] = adaptive_avg_pool2d(grey[:, None], SIDE).flatten(1).numpy()
        first += len(own)
    small -= small.mean(axis=1, keepdims=True)
    deviation = np.sqrt((small**2).mean(axis=1))
    return small / np.maximum(deviation * SIDE, 1e-6)[:, None], deviation
