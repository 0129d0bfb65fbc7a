"""Whether float32, which networks compute in, can tell the values of a regression's target apart."""

import numpy as np

from lightning_base.errors import DataError
from lightning_base.samples.samples import Samples

COARSE = 1e-3  # standard deviations: float32's steps above that are seen in the errors


def demand_resolved(pool: Samples) -> None:
    """Refuses values of a target that are all equal, or that vary by little beside their size.

    A network gives float32: at 1e8 its outputs are multiples of 8, whatever the target is kept in.

    Args:
        pool: the samples, with a target of finite values; classes and boxes pass.

    Raises:
        DataError: naming the offset to subtract.
    """
    if pool.classes or pool.target is None:
        return
    y = pool.target
    if (y == y[0]).all():
        raise DataError(f"{pool.origin}: all {len(y):,} targets are {y[0]:.10g}, so that there is nothing to learn")
    with np.errstate(over="ignore", invalid="ignore"):
        step = float(np.sqrt(np.mean(np.spacing(np.abs(y).astype(np.float32)).astype(np.float64) ** 2)))
    std, offset = float(y.std()), f"{float(f'{np.median(y):.3g}'):.15g}"  # a round number near the middle
    if not step <= COARSE * std:
        raise DataError(
            f"{pool.origin}: the target is about {offset} and varies by {std:.3g} (standard deviation), where "
            f"float32, in which networks compute, has steps of {step:.3g}; subtract an offset from it, as "
            f"{offset}, and add it to the predictions, or scale a target that float32 does not reach"
        )
