"""Moved copies of images: flipped, shifted or cropped, as augmentation before a split leaves them on both sides."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch.nn.functional import adaptive_avg_pool2d

from lightning_base.clean.pairs import meetings
from lightning_base.samples.payload import Rows, base_of, blocks
from lightning_base.samples.samples import Samples
from lightning_base.sources.images import ImageFiles
from lightning_base.tools.cache import kept

VERSION = 2  # of the rules below: results kept under another one are not used
SIDE, LEAST = 32, 16  # images are compared as grey ones of this side or their own; smaller ones than LEAST are not
LOW = 8  # frequencies across and down that a look is made of
BAND = 21  # bits of three bands, of which looks must share one
BITS = 6  # of 63 bits, so many may differ
ALIKE, ENLARGED = 0.985, 0.98  # correlation of parts of one size, and of parts enlarged, which lose detail
CONTRAST = 8.0  # grey levels: parts whose deviation is less show nothing to compare
MOST = 100_000  # images that are compared
CROPS = (0.75, 0.875)  # sides of the parts of an image that are found in another
HOW = {(0, 0): "", (0, 1): "flipped sideways", (1, 0): "flipped upside down"}
Flips = tuple[int, int]
Looks = npt.NDArray[np.uint64]


def why_not(parts: Sequence[Samples]) -> str | None:
    """Why moved copies are not looked for among these samples; None where they are."""
    for samples in parts:
        shape = samples.inputs.shape
        if samples.inputs.dtype != np.uint8 or len(shape) != 4 or shape[1] not in (1, 3, 4) or min(shape[2:]) < LEAST:
            return "images of 8 bits and 16 pixels a side or more have them"
        if isinstance(base_of(samples.inputs), ImageFiles):
            return "images that are not packed would all be decoded for it"
    if len({samples.inputs.shape[2:] for samples in parts}) > 1:
        return "images of one size have them"
    return None if sum(map(len, parts)) <= MOST else f"more than {MOST:,} images"


def moved_copies(parts: Sequence[Samples]) -> pd.DataFrame:
    """Pairs of images one of which holds a part of the other: source, id, other_source, other, score, how; each once.

    Grey versions, of 32×32 or their own size where that is less, are compared: the middle three quarters of one, or all
    of it, as it is or flipped, with parts of the other of three quarters of its side, and of seven eighths, at every
    place. Candidates agree in 57 of 63 signs of low frequencies of a cosine transform and in one of three bands of 21;
    the score is the correlation of the parts, 0.985 or more (0.98 for enlarged ones). Copies that were turned, or
    cropped to other sizes and resized, are missed, as are parts of little contrast. Results are kept in the cache
    folder, by content.
    """
    return kept("moved", " ".join([str(VERSION), *(part.fingerprint for part in parts)]), lambda: _search(parts))


@dataclass(frozen=True)
class _Part:
    """Where a look was taken: places of images, the part's corner, and its side."""

    image: Rows
    top: Rows
    left: Rows
    side: int


def _search(parts: Sequence[Samples]) -> pd.DataFrame:
    """What `moved_copies` finds."""
    rows = np.sort(np.unique(np.concatenate([part.content for part in parts]), return_index=True)[1])
    begin = np.cumsum([0, *map(len, parts)])
    own = [rows[(rows >= first) & (rows < last)] - first for first, last in pairwise(begin)]
    grey = np.concatenate([_grey(part, some) for part, some in zip(parts, own, strict=True)])
    side = grey.shape[1]
    sides = [round(side * share) for share in CROPS]
    middle = (side - sides[0]) // 2
    at = {sides[0]: middle, side: 0}  # what is sought: the middle, and the whole
    looks = {s: np.concatenate([look for _, look in _looks(grey, s, [(top, top)])]) for s, top in at.items()}
    sought = {s: {flips: _Index(look ^ _mask(flips)) for flips in HOW} for s, look in looks.items()}
    found = [
        _verified(grey, some, other, flips, at[of], of)
        for s in sides
        for part, look in _looks(grey, s, [(top, left) for top in range(side - s + 1) for left in range(side - s + 1)])
        for of in ([side] if s != sides[0] else list(sought))
        for flips, index in sought[of].items()
        for some, other in [_candidates(part, look, index)]
    ]
    pairs = pd.concat([found[0].iloc[:0], *(table for table in found if len(table))], ignore_index=True)
    places = pairs[["i", "j"]].to_numpy(dtype=np.int64)
    low, high = (rows[places.min(axis=1)], rows[places.max(axis=1)]) if len(pairs) else (rows[:0], rows[:0])
    source = np.repeat(np.arange(len(parts)), np.diff(begin))
    ids = np.concatenate([part.table["id"].to_numpy(dtype=object) for part in parts])
    table = pd.DataFrame(
        {
            "source": source[low],
            "id": ids[low],
            "other_source": source[high],
            "other": ids[high],
            "score": pairs["score"].astype(float),
            "how": pairs["how"].astype(str),
        }
    )
    order = ["source", "id", "other_source", "other"]
    best = table.sort_values([*order, "score"], ascending=[True] * 4 + [False]).drop_duplicates(order)
    return best.astype({"id": str, "other": str}).reset_index(drop=True)


def _grey(samples: Samples, rows: Rows) -> npt.NDArray[np.uint8]:
    """(n, S, S) grey versions of these rows."""
    weights = torch.tensor([0.299, 0.587, 0.114])  # of ITU-R BT.601, as PIL's mode L
    side = min(SIDE, *samples.inputs.shape[2:])
    grey = np.empty((len(rows), side, side), dtype=np.uint8)
    start = 0
    for block in blocks(samples.inputs, rows, 512):
        x = torch.from_numpy(np.asarray(block.values)).float()
        one = x[:, 0] if x.shape[1] == 1 else torch.einsum("bchw,c->bhw", x[:, :3], weights)
        small = one if one.shape[1:] == (side, side) else adaptive_avg_pool2d(one[:, None], side)[:, 0]
        grey[start : start + len(x)] = small.round().clamp(0, 255).to(torch.uint8).numpy()
        start += len(x)
    return grey


def _waves(side: int, offsets: list[int], whole: int) -> npt.NDArray[np.float32]:
    """(len(offsets) * LOW, whole) cosines of the lowest frequencies over parts of a side that begin at offsets."""
    place, frequency = np.arange(side), np.arange(LOW)
    wave = np.cos(np.pi * frequency[:, None] * (place + 0.5) / side) / side
    out = np.zeros((len(offsets), LOW, whole), dtype=np.float32)
    for row, offset in zip(out, offsets, strict=True):
        row[:, offset : offset + side] = wave
    return out.reshape(-1, whole)


def _looks(grey: npt.NDArray[np.uint8], side: int, places: list[tuple[int, int]]) -> Iterator[tuple[_Part, Looks]]:
    """Parts of a side at places (top, left) of all images, some at a time, and the signs of their frequencies."""
    tops, lefts = sorted({top for top, _ in places}), sorted({left for _, left in places})
    down, across = (_waves(side, offsets, grey.shape[1]) for offsets in (tops, lefts))
    weight = np.uint64(1) << np.arange(LOW * LOW, dtype=np.uint64)
    weight[0] = 0  # the mean has no sign
    for start in range(0, len(grey), 512):
        x = grey[start : start + 512].astype(np.float32)
        y = down @ x @ across.T  # (b, tops * LOW, lefts * LOW)
        y = y.reshape(len(x), len(tops), LOW, len(lefts), LOW).transpose(0, 1, 3, 2, 4)
        bits = np.packbits((y > 0).reshape(-1, LOW * LOW), axis=1, bitorder="little")
        look = np.ascontiguousarray(bits).view(np.uint64)[:, 0] & ~np.uint64(1)
        image, top, left = np.meshgrid(np.arange(start, start + len(x)), tops, lefts, indexing="ij")
        yield _Part(image.ravel(), top.ravel(), left.ravel(), side), look


def _mask(flips: Flips) -> np.uint64:
    """The signs that a flip changes: those of odd frequencies in its direction."""
    down, across = np.meshgrid(np.arange(LOW), np.arange(LOW), indexing="ij")
    odd = ((down % 2 == 1) & bool(flips[0])) ^ ((across % 2 == 1) & bool(flips[1]))
    return np.uint64(int.from_bytes(np.packbits(odd.ravel(), bitorder="little").tobytes(), "little"))


class _Index:
    """Looks (n,), found by any of three bands of bits."""

    def __init__(self, look: Looks) -> None:
        self.look = look
        self.order = [np.argsort(band, kind="stable") for band in _bands(look)]
        counts = [np.bincount(band, minlength=1 << BAND) for band in _bands(look)]
        self.start = [np.concatenate([[0], np.cumsum(count)]) for count in counts]


def _bands(look: Looks) -> list[npt.NDArray[np.int32]]:
    return [((look >> np.uint64(1 + BAND * i)) & np.uint64((1 << BAND) - 1)).astype(np.int32) for i in range(3)]


def _candidates(part: _Part, look: Looks, index: _Index) -> tuple[_Part, Rows]:
    """Parts, and places of other images whose looks are near."""
    hits = [np.empty(0, dtype=np.int64)]
    for band, order, first in zip(_bands(look), index.order, index.start, strict=True):
        start = first[band]
        count = first[band + 1] - start
        met = np.flatnonzero(count)
        for at, j in meetings(order, start[met], count[met]):
            i = met[at]
            near = (np.bitwise_count(look[i] ^ index.look[j]) <= BITS) & (part.image[i] != j)
            hits.append(i[near] << 32 | j[near])
    key = np.unique(np.concatenate(hits))
    i = key >> 32
    return _Part(part.image[i], part.top[i], part.left[i], part.side), key & 0xFFFFFFFF


def _verified(grey: npt.NDArray[np.uint8], part: _Part, other: Rows, flips: Flips, at: int, side: int) -> pd.DataFrame:
    """Of candidates those whose parts correlate: i, j, score, how."""
    i, j, score = [], [], []
    for start in range(0, len(other), 4096):
        some = slice(start, start + 4096)
        step = np.arange(part.side)
        rows, columns = part.top[some, None] + step, part.left[some, None] + step
        one = grey[part.image[some, None, None], rows[:, :, None], columns[:, None, :]].astype(np.float32)
        two = grey[other[some], at : at + side, at : at + side].astype(np.float32)
        two = two[:, :: -1 if flips[0] else 1, :: -1 if flips[1] else 1]
        if side != part.side:  # what was enlarged has lost detail
            one, two = (
                adaptive_avg_pool2d(torch.from_numpy(v.copy())[:, None], LEAST)[:, 0].numpy() for v in (one, two)
            )
        one, two = (v - v.mean(axis=(1, 2), keepdims=True) for v in (one, two))
        spread = [np.sqrt((v**2).mean(axis=(1, 2))) for v in (one, two)]
        value = (one * two).mean(axis=(1, 2)) / np.maximum(spread[0] * spread[1], 1e-6)
        good = (value >= (ALIKE if side == part.side else ENLARGED)) & (np.minimum(*spread) >= CONTRAST)
        i.append(part.image[some][good])
        j.append(other[some][good])
        score.append(value[good])
    moved = "cropped" if side != part.side else "shifted"
    how = " and ".join(filter(None, [HOW[flips], moved]))
    return pd.DataFrame(
        {"i": np.concatenate(i or [other]), "j": np.concatenate(j or [other]), "score": np.concatenate(score or [[]])}
    ).assign(how=how)
