"""Texts to texts: sequence to sequence with the shipped task, by data of a user's own."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sacrebleu
import torch
import torch.nn.functional as F
from torchmetrics.functional.text import bleu_score

from lightning_base.results.summary import read_summary
from lightning_base.results.tables import read_table
from lightning_base.samples.batch import Batch, Sequences
from lightning_base.tasks.base import BaseModule
from tests.any_task.journey import Journey, config
from tests.any_task.seq2seq import ONES, TENS
from tests.support.forks import Forks

NETWORK = {
    "class_path": "models.seq2seq.Seq2Seq",
    "init_args": {"vocabulary": 40, "num_outputs": 40, "dim": 16, "hidden": 16},
}
MODEL = {
    "class_path": "lightning_base.tasks.Translation",
    "init_args": {
        "network": NETWORK,
        "longest": 20,
        "beam": 2,
        "score": "chrf",
        "metrics": {
            "word_errors": {"class_path": "torchmetrics.text.WordErrorRate"},
            "bleu_2": {"class_path": "torchmetrics.text.BLEUScore", "init_args": {"n_gram": 2}},
        },
        "optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.01}},
    },
}
DATA = {"class_path": "tests.any_task.seq2seq.Backwards", "init_args": {"batch_size": 12}}
TEXTS = {f"{i:02d}": f"{TENS[i // 10]} {ONES[i % 10]}".strip() for i in range(1, 100)}


@pytest.fixture(scope="module")
def journey(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> Journey:
    made = Journey(forks, config("seq2seq", MODEL, DATA, epochs=4), tmp_path_factory.mktemp("seq2seq"))
    made.cross_validates()
    return made


def word_edits(one: str, other: str) -> int:
    """Levenshtein's distance of the words."""
    a, b = one.split(), other.split()
    row = list(range(len(b) + 1))
    for i, word in enumerate(a, 1):
        above = row
        row = [i]
        for j, there in enumerate(b, 1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (word != there)))
    return row[-1]


def test_scores_are_sacrebleus_of_the_stored_texts(journey: Journey) -> None:
    summary = read_summary(journey.directory())
    metrics = summary.metrics
    assert list(metrics)[:4] == ["chrf", "bleu_2", "word_errors", "bleu"]
    assert summary.higher_is_better["word_errors"] is False
    for fold in (0, 1):
        found = read_table(journey.directory() / f"fold_{fold}" / "predictions.parquet")
        assert found["target"].tolist() == [TEXTS[id_][::-1] for id_ in found["id"]]
        pred, true = found["pred"].tolist(), [found["target"].tolist()]
        assert metrics["bleu"].folds[fold] == pytest.approx(
            sacrebleu.corpus_bleu(pred, true, force=True).score, rel=1e-5
        )
        assert metrics["chrf"].folds[fold] == pytest.approx(sacrebleu.corpus_chrf(pred, true).score, rel=1e-5)
        assert metrics["bleu_2"].folds[fold] == pytest.approx(float(bleu_score(pred, *true, n_gram=2)), rel=1e-5)
        edits = sum(word_edits(*both) for both in zip(pred, *true, strict=True))
        assert metrics["word_errors"].folds[fold] == pytest.approx(
            edits / sum(len(text.split()) for text in found["target"]), rel=1e-5
        )
        assert metrics["exact"].folds[fold] == pytest.approx((found["pred"] == found["target"]).mean(), abs=1e-6)
        assert found["tokens"].tolist() == [len(text) + 1 for text in found["target"]]
        loss = -found["log_prob"].sum() / found["tokens"].sum()
        assert metrics["loss"].folds[fold] == pytest.approx(loss, rel=1e-5)
        assert metrics["perplexity"].folds[fold] == pytest.approx(math.exp(loss), rel=1e-5)


def agreement(one: str, other: str) -> float:
    """The mean F1 of both texts' runs of 1 to 6 letters, over the orders that either has."""
    found = []
    for n in range(1, 7):
        a, b = (Counter(text[i : i + n] for i in range(len(text) - n + 1)) for text in (one, other))
        if a or b:
            found.append(2 * sum((a & b).values()) / (sum(a.values()) + sum(b.values())))
    return float(np.mean(found))


def test_beside_them_stands_the_most_typical_text_and_each_tokens_share(journey: Journey) -> None:
    summary = read_summary(journey.directory())
    assert summary.trivial is not None
    assert summary.trivial.startswith("the training target that agrees most with others")
    folds = [read_table(journey.directory() / f"fold_{fold}" / "predictions.parquet") for fold in (0, 1)]
    expected: dict[str, list[float]] = {"chrf": [], "bleu": [], "exact": [], "loss": [], "token_accuracy": []}
    for held, other in (folds, folds[::-1]):
        known, true = other["target"].tolist(), held["target"].tolist()
        assert len(known) <= 50  # all of them are compared
        one = max(known, key=lambda text: round(sum(agreement(text, another) for another in known), 10))
        expected["chrf"].append(sacrebleu.corpus_chrf([one] * len(true), [true]).score)
        expected["bleu"].append(sacrebleu.corpus_bleu([one] * len(true), [true], force=True).score)
        expected["exact"].append(float(np.mean([text == one for text in true])))
        size = 4 + len(set("".join(known)))  # padding, unknown, begin, end, and letters
        count = Counter(letter for text in known for letter in [*text, "end"])
        letters = [letter for text in true for letter in [*text, "end"]]
        expected["token_accuracy"].append(np.mean([letter == count.most_common(1)[0][0] for letter in letters]))
        share = [(count[letter] + 1) / (sum(count.values()) + size) for letter in letters]
        expected["loss"].append(-np.mean(np.log(share)))
    for name in expected:
        assert summary.metrics[name].trivial == pytest.approx(np.mean(expected[name]), rel=1e-5), name


def test_it_learns_letters(journey: Journey) -> None:
    assert read_summary(journey.directory()).metrics["perplexity"].score < 12  # of sixteen letters, a blank and an end


def test_the_ensemble_is_scored_on_the_sealed_texts(journey: Journey) -> None:
    found = journey.tests()
    assert len(found) == 20
    assert found["target"].tolist() == [TEXTS[id_][::-1] for id_ in found["id"]]


def test_predict_writes_texts(journey: Journey) -> None:
    assert journey.run("predict", "--ckpt_path", journey.directory()) == [0], journey.log()
    found = read_table(journey.directory() / "ensemble.parquet")
    assert found.columns.tolist() == ["id", "pred"]
    assert len(found) == 10
    letters = set("".join(TEXTS.values()))
    assert all(set(text) <= letters for text in found["pred"])


def test_kills_change_nothing(journey: Journey) -> None:
    journey.survives_kills(step=9)


def test_two_processes_train_as_one(journey: Journey) -> None:
    journey.trains_in_two_processes(["log_prob", "tokens"])
    one, two = (read_summary_of(journey.directory(home)) for home in ("whole", "two"))
    assert two["pred"].tolist() == one["pred"].tolist()


def read_summary_of(directory: Path) -> pd.DataFrame:
    return read_table(directory / "fold_0" / "predictions.parquet")


def loss(task: BaseModule, batch: Batch) -> torch.Tensor:
    """Each sample by itself, without padding: the mean over all true tokens and ends."""
    assert isinstance(batch.y, Sequences)
    assert batch.lengths is not None
    total, count = torch.zeros(()), 0
    for x, s, y, t in zip(batch.x, batch.lengths, batch.y.values, batch.y.lengths, strict=True):
        logits = task.network(x[None, :s], torch.cat([torch.tensor([2]), y[:t]])[None])[0]
        total = total + F.cross_entropy(logits, torch.cat([y[:t], torch.tensor([3])]), reduction="sum")
        count += int(t) + 1
    return total / count


def test_the_weights_are_those_of_a_plain_loop(journey: Journey) -> None:
    journey.equals_a_plain_loop(loss, atol=1e-4)


def test_the_ensemble_holds_the_mean_probability_of_each_target(journey: Journey) -> None:
    """By scoring each fold's checkpoint alone."""
    together = journey.tests().set_index("id")
    alone = []
    for fold in (0, 1):
        checkpoint = journey.directory() / f"fold_{fold}" / "checkpoints" / "last.ckpt"
        assert journey.run("test", "--ckpt_path", checkpoint) == [0], journey.log()
        alone.append(read_table(journey.directory() / f"fold_{fold}" / "test.parquet").set_index("id"))
    expected = np.log((np.exp(alone[0]["log_prob"]) + np.exp(alone[1]["log_prob"])) / 2)
    np.testing.assert_allclose(together["log_prob"], expected[together.index], rtol=1e-6)
    assert together["pred"].tolist() == alone[0].loc[together.index, "pred"].tolist()  # of two, the first's
