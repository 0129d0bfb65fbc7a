"""Seq2Seq: a GRU encoder-decoder with attention.

Source: Bahdanau, Cho & Bengio, "Neural Machine Translation by Jointly Learning to Align and Translate", ICLR 2015, with
one linear layer in place of the maxout before the logits.
"""

import torch
from torch import Tensor, nn

from models.recurrent import Layers, lengths_of

State = dict[str, Tensor]


class Attention(nn.Module):
    """Additive attention: weights over the source's states by a perceptron of them and of the decoder's state."""

    def __init__(self, query: int, keys: int, hidden: int) -> None:
        super().__init__()
        self.query, self.key = nn.Linear(query, hidden, bias=False), nn.Linear(keys, hidden)
        self.score = nn.Linear(hidden, 1, bias=False)

    def forward(self, query: Tensor, keys: Tensor, values: Tensor, inside: Tensor) -> Tensor:
        """What a state (B, query) attends to (B, K), of `self.key(values)`, values (B, S, K) and which count (B, S)."""
        energy = self.score(torch.tanh(self.query(query)[:, None] + keys))[..., 0]  # (B, S)
        weights = energy.masked_fill(~inside, -torch.inf).softmax(dim=1)
        return torch.einsum("bs,bsk->bk", weights, values)


class Seq2Seq(nn.Module):
    """Reads a source in both directions, and writes a target a token at a time, attending to the source.

    Args:
        vocabulary: number of source tokens, 0 for padding among them.
        num_outputs: number of target tokens, 0 padding, 2 begin and 3 end among them: the number of logits.
        dim: numbers that describe a token.
        hidden: of the encoder's states in a direction, and of the decoder's.
        dropout: probability of zeroing a number of an embedding, or before the logits, in training.

    Takes a source (B, S) int64 and targets that begin with 2 (B, T) int64, padded with 0 at their ends, and gives
    logits (B, T, num_outputs) of what follows each: the same however far either is padded.

    `start` and `next` write a token at a time, for greedy and beam search; a state's tensors have the batch first.
    """

    def __init__(
        self, vocabulary: int, num_outputs: int, dim: int = 128, hidden: int = 128, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.source, self.target = (nn.Embedding(n, dim, padding_idx=0) for n in (vocabulary, num_outputs))
        self.encoder = Layers("gru", dim, hidden, bidirectional=True)
        self.first = nn.Linear(2 * hidden, hidden)
        self.attention = Attention(hidden, 2 * hidden, hidden)
        self.cell = nn.GRUCell(dim + 2 * hidden, hidden)
        self.out = nn.Sequential(nn.Linear(hidden + 2 * hidden + dim, dim), nn.Tanh(), nn.Dropout(dropout))
        self.head = nn.Linear(dim, num_outputs)
        self.dropout = nn.Dropout(dropout)

    def start(self, x: Tensor) -> State:
        """The decoder's state before the first token, of a source (B, S)."""
        lengths = lengths_of(x)
        values, ends = self.encoder(self.dropout(self.source(x)), lengths)
        inside = torch.arange(x.shape[1], device=x.device) < lengths[:, None]
        keys = self.attention.key(values)
        return {"h": torch.tanh(self.first(ends)), "keys": keys, "values": values, "inside": inside}

    def _read(self, embedded: Tensor, state: State) -> tuple[Tensor, State]:
        """What logits are made of (B, hidden + 2 · hidden + dim), and the state behind embedded tokens (B, dim)."""
        context = self.attention(state["h"], state["keys"], state["values"], state["inside"])
        h = self.cell(torch.cat([embedded, context], dim=1), state["h"])
        return torch.cat([h, context, embedded], dim=1), {**state, "h": h}

    def next(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Logits (B, num_outputs) of what follows tokens (B,), and the state behind them."""
        read, state = self._read(self.dropout(self.target(tokens)), state)
        return self.head(self.out(read)), state

    def forward(self, x: Tensor, y_in: Tensor) -> Tensor:
        """Logits (B, T, num_outputs) of what follows each token of y_in (B, T)."""
        state, read = self.start(x), []
        for embedded in self.dropout(self.target(y_in)).unbind(dim=1):
            one, state = self._read(embedded, state)
            read.append(one)
        logits: Tensor = self.head(self.out(torch.stack(read, dim=1)))
        return logits
