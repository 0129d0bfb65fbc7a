"""Claims about the tasks of sequences: losses, what is refused, what an ensemble is."""

import math

import pytest
import torch
import torch.nn.functional as F

from lightning_base.errors import UserError
from lightning_base.samples.batch import Batch, Sequences
from lightning_base.samples.nested import stacked
from lightning_base.tasks import LanguageModel, Translation
from lightning_base.tools.console import Level, speaking
from models.causal_transformer import CausalTransformer
from models.linear import Linear
from models.seq2seq import Seq2Seq


def pairs() -> Batch:
    y = Sequences(torch.tensor([[5, 6, 0], [4, 4, 8]]), torch.tensor([2, 3]))
    return Batch(torch.tensor([[5, 3, 0], [7, 1, 4]]), y, torch.arange(2), lengths=torch.tensor([2, 3]))


def translation(**given: object) -> Translation:
    torch.manual_seed(0)
    return Translation(Seq2Seq(9, 9, dim=4, hidden=4), longest=5, **given)  # type: ignore[arg-type]


def test_smoothing_is_of_the_training_loss_alone() -> None:
    plain, smooth, batch = translation(), translation(label_smoothing=0.2), pairs()
    trained, other = plain.train().step(batch), smooth.train().step(batch)
    assert trained.weight == 7  # five tokens and two ends
    assert other.loss != trained.loss
    logits = plain.network(batch.x, torch.tensor([[2, 5, 6, 0], [2, 4, 4, 8]]))
    truth = torch.tensor([[5, 6, 3, -100], [4, 4, 8, 3]])
    torch.testing.assert_close(trained.loss, F.cross_entropy(logits.flatten(0, 1), truth.flatten()))
    torch.testing.assert_close(other.loss, F.cross_entropy(logits.flatten(0, 1), truth.flatten(), label_smoothing=0.2))
    assert plain.eval().step(batch).loss == smooth.eval().step(batch).loss
    torch.testing.assert_close(plain.eval().step(batch).loss, trained.loss.detach())


def test_metrics_over_batches_are_those_of_all() -> None:
    task, batch = translation().eval(), pairs()
    whole = task.step(batch)
    together, apart = task.metrics(), task.metrics()
    together.update(whole.preds, whole.target)
    for i in range(2):
        assert isinstance(batch.y, Sequences)
        n, m = int(batch.lengths[i]), int(batch.y.lengths[i])
        y = Sequences(batch.y.values[i : i + 1, :m], batch.y.lengths[i : i + 1])
        one = task.step(batch._replace(x=batch.x[i : i + 1, :n], y=y, rows=batch.rows[i : i + 1]))
        apart.update(one.preds, one.target)
    found, expected = apart.compute(), together.compute()
    assert set(found) == {"loss", "perplexity", "token_accuracy", "exact"}
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value)
    assert float(expected["perplexity"]) == pytest.approx(math.exp(expected["loss"]))


@pytest.mark.parametrize("bad", [0, 2, 3])
def test_targets_that_hold_special_tokens_are_refused(bad: int) -> None:
    y = Sequences(torch.tensor([[5, bad]]), torch.tensor([2]))
    with pytest.raises(UserError, match=f"targets hold token {bad}, which Translation puts around them"):
        translation().check(Batch(torch.tensor([[5, 3]]), y, torch.arange(1)))


def test_too_few_logits_are_refused() -> None:
    y = Sequences(torch.tensor([[5, 8]]), torch.tensor([2]))
    task = Translation(Seq2Seq(9, 8, dim=4, hidden=4))
    with pytest.raises(UserError):
        task.check(Batch(torch.tensor([[5, 3]]), y, torch.arange(1)))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"beam": 0}, "beam: 0 is below 1"),
        ({"length_penalty": -1.0}, "length_penalty"),
    ],
)
def test_settings_out_of_range_are_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        translation(**given)


def test_a_network_that_does_not_write_is_refused() -> None:
    with pytest.raises(UserError, match="Linear has no method 'start'"):
        Translation(Linear(3, 2))


def test_an_ensemble_of_translations_takes_the_agreed_and_the_mean_probability() -> None:
    rows = [[[4, 5, 6]], [[7, 7, 7]], [[4, 5, 8]]]
    logs = [-1.0, -2.0, -4.0]
    members = [
        {
            "pred": Sequences(torch.tensor(row), torch.tensor([3])),
            "log_prob": torch.tensor([log], dtype=torch.float64),
            "tokens": torch.tensor([4.0]),
            "hits": torch.tensor([hits]),
        }
        for row, log, hits in zip(rows, logs, [1.0, 2.0, 3.0], strict=True)
    ]
    found = translation().combine(stacked(members))
    assert found["pred"].values.tolist() == [[4, 5, 6]]
    assert float(found["log_prob"]) == pytest.approx(math.log(sum(map(math.exp, logs)) / 3))
    assert float(found["tokens"]) == 4
    assert float(found["hits"]) == 2


def language_model(**given: object) -> LanguageModel:
    torch.manual_seed(0)
    network = CausalTransformer(9, context=8, dim=4, depth=1, heads=2)
    return LanguageModel(network, **given)  # type: ignore[arg-type]


def test_a_language_models_loss_is_over_its_tokens() -> None:
    task = language_model()
    batch = Batch(torch.tensor([[5, 3, 0], [7, 1, 4]]), None, torch.arange(2), lengths=torch.tensor([2, 3]))
    trained, scored = task.train().step(batch), task.eval().step(batch)
    logits = task.network(torch.tensor([[2, 5, 3], [2, 7, 1]]))
    truth = torch.tensor([[5, 3, -100], [7, 1, 4]])
    torch.testing.assert_close(trained.loss, F.cross_entropy(logits.flatten(0, 1), truth.flatten()))
    torch.testing.assert_close(scored.loss, trained.loss.detach())
    assert trained.weight == 5
    assert float(task.metrics()(scored.preds, None)["loss"]) == pytest.approx(float(scored.loss))


def test_members_with_other_tokens_are_no_mixture() -> None:
    members = [Sequences(torch.rand(2, n), torch.tensor([n, 1])) for n in (3, 4)]
    with pytest.raises(UserError, match="divides texts into tokens of its own"):
        language_model().combine(stacked(members))


def test_numbers_that_are_no_tokens_are_refused() -> None:
    with pytest.raises(UserError, match="takes sequences of token numbers"):
        language_model().check(Batch(torch.rand(2, 3), None, torch.arange(2)))
    with pytest.raises(UserError, match="temperature"):
        language_model(temperature=-1.0)
    with pytest.raises(UserError, match="top_k: 0 is below 1"):
        language_model(top_k=0)


def test_a_vocabulary_that_the_network_does_not_know_is_told_by_its_size() -> None:
    task = LanguageModel(CausalTransformer(vocabulary=10, context=8, dim=8, depth=1, heads=2))
    batch = Batch(torch.tensor([[4, 5, 25]]), None, torch.arange(1))
    with pytest.raises(UserError, match="gives 10 logits per token, and texts have 26 tokens"):
        task.check(batch)


def test_prompts_longer_than_the_context_are_said(capsys: pytest.CaptureFixture[str]) -> None:
    task = LanguageModel(CausalTransformer(vocabulary=30, context=8, dim=8, depth=1, heads=2), new=2).eval()
    x = torch.zeros(3, 12, dtype=torch.int64)
    lengths = torch.tensor([12, 3, 9])
    for row, n in zip(x, lengths.tolist(), strict=True):
        row[:n] = 5
    task.written(Batch(x, None, torch.arange(3), lengths=lengths, key=torch.arange(3)))
    with speaking(Level.NORMAL):
        task.on_predict_epoch_end()
    assert "longer than the 8 tokens that the network sees at a time: 2" in capsys.readouterr().out
