"""What a LightningModule of somebody else's has logged of held-out samples, beside what their predictions score."""

import re
from collections.abc import Mapping, Sequence

import numpy as np

PREFIX = re.compile(r"^(?:val|valid|validation|eval|dev)[_/.\- ]+", re.IGNORECASE)
SAME = {"acc": "accuracy", "f1_score": "f1", "auc": "auroc", "roc_auc": "auroc", "r2_score": "r2", "l1": "mae"}
NEAR = 1e-4  # relative; metrics are float32, and sums of them in another order


def by_name(folds: Sequence[Mapping[str, float] | None]) -> dict[str, list[float]] | None:
    """By name (K,) what each fold logged last; NaN where one did not. None where nothing was logged, or is known."""
    names = list(dict.fromkeys(name for fold in folds for name in fold or {}))
    return {name: [float((fold or {}).get(name, np.nan)) for fold in folds] for name in names} or None


def told(logged: Mapping[str, Sequence[float]], scores: Mapping[str, Sequence[float]], inner: bool) -> list[str]:
    """What is said of it, a line each.

    Args:
        logged: by name, per fold.
        scores: by metric, per fold, what predictions of the held-out samples score.
        inner: whether validation saw a slice of the training part in place of these.
    """
    if not logged:
        return []
    means = ", ".join(
        f"{name} {np.nanmean(values):.4f}" for name, values in logged.items() if np.isfinite(values).any()
    )
    lines = [f"as logged by the module, mean over folds{' (of the inner slice)' if inner else ''}: {means}"]
    for name, values in logged.items() if not inner else ():
        metric = metric_of(name)
        if metric is None or metric not in scores:
            continue
        off = np.abs(np.asarray(values) - np.asarray(scores[metric]))
        apart = off > NEAR * np.maximum(1, np.abs(np.asarray(scores[metric])))
        if apart.any():
            lines.append(
                f"! {name} as logged is not {metric} as computed from predictions, in {int(apart.sum())} of "
                f"{len(off)} folds, by up to {np.nanmax(off):.2g}: a mean of batches' means counts samples of a "
                "smaller last batch more, and a loss may be another one"
            )
    return lines


def metric_of(name: str) -> str | None:
    """The metric of ours that a logged name stands for; None where it stands for training, or for none."""
    if not PREFIX.match(name):
        return None
    rest = PREFIX.sub("", name).lower().removesuffix("_epoch")
    return SAME.get(rest, rest)
