"""How one input's rows become a tensor: gathered, encoded, cut, padded."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lightning_base.samples.batch import Encoder
from lightning_base.samples.payload import Payload, Rows, gather


@dataclass(frozen=True)
class Feed:
    """One input of N samples.

    Args:
        payload: where its rows are gathered from.
        encoder: maps what was gathered (B, ...) to fitted codes.
        longest: cut ragged samples after so many values.
        fixed: pad ragged samples to `longest`.
    """

    payload: Payload
    encoder: Encoder | None = None
    longest: int | None = None
    fixed: bool = False

    def gather(self, rows: Rows) -> tuple[Tensor, Tensor | None]:
        """The samples (B, ...) of rows (B,), float64 as float32; of ragged ones also their lengths (B,) int64."""
        x: Any
        x, lengths = gather(self.payload, rows, self.longest, self.fixed)
        if self.encoder is not None:
            x = self.encoder(x)
        if x.dtype == np.float64:  # the source's; what needs its digits, the encoder has taken
            x = x.astype(np.float32)
        found = torch.from_numpy(x if x.flags.writeable else x.copy())
        return found, None if lengths is None else torch.from_numpy(lengths)
