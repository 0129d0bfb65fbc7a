"""Metrics that follow from sums over samples: exact over batches and processes, and quick to draw anew."""

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torchmetrics import Metric

from lightning_base.samples.batch import Sequences, Texts
from lightning_base.samples.nested import Nested

Rows: TypeAlias = Callable[[Nested, Nested], Tensor]
Value: TypeAlias = Callable[[Tensor], Tensor]


class Sums(Metric):
    """A score of sums (S,) float64 of what each sample adds.

    Args:
        name: of what is summed; metrics of one name have the same rows.
        size: S.
        rows: gives (B, S) of predictions and targets.
        value: gives the score () of sums (S,).
    """

    full_state_update = False

    def __init__(self, name: str, size: int, rows: Rows, value: Value) -> None:
        super().__init__()
        self.name, self.rows, self.value = name, rows, value
        self.add_state(name, torch.zeros(size, dtype=torch.float64), dist_reduce_fx="sum")

    def update(self, preds: Nested, target: Nested) -> None:
        """Adds a batch."""
        sums: Any = getattr(self, self.name)
        sums += self.rows(preds, target).sum(dim=0).to(sums.device)

    def compute(self) -> Tensor:
        """The score, as float32: (), or of several sums (S - 1,)."""
        sums: Any = getattr(self, self.name)
        return self.value(sums).float()


def scorer(metrics: Mapping[str, Sums], preds: Nested, target: Nested) -> Callable[[Tensor], dict[str, Tensor]]:
    """The scores of samples drawn from these, as a function of their rows (n,), which may come more than once."""
    rows = {metric.name: metric.rows(preds, target).cpu() for metric in metrics.values()}

    def score(drawn: Tensor) -> dict[str, Tensor]:
        sums = {name: values[drawn].sum(dim=0) for name, values in rows.items()}
        return {name: metric.value(sums[metric.name]).float() for name, metric in metrics.items()}

    return score


def ratio(sums: Tensor) -> Tensor:
    """The first sum by the second ()."""
    return sums[0] / sums[1]


def ratios(sums: Tensor) -> Tensor:
    """Each sum but the last by the last (S - 1,)."""
    return sums[:-1] / sums[-1]


def exp_ratio(sums: Tensor) -> Tensor:
    """e to the first sum by the second: a perplexity of nats by tokens ()."""
    return ratio(sums).exp()


def bits_ratio(sums: Tensor) -> Tensor:
    """The first sum by the second, nats taken as bits ()."""
    return ratio(sums) / torch.log(torch.tensor(2.0, dtype=torch.float64))


def texts_of(values: Sequences) -> list[str]:
    """The texts whose UTF-8 bytes sequences hold."""
    return Texts(*values).strings()


def both_texts(preds: Nested, target: Nested) -> tuple[list[str], list[str]]:
    """The texts that were written, and the true ones."""
    return texts_of(preds["pred"]), texts_of(target)
