"""The Fréchet distance between two sets of feature vectors, each taken for a normal distribution."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

FEWEST = 2  # vectors that have a covariance
MOST = 4096  # numbers of a vector, whose covariance takes 128 MiB


class FrechetDistance(Metric):
    """|μ₁ - μ₂|² + tr(Σ₁ + Σ₂ - 2 (Σ₁ Σ₂)^½) of generated and real features, in float64 (Dowson & Landau 1982).

    With features of InceptionV3 trained on ImageNet this is the FID of Heusel et al. 2017; with others it is not, and
    has another name. It falls as n grows: values are compared at one n alone, which the details tell.

    Args:
        width: F, numbers of a feature vector.
    """

    full_state_update = False
    higher_is_better = False
    is_differentiable = False

    def __init__(self, width: int) -> None:
        super().__init__()
        for name in ("made", "real"):
            self.add_state(f"{name}_n", torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
            self.add_state(f"{name}_sum", torch.zeros(width, dtype=torch.float64), dist_reduce_fx="sum")
            self.add_state(f"{name}_outer", torch.zeros(width, width, dtype=torch.float64), dist_reduce_fx="sum")
        self.set_dtype(torch.float64)

    def update(self, preds: dict[str, Tensor], target: Any = None) -> None:
        """Adds samples.

        Args:
            preds: "made" and "real" features (B, F).
            target: not looked at.
        """
        for name in ("made", "real"):
            x = preds[name].to(getattr(self, f"{name}_sum").device, torch.float64)
            setattr(self, f"{name}_n", getattr(self, f"{name}_n") + len(x))
            setattr(self, f"{name}_sum", getattr(self, f"{name}_sum") + x.sum(dim=0))
            setattr(self, f"{name}_outer", getattr(self, f"{name}_outer") + x.T @ x)

    def compute(self) -> Tensor:
        """The distance () float64; NaN of fewer than two samples, or where a feature is no finite number."""
        (mean, covariance), (other_mean, other) = (self._moments(name) for name in ("made", "real"))
        finite = bool(torch.isfinite(covariance).all() and torch.isfinite(other).all())
        if not finite or min(self._count("made"), self._count("real")) < FEWEST:
            return torch.tensor(torch.nan, dtype=torch.float64)
        return frechet(mean, covariance, other_mean, other)

    def _count(self, name: str) -> float:
        return float(getattr(self, f"{name}_n"))

    def _moments(self, name: str) -> tuple[Tensor, Tensor]:
        """Mean (F,) and covariance (F, F), over n - 1."""
        n, total, outer = (getattr(self, f"{name}_{part}") for part in ("n", "sum", "outer"))
        mean = total / n
        return mean, (outer - n * torch.outer(mean, mean)) / (n - 1)


class Count(Metric):
    """How many samples a Fréchet distance was computed of."""

    full_state_update = False
    n: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("n", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, preds: dict[str, Tensor], target: Any = None) -> None:
        """Adds the number of samples, whose features stand under "real"."""
        self.n = self.n + len(preds["real"])

    def compute(self) -> Tensor:
        """() int64."""
        return self.n


def frechet(mean: Tensor, covariance: Tensor, other_mean: Tensor, other_covariance: Tensor) -> Tensor:
    """The distance () of two normal distributions, by means (F,) and covariances (F, F) float64.

    The trace of (Σ₁ Σ₂)^½ is that of (Σ₁^½ Σ₂ Σ₁^½)^½, which is symmetric and has no complex rounding errors.
    """
    values, vectors = torch.linalg.eigh(covariance)
    root = (vectors * values.clamp_min(0).sqrt()) @ vectors.T
    product = root @ other_covariance @ root
    cross = torch.linalg.eigvalsh((product + product.T) / 2).clamp_min(0).sqrt().sum()
    apart = (mean - other_mean).square().sum()
    distance: Tensor = apart + covariance.trace() + other_covariance.trace() - 2 * cross
    return distance.clamp_min(0)
