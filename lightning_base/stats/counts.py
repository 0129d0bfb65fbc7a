"""Macro precision, recall and F1 of drawn samples: the bootstrap of what is made of counts of classes."""

import numpy as np
import numpy.typing as npt

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
    found: dict[str, list[float]] = {"precision": [], "recall": [], "f1": []}
    for _ in range(resamples or int(np.clip(20_000_000 // len(unit), 100, 400))):
        drawn = np.bincount(rng.integers(0, n, n), minlength=n)[unit] * lines.weight
        hits = np.bincount(lines.target[right], drawn[right], c)
        true, predicted = np.bincount(lines.target, drawn, c), np.bincount(lines.pred, drawn, c)
        there = true > 0
        for name, base in (("precision", predicted), ("recall", true), ("f1", (true + predicted) / 2)):
            found[name].append(float(np.divide(hits, base, out=np.zeros(c), where=base > 0)[there].mean()))
    return {name: np.array(values) for name, values in found.items()}
