"""Log-mel spectrograms as preprocessing: computed on the batch's device, standardised by the training role."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from lightning_base.errors import ConfigError
from lightning_base.preprocess.base import Preprocess
from lightning_base.samples.batch import Batch
from lightning_base.samples.payload import Rows, blocks
from lightning_base.samples.samples import Samples


def mel_filters(mels: int, n_fft: int, sample_rate: int, low: float, high: float) -> npt.NDArray[np.float64]:
    """Triangular filters (mels, n_fft // 2 + 1) with peaks of 1, evenly spaced in mel from `low` to `high` Hz.

    mel = 2595 log10(1 + Hz / 700): O'Shaughnessy, "Speech Communication", 1987; the form is that of HTK.
    """
    edges = np.linspace(_mel(low), _mel(high), mels + 2)  # (mels + 2,): left foot, peaks, right foot
    left, peak, right = (edges[i : mels + i, None] for i in range(3))
    bins = _mel(np.arange(n_fft // 2 + 1) * sample_rate / n_fft)
    rising, falling = (bins - left) / (peak - left), (right - bins) / (right - peak)  # straight lines in mel
    filters: npt.NDArray[np.float64] = np.clip(np.minimum(rising, falling), 0, None)
    filters[:, 0] = 0  # no constant part
    return filters


def _mel(hertz: Any) -> Any:
    """Hz in mel."""
    return 2595.0 * np.log10(1.0 + np.asarray(hertz, dtype=np.float64) / 700.0)


class LogMel(Preprocess):
    """Waveforms (B, T) to standardised log-mel spectrograms (B, 1, mels, frames) float32.

    Frame t is a Hann window centred on sample t · hop; beyond the ends there is silence. Powers are summed by mel
    filter, and their natural logarithm is standardised with each filter's mean and deviation over the true frames of
    the training role. Frames behind a sound's end are 0, the mean. A batch's lengths become numbers of true frames.

    Args:
        sample_rate: samples per second.
        seconds: sounds are cut after, and padded to, so many.
        mels: number of filters.
        window: of one frame, in seconds.
        hop: from one frame to the next, in seconds.
        floor: powers are taken to be at least this; 1e-10 is -100 dB of a full-scale amplitude.
        fixed: false pads sounds to the longest of a batch alone.

    Raises:
        UserError: for a length that is not positive, or more filters than the window can tell apart.
    """

    def __init__(
        self,
        sample_rate: int,
        seconds: float,
        mels: int = 40,
        window: float = 0.025,
        hop: float = 0.01,
        floor: float = 1e-10,
        fixed: bool = True,
    ) -> None:
        for key, value in (("sample_rate", sample_rate), ("seconds", seconds), ("window", window), ("hop", hop)):
            if not value > 0:
                raise ConfigError(f"data.{key}: {value} is not positive")
        self.longest, self.fixed = round(seconds * sample_rate), fixed
        self.width, self.hop = round(window * sample_rate), max(round(hop * sample_rate), 1)
        self.n_fft = 1 << max(self.width - 1, 1).bit_length()
        self.floor = floor
        filters = mel_filters(mels, self.n_fft, sample_rate, 0.0, sample_rate / 2)
        if mels < 1 or (filters.sum(axis=1) == 0).any():
            raise ConfigError(
                f"data.mels: {mels} filters are not from 1 to what a window of {window} s can tell apart; give fewer"
            )
        self.filters = torch.from_numpy(filters.astype(np.float32))
        self.mean, self.std = torch.zeros(mels, 1), torch.ones(mels, 1)

    def logarithms(self, x: Tensor) -> Tensor:
        """(B, mels, frames) natural logarithms of the filters' powers of waveforms (B, T) in int16's scale."""
        spectrum = torch.stft(
            x.float() / 32768.0,
            self.n_fft,
            hop_length=self.hop,
            win_length=self.width,
            window=torch.hann_window(self.width, device=x.device),
            center=True,
            pad_mode="constant",
            return_complex=True,
        )  # (B, n_fft // 2 + 1, frames)
        return (self.filters.to(x.device) @ spectrum.abs().square()).clamp_min(self.floor).log()

    def frames(self, lengths: Tensor) -> Tensor:
        """(B,) int64: how many frames are centred within sounds of these lengths."""
        return torch.div(lengths + self.hop - 1, self.hop, rounding_mode="floor")

    def _true(self, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        """Logarithms (B, mels, frames), and which frames are within the sounds (B, frames)."""
        logs = self.logarithms(x)
        inside = torch.ones(len(logs), logs.shape[2], dtype=torch.bool, device=x.device)
        if lengths is not None:
            inside = torch.arange(logs.shape[2], device=x.device) < self.frames(lengths)[:, None]
        return logs, inside

    def fit(self, samples: Samples, rows: Rows) -> None:
        """Takes mean and deviation per mel filter of these rows, summed in float64 about the first sounds' mean."""
        count, total, squares, shift = 0, torch.zeros(()), torch.zeros(()), None
        for _, x, lengths in blocks(samples.inputs, rows, 256, self.longest, self.fixed):
            assert lengths is not None
            logs, inside = self._true(torch.from_numpy(x), torch.from_numpy(lengths))
            known = logs.double().transpose(1, 2)[inside]  # (n, mels)
            shift = known.mean(dim=0) if shift is None else shift
            count += len(known)
            total = total + (known - shift).sum(dim=0)
            squares = squares + (known - shift).square().sum(dim=0)
        assert shift is not None
        mean = total / count
        std = (squares / count - mean.square()).clamp_min(0).sqrt()
        self.mean = (shift + mean).float()[:, None]
        self.std = torch.where(std > math.sqrt(torch.finfo(torch.float32).eps), std, 1.0).float()[:, None]
        self.fitted = True

    def apply(self, batch: Batch) -> Batch:
        """Spectrograms (B, 1, M, T) float32 of waves (B, L)."""
        logs, inside = self._true(batch.x, batch.lengths)
        x = (logs - self.mean.to(logs.device)) / self.std.to(logs.device)
        frames = None if batch.lengths is None else self.frames(batch.lengths)
        return batch._replace(x=x.masked_fill(~inside[:, None], 0.0)[:, None], lengths=frames)

    def state(self) -> dict[str, Any]:
        """Mean and standard deviation (mels, 1) of the logarithms."""
        return {"mean": self.mean, "std": self.std}

    def load(self, state: dict[str, Any]) -> None:
        """Takes what `state` gave."""
        self.mean, self.std, self.fitted = state["mean"], state["std"], True
