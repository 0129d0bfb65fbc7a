"""Exact match and F1 of words between predicted answers and those that are right, as SQuAD has them.

Source: Rajpurkar et al., "SQuAD: 100,000+ Questions for Machine Comprehension of Text", EMNLP 2016, section 6.1, and,
of questions without an answer, Rajpurkar, Jia & Liang, "Know What You Don't Know", ACL 2018. Articles are English ones.
"""

import re
import string
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torchmetrics import MetricCollection

from lightning_base.samples.nested import Nested
from lightning_base.samples.spans import UNIT
from lightning_base.tasks.sums import Sums, ratio
from lightning_base.tasks.text_scores import common, grams

ARTICLES = re.compile(r"\b(a|an|the)\b")
PUNCTUATION = str.maketrans("", "", string.punctuation)


def words(text: str) -> list[str]:
    """The words of an answer, in small letters, without ASCII punctuation and English articles."""
    return ARTICLES.sub(" ", text.lower().translate(PUNCTUATION)).split()


def exact(pred: str, true: str) -> float:
    """1 where both have the same words in the same order, else 0."""
    return float(words(pred) == words(true))


def f1(pred: str, true: str) -> float:
    """The harmonic mean of the shares of each one's words that the other has; 1 where both have none."""
    own, right = words(pred), words(true)
    if not own or not right:
        return float(own == right)
    return 2 * common(grams(own, 1), grams(right, 1)) / (len(own) + len(right))


def rows(score: Callable[[str, str], float], preds: Nested, target: Nested) -> Tensor:
    """(B, 2) float64: the greatest score against an answer that is right, and 1; answers of no word are no answer.

    Args:
        score: of two texts.
        preds: Texts; or a dictionary with them as `answer`.
        target: Spans.
    """
    texts = (preds["answer"] if isinstance(preds, dict) else preds).strings()
    pairs = zip(texts, target.answers.strings(), strict=True)
    best = [
        max(score(text, one) for one in [o for o in right.split(UNIT) if words(o)] or [""]) for text, right in pairs
    ]
    found = torch.tensor(best, dtype=torch.float64)
    return torch.stack([found, torch.ones_like(found)], dim=1)


def answer_metrics() -> MetricCollection:
    """`exact` and `f1` from 0 to 1, over predicted Texts and Spans: means over samples."""
    return MetricCollection(
        {
            "exact": Sums("exact_answers", 2, partial(rows, exact), ratio),
            "f1": Sums("common_words", 2, partial(rows, f1), ratio),
        }
    )
