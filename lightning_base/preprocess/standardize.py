"""Standardize: (x - mean) / std per channel or column."""

from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from lightning_base.errors import ConfigError, DataError
from lightning_base.preprocess.base import Preprocess, inputs_of
from lightning_base.samples.batch import Batch, Encoder
from lightning_base.samples.moments import far, moments
from lightning_base.samples.payload import Rows
from lightning_base.samples.samples import Samples

Normalize: TypeAlias = Literal["standard", "imagenet", "unit", "none"]


class Standardize(Preprocess):
    """(x - mean) / std along axis 1: image channels or table columns; float32.

    Where a mean is so far from 0 that float32 would lose what varies about it (seconds since 1970), it is taken away
    in float64 while batches are gathered, before anything becomes float32.

    Images of another source may be whiter by number than those that it was fitted on (8 bits, and floats to 1): they
    are brought to the same scale while batches are gathered, and refused where the two have none in common.

    Args:
        normalize: "standard" fits population mean and standard deviation; "imagenet" has the channel statistics that
            torchvision's pretrained weights expect, "unit" takes uint8 to 0…1, "none" leaves values as they are.
    """

    def __init__(self, normalize: Normalize = "standard") -> None:
        self.normalize = normalize
        self.mean, self.std = torch.zeros(1), torch.ones(1)
        self.shift: npt.NDArray[np.float64] = np.zeros(1)  # taken away first
        self.white: float | None = None  # as in `Samples`, of what it was fitted on

    def fit(self, samples: Samples, rows: Rows) -> None:
        """Takes mean and deviation of these rows, summed in float64; a constant has std 1.

        Raises:
            UserError: for "imagenet" on samples that are no images of 3 channels; for it and "unit" on images whose
                values have units of their own.
        """
        self.white = samples.white
        if self.normalize == "standard":
            centre, spread = moments(inputs_of(samples, rows))
            shape = (-1, *(1 for _ in range(len(samples.inputs.shape) - 2)))
            shift = far(centre, spread) if samples.inputs.dtype.kind == "f" else np.zeros_like(centre)
            self.shift = shift.reshape(shape)
            parts = (centre - shift, spread)
            self.mean, self.std = (torch.from_numpy(a.astype(np.float32)).reshape(shape) for a in parts)
        else:
            if samples.white == 0 and self.normalize != "none":
                raise ConfigError(
                    f"data.normalize: {self.normalize} needs to know what black and white are, and the values of "
                    f"{samples.origin} have units of their own; use standard, or give data.range: [low, high]"
                )
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

    def encoder(self, samples: Samples) -> Encoder | None:
        """A function that brings images to the fitted scale, takes far means away in float64, and gives float32.

        Returns:
            None where there is nothing to do.

        Raises:
            DataError: for images whose values have units of their own, where the fitted ones had not, or the reverse.
        """
        shift, factor = self.shift, self._factor(samples)
        if factor != 1:
            return lambda x: (x * factor - shift).astype(np.float32)
        return (lambda x: (x - shift).astype(np.float32)) if shift.any() else None

    def _factor(self, samples: Samples) -> float:
        """What these samples' values are multiplied with, so that white is what it was in those fitted on."""
        own, fitted = samples.white, self.white
        if own is None or fitted is None or own == fitted:
            return 1.0
        if own == 0 or fitted == 0:
            raise DataError(
                f"{samples.origin}: its images' values {'have units of their own' if own == 0 else 'are grey levels'}, "
                "unlike those of the images that were fitted on; give data.range: [low, high], and train with it"
            )
        return fitted / own

    def apply(self, batch: Batch) -> Batch:
        """The batch with inputs (B, C, ...) float32, standardised."""
        if self.normalize == "none":
            return batch if batch.x.dtype == torch.float32 else batch._replace(x=batch.x.to(torch.float32))
        x = batch.x.to(torch.float32) - self.mean.to(batch.x.device)
        return batch._replace(x=x.mul_(1 / self.std.to(x.device)))  # takes half a division's time

    def undone(self, x: torch.Tensor) -> torch.Tensor:
        """Preprocessed inputs (B, ...) as they were in the source, float32."""
        parts = (self.std, self.mean, torch.from_numpy(self.shift).float())
        std, mean, shift = (torch.as_tensor(part).to(x.device) for part in parts)
        return x * std + mean + shift

    def state(self) -> dict[str, Any]:
        """`mean`, `std`, and `shift` (float64), taken away first, shaped to broadcast over one sample; `white`."""
        return {"mean": self.mean, "std": self.std, "shift": torch.from_numpy(self.shift), "white": self.white}

    def load(self, state: dict[str, Any]) -> None:
        """Takes what `state` gave."""
        self.mean, self.std, self.fitted = state["mean"], state["std"], True
        self.shift = state["shift"].numpy() if "shift" in state else np.zeros(1)
        self.white = state.get("white")
