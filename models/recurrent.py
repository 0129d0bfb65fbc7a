"""RNN, GRU, LSTM: recurrent text classifiers.

Sources: Elman, "Finding Structure in Time", Cognitive Science 1990; Cho et al., "Learning Phrase Representations using
RNN Encoder-Decoder", EMNLP 2014; Hochreiter & Schmidhuber, "Long Short-Term Memory", Neural Computation 1997; in both
directions as Schuster & Paliwal, "Bidirectional Recurrent Neural Networks", 1997.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

CELLS: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}
Cell = Literal["rnn", "gru", "lstm"]


def lengths_of(x: Tensor) -> Tensor:
    """(B,) int64: where the last word of each text (B, T) of numbers stands, 0 being padding; 1 for a text of none."""
    place = torch.arange(1, x.shape[1] + 1, device=x.device)
    return ((x != 0) * place).amax(dim=1).clamp_min(1)


def turned(x: Tensor, lengths: Tensor) -> Tensor:
    """(B, T, ...) with the first `lengths` (B,) values of each row in reverse, and the others where they were."""
    place = torch.arange(x.shape[1], device=x.device)
    index = torch.where(place < lengths[:, None], lengths[:, None] - 1 - place, place)  # (B, T)
    return x.gather(1, index.reshape(*index.shape, *[1] * (x.ndim - 2)).expand_as(x))


class Layers(nn.Module):
    """Recurrent layers over (B, T, dim), in one direction or both; what lies behind a row's length counts for nothing.

    The other direction reads each row from its own last value, not from its padding.

    Args:
        cell: which.
        dim: of the inputs.
        hidden: of a direction's states.
        depth: number of layers.
        bidirectional: read from both ends.
        dropout: probability of zeroing a number between layers in training.
    """

    def __init__(
        self, cell: Cell, dim: int, hidden: int, depth: int = 1, bidirectional: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__()
        ways = 2 if bidirectional else 1
        widths = [dim, *[ways * hidden] * (depth - 1)]
        self.ways = nn.ModuleList(
            nn.ModuleList(CELLS[cell](width, hidden, batch_first=True) for width in widths) for _ in range(ways)
        )
        self.dropout = nn.Dropout(dropout)
        self.width = ways * hidden

    def forward(self, x: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """The last layer's states (B, T, width), and each direction's last one (B, width), of rows of these lengths."""
        last = (lengths - 1)[:, None, None]
        for i, layers in enumerate(zip(*self.ways, strict=True)):
            x = self.dropout(x) if i else x
            found = [layer(x if way == 0 else turned(x, lengths))[0] for way, layer in enumerate(layers)]
            ends = torch.cat([h.gather(1, last.expand(-1, -1, h.shape[2]))[:, 0] for h in found], dim=1)
            x = torch.cat([h if way == 0 else turned(h, lengths) for way, h in enumerate(found)], dim=2)
        return x, ends


class Recurrent(nn.Module):
    """Embeddings of a text's words, recurrent layers, what they end with, and an affine layer.

    Args:
        vocabulary: number of words, with 0 for padding and 1 for unknown ones; of texts `data.max_words`.
        num_outputs: number of logits.
        dim: numbers that describe a word.
        hidden: of a direction's states.
        depth: number of layers.
        bidirectional: read from both ends.
        pool: what the classifier takes: the last state of each direction, or the states' mean or greatest values over
            the words.
        dropout: probability of zeroing a number of an embedding, between layers, or before the classifier, in training.

    Takes numbers of words (B, T) int64, padded with 0, gives logits (B, num_outputs): the same for a text however far
    it is padded. A text without words is one unknown of zeros.

    Raises:
        ValueError: for sizes below 1.
    """

    cell: Cell = "rnn"

    def __init__(
        self,
        vocabulary: int,
        num_outputs: int,
        dim: int = 64,
        hidden: int = 64,
        depth: int = 1,
        bidirectional: bool = True,
        pool: Literal["last", "mean", "max"] = "last",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if min(vocabulary, num_outputs, dim, hidden, depth) < 1:
            raise ValueError("vocabulary, num_outputs, dim, hidden and depth must be 1 or more")
        self.words = nn.Embedding(vocabulary, dim, padding_idx=0)
        self.layers = Layers(self.cell, dim, hidden, depth, bidirectional, dropout)
        self.pool, self.dropout = pool, nn.Dropout(dropout)
        self.head = nn.Linear(self.layers.width, num_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, num_outputs)."""
        lengths = lengths_of(x)
        states, ends = self.layers(self.dropout(self.words(x)), lengths)
        inside = torch.arange(x.shape[1], device=x.device)[None, :, None] < lengths[:, None, None]
        if self.pool == "mean":
            ends = (states * inside).sum(dim=1) / lengths[:, None]
        elif self.pool == "max":
            ends = states.masked_fill(~inside, -torch.inf).amax(dim=1)
        logits: Tensor = self.head(self.dropout(ends))
        return logits


class RNN(Recurrent):
    """Plain recurrence with tanh; arguments as `Recurrent`'s."""

    cell = "rnn"


class GRU(Recurrent):
    """Gated recurrent units; arguments as `Recurrent`'s."""

    cell = "gru"


class LSTM(Recurrent):
    """Long short-term memory; arguments as `Recurrent`'s."""

    cell = "lstm"
