"""Claims about decoding: the best sequence of all, the same in any batch; drawn tokens have the network's chances."""

from itertools import product

import pytest
import torch
from torch import Tensor

from lightning_base.samples.batch import Sequences
from lightning_base.tasks.agreement import consensus
from lightning_base.tasks.decoding import beam_search, drawn, sample, uniforms
from models.causal_transformer import CausalTransformer
from models.seq2seq import Seq2Seq

BEGIN, END, V = 2, 3, 6


def network() -> Seq2Seq:
    torch.manual_seed(3)
    made = Seq2Seq(10, V, dim=4, hidden=4).eval()
    for p in made.parameters():
        p.data *= 4  # so that sequences differ in probability
    return made


def log_prob(made: Seq2Seq, x: Tensor, y: tuple[int, ...]) -> float:
    logits = made(x, torch.tensor([[BEGIN, *y]]))[0].double().log_softmax(dim=1)
    return sum(float(logits[t, token]) for t, token in enumerate((*y, END)))


@pytest.mark.parametrize("alpha", [0.0, 0.6, 2.0])
def test_a_beam_of_all_finds_the_best_of_all_sequences(alpha: float) -> None:
    made, longest = network(), 3
    x = torch.tensor([[5, 3, 9], [7, 1, 0], [4, 4, 6]])
    words = [token for token in range(V) if token not in (0, BEGIN, END)]
    every = [y for n in range(longest + 1) for y in product(words, repeat=n)]
    found = beam_search(made, made.start(x), 3, BEGIN, END, width=40, length_penalty=alpha, longest=longest)
    with torch.no_grad():
        for i in range(3):
            ranked = {y: log_prob(made, x[i : i + 1], y) / ((6 + len(y)) / 6) ** alpha for y in every}
            best = max(ranked, key=lambda y: ranked[y])
            assert tuple(found.values[i, : found.lengths[i]].tolist()) == best


def test_a_beam_of_one_takes_the_most_probable_token_each_time() -> None:
    made, x = network(), torch.tensor([[5, 3, 9], [7, 1, 0]])
    found = beam_search(made, made.start(x), 2, BEGIN, END, longest=6)
    for i in range(2):
        y: list[int] = []
        while len(y) < 6:
            logits = made(x[i : i + 1], torch.tensor([[BEGIN, *y]]))[0, -1].clone()
            logits[[0, BEGIN]] = -torch.inf
            if (token := int(logits.argmax())) == END:
                break
            y.append(token)
        assert found.values[i, : found.lengths[i]].tolist() == y


@pytest.mark.parametrize("width", [1, 3])
def test_what_is_written_does_not_depend_on_the_batch(width: int) -> None:
    made, x = network(), torch.randint(1, 10, (8, 5))
    together = beam_search(made, made.start(x), 8, BEGIN, END, width=width, longest=9)
    for i in range(8):
        alone = beam_search(made, made.start(x[i : i + 1]), 1, BEGIN, END, width=width, longest=9)
        n = int(alone.lengths[0])
        assert together.lengths[i] == n <= 9
        assert together.values[i, :n].equal(alone.values[0, :n])
        assert not together.values[i, n:].any()


def test_tokens_that_there_are_not_are_never_written() -> None:
    made, x = network(), torch.randint(1, 10, (8, 5))
    assert beam_search(made, made.start(x), 8, BEGIN, END, width=2, longest=9, known=5).values.max() < 5


def test_drawn_tokens_have_the_networks_chances() -> None:
    logits = torch.tensor([0.0, 2.0, 1.0, -1.0]).repeat(40_000, 1).double()
    uniform = torch.rand(40_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for temperature, top_k in ((1.0, None), (0.5, None), (1.0, 2)):
        expected = (logits[0] / temperature).exp()
        expected[expected < expected.sort(descending=True).values[(top_k or 4) - 1]] = 0
        found = torch.bincount(drawn(logits, uniform, temperature, top_k), minlength=4) / 40_000
        torch.testing.assert_close(found.double(), expected / expected.sum(), rtol=0, atol=0.01)
    assert drawn(logits[:5], uniform[:5], 0.0, None).tolist() == [1] * 5


def test_a_prompts_continuation_depends_on_its_id_alone() -> None:
    torch.manual_seed(0)
    made = CausalTransformer(V, context=8, dim=8, depth=1, heads=2).eval()
    for p in made.parameters():
        p.data *= 3
    keys, prompts = torch.tensor([11, -7, 5]), [[2, 4], [2, 5, 5, 1, 4], [2]]
    values = torch.tensor([p + [0] * (5 - len(p)) for p in prompts])
    given = Sequences(values, torch.tensor([2, 5, 1]))
    together = sample(made, given, uniforms(keys, 12, 0), 1.0, None, [0, 2], END, 8)
    assert int(together.lengths.max()) <= 12
    for i, prompt in enumerate(prompts):
        one = Sequences(torch.tensor([prompt]), torch.tensor([len(prompt)]))
        alone = sample(made, one, uniforms(keys[i : i + 1], 12, 0), 1.0, None, [0, 2], END, 8)
        n = int(alone.lengths[0])
        assert together.lengths[i] == n
        assert together.values[i, :n].equal(alone.values[0, :n])
        assert not {0, 2, END} & set(alone.values[0, :n].tolist())
    other = sample(made, given, uniforms(keys, 12, 1), 1.0, None, [0, 2], None, 8)
    assert other.lengths.tolist() == [12, 12, 12]
    assert not other.values.equal(together.values)


def test_the_candidate_of_highest_agreement_is_taken() -> None:
    candidates = [[[1, 2, 3, 4], [9]], [[1, 2, 3, 5], [8]], [[7, 7], [8]]]
    values = torch.tensor([[row + [0] * (4 - len(row)) for row in member] for member in candidates])
    lengths = torch.tensor([[len(row) for row in member] for member in candidates])
    found = consensus(Sequences(values, lengths), 4)
    assert found.values[0].tolist() == [1, 2, 3, 4]  # of the two that are as near, the first
    assert found.values[1, : found.lengths[1]].tolist() == [8]
