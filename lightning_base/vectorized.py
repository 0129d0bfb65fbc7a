"""Placeholder until the vectorised executor is here."""
from collections.abc import Sequence

from lightning_base.display import FoldProgress
from lightning_base.fold import Plan


def train_vectorized(plan: Plan, folds: Sequence[int], progress: FoldProgress) -> None: ...
