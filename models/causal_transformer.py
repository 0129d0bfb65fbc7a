"""CausalTransformer: a language model, the decoder of Vaswani et al. 2017 without an encoder.

Source: Radford et al., "Language Models are Unsupervised Multitask Learners", 2019 (GPT-2): layers normalised before
attention and perceptron, learned positions, the embeddings of tokens as the last layer's weights (Press & Wolf 2017);
here queries, keys and values have no biases.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

State = dict[str, Tensor]


class CausalBlock(nn.Module):
    """Attention to what is not later, then a perceptron, each added to its input; (B, T, dim) to the same."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.p = heads, dropout
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.out = nn.Linear(dim, 3 * dim, bias=False), nn.Linear(dim, dim)
        self.up, self.down = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, dim) of (B, T, dim)."""
        return self.attended(x, *self.parts(x), causal=True)

    def parts(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values (B, heads, T, dim / heads) of (B, T, dim)."""
        q, k, v = self.qkv(self.norm1(x)).unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
        return q, k, v

    def attended(self, x: Tensor, q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Tensor:
        """(B, T, dim) with what its queries find among keys and values."""
        mixed = F.scaled_dot_product_attention(q, k, v, dropout_p=self.p if self.training else 0.0, is_causal=causal)
        x = x + self.dropout(self.out(mixed.transpose(1, 2).flatten(2)))
        y: Tensor = x + self.dropout(self.down(F.gelu(self.up(self.norm2(x)))))
        return y


class CausalTransformer(nn.Module):
    """Logits of what follows each token, of it and those before it alone.

    Args:
        vocabulary: number of tokens, 0 for padding among them: the number of logits.
        context: how many tokens it sees at most, the longest text with the begin in front.
        dim: numbers that describe a token; a multiple of heads.
        depth: number of layers.
        heads: attention heads of a layer.
        dropout: probability of zeroing an embedding's, an attention's or a layer's number in training.

    Takes tokens (B, T) int64, padded at their ends, and gives logits (B, T, vocabulary); padding changes none before
    it.

    Raises:
        ValueError: where dim is no multiple of heads, or a text is longer than the context.
    """

    def __init__(
        self, vocabulary: int, context: int = 256, dim: int = 128, depth: int = 4, heads: int = 4, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"dim: {dim} must be a multiple of the {heads} heads")
        self.context = context
        self.tokens, self.places = nn.Embedding(vocabulary, dim), nn.Embedding(context, dim)
        nn.init.normal_(self.tokens.weight, std=0.02)
        nn.init.normal_(self.places.weight, std=0.02)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(CausalBlock(dim, heads, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(dim)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, T, vocabulary)."""
        if x.shape[1] > self.context:
            raise ValueError(f"a text has {x.shape[1]} tokens, and context is {self.context}; give more")
        h = self.dropout(self.tokens(x) + self.places.weight[: x.shape[1]])
        for block in self.blocks:
            h = block(h)
        return F.linear(self.norm(h), self.tokens.weight)

    def start(self, x: Tensor) -> tuple[Tensor, State]:
        """Logits (B, vocabulary) of what follows x (B, T), none of which is padding, and what `next` goes on from.

        The state has each layer's keys and values, (B, depth, heads, T, dim / heads).
        """
        h, keys, values = self.tokens(x) + self.places.weight[: x.shape[1]], list[Tensor](), list[Tensor]()
        for block in self.blocks:
            assert isinstance(block, CausalBlock)
            q, k, v = block.parts(h)
            h = block.attended(h, q, k, v, causal=True)
            keys.append(k)
            values.append(v)
        state = {"keys": torch.stack(keys, dim=1), "values": torch.stack(values, dim=1)}
        return F.linear(self.norm(h[:, -1]), self.tokens.weight), state

    def next(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Logits (B, vocabulary) of what follows one more token each (B,), and the state behind it."""
        place = torch.full_like(tokens, state["keys"].shape[3])
        h, keys, values = (self.tokens(tokens) + self.places(place))[:, None], list[Tensor](), list[Tensor]()
        for i, block in enumerate(self.blocks):
            assert isinstance(block, CausalBlock)
            q, k, v = block.parts(h)
            k, v = torch.cat([state["keys"][:, i], k], dim=2), torch.cat([state["values"][:, i], v], dim=2)
            h = block.attended(h, q, k, v, causal=False)
            keys.append(k)
            values.append(v)
        grown = {"keys": torch.stack(keys, dim=1), "values": torch.stack(values, dim=1)}
        return F.linear(self.norm(h[:, -1]), self.tokens.weight), grown
