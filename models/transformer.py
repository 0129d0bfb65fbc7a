"""Transformer: a text classifier, the encoder of Vaswani et al., "Attention Is All You Need", NeurIPS 2017.

Layers are normalised before attention and perceptron (Xiong et al. 2020), which trains without warm-up; the classifier
takes the mean over words.
"""

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def positions(length: int, dim: int, device: torch.device) -> Tensor:
    """(length, dim) float32: sines and cosines of each position (Vaswani et al. 2017, section 3.5)."""
    rate = torch.exp(torch.arange(0, dim, 2, device=device) * (-math.log(10_000) / dim))  # (dim / 2,)
    angle = torch.arange(length, device=device)[:, None] * rate
    return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)


class Attention(nn.Module):
    """Multi-head self-attention (section 3.2.2): of (B, T, dim), and which of T are words (B, T), makes (B, T, dim)."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.width = dim // heads
        self.query, self.value, self.out = (nn.Linear(dim, dim) for _ in range(3))
        self.key = nn.Linear(dim, dim, bias=False)  # the softmax takes a bias out again

    def forward(self, x: Tensor, words: Tensor) -> Tensor:
        """(B, T, dim) of embeddings (B, T, dim) and whether each is a word (B, T) bool."""
        q, k, v = (
            layer(x).unflatten(2, (-1, self.width)).transpose(1, 2) for layer in (self.query, self.key, self.value)
        )  # each (B, heads, T, width)
        mixed = F.scaled_dot_product_attention(q, k, v, words[:, None, None])
        y: Tensor = self.out(mixed.transpose(1, 2).flatten(2))
        return y


class Block(nn.Module):
    """One layer of the encoder: attention, then a perceptron, each added to its input; (B, T, dim) to the same."""

    def __init__(self, dim: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = Attention(dim, heads)
        self.up, self.down = nn.Linear(dim, hidden), nn.Linear(hidden, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, words: Tensor) -> Tensor:
        """(B, T, dim) of embeddings (B, T, dim) and whether each is a word (B, T) bool."""
        x = x + self.dropout(self.attention(self.norm1(x), words))
        y: Tensor = x + self.dropout(self.down(F.gelu(self.up(self.norm2(x)))))
        return y


class Transformer(nn.Module):
    """Embeddings of a text's words and their positions, encoder layers, the mean over words, and an affine layer.

    Args:
        vocabulary: number of words, with 0 for padding and 1 for unknown ones; of texts `data.max_words`.
        num_outputs: number of logits.
        dim: numbers that describe a word; even, and a multiple of heads.
        depth: number of layers.
        heads: attention heads of a layer.
        hidden: width of the perceptrons; by default 4 · dim.
        dropout: probability of zeroing a number of a layer's output, or of an embedding, in training.

    Takes numbers of words (B, T) int64, padded with 0, gives logits (B, num_outputs).

    Raises:
        ValueError: where dim is odd or no multiple of heads.
    """

    def __init__(
        self,
        vocabulary: int,
        num_outputs: int,
        dim: int = 64,
        depth: int = 2,
        heads: int = 4,
        hidden: int | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if dim % heads or dim % 2:
            raise ValueError(f"dim: {dim} must be even, and a multiple of the {heads} heads")
        self.words = nn.Embedding(vocabulary, dim, padding_idx=0)
        nn.init.normal_(self.words.weight, std=dim**-0.5)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(Block(dim, heads, hidden or 4 * dim, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)
        self.head = nn.Linear(dim, num_outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, num_outputs)."""
        real = x != 0  # (B, T)
        first = torch.arange(x.shape[1], device=x.device) == 0
        seen = real | (first & ~real.any(dim=1, keepdim=True))  # a text without words is its first padding, against NaN
        h = self.words(x)  # (B, T, dim)
        h = self.dropout(h * math.sqrt(h.shape[2]) + positions(h.shape[1], h.shape[2], h.device).to(h.dtype))
        for block in self.blocks:
            h = block(h, seen)
        h = self.norm(h) * seen[..., None]
        logits: Tensor = self.head(h.sum(dim=1) / seen.sum(dim=1, keepdim=True).clamp_min(1))
        return logits

    def parallel_plan(self) -> dict[str, Literal["column", "row"]]:
        """How layers may be split over devices, by dotted name: attention by heads, perceptrons by parts."""
        plan: dict[str, Literal["column", "row"]] = {}
        for i in range(len(self.blocks)):
            for name in ("attention.query", "attention.key", "attention.value", "up"):
                plan[f"blocks.{i}.{name}"] = "column"
            for name in ("attention.out", "down"):
                plan[f"blocks.{i}.{name}"] = "row"
        return plan
