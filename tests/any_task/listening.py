"""A user's file: an encoder of spectrograms before the shipped decoder, which writes what was said."""

import torch
from torch import Tensor

from models.recurrent import Layers
from models.seq2seq import Seq2Seq


class Listener(Seq2Seq):
    def __init__(self, mels: int, num_outputs: int, hidden: int = 16) -> None:
        super().__init__(vocabulary=1, num_outputs=num_outputs, dim=hidden, hidden=hidden)
        del self.source
        self.encoder = Layers("gru", 4 * mels, hidden, bidirectional=True)

    def start(self, x: Tensor) -> dict[str, Tensor]:
        frames = x[:, 0].transpose(1, 2)  # (B, T, mels), 0 behind a sound's end
        frames = torch.nn.functional.pad(frames, (0, 0, 0, -frames.shape[1] % 4))
        frames = frames.reshape(len(x), -1, 4 * frames.shape[2])
        inside = (frames != 0).any(dim=2)
        values, ends = self.encoder(frames, inside.sum(dim=1))
        return {
            "h": torch.tanh(self.first(ends)),
            "keys": self.attention.key(values),
            "values": values,
            "inside": inside,
        }
