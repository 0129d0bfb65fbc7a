"""Standardize: (x - mean) / std per channel or column, and the moments it is fitted with."""

from collections.abc import Iterator
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from lightning_base.errors import ConfigError
from lightning_base.preprocess.base import Preprocess, inputs_of
from lightning_base.samples.batch import Batch
from lightning_base.samples.payload import Rows
from lightning_base.samples.samples import Samples

Normalize: TypeAlias = Literal["standard", "imagenet", "unit", "none"]


class Standardize(Preprocess):
    """(x - mean) / std along axis 1: image channels or table columns; float32.

    Args:
        normalize: "standard" fits population mean and standard deviation; "imagenet" has the channel statistics that
            torchvision's pretrained weights expect, "unit" takes uint8 to 0…1, "none" leaves values as they are.
    """

    def __init__(self, normalize: Normalize = "standard") -> None:
        self.normalize = normalize
        self.mean, self.std = torch.zeros(1), torch.ones(1)

    def fit(self, samples: Samples, rows: Rows) -> None:
        """Takes mean and deviation of these rows, summed in float64; a constant has std 1.

        Raises:
            UserError: for "imagenet" on samples that are no images of 3 channels.
        """
        if self.normalize == "standard":
            fitted = moments(inputs_of(samples, rows))
            shape = (-1, *(1 for _ in range(len(samples.inputs.shape) - 2)))
            self.mean, self.std = (torch.from_numpy(a.astype(np.float32)).reshape(shape) for a in fitted)
        else:
            scale = 255.0 if samples.inputs.dtype == np.uint8 and self.normalize != "none" else 1.0
            mean, std = torch.zeros(1), torch.ones(1)
            if self.normalize == "imagenet":
                if len(samples.inputs.shape) != 4 or samples.inputs.shape[1] != 3:
                    raise ConfigError(
                        f"data.normalize: imagenet needs images of 3 channels, {samples.origin} has samples of shape "
                        f"{samples.inputs.shape[1:]}; use standard"
                    )
                mean = torch.tensor([0.485, 0.456, 0.406]).reshape(3, 1, 1)
                std = torch.tensor([0.229, 0.224, 0.225]).reshape(3, 1, 1)
            self.mean, self.std = mean * scale, std * scale
        self.fitted = True

    def apply(self, batch: Batch) -> Batch:
        """The batch with inputs (B, C, ...) float32, standardised."""
        x = batch.x.to(torch.float32, copy=True)  # a multiplication takes half a division's time
        return batch._replace(x=x.sub_(self.mean.to(x.device)).mul_(1 / self.std.to(x.device)))

    def state(self) -> dict[str, Any]:
        """`mean` and `std`, shaped to broadcast over one sample."""
        return {"mean": self.mean, "std": self.std}

    def load(self, state: dict[str, Any]) -> None:
        """Takes what `state` gave."""
        self.mean, self.std, self.fitted = state["mean"], state["std"], True


def moments(parts: Iterator[npt.NDArray[Any]]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and population standard deviation along axis 1, NaN left out.

    A column of NaN has mean 0 and std 1, a constant std 1. Blocks are merged pairwise in float64, so that large means
    cost no digits (Chan, Golub & LeVeque 1983).
    """
    count: Any = 0.0
    mean: Any = 0.0
    squares: Any = 0.0
    for part in parts:
        if part.dtype == np.uint8:  # counted, which is exact and several times faster than summing float64
            levels = np.arange(256.0)
            counted = np.stack([_histogram(part[:, c]) for c in range(part.shape[1])])  # (C, 256)
            n = counted.sum(axis=1)
            m = counted @ levels / n
            s = (counted * (levels - m[:, None]) ** 2).sum(axis=1)
        else:
            values = part.astype(np.float64)
            values = np.moveaxis(values, 1, 0).reshape(values.shape[1], -1)  # (C, n)
            known = ~np.isnan(values)
            n = known.sum(axis=1)
            m = np.where(known, values, 0).sum(axis=1) / np.maximum(n, 1)
            s = (np.where(known, values - m[:, None], 0) ** 2).sum(axis=1)
        total = np.maximum(count + n, 1)
        squares = squares + s + (m - mean) ** 2 * count * n / total
        mean = mean + (m - mean) * n / total
        count = count + n
    std = np.sqrt(squares / np.maximum(count, 1))
    return np.asarray(mean), np.where(std > 0, std, 1.0)


def _histogram(values: npt.NDArray[np.uint8]) -> npt.NDArray[np.int64]:
    """(256,) int64: how often each value comes."""
    counts: npt.NDArray[np.int64] = torch.bincount(torch.from_numpy(values.flatten()), minlength=256).numpy()
    return counts
