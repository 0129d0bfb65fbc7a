"""Decoding: the best sequence by beam search, and sampled continuations."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from lightning_base.samples.batch import Inputs, Sequences
from lightning_base.samples.nested import Nested, mapped, rows_of


class Decoder(Protocol):
    """A network that writes a sequence token by token.

    A state is a tensor (B, ...), or a dictionary of these by name: rows of it are repeated and reordered.
    """

    def start(self, x: Inputs) -> Nested:
        """The state before the first token, of inputs (B, ...)."""

    def next(self, tokens: Tensor, state: Nested) -> tuple[Tensor, Nested]:
        """Logits (B, V) of what follows the last tokens (B,) int64, and the state behind them."""


def beam_search(
    network: Any,
    state: Nested,
    n: int,
    begin: int,
    end: int,
    width: int = 1,
    length_penalty: float = 0.6,
    longest: int = 128,
    known: int | None = None,
    device: torch.device | str = "cpu",
) -> Sequences:
    """The best sequence of tokens for each of n inputs, without begin and end; width 1 is greedy search.

    A sequence is ranked by its log-probability over ((5 + T) / 6) ** length_penalty, T its tokens with the end (Wu et
    al. 2016, section 7). Padding (0) and begin are never written. One without an end is cut after `longest` tokens.

    Args:
        network: a `Decoder`.
        state: what it starts with, of n rows.
        n: number of inputs.
        begin: the token that each sequence starts with.
        end: the one that ends it.
        width: sequences kept for each input.
        length_penalty: 0 for none.
        longest: tokens, at most.
        known: tokens that there are, where the network has more logits; None for all of these.
        device: of the state.

    Returns:
        Values (n, T) int64 padded with 0, and lengths (n,).
    """
    state = mapped(state, lambda t: t.repeat_interleave(width, dim=0))
    last = torch.full((n * width,), begin, device=device)
    tokens = torch.zeros(n, width, 0, dtype=torch.int64, device=device)
    scores = torch.full((n, width), -torch.inf, dtype=torch.float64, device=device)
    scores[:, 0] = 0.0
    ended = torch.zeros(n, width, dtype=torch.bool, device=device)
    lengths = torch.zeros(n, width, dtype=torch.int64, device=device)  # with the end
    for _ in range(longest + 1):
        logits, state = network.next(last, state)
        size = logits.shape[1]
        logs = logits.double().log_softmax(dim=1).reshape(n, width, size)
        logs[..., known or size :] = -torch.inf
        logs[..., [0, begin]] = -torch.inf
        if tokens.shape[2] == longest:  # nothing but the end has room
            logs[..., torch.arange(size, device=device) != end] = -torch.inf
        logs = torch.where(ended[..., None], -torch.inf, logs)
        logs[..., end] = torch.where(ended, 0.0, logs[..., end])  # what has ended stays as it is
        total = (scores[..., None] + logs).flatten(1)
        long = (lengths + ~ended)[..., None].expand(-1, -1, size).flatten(1)
        best = (total / ((5 + long) / 6) ** length_penalty).topk(width, dim=1).indices  # (n, width)
        source, token = best // size, best % size
        scores, lengths = total.gather(1, best), long.gather(1, best)
        was = ended.gather(1, source)
        ended = was | (token == end)
        tokens = tokens.gather(1, source[..., None].expand(-1, -1, tokens.shape[2]))
        if ended.all():
            break
        tokens = torch.cat([tokens, torch.where(ended, 0, token)[..., None]], dim=2)
        rows = (source + width * torch.arange(n, device=device)[:, None]).flatten()
        state, last = rows_of(state, rows), token.flatten()
    return Sequences(tokens[:, 0], (lengths - 1)[:, 0])


def sample(
    logits_of: Callable[[Tensor], Tensor],
    prompt: Sequences,
    uniform: Tensor,
    temperature: float,
    top_k: int | None,
    never: list[int],
    end: int | None,
    context: int | None,
    known: int | None = None,
) -> Sequences:
    """Tokens drawn one after another behind prompts; what a prompt gets does not depend on those beside it.

    Args:
        logits_of: gives logits (B, T, V) of tokens (B, T) padded at their ends, for what follows each.
        prompt: (B, T) tokens and lengths of 1 or more.
        uniform: (B, N) numbers in [0, 1) that the N new tokens are drawn with.
        temperature: what logits are divided by; 0 takes the most probable token.
        top_k: draw from so many most probable tokens alone; None for all.
        never: tokens that are not drawn.
        end: the token that ends a sequence; None for N tokens each.
        context: how many tokens the network sees at most: the prompt's first, and the last ones behind it.
        known: tokens that there are, where the network has more logits; None for all of these.

    Returns:
        Values (B, N) int64 without the prompts, padded with 0, and lengths (B,).
    """
    (b, t), n = prompt.values.shape, uniform.shape[1]
    rows, device = torch.arange(b, device=prompt.values.device), prompt.values.device
    tokens = torch.cat([prompt.values.long(), torch.zeros(b, n, dtype=torch.int64, device=device)], dim=1)
    lengths, ended = prompt.lengths.clone(), torch.zeros(b, dtype=torch.bool, device=device)
    for step in range(n):
        width = int(lengths.max()) if context is None else min(context, int(lengths.max()))
        first = (lengths - width).clamp_min(0)
        window = first[:, None] + torch.arange(width, device=device)  # (B, W)
        seen = torch.where(window < lengths[:, None], tokens.gather(1, window.clamp_max(t + n - 1)), 0)
        seen[:, 0] = tokens[:, 0]  # what a network has learned to begin with, where the window has left it behind
        logits = logits_of(seen)[rows, lengths - 1 - first].double()  # (B, V)
        logits[:, never] = -torch.inf
        logits[:, known or logits.shape[1] :] = -torch.inf
        new = drawn(logits, uniform[:, step].double(), temperature, top_k)
        ended = ended | (new == end) if end is not None else ended
        tokens[rows, lengths] = torch.where(ended, 0, new)
        lengths = lengths + ~ended
        if ended.all():
            break
    own = prompt.lengths[:, None] + torch.arange(n, device=device)
    found = lengths - prompt.lengths
    values = torch.where(own < lengths[:, None], tokens.gather(1, own.clamp_max(t + n - 1)), 0)
    return Sequences(values, found)


def drawn(logits: Tensor, uniform: Tensor, temperature: float, top_k: int | None) -> Tensor:
    """(B,) int64: a token by the inverse of the distribution function, most probable first, at `uniform` (B,)."""
    if temperature == 0:
        return logits.argmax(dim=1)
    ordered, index = logits.sort(dim=1, descending=True, stable=True)
    if top_k is not None:
        ordered[:, top_k:] = -torch.inf
    below = (ordered / temperature).softmax(dim=1).cumsum(dim=1)
    place = (below < uniform[:, None] * below[:, -1:]).sum(dim=1)
    return index.gather(1, place[:, None])[:, 0]


def uniforms(keys: Tensor, n: int, seed: int) -> Tensor:
    """(B, n) float64 in [0, 1): a function of each sample's key (B,) int64 and the seed, whatever batch it is in."""
    unsigned = keys.cpu().numpy().view(np.uint64)
    return torch.from_numpy(np.stack([np.random.default_rng([seed, int(key)]).random(n) for key in unsigned]))
