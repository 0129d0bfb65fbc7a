"""Macro precision, recall and F1 of drawn samples: the bootstrap of what is made of counts of classes."""

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

from lightning_base.stats.intervals import Floats
from lightning_base.stats.linear import Lines


def drawn_ratios(
    lines: Lines, unit: npt.NDArray[np.int64], resamples: int | None = None, seed: int = 0
) -> dict[str, Floats]:
    """Macro precision, recall and f1 of the pooled counts of samples drawn with replacement, of whole units.

    Samples are drawn whatever their class, so that the classes' shares vary as they would in new data.

    Args:
        lines: the predictions (L).
        unit: (L,) what is drawn whole: the sample's number or its group's, from 0.
        resamples: number of draws B; by default 400, with many lines fewer, down to 100.
        seed: what they are drawn from.

    Returns:
        By metric (B,).
    """
    assert lines.probs is not None
    rng, n, c = np.random.default_rng(seed), int(unit.max()) + 1, lines.probs.shape[1]
    right = lines.target == lines.pred
    of_unit = [  # (n, C) what each unit adds to the counts of right, true and predicted ones
        csr_array((lines.weight[rows], (unit[rows], cells[rows])), shape=(n, c))
        for rows, cells in ((right, lines.target), (slice(None), lines.target), (slice(None), lines.pred))
    ]
    found: dict[str, list[Floats]] = {"precision": [], "recall": [], "f1": []}
    left = resamples or int(np.clip(20_000_000 // len(unit), 100, 400))
    while left:
        some = min(left, max(4_000_000 // n, 1))
        places = rng.integers(0, n, (some, n)) + n * np.arange(some)[:, None]
        drawn = np.bincount(places.ravel(), minlength=some * n).reshape(some, n).T.astype(np.float64)
        hits, true, predicted = (part.T @ drawn for part in of_unit)  # (C, some)
        there = true > 0
        for name, base in (("precision", predicted), ("recall", true), ("f1", (true + predicted) / 2)):
            ratio = np.divide(hits, base, out=np.zeros_like(hits), where=there & (base > 0))
            found[name].append(ratio.sum(axis=0) / there.sum(axis=0))
        left -= some
    return {name: np.concatenate(values) for name, values in found.items()}
