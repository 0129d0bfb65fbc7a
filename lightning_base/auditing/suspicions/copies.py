"""Changed copies: table rows that agree when rounded, texts that agree without punctuation, on both sides."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from lightning_base.auditing.overlap import Joined
from lightning_base.auditing.suspicions.columns import is_columns
from lightning_base.clean.near_texts import are_texts
from lightning_base.samples.payload import Rows, blocks, content_hash, gather, mixed
from lightning_base.samples.samples import Samples

Keys = npt.NDArray[np.uint64]
MOST = 50_000_000  # numbers that are looked at
FEWEST_WORDS = 5
CELLS = (1e-6, 1e-4, 1e-3, 1e-2)  # … of a column's power of ten
FREQUENT = 0.01  # of the rows have a value that is frequent
CHANCE = 1e-4  # pairs of rows that may agree by chance, were columns independent


def changed_copies(joined: Joined) -> list[Keys]:
    """For each way of comparing (N,) uint64 keys, equal for samples that are copies but for a small change."""
    if all(map(is_columns, joined.sources)) and joined.pool.inputs.dtype.kind == "f":
        return rounded(np.concatenate([gather(s.inputs, np.arange(len(s)))[0] for s in joined.sources]))
    if all(map(is_text, joined.sources)):
        return [np.concatenate([bare(source) for source in joined.sources])]
    return []


def too_large(joined: Joined) -> bool:
    """Whether the samples are numbers, and too many to be compared."""
    return is_columns(joined.pool) and len(joined.ids) * joined.pool.inputs.shape[1] > MOST


def why_no_copies(sources: Sequence[Samples]) -> str | None:
    """Why rounded rows or texts without punctuation are not looked for in these samples; None where they are."""
    pool = sources[0]
    if is_text(pool):
        return None
    if not is_columns(pool) or pool.inputs.dtype.kind != "f":
        return "no columns or texts"
    if sum(map(len, sources)) * pool.inputs.shape[1] > MOST:
        return f"more than {MOST:,} numbers"
    x = np.concatenate([gather(source.inputs, np.arange(len(source)))[0] for source in sources])
    return None if rounded(x) else "too few columns of broken numbers to tell rows apart"


def is_text(samples: Samples) -> bool:
    """Whether the samples are texts, as numbers of words or as bytes."""
    return len(samples.inputs.shape) == 1 and are_texts(samples)


def rounded(x: npt.NDArray[np.floating]) -> list[Keys]:
    """Keys (N,) of rows (N, F) with broken numbers rounded, coarser and coarser, as long as chance makes no pairs.

    Whole numbers and categories must agree exactly.
    """
    known = np.where(np.isfinite(x), x, 0).astype(np.float64)
    broken = (known != np.floor(known)).any(axis=0)
    if not broken.any():
        return []
    spread = known.max(axis=0) - known.min(axis=0)
    decade = 10.0 ** np.floor(np.log10(np.where(spread > 0, spread, 1)))
    keys = []
    for cell in CELLS:
        cells = np.where(broken, np.round(known / (decade * cell)), known)
        if likely_pairs(cells, broken) > CHANCE:
            break
        cells[~np.isfinite(x)] = np.nan
        keys.append(hashed(cells))
    return keys


def likely_pairs(cells: npt.NDArray[np.float64], broken: npt.NDArray[np.bool_]) -> float:
    """How many of all pairs of rows (N, F) would be equal, were the columns independent, with a margin: they are not.

    Of whole numbers two values are equal as often as those of two other rows are. Broken numbers, of which few rows may
    show none that are equal but copies, as often as where all steps that the column spans are taken alike, three times
    over, and as its frequent values are. Columns that are related count as their square roots: two measures of one
    thing tell little more than one.

    Args:
        cells: (N, F) whole numbers.
        broken: (F,) whether a column was one of broken numbers.
    """
    some = cells[:: max(len(cells) // 5000, 1)]
    n, logs = len(some), []
    for column, rounded_off in zip(some.T, broken, strict=True):
        values, count = np.unique(column, return_counts=True)
        if rounded_off:
            gaps = np.diff(values)
            step = float(gaps.min()) if len(gaps) and not (gaps % gaps.min()).any() else 1.0  # as measures are rounded
            often = count[(count >= 3) & (count >= FREQUENT * n)]
            alike = 3 * step / (float(np.ptp(column)) + step) + float(((often / n) ** 2).sum())
        else:
            alike = float(((count / n) ** 2).sum())
        logs.append(np.log(min(alike, 1.0)))
    pairs = len(cells) * (len(cells) - 1) / 2
    return float(pairs * np.exp(sum(logs) / 2))


def hashed(cells: npt.NDArray[np.float64]) -> Keys:
    """(N,) uint64, equal for equal rows (N, F)."""
    keys = np.zeros(len(cells), dtype=np.uint64)
    for column in (np.where(np.isnan(cells), np.nan, cells + 0.0)).T:
        keys = mixed(keys * np.uint64(0x9E3779B97F4A7C15) + np.ascontiguousarray(column).view(np.uint64) + np.uint64(1))
    return keys


def bare(samples: Samples) -> Keys:
    """(N,) uint64, equal for texts of the same words in the same order, without capitals and punctuation.

    Texts of fewer than FEWEST_WORDS words have keys of their own.
    """
    if not samples.features:
        return _bare_bytes(samples)
    words = samples.features[0].categories or ()
    plain = list(map(_plain, words))
    distinct = {word: i for i, word in enumerate(dict.fromkeys(plain))}
    number = np.array([distinct[word] for word in plain], dtype=np.int64)
    hashes = np.array([content_hash(word.encode()) if word else 0 for word in distinct], dtype=np.uint64)
    keys = np.empty(len(samples), dtype=np.uint64)
    for rows, block, lengths in blocks(samples.inputs):
        assert lengths is not None
        inside = np.arange(block.shape[1]) < lengths[:, None]
        word = np.where(inside, hashes[number[block]], np.uint64(0))  # (B, L)
        keys[rows] = _ordered(word)
        short = (word != 0).sum(axis=1) < FEWEST_WORDS
        keys[rows[short]] = mixed(samples.keys[rows[short]].astype(np.uint64))
    return keys


@lru_cache(maxsize=1 << 16)  # words come again and again
def _plain(word: str) -> str:
    """The word without capitals and punctuation."""
    return "".join(c for c in word.casefold() if c.isalnum())


def _bare_bytes(samples: Samples) -> Keys:
    """What `bare` gives for texts as bytes."""
    keys = np.empty(len(samples), dtype=np.uint64)
    for rows, block, lengths in blocks(samples.inputs):
        assert lengths is not None
        for row, line, n in zip(rows, block, lengths, strict=True):
            words = list(filter(None, map(_plain, line[:n].tobytes().decode("utf-8", errors="replace").split())))
            own = str(samples.keys[row]) if len(words) < FEWEST_WORDS else " ".join(words)
            keys[row] = content_hash(own.encode())
    return keys


def _ordered(word: npt.NDArray[np.uint64]) -> Keys:
    """(B,) a hash of each row's words (B, L) in order; 0 is no word."""
    keys = np.zeros(len(word), dtype=np.uint64)
    for column in word.T:
        keys = np.where(column != 0, mixed(keys * np.uint64(0x9E3779B97F4A7C15) + column), keys)
    return keys


def copied_rows(keys: Keys, content: Keys, train: Rows, held: Rows) -> tuple[Rows, Rows]:
    """Held-out rows whose key some training row of another content has, and one such training row for each."""
    order = np.argsort(keys[train], kind="stable")
    place = np.searchsorted(keys[train][order], keys[held])
    place = np.minimum(place, len(train) - 1)
    other = train[order[place]]
    found = (keys[other] == keys[held]) & (content[other] != content[held])
    return held[found], other[found]
