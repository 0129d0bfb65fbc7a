"""BLEU and chrF of texts, from what each text adds to their counts: sacrebleu's numbers, over any batches.

Sources: Papineni et al., "BLEU", ACL 2002, as Post, "A Call for Clarity in Reporting BLEU Scores", WMT 2018, has it
(tokens 13a, exponential smoothing of orders without a match, one reference); Popović, "chrF", WMT 2015 (characters, six
orders, beta 2).
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from lightning_base.samples.nested import Nested
from lightning_base.tasks.sums import texts_of

ORDERS, CHARACTERS, BETA = 4, 6, 2.0
BLEU_SIZE, CHRF_SIZE = 2 * ORDERS + 2, 3 * CHARACTERS
MARKS = (  # mteval-v13a: marks stand alone, but points and commas between digits
    (re.compile(r"([\{-\~\[-\` -\&\(-\+\:-\@\/])"), r" \1 "),
    (re.compile(r"([^0-9])([\.,])"), r"\1 \2 "),
    (re.compile(r"([\.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)
ENTITIES = (("&quot;", '"'), ("&amp;", "&"), ("&lt;", "<"), ("&gt;", ">"))


def tokens_13a(text: str) -> list[str]:
    """The words and marks of a text, as mteval-v13a finds them."""
    text = text.rstrip().replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for name, mark in ENTITIES:
        text = text.replace(name, mark)
    text = f" {text} "
    for pattern, spaced in MARKS:
        text = pattern.sub(spaced, text)
    return text.split()


def grams(items: Sequence[Any], n: int) -> "Counter[Any]":
    """How often each run of n items that follow one another comes."""
    whole = items if isinstance(items, str) else tuple(items)
    return Counter(whole[i : i + n] for i in range(len(whole) - n + 1))


def common(one: "Counter[Any]", other: "Counter[Any]") -> int:
    """How many both have."""
    return (one & other).total()


def bleu_rows(preds: Nested, target: Nested) -> Tensor:
    """(B, 10) float64: matches and totals of runs of 1 to 4 tokens, and the lengths of prediction and target."""
    rows = []
    for pred, true in zip(texts_of(preds["pred"]), texts_of(target), strict=True):
        own, reference = tokens_13a(pred), tokens_13a(true)
        matches = [common(grams(own, n), grams(reference, n)) for n in range(1, ORDERS + 1)]
        totals = [max(len(own) - n + 1, 0) for n in range(1, ORDERS + 1)]
        rows.append([*matches, *totals, len(own), len(reference)])
    return torch.tensor(rows, dtype=torch.float64).reshape(-1, BLEU_SIZE)


def bleu(sums: Tensor) -> Tensor:
    """BLEU () of summed rows (10,), from 0 to 100."""
    matches, totals, (own, reference) = sums[:ORDERS].tolist(), sums[ORDERS : 2 * ORDERS].tolist(), sums[-2:].tolist()
    if not any(matches) or not all(totals):
        return torch.tensor(0.0, dtype=torch.float64)
    smooth, logs = 1.0, 0.0
    for match, total in zip(matches, totals, strict=True):
        if not match:
            smooth *= 2
        logs += math.log(match / total if match else 1 / (smooth * total))
    brevity = min(0.0, 1 - reference / own)
    return torch.tensor(100 * math.exp(brevity + logs / ORDERS), dtype=torch.float64)


def chrf_rows(preds: Nested, target: Nested) -> Tensor:
    """(B, 18) float64: for runs of 1 to 6 characters, blanks left out, those predicted, those true, and the matches."""
    rows = []
    for pred, true in zip(texts_of(preds["pred"]), texts_of(target), strict=True):
        own, reference = "".join(pred.split()), "".join(true.split())
        row = []
        for n in range(1, CHARACTERS + 1):
            first, second = grams(own, n), grams(reference, n)
            row += [first.total() if second else 0, second.total(), common(first, second)]
        rows.append(row)
    return torch.tensor(rows, dtype=torch.float64).reshape(-1, CHRF_SIZE)


def chrf(sums: Tensor) -> Tensor:
    """chrF () of summed rows (18,), from 0 to 100."""
    predicted, true, match = sums.reshape(CHARACTERS, 3).unbind(dim=1)
    there = (predicted > 0) & (true > 0)
    if not there.any() or not match.any():
        return torch.zeros((), dtype=torch.float64)
    precision, recall = (match[there] / predicted[there]).mean(), (match[there] / true[there]).mean()
    return 100 * (1 + BETA**2) * precision * recall / (BETA**2 * precision + recall)


def exact_rows(preds: Nested, target: Nested) -> Tensor:
    """(B, 2) float64: whether a prediction is the target, and 1."""
    pred, width = preds["pred"], min(preds["pred"].values.shape[1], target.values.shape[1])
    ends = pred.lengths == target.lengths
    inside = torch.arange(width, device=ends.device) < pred.lengths[:, None]
    same = (pred.values[:, :width] == target.values[:, :width]) | ~inside
    found = (ends & (pred.lengths <= width) & same.all(dim=1)).double()
    return torch.stack([found, torch.ones_like(found)], dim=1)
