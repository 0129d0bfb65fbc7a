"""Decoding: the best sequence by beam search, and sampled continuations, over graphs; as the tasks do it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .graphs import Graph
from .tokens import BEGIN, END

Array: TypeAlias = npt.NDArray[Any]
State: TypeAlias = dict[str, Array]
STATE = "state_"  # what a state's inputs and outputs begin with; a next state's outputs begin with "new_"
NEW = "new_"


class Writer:
    """A network that writes token by token, as two graphs.

    Args:
        start: gives the state of inputs, and of language models the logits of what follows.
        next: takes tokens (B,) and a state, gives logits (B, V) and what has changed of the state.
    """

    def __init__(self, start: Graph, next: Graph | None) -> None:
        self.start_graph, self.next_graph = start, next

    def start(self, feeds: Mapping[str, Array]) -> tuple[Array | None, State]:
        """Logits (B, V) where the graph gives them, and the state."""
        found = self.start_graph.run(feeds)
        return found.pop("logits", None), {name: value for name, value in found.items() if name.startswith(STATE)}

    def next(self, tokens: Array, state: State) -> tuple[Array, State]:
        """Logits (B, V) of what follows, and the state behind tokens (B,)."""
        assert self.next_graph is not None
        found = self.next_graph.run({"tokens": tokens, **state})
        new = {name.removeprefix(NEW): value for name, value in found.items() if name.startswith(NEW)}
        return found["logits"], {**state, **new}


def log_softmax(x: Array) -> Array:
    """Along the last axis, float64."""
    x = x.astype(np.float64)
    x = x - x.max(axis=-1, keepdims=True)
    found: Array = x - np.log(np.exp(x).sum(axis=-1, keepdims=True))
    return found


def beam_search(
    writer: Writer, state: State, n: int, width: int, length_penalty: float, longest: int, known: int
) -> list[list[int]]:
    """The best tokens for each of n inputs, without begin and end; as `lightning_base.tasks.decoding.beam_search`."""
    state = {name: value.repeat(width, axis=0) for name, value in state.items()}
    last = np.full(n * width, BEGIN, dtype=np.int64)
    tokens = np.zeros((n, width, 0), dtype=np.int64)
    scores = np.full((n, width), -np.inf)
    scores[:, 0] = 0.0
    ended, lengths = np.zeros((n, width), dtype=bool), np.zeros((n, width), dtype=np.int64)
    for _ in range(longest + 1):
        logits, state = writer.next(last, state)
        size = logits.shape[1]
        logs = log_softmax(logits).reshape(n, width, size)
        logs[..., known:] = -np.inf
        logs[..., [0, BEGIN]] = -np.inf
        if tokens.shape[2] == longest:
            logs[..., np.arange(size) != END] = -np.inf
        logs = np.where(ended[..., None], -np.inf, logs)
        logs[..., END] = np.where(ended, 0.0, logs[..., END])
        total = (scores[..., None] + logs).reshape(n, -1)
        long = np.broadcast_to((lengths + ~ended)[..., None], (n, width, size)).reshape(n, -1)
        ranked = total / ((5 + long) / 6) ** length_penalty
        best = np.argsort(-ranked, axis=1, kind="stable")[:, :width]
        source, token = best // size, best % size
        scores, lengths = np.take_along_axis(total, best, 1), np.take_along_axis(long, best, 1)
        ended = np.take_along_axis(ended, source, 1) | (token == END)
        tokens = np.take_along_axis(tokens, source[..., None], 1)
        if ended.all():
            break
        tokens = np.concatenate([tokens, np.where(ended, 0, token)[..., None]], axis=2)
        rows = (source + width * np.arange(n)[:, None]).reshape(-1)
        state, last = {name: value[rows] for name, value in state.items()}, token.reshape(-1)
    return [row[: int(length) - 1].tolist() for row, length in zip(tokens[:, 0], lengths[:, 0], strict=True)]


def drawn(logits: Array, uniform: float, temperature: float, top_k: int | None) -> int:
    """A token by the inverse of the distribution function, most probable first, at a number in [0, 1)."""
    if temperature == 0:
        return int(logits.argmax())
    index = np.argsort(-logits, kind="stable")
    ordered = logits[index]
    if top_k is not None:
        ordered[top_k:] = -np.inf
    ordered = ordered / temperature
    weights = np.exp(ordered - ordered[0])
    below = (weights / weights.sum()).cumsum()
    return int(index[min(int((below < uniform * below[-1]).sum()), len(index) - 1)])


def written(
    writer: Writer,
    prompt: Sequence[int],
    uniform: Array,
    temperature: float,
    top_k: int | None,
    never: Sequence[int],
    end: int | None,
    context: int | None,
    known: int,
) -> Iterator[int]:
    """Tokens drawn one after another behind a prompt; as `lightning_base.tasks.decoding.sample`.

    Args:
        writer: whose start takes `x` (1, T), the begin in front.
        prompt: its tokens, the begin in front.
        uniform: (N,) numbers in [0, 1) that the new tokens are drawn with.
        temperature: what logits are divided by; 0 takes the most probable token.
        top_k: draw from so many most probable tokens alone.
        never: tokens that are not drawn.
        end: the token that ends a text; None for N tokens.
        context: how many tokens the network sees at most.
        known: tokens that there are.
    """
    tokens, state = list(prompt), None
    for number in uniform:
        whole = context is None or len(tokens) <= context
        if state is None or writer.next_graph is None or not whole:
            seen = tokens if whole else [tokens[0], *tokens[len(tokens) - (context or 0) + 1 :]]
            logits, state = writer.start({"x": np.array([seen], dtype=np.int64)})
        else:
            logits, state = writer.next(np.array(tokens[-1:], dtype=np.int64), state)
        assert logits is not None
        row = logits[0].astype(np.float64)
        row[list(never)] = -np.inf
        row[known:] = -np.inf
        new = drawn(row, float(number), temperature, top_k)
        if new == end:
            return
        tokens.append(new)
        yield new


def uniforms(key: int, n: int, seed: int) -> Array:
    """(n,) float64 in [0, 1), by an unsigned 64-bit key and a seed."""
    return np.random.default_rng([seed, key]).random(n)
