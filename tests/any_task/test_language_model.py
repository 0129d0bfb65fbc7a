"""A language model with the shipped task, by data of a user's own: no target."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lightning_base.results.summary import read_summary
from lightning_base.results.tables import read_table
from lightning_base.samples.batch import Batch
from lightning_base.samples.texts import texts_of
from lightning_base.tasks.base import BaseModule
from tests.any_task.journey import Journey, config
from tests.any_task.language_model import Sentences
from tests.support.forks import Forks

NETWORK = {
    "class_path": "models.causal_transformer.CausalTransformer",
    "init_args": {"vocabulary": 100, "context": 16, "dim": 16, "depth": 1, "heads": 2},
}
MODEL = {
    "class_path": "lightning_base.tasks.LanguageModel",
    "init_args": {
        "network": NETWORK,
        "new": 6,
        "optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.01}},
    },
}
DATA = {"class_path": "tests.any_task.language_model.Sentences", "init_args": {"batch_size": 12}}


@pytest.fixture(scope="module")
def journey(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> Journey:
    made = Journey(forks, config("lm", MODEL, DATA, epochs=4), tmp_path_factory.mktemp("lm"))
    made.cross_validates()
    return made


def test_the_scores_are_those_of_the_stored_probabilities(journey: Journey) -> None:
    metrics = read_summary(journey.directory()).metrics
    for fold in (0, 1):
        found = read_table(journey.directory() / f"fold_{fold}" / "predictions.parquet")
        prob = np.concatenate(found["prob"].to_list())
        assert len(prob) > 5 * len(found)
        loss = -np.log(prob).mean()
        assert metrics["loss"].folds[fold] == pytest.approx(loss, rel=1e-5)
        assert metrics["perplexity"].folds[fold] == pytest.approx(math.exp(loss), rel=1e-5)
    assert metrics["perplexity"].score < 20  # of a hundred logits


def test_beside_them_stands_each_words_share_in_the_training_part(journey: Journey) -> None:
    texts = Sentences().dataset("pool")
    words = [[*text.split(), "<end>"] for text in texts_of(texts.inputs, np.arange(len(texts)))]
    place, expected = {id_: i for i, id_ in enumerate(texts.table["id"])}, []
    held = [
        [place[id_] for id_ in read_table(journey.directory() / f"fold_{fold}" / "predictions.parquet")["id"]]
        for fold in (0, 1)
    ]
    for fold in (0, 1):
        count = Counter(word for i in held[1 - fold] for word in words[i])
        size = sum(count.values()) + len(count) + 3  # one added to each, to the padding, the unknown and the begin
        expected.append(-np.mean([np.log((count[word] + 1) / size) for i in held[fold] for word in words[i]]))
        assert all(word in count for i in held[fold] for word in words[i])
    loss = read_summary(journey.directory()).metrics["loss"]
    assert loss.trivial == pytest.approx(np.mean(expected), rel=1e-5)


def test_the_ensemble_is_the_mixture(journey: Journey) -> None:
    together = journey.tests().set_index("id")
    alone = []
    for fold in (0, 1):
        checkpoint = journey.directory() / f"fold_{fold}" / "checkpoints" / "last.ckpt"
        assert journey.run("test", "--ckpt_path", checkpoint) == [0], journey.log()
        alone.append(read_table(journey.directory() / f"fold_{fold}" / "test.parquet").set_index("id"))
    for id_ in together.index:
        expected = (alone[0]["prob"][id_] + alone[1]["prob"][id_]) / 2
        np.testing.assert_allclose(together["prob"][id_], expected, rtol=1e-6)


def test_predict_writes_on_from_prompts_and_the_same_again(journey: Journey) -> None:
    checkpoint, written = journey.directory() / "fold_0" / "checkpoints" / "last.ckpt", []
    for more in ((), ("--data.eval_batch_size", 1)):
        assert journey.run("predict", "--ckpt_path", checkpoint, *more) == [0], journey.log()
        written.append(read_table(journey.directory() / "fold_0" / "predict.parquet").set_index("id")["pred"])
    assert written[0].tolist() == written[1].tolist()
    assert all(len(text.split()) <= 6 for text in written[0])  # none at all where the end is drawn first
    assert any(written[0])


def test_folds_write_no_text_together(journey: Journey) -> None:
    assert journey.run("predict", "--ckpt_path", journey.directory()) != [0]
    assert "texts that several folds write have no mean; give one fold's checkpoint" in journey.log()


def test_kills_change_nothing(journey: Journey) -> None:
    journey.survives_kills(step=9)


def test_two_processes_train_as_one(journey: Journey) -> None:
    journey.trains_in_two_processes(["prob"])


def loss(task: BaseModule, batch: Batch) -> torch.Tensor:
    """Each sample by itself, without padding: the mean over all tokens."""
    assert batch.lengths is not None
    total, count = torch.zeros(()), 0
    for row, n in zip(batch.x, batch.lengths, strict=True):
        x = row[:n]
        logits = task.network(torch.cat([torch.tensor([2]), x[:-1]])[None])[0]
        total, count = total + F.cross_entropy(logits, x, reduction="sum"), count + int(n)
    return total / count


def test_the_weights_are_those_of_a_plain_loop(journey: Journey) -> None:
    journey.equals_a_plain_loop(loss, atol=1e-4)
