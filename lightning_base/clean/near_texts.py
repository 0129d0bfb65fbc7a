"""Texts of nearly the same words: which samples are texts, and the pairs of them that are alike."""

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from lightning_base.clean.pairs import Pairs, meetings
from lightning_base.samples.payload import Rows, blocks, gather, is_ragged
from lightning_base.samples.samples import Samples

WORDS = 0.8  # Jaccard index of the texts' words, each counted as often as it occurs
PHRASES = 0.5  # … and of their runs of three words


def _are_bytes(samples: Samples) -> bool:
    """Whether the samples are texts as their bytes."""
    return is_ragged(samples.inputs) and samples.inputs.dtype == np.uint8 and len(samples.inputs.shape) == 1


def are_texts(samples: Samples) -> bool:
    """Whether the samples are texts, as numbers of words or as bytes."""
    if _are_bytes(samples):
        return True
    if len(samples.features) != 1 or samples.features[0].categories is None:
        return False
    return gather(samples.inputs, np.zeros(1, dtype=np.int64))[1] is not None


def near_texts(parts: list[Samples], rows: list[Rows]) -> tuple[Rows, Rows, npt.NDArray[np.float64]]:
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
    pairs, scores = Pairs(parts[0].origin), dict[int, float]()
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
        known = part.features[0].categories or () if part.features else ()
        codes = np.array([number.setdefault(word, len(number)) for word in known], dtype=np.int64)
        for _, block, lengths in blocks(part.inputs, own):
            assert lengths is not None
            if _are_bytes(part):
                for i, n in enumerate(lengths):
                    said = block[i, :n].tobytes().decode("utf-8", errors="replace").split()
                    texts.append(np.full(len(said), first + i, dtype=np.int64))
                    words.append(np.array([number.setdefault(w, len(number)) for w in said], dtype=np.int64))
                first += len(lengths)
                continue
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
