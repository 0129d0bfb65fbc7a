"""Claims about scores of texts: sacrebleu's numbers, whatever the batches; sums that draws are quick with."""

import gzip
import random

import pytest
import sacrebleu
import torch
from torchmetrics import MetricCollection

from lightning_base.samples.batch import Sequences, Texts
from lightning_base.samples.nested import rows_of
from lightning_base.tasks.sums import Sums, ratio, scorer, texts_of
from lightning_base.tasks.text_scores import BLEU_SIZE, CHRF_SIZE, bleu, bleu_rows, chrf, chrf_rows, exact_rows
from tests.helpers import shared


def metrics() -> MetricCollection:
    return MetricCollection(
        {
            "bleu": Sums("bleu", BLEU_SIZE, bleu_rows, bleu),
            "chrf": Sums("chrf", CHRF_SIZE, chrf_rows, chrf),
            "exact": Sums("exact", 2, exact_rows, ratio),
        }
    )


def captions() -> tuple[list[str], list[str]]:
    """Real German sentences, and the same with words lost, doubled and moved."""
    with gzip.open(shared("multi30k/val.de.gz"), "rt") as file:
        true = file.read().splitlines()[:200]
    rng, pred = random.Random(0), []
    for text in true:
        words = [word for word in text.split() for _ in range(rng.choice([0, 1, 1, 1, 2]))]
        pred.append(" ".join(words) + rng.choice(["", " 3,5-mal &quot;so&quot;.", " Straße!"]))
    return pred, true


def theirs(pred: list[str], true: list[str]) -> dict[str, float]:
    return {
        "bleu": sacrebleu.corpus_bleu(pred, [true], force=True).score,
        "chrf": sacrebleu.corpus_chrf(pred, [true]).score,
        "exact": sum(a == b for a, b in zip(pred, true, strict=True)) / len(pred),
    }


def ours(pred: list[str], true: list[str], size: int) -> dict[str, float]:
    made = metrics()
    for i in range(0, len(pred), size):
        made.update({"pred": Texts.of(pred[i : i + size])}, Texts.of(true[i : i + size]))
    return {name: float(value) for name, value in made.compute().items()}


@pytest.mark.parametrize("size", [7, 200])
def test_scores_are_sacrebleus_over_any_batches(size: int) -> None:
    pred, true = captions()
    assert ours(pred, true, size) == pytest.approx(theirs(pred, true), rel=1e-5)


@pytest.mark.parametrize(
    ("pred", "true"),
    [
        (["a b c d"], ["a b x d"]),  # no run of three: smoothed
        (["a"], ["a b"]),
        ([""], ["a b"]),
        (["x y z w"], ["a b"]),
        (["a b c d e", ""], ["a b c d e", "f"]),
    ],
)
def test_short_texts_are_scored_as_sacrebleu_does(pred: list[str], true: list[str]) -> None:
    assert ours(pred, true, 1) == pytest.approx(theirs(pred, true), rel=1e-5)


def test_drawn_texts_are_scored_as_these_texts() -> None:
    pred, true = captions()
    rows = torch.randint(0, 200, (200,), generator=torch.Generator().manual_seed(0))
    preds, target = {"pred": Texts.of(pred)}, Texts.of(true)
    found = scorer(dict(metrics().items()), preds, target)(rows)  # type: ignore[arg-type]
    expected = metrics()(rows_of(preds, rows), rows_of(target, rows))
    assert {name: float(value) for name, value in found.items()} == pytest.approx(
        {name: float(value) for name, value in expected.items()}
    )


def test_texts_come_back_from_their_bytes() -> None:
    texts = ["", "a\x00b", "Straße 🙂", "\n"]
    assert texts_of(Texts.of(texts)) == texts


def test_exact_is_of_the_whole_sequence() -> None:
    pred = Sequences(torch.tensor([[4, 5, 0], [4, 5, 6], [4, 0, 0]]), torch.tensor([2, 3, 1]))
    true = Sequences(torch.tensor([[4, 5], [4, 5], [4, 5]]), torch.tensor([2, 2, 2]))
    assert exact_rows({"pred": pred}, true)[:, 0].tolist() == [1, 0, 0]
