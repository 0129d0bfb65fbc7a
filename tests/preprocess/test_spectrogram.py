"""Claims about spectrograms: what they are, and that statistics leave padding out."""

import math

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from scipy import signal

from lightning_base.preprocess.spectrogram import LogMel, mel_filters
from lightning_base.samples.batch import Batch
from lightning_base.samples.payload import Ragged
from lightning_base.samples.samples import Samples
from tests.helpers import tone

RATE = 8000


def by_hand(x: npt.NDArray[np.float64], mels: int, width: int, n_fft: int, hop: int) -> npt.NDArray[np.float64]:
    """Log-mel (mels, frames) by scipy's transform and loops over filters and bins."""
    window = np.hanning(width + 1)[:-1]  # periodic
    left = (n_fft - width) // 2
    padded = np.concatenate([np.zeros(n_fft // 2), x, np.zeros(n_fft // 2)])
    _, _, spectrum = signal.stft(
        padded,
        window=np.pad(window, (left, n_fft - width - left)),
        nperseg=n_fft,
        noverlap=n_fft - hop,
        boundary=None,
        padded=False,
    )
    power = np.abs(spectrum * window.sum()) ** 2  # scipy divides by the window's sum
    edges = [2595 * math.log10(1 + RATE / 2 / 700) * i / (mels + 1) for i in range(mels + 2)]
    out = np.zeros((mels, power.shape[1]))
    for m in range(mels):
        for k in range(1, n_fft // 2 + 1):
            mel = 2595 * math.log10(1 + k * RATE / n_fft / 700)
            if edges[m] < mel <= edges[m + 1]:
                out[m] += power[k] * (mel - edges[m]) / (edges[m + 1] - edges[m])
            elif edges[m + 1] < mel < edges[m + 2]:
                out[m] += power[k] * (edges[m + 2] - mel) / (edges[m + 2] - edges[m + 1])
    return np.log(np.maximum(out, 1e-10))


def test_the_spectrogram_is_scipys_with_the_filters_written_out() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(-8000, 8000, (2, 2400)).astype(np.int16)
    logs = LogMel(RATE, 0.3, mels=20).logarithms(torch.from_numpy(x)).numpy()
    expected = np.stack([by_hand(row / 32768, 20, 200, 256, 80) for row in x])
    assert logs.shape == (2, 20, 31)
    assert np.allclose(logs, expected, atol=2e-3)
    assert np.abs(expected).mean() > 0.5


def test_a_tone_falls_into_the_filter_of_its_pitch() -> None:
    mel = [2595 * math.log10(1 + h / 700) for h in (1000, 4000)]
    filters = mel_filters(20, 256, RATE, 0, RATE / 2)
    logs = LogMel(RATE, 0.3, mels=20).logarithms(torch.from_numpy(tone(1000))[None])
    assert int(logs[0, :, 15].argmax()) == round(mel[0] / mel[1] * 21) - 1
    assert filters.max() <= 1


def test_statistics_leave_padding_out_and_padding_is_zero() -> None:
    rng = np.random.default_rng(1)
    parts = [rng.integers(-9000, 9000, n).astype(np.int16) for n in (900, 2400, 1600, 4000)]
    samples = Samples(Ragged.of(parts, parts[0]), pd.DataFrame({"id": list("abcd")}))
    mel = LogMel(RATE, 0.3, mels=20)
    mel.fit(samples, np.array([0, 1, 3]))
    frames = []
    for part in (parts[0], parts[1], parts[3][:2400]):
        padded = np.concatenate([part, np.zeros(2400 - len(part), np.int16)])
        frames.append(by_hand(padded / 32768, 20, 200, 256, 80)[:, : math.ceil(len(part) / 80)])
    known = np.concatenate(frames, axis=1)
    assert np.allclose(mel.mean[:, 0], known.mean(axis=1), atol=2e-3)
    assert np.allclose(mel.std[:, 0], known.std(axis=1), atol=2e-3)
    x, lengths = samples.inputs.padded(np.array([0, 1, 3]), mel.longest, mel.fixed)  # type: ignore[union-attr]
    batch = mel.apply(Batch(torch.from_numpy(x), None, torch.arange(3), lengths=torch.from_numpy(lengths)))
    assert batch.x.shape == (3, 1, 20, 31)
    assert batch.lengths is not None
    assert batch.lengths.tolist() == [12, 30, 30]
    assert not batch.x[0, 0, :, 12:].any()
    expected = (frames[0] - known.mean(axis=1, keepdims=True)) / known.std(axis=1, keepdims=True)
    assert np.allclose(batch.x[0, 0, :, :12], expected, atol=5e-3)
    again = LogMel(RATE, 0.3, mels=20)
    again.load(mel.state())
    repeated = again.apply(Batch(torch.from_numpy(x), None, torch.arange(3), lengths=torch.from_numpy(lengths)))
    assert torch.equal(repeated.x, batch.x)
