"""Claims about recurrent classifiers: what torch's own layers compute of a text alone, however far it is padded."""

from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from models.recurrent import GRU, LSTM, RNN, Recurrent, turned

ALL = (RNN, GRU, LSTM)
TEXTS = [[5, 3, 9, 2], [7], [4, 4, 6, 8, 2, 3, 9], [2, 0, 3]]  # the last has a word left out, as dropout does it


def padded(texts: list[list[int]], width: int) -> Tensor:
    return torch.tensor([text + [0] * (width - len(text)) for text in texts])


def made(kind: type[Recurrent], **given: object) -> Recurrent:
    torch.manual_seed(0)
    return kind(10, 3, dim=6, hidden=5, **given).eval()  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ALL)
@pytest.mark.parametrize("pool", ["last", "mean", "max"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_padding_changes_nothing(
    kind: type[Recurrent], pool: Literal["last", "mean", "max"], bidirectional: bool
) -> None:
    network = made(kind, pool=pool, bidirectional=bidirectional, depth=2)
    together, wide = network(padded(TEXTS, 7)), network(padded(TEXTS, 40))
    alone = torch.cat([network(torch.tensor([text])) for text in TEXTS])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)
    torch.testing.assert_close(wide, alone, rtol=0, atol=1e-6)
    assert len({tuple(row) for row in alone.round(decimals=4).tolist()}) == len(TEXTS)


@pytest.mark.parametrize("kind", ALL)
def test_two_bidirectional_layers_are_torchs(kind: type[Recurrent]) -> None:
    network = made(kind, depth=2)
    theirs = getattr(nn, kind.__name__)(6, 5, num_layers=2, bidirectional=True, batch_first=True)
    for way, suffix in ((0, ""), (1, "_reverse")):
        for layer in range(2):
            ours = network.layers.ways[way][layer]  # type: ignore[index]
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(theirs, f"{name}_l{layer}{suffix}").data = getattr(ours, f"{name}_l0").data
    for text in TEXTS[:3]:
        h = theirs(network.words(torch.tensor([text])))[0][0]  # (T, 10)
        expected = network.head(torch.cat([h[-1, :5], h[0, 5:]]))
        torch.testing.assert_close(network(padded([text], 9))[0], expected, rtol=0, atol=1e-6)


def test_rows_turn_within_their_lengths() -> None:
    x = padded([[1, 2, 3], [4, 5, 6]], 4)
    assert turned(x, torch.tensor([3, 2])).tolist() == [[3, 2, 1, 0], [5, 4, 6, 0]]
    assert turned(turned(x, torch.tensor([3, 2])), torch.tensor([3, 2])).equal(x)


@pytest.mark.parametrize("kind", ALL)
def test_a_text_without_words_has_finite_logits_and_gradients(kind: type[Recurrent]) -> None:
    network = made(kind, pool="max").train()
    logits = network(torch.tensor([[0, 0], [3, 0]]))
    logits.sum().backward()
    assert logits.isfinite().all()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_sizes_below_1_are_refused() -> None:
    with pytest.raises(ValueError, match="1 or more"):
        RNN(10, 2, depth=0)
