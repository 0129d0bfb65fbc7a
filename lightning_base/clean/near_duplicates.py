"""Near duplicates: images that look the same, and texts of nearly the same words, within a source or across two."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from PIL import Image
from scipy.sparse import csr_array
from torch.nn.functional import adaptive_avg_pool2d

from lightning_base.errors import DataError
from lightning_base.samples.payload import Rows, blocks, gather
from lightning_base.samples.samples import Samples
from lightning_base.tools.cache import kept

VERSION = 2  # of the rules below: results kept under another one are not used
BITS = 10  # perceptual hashes, of 64 bits, may differ in so many
SIDE = 16  # images are compared as grey ones of this side
ALIKE = 0.98  # correlation of two such images; of CIFAR-10 and its JPEG copies of quality 50, 99.7 % have more
FLAT = 2.0  # grey levels: an image whose standard deviation is less shows nothing to compare
CROWD = 20  # a perceptual hash that more images share may be that of flat ones
WORDS = 0.8  # Jaccard index of the texts' words, each counted as often as it occurs
PHRASES = 0.5  # … and of their runs of three words
CHUNK = 1 << 21  # candidate pairs looked at at a time
MOST = 10_000_000  # pairs that are told
Pairs = tuple[Rows, Rows, npt.NDArray[np.float64]]


def near_duplicates(samples: Samples, other: Samples | None = None) -> pd.DataFrame:
    """Pairs of near duplicates, sorted: id, other, score.

    Images (uint8, of 1, 3 or 4 channels) are alike whose perceptual hashes are near and whose grey versions of 16×16
    correlate at 0.98 or more, which is the score: re-encoded, recoloured, lighter or slightly shifted copies. Plain
    images and those of a side below 16 are not compared, and of those of little contrast (a deviation below 20 grey
    levels) some copies are missed.

    Texts are alike whose words have a Jaccard index of 0.8 or more, which is the score, and whose runs of three words
    one of 0.5; none is missed. Other samples have no near duplicates, and samples of equal content are exact ones.
    Results are kept in the cache folder, by the content of the samples.

    Args:
        samples: a source.
        other: a second one; then `id` is of the first and `other` of the second. Else each pair comes once, the lesser
            id first.

    Raises:
        UserError: for more pairs than can be told.
    """
    parts = [samples] if other is None else [samples, other]
    find = _images if all(map(_are_images, parts)) else _texts if all(map(_are_texts, parts)) else None
    if find is None:
        return _table([], [], [])
    key = " ".join([str(VERSION), *(part.fingerprint for part in parts)])
    return kept("near", key, lambda: _search(parts, find))


def _search(parts: list[Samples], find: Callable[[list[Samples], list[Rows]], Pairs]) -> pd.DataFrame:
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
    """Whether near duplicates can be looked for among these samples: 8-bit images of 16 pixels a side, or texts."""
    return _are_images(samples) or _are_texts(samples)


def _are_images(samples: Samples) -> bool:
    shape = samples.inputs.shape
    return samples.inputs.dtype == np.uint8 and len(shape) == 4 and shape[1] in (1, 3, 4) and min(shape[2:]) >= SIDE


def _are_texts(samples: Samples) -> bool:
    if len(samples.features) != 1 or samples.features[0].categories is None:
        return False
    return gather(samples.inputs, np.zeros(1, dtype=np.int64))[1] is not None


def meetings(order: Rows, start: Rows, count: Rows) -> Iterator[tuple[Rows, Rows]]:
    """Pairs, some at a time: i with each of order[start[i]], …, order[start[i] + count[i] - 1]."""
    ends, begin = np.cumsum(count), 0
    while begin < len(count):
        stop = max(int(np.searchsorted(ends, ends[begin] - count[begin] + CHUNK, side="right")), begin + 1)
        n = count[begin:stop]
        i = np.repeat(np.arange(begin, stop), n)
        yield i, order[start[i] + np.arange(len(i)) - np.repeat(np.cumsum(n) - n, n)]
        begin = stop


class _Pairs:
    """Pairs i < j, each kept once."""

    def __init__(self, origin: str) -> None:
        self.origin, self.keys, self.count = origin, [np.empty(0, dtype=np.int64)], 0

    def add(self, i: Rows, j: Rows) -> None:
        """Takes pairs (n,), some of which it may have already."""
        self.keys.append(np.unique(i << 32 | j))
        self.count += len(self.keys[-1])
        if self.count > MOST:
            self.keys = [np.unique(np.concatenate(self.keys))]
            self.count = len(self.keys[0])
        if self.count > MOST:
            raise DataError(
                f"{self.origin}: more than {MOST:,} pairs are nearly duplicates, too many to tell; "
                "set data.clean.near_duplicate: skip and audit: off"
            )

    def all(self) -> tuple[Rows, Rows]:
        """(n,) i and (n,) j of all pairs, sorted."""
        keys = np.unique(np.concatenate(self.keys))
        return keys >> 32, keys & 0xFFFFFFFF


def look_of(image: npt.NDArray[np.uint8]) -> int:
    """The perceptual hash (imagehash.phash, 64 bits) of an image (C, H, W)."""
    import imagehash

    c = image.shape[0]
    grey = Image.fromarray(image[0]) if c == 1 else Image.fromarray(np.ascontiguousarray(image[:3].transpose(1, 2, 0)))
    return int.from_bytes(np.packbits(imagehash.phash(grey).hash).tobytes(), "big")


def _looks(part: Samples, rows: Rows) -> npt.NDArray[np.uint64]:
    """(n,) hashes computed from the pixels of these rows."""
    return np.array([look_of(image) for block in blocks(part.inputs, rows) for image in block.values], dtype=np.uint64)


def _images(parts: list[Samples], rows: list[Rows]) -> Pairs:
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
    pairs = _Pairs(origin)
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


def _texts(parts: list[Samples], rows: list[Rows]) -> Pairs:
    """Places i < j, counted through the rows of all parts, of texts alike, and the Jaccard index of their words.

    Exact, by prefixes (Chaudhuri, Ganti & Kaushik 2006): of two sets that share enough, the rarest members of each, as
    many as may be missing in the other and one more, have a member in common.
    """
    text, word = _words(parts, rows)
    n = int(sum(map(len, rows)))
    bags = _sets(n, text, _counted(text, word))
    phrases = _sets(n, *_phrases(text, word))
    size = np.diff(bags.indptr)
    may_miss = size - np.ceil(WORDS * size - 1e-9).astype(np.int64)
    owner = np.repeat(np.arange(n), size)
    prefix = np.arange(len(owner)) - bags.indptr[owner] <= may_miss[owner]
    members, owner = bags.indices[prefix].astype(np.int64), owner[prefix]  # the rarest come first
    order = np.argsort(members, kind="stable")
    start = np.searchsorted(members[order], members)
    pairs, scores = _Pairs(parts[0].origin), dict[int, float]()
    for p, q in meetings(order, start, np.searchsorted(members[order], members, side="right") - start):
        i, j = owner[p], owner[q]
        key = np.unique((i << 32 | j)[(i < j) & (size[i] >= WORDS * size[j]) & (size[j] >= WORDS * size[i])])
        i, j = key >> 32, key & 0xFFFFFFFF
        score = _jaccard(bags, i, j)
        alike = np.flatnonzero(score >= WORDS - 1e-9)
        alike = alike[_jaccard(phrases, i[alike], j[alike]) >= PHRASES]
        pairs.add(i[alike], j[alike])
        scores.update(zip(key[alike].tolist(), score[alike].tolist(), strict=True))
    i, j = pairs.all()
    return i, j, np.array([scores[key] for key in (i << 32 | j).tolist()], dtype=np.float64)


def _words(parts: list[Samples], rows: list[Rows]) -> tuple[Rows, Rows]:
    """(T,) the place of the text and the number of the word, of every word in order; parts share one numbering."""
    number: dict[str, int] = {}
    texts, words, first = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)], 0
    for part, own in zip(parts, rows, strict=True):
        known = part.features[0].categories or ()
        codes = np.array([number.setdefault(word, len(number)) for word in known], dtype=np.int64)
        for _, block, lengths in blocks(part.inputs, own):
            assert lengths is not None
            texts.append(np.repeat(np.arange(len(lengths)) + first, lengths))
            words.append(codes[block[np.arange(block.shape[1]) < lengths[:, None]]])
            first += len(lengths)
    return np.concatenate(texts), np.concatenate(words)


def _counted(text: Rows, word: Rows) -> Rows:
    """(T,) numbers of (word, its how manyth in the text), so that sets of them are bags of words."""
    order = np.lexsort([word, text])
    t, w = text[order], word[order]
    new = np.concatenate([[True], (t[1:] != t[:-1]) | (w[1:] != w[:-1])])[: len(t)]
    begin = np.maximum.accumulate(np.where(new, np.arange(len(t)), 0))
    counted = np.empty(len(t), dtype=np.int64)
    counted[order] = w * (1 << 24) + np.arange(len(t)) - begin
    return counted


def _phrases(text: Rows, word: Rows) -> tuple[Rows, Rows]:
    """(P,) text and number of each run of three words; of single words for texts of less."""
    n = int(word.max(initial=0)) + 1
    pair = np.unique(word[:-1] * n + word[1:], return_inverse=True)[1]
    inside = text[2:] == text[:-2]
    runs = (pair[:-1] * n + word[2:])[inside] if len(word) > 2 else np.empty(0, dtype=np.int64)
    short = np.bincount(text)[text] < 3 if len(text) else np.empty(0, dtype=bool)
    return np.concatenate([text[2:][inside], text[short]]), np.concatenate([runs, -1 - word[short]])


def _sets(n: int, text: Rows, member: Rows) -> csr_array:
    """(n, M) matrix of ones where a text has a member; members are numbered from the rarest."""
    _, member = np.unique(member, return_inverse=True)
    once = np.unique(text << 32 | member)
    text, member = once >> 32, once & 0xFFFFFFFF
    rank = np.argsort(np.argsort(np.bincount(member), kind="stable"), kind="stable")
    matrix = csr_array((np.ones(len(text), dtype=np.int32), (text, rank[member])), shape=(n, max(len(rank), 1)))
    matrix.sort_indices()
    return matrix


def _jaccard(sets: csr_array, i: Rows, j: Rows) -> npt.NDArray[np.float64]:
    """(n,) shared members as a share of all members of both."""
    size, out = np.diff(sets.indptr), np.empty(len(i))
    for start in range(0, len(i), 1 << 16):
        a, b = i[start : start + (1 << 16)], j[start : start + (1 << 16)]
        shared = np.asarray((sets[a] * sets[b]).sum(axis=1)).ravel()
        out[start : start + len(a)] = shared / np.maximum(size[a] + size[b] - shared, 1)
    return out
