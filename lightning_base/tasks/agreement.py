"""The candidate that the others agree with most: one sequence from those of several models.

Source: minimum Bayes risk decoding, Kumar & Byrne, "Minimum Bayes-Risk Decoding for Statistical Machine Translation",
HLT-NAACL 2004, each model's best sequence being a candidate and a hypothesis of the same weight.
"""

from collections import Counter
from typing import Any

import torch

from lightning_base.samples.batch import Sequences
from lightning_base.tasks.text_scores import common, grams


def consensus(members: Sequences, orders: int) -> Sequences:
    """Of each sample's candidates the one with the highest mean gain against the others; the first of equal ones.

    The gain of two sequences is the mean F1 of their runs of 1 to `orders` values, over the orders that either has.

    Args:
        members: (M, N, T) values and (M, N) lengths: M candidates for each of N samples.
        orders: longest runs.
    """
    m, n = members.lengths.shape
    values, lengths = members.values.tolist(), members.lengths.tolist()
    best = []
    for i in range(n):
        rows = [values[k][i][: lengths[k][i]] for k in range(m)]
        counts = [[grams(row, order) for order in range(1, orders + 1)] for row in rows]
        gains = [sum(gain(counts[a], counts[b]) for b in range(m) if b != a) for a in range(m)]
        best.append(max(range(m), key=lambda a: (round(gains[a], 12), -a)))
    chosen, rows_ = torch.tensor(best), torch.arange(n)
    return Sequences(members.values[chosen, rows_], members.lengths[chosen, rows_])


def gain(one: "list[Counter[Any]]", other: "list[Counter[Any]]") -> float:
    """The mean F1 of two sequences' runs by order; 1 for two empty ones."""
    pairs = [(a, b, a.total() + b.total()) for a, b in zip(one, other, strict=True)]
    found = [2 * common(a, b) / total for a, b, total in pairs if total]
    return sum(found) / len(found) if found else 1.0
