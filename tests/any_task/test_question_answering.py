"""Parts of texts as targets: questions about paragraphs, by a task of a user's own and the shipped data module."""

import gzip
import json
import re
import string
from collections import Counter
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lightning_base.results.summary import read_summary
from lightning_base.results.tables import read_table
from lightning_base.samples.batch import Batch, Spans
from lightning_base.tasks.base import BaseModule
from tests.any_task.journey import Journey, config, first_run
from tests.helpers import assert_same_weights, shared
from tests.support.forks import Forks

MODEL = {
    "class_path": "tests.any_task.question_answering.Answers",
    "init_args": {
        "network": {"class_path": "tests.any_task.question_answering.Reader", "init_args": {"size": 600, "n": 16}},
        "optimizer": {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.01}},
    },
}


def articles(n: int = 12) -> list[dict[str, Any]]:
    """The first paragraph of each of the first articles, in which every fifth question cannot be answered."""
    with gzip.open(shared("xquad/xquad.en.json.gz"), "rt", encoding="utf-8") as file:
        found: list[dict[str, Any]] = json.load(file)["data"][:n]
    count = 0
    for article in found:
        article["paragraphs"] = article["paragraphs"][:1]
        for question in article["paragraphs"][0]["qas"]:
            if (count := count + 1) % 5 == 0:
                question.update(answers=[], is_impossible=True)
            elif count % 5 == 1:
                question["answers"].append(
                    {"text": "the", "answer_start": article["paragraphs"][0]["context"].find("the")}
                )
    return found


@pytest.fixture(scope="module")
def journey(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> Journey:
    folder = tmp_path_factory.mktemp("answers")
    (folder / "squad.json").write_text(json.dumps({"version": "2.0", "data": articles()}))
    path = str(folder / "squad.json")
    given = {"path": path, "predict": path, "size": 600, "max_context": 200, "batch_size": 8}
    data = {"class_path": "datamodules.questions.Questions", "init_args": given}
    content = config("answers", MODEL, data, epochs=2)
    content["data"]["init_args"]["split"] = {
        "class_path": "sklearn.model_selection.GroupKFold",
        "init_args": {"n_splits": 2},
    }
    made = Journey(forks, content, folder)
    made.cross_validates()
    return made


def normalized(text: str) -> str:
    """As evaluate-v2.0.py has it: lower case, no punctuation, no articles, single blanks."""
    plain = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return " ".join(re.sub(re.compile(r"\b(a|an|the)\b", re.UNICODE), " ", plain).split())


def official(pred: str, answers: list[str]) -> tuple[float, float]:
    """Exact match and F1 by the official formula of SQuAD 2.0."""
    golds = [answer for answer in answers if normalized(answer)] or [""]
    best = []
    for gold in golds:
        own, right = normalized(pred).split(), normalized(gold).split()
        same = sum((Counter(own) & Counter(right)).values())
        if not own or not right:
            best.append(float(own == right))
        elif same == 0:
            best.append(0.0)
        else:
            precision, recall = same / len(own), same / len(right)
            best.append(2 * precision * recall / (precision + recall))
    return float(any(normalized(pred) == normalized(gold) for gold in golds)), max(best)


def questions() -> dict[str, tuple[str, list[str]]]:
    """By id the context, and the texts that are right."""
    return {
        q["id"]: (p["context"], [a["text"] for a in q["answers"]] or [""])
        for article in articles()
        for p in article["paragraphs"]
        for q in p["qas"]
    }


def test_scores_are_the_official_ones_of_the_stored_answers(journey: Journey) -> None:
    metrics, known, seen = read_summary(journey.directory()).metrics, questions(), 0
    for fold in (0, 1):
        found = read_table(journey.directory() / f"fold_{fold}" / "predictions.parquet")
        pairs = list(zip(found["id"], found["pred"], found["targets"], strict=True))
        for id_, pred, right in pairs:
            assert pred in known[id_][0]  # cut out of the context as it stands
            assert list(right) == known[id_][1]
        scores = np.array([official(pred, list(right)) for _, pred, right in pairs])
        assert metrics["exact"].folds[fold] == pytest.approx(scores[:, 0].mean(), abs=1e-6)
        assert metrics["f1"].folds[fold] == pytest.approx(scores[:, 1].mean(), abs=1e-6)
        seen += int((scores[:, 1] > 0).sum())
    assert seen > 0


def test_no_article_is_on_both_sides_of_a_split(journey: Journey) -> None:
    title = {q["id"]: a["title"] for a in articles() for p in a["paragraphs"] for q in p["qas"]}
    split = read_table(journey.directory() / "split.parquet")
    for _, fold in split.groupby("fold"):
        assert (fold.groupby(fold["id"].map(title))["role"].nunique() == 1).all()
    sealed = set(journey.tests()["id"].map(title))
    assert sealed
    assert not sealed & set(split.loc[split["role"].isin(["train", "val"]), "id"].map(title))


def test_predict_writes_parts_of_the_contexts(journey: Journey) -> None:
    found, known = journey.predicts(), questions()
    assert found.columns.tolist() == ["id", "pred"]
    assert found["id"].tolist() == list(known)
    assert all(pred in known[id_][0] for id_, pred in zip(found["id"], found["pred"], strict=True))


def test_true_tokens_are_those_of_the_answers(journey: Journey) -> None:
    """Cutting by them gives the answer's text, or one around it; what is cut off is said."""
    _, data = first_run(journey)
    rows = data.rows("train")
    batch = data.transform(data.loader("train").gather(rows))
    assert isinstance(batch.y, Spans)
    ids, known, lost = data.samples("pool").table["id"].to_numpy()[rows], questions(), 0
    x, whole = batch.x, 0
    for i, (first, last) in enumerate(batch.y.places.tolist()):
        right = known[ids[i]][1][0]
        if first < 0:
            lost += 1
            continue
        raw = x["context_text"][i].numpy().tobytes()
        text = raw[int(x["context_places"][i, first, 0]) : int(x["context_places"][i, last, 1])].decode()
        assert right in text
        assert (first == 0) == (right == "")
        whole += text == right
    assert whole > 0.8 * len(rows)
    log = journey.log()
    assert re.search(r"\d+ of \d+ texts are longer than 200 tokens and are cut there", log)
    assert lost
    assert re.search(r"\d+ of \d+ answers stand where texts are cut: they train nothing", log)


def loss(task: BaseModule, batch: Batch) -> torch.Tensor:
    """Each sample by itself, without padding of the context."""
    assert isinstance(batch.y, Spans)
    total, count = torch.zeros(()), 0
    for i, places in enumerate(batch.y.places.tolist()):
        if places[0] >= 0:
            n = batch.lengths["context"][i]
            logits = task.network(batch.x["question"][i : i + 1], batch.x["context"][i : i + 1, :n])[0]
            total, count = total + F.cross_entropy(logits, torch.tensor(places), reduction="sum"), count + 2
    return total / max(count, 1)


def test_the_weights_are_those_of_a_plain_loop(journey: Journey) -> None:
    journey.equals_a_plain_loop(loss, atol=1e-4)


def test_kills_change_nothing(journey: Journey) -> None:
    journey.survives_kills(step=2)


def test_two_processes_train_as_one(journey: Journey) -> None:
    given = ("--folds", "[0]", "--trainer.devices", 2, "--trainer.strategy", "ddp")
    assert journey.run("crossval", *given, home="two", ranks=2) == [0, 0], journey.log("two")
    assert_same_weights(journey.directory("two") / "fold_0", journey.directory() / "fold_0", atol=1e-4)
    one, two = (read_table(journey.directory(home) / "fold_0" / "predictions.parquet") for home in ("whole", "two"))
    assert two["id"].tolist() == one["id"].tolist()
    assert (two["pred"] == one["pred"]).mean() > 0.9


@pytest.mark.parametrize("verb", ["audit", "prepare", "doctor"])
def test_the_other_verbs_know_spans(journey: Journey, verb: str) -> None:
    assert journey.run(verb, home=verb) == [0], journey.log(verb)
    if verb == "audit":
        assert "near duplicates in context" in journey.log(verb)
