"""Claims about networks that write sequences: padding and what is later change nothing, one by one is as the whole."""

import pytest
import torch
from torch import Tensor

from models.causal_transformer import CausalTransformer
from models.seq2seq import Seq2Seq


def padded(rows: list[list[int]], width: int) -> Tensor:
    return torch.tensor([row + [0] * (width - len(row)) for row in rows])


SOURCES, TARGETS = [[5, 3, 9], [7], [4, 4, 6, 8, 2]], [[2, 8], [2, 5, 6, 7], [2]]


def seq2seq() -> Seq2Seq:
    torch.manual_seed(0)
    return Seq2Seq(10, 12, dim=6, hidden=5).eval()


def test_padding_on_either_side_changes_no_logits() -> None:
    network = seq2seq()
    together = network(padded(SOURCES, 9), padded(TARGETS, 8))
    assert together.shape == (3, 8, 12)
    for i, (x, y) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        alone = network(torch.tensor([x]), torch.tensor([y]))[0]
        torch.testing.assert_close(together[i, : len(y)], alone, rtol=0, atol=1e-6)


def test_tokens_one_by_one_have_the_logits_of_the_whole() -> None:
    network, y = seq2seq(), padded([[2, 8, 4], [2, 5, 6], [2, 2, 9]], 3)
    whole, state = network(padded(SOURCES, 5), y), network.start(padded(SOURCES, 5))
    for t in range(3):
        logits, state = network.next(y[:, t], state)
        torch.testing.assert_close(logits, whole[:, t], rtol=0, atol=1e-6)


def test_attention_is_over_the_source() -> None:
    network = seq2seq()
    one, other = (network(torch.tensor([x]), torch.tensor([[2, 5]])) for x in ([5, 3], [3, 5]))
    assert not torch.allclose(one, other, atol=1e-3)


def test_nothing_sees_what_is_later() -> None:
    torch.manual_seed(0)
    network = CausalTransformer(10, context=8, dim=8, depth=2, heads=2).eval()
    x = torch.randint(1, 10, (2, 8))
    whole, changed = network(x), network(torch.cat([x[:, :5], 0 * x[:, 5:]], dim=1))
    torch.testing.assert_close(changed[:, :5], whole[:, :5], rtol=0, atol=1e-6)
    assert not torch.allclose(changed[:, 5:], whole[:, 5:], atol=1e-3)
    torch.testing.assert_close(network(x[:, :5]), whole[:, :5], rtol=0, atol=1e-6)


def test_more_tokens_than_the_context_are_refused() -> None:
    with pytest.raises(ValueError, match="a text has 9 tokens, and context is 8"):
        CausalTransformer(10, context=8, dim=8, heads=2)(torch.ones(1, 9, dtype=torch.int64))
    with pytest.raises(ValueError, match="multiple of the 3 heads"):
        CausalTransformer(10, dim=8, heads=3)
