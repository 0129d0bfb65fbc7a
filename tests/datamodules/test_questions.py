"""Claims about questions: SQuAD's files read whole, answers where they say to be, and tokens that hold them."""

import copy
import gzip
import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from datamodules.questions import Questions
from lightning_base.clean.cleaning import Cleaning
from lightning_base.clean.findings import targets
from lightning_base.data import Part, Samples, Several, Spans, Targets, answer_values, text_values
from lightning_base.errors import UserError
from lightning_base.preprocess import Several as Each
from lightning_base.preprocess import Tokenizer
from lightning_base.splitters import Ratio
from lightning_base.tools.console import Level, speaking
from tests.helpers import shared

TEXT = "Der Zug fährt um 9 Uhr ab, die Züge nach Bonn um 10."
FILE: dict[str, Any] = {
    "data": [
        {
            "title": "Züge",
            "paragraphs": [
                {
                    "context": TEXT,
                    "qas": [
                        {"id": "a", "question": "Wann fährt er?", "answers": [{"text": "9 Uhr", "answer_start": 17}]},
                        {"id": "b", "question": "Wer fliegt?", "answers": [], "is_impossible": True},
                        {
                            "id": "c",
                            "question": "Wohin?",
                            "answers": [
                                {"text": "nach Bonn", "answer_start": 36},
                                {"text": "Bonn", "answer_start": 41},
                                {"text": "Bonn", "answer_start": 41},
                            ],
                        },
                    ],
                }
            ],
        },
        {
            "title": "x",
            "paragraphs": [
                {
                    "context": "Es regnet.",
                    "qas": [{"id": "d", "question": "Was tut es?", "answers": [{"text": "regnet", "answer_start": 3}]}],
                }
            ],
        },
    ]
}


def write(content: Any = FILE, path: str = "q.json") -> str:
    Path(path).write_text(json.dumps(content))
    return path


def changed(change: Any) -> Any:
    """The file with its first question changed."""
    content = copy.deepcopy(FILE)
    change(content["data"][0]["paragraphs"][0]["qas"][0])
    return content


def texts(samples: Samples, name: str) -> list[str]:
    payload: Any = samples.parts[name].inputs
    return [payload[i].tobytes().decode() for i in range(len(payload))]


def spans(samples: Samples) -> list[list[int]]:
    assert samples.targets is not None
    return np.asarray(samples.targets.payload[np.arange(len(samples))]).tolist()


def test_questions_contexts_and_places_of_answers_are_read(work: Path) -> None:
    samples = Questions(path=write()).dataset("pool")
    assert samples.table.to_dict("list") == {"id": ["a", "b", "c", "d"], "group": ["Züge"] * 3 + ["x"]}
    assert samples.kind == "spans"
    assert texts(samples, "context")[:3] == [TEXT] * 3
    assert texts(samples, "question")[3] == "Was tut es?"
    assert spans(samples) == [[17, 22], [0, 0], [36, 45], [3, 9]]
    assert samples.targets is not None
    assert [raw.tobytes().decode() for raw in map(samples.targets.texts.__getitem__, range(4))] == [  # type: ignore[union-attr]
        *("9 Uhr", "", "nach Bonn\x1fBonn", "regnet")
    ]
    by_paragraph = Questions(path="q.json", group="paragraph").dataset("pool").table["group"]
    assert by_paragraph.nunique() == 2
    asked = Questions(path="q.json", predict=write(changed(lambda q: q.pop("answers")), "p.json")).dataset("predict")
    assert asked.targets is None
    assert len(asked) == 4


@pytest.mark.parametrize(
    ("change", "kind", "said"),
    [
        (
            lambda q: q["answers"][0].update(answer_start=18),
            "target",
            "its answer '9 Uhr' is not at character 18 of its text, where ' Uhr ' is, and it is at 17",
        ),
        (lambda q: q["answers"][0].update(text="8 Uhr"), "target", "where '9 Uhr' is, and it is nowhere in it"),
        (
            lambda q: q["answers"].append({"text": "ab", "answer_start": 0}),
            "target",
            "its answer 'ab' is not at character 0",
        ),
        (lambda q: q["answers"][0].update(answer_start=-5), "target", "is not at character -5"),
        (
            lambda q: q["answers"][0].update(answer_start="17"),
            "unreadable",
            "'answer_start' of '9 Uhr' is no whole number",
        ),
        (lambda q: q.update(answers=[]), "target", "it has no answer, and no is_impossible: true"),
        (lambda q: q.update(is_impossible=True), "target", "it has an answer, and is_impossible"),
        (lambda q: q.update(question="  "), "empty", "its question has no text"),
        (lambda q: q.pop("question"), "unreadable", "'question' is missing, among id, answers"),
        (lambda q: q["answers"].__setitem__(0, "9 Uhr"), "unreadable", "a str in place of an object with 'text'"),
        (lambda q: q.update(id=7), "unreadable", "'id' is no text"),
    ],
)
def test_a_question_that_cannot_be_used_is_a_finding(work: Path, change: Any, kind: str, said: str) -> None:
    data = Questions(path=write(changed(change)), clean=Cleaning(**{kind: "drop"}))
    assert data.samples("pool").table["id"].tolist() == ["b", "c", "d"]
    [(id_, found, detail)] = data.findings["pool"][["id", "kind", "detail"]].to_numpy().tolist()
    assert (id_, found) == ("q.json: article 1, paragraph 1, question 1" if "'id'" in said else "a", kind)
    assert said in detail
    with pytest.raises(UserError, match=kind):
        Questions(path="q.json").samples("pool")


def test_paragraphs_and_articles_that_cannot_be_read_are_findings(work: Path) -> None:
    content = copy.deepcopy(FILE)
    content["data"] += [7, {"title": "y", "paragraphs": [{"qas": []}, {"context": "z", "qas": []}]}]
    found = Questions(path=write(content)).dataset("pool").findings
    assert found[["id", "kind"]].to_numpy().tolist() == [
        ["q.json: article 3", "unreadable"],
        ["q.json: article 4, paragraph 1", "unreadable"],
        ["q.json: article 4, paragraph 2", "unused"],
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([1, 2], "q.json is not in SQuAD's form"),
        ({"data": []}, "q.json has no question that can be used; mend the file"),
        (
            {"data": [7]},
            r"no question that can be used \(q.json: article 1: a int in place of an object with 'paragraphs'\)",
        ),
        (
            {"data": FILE["data"][:1] * 2},
            "article 1, paragraph 1, question 1 and .* article 2, .* have the same id, 'a'",
        ),
    ],
)
def test_files_of_another_form_are_refused(work: Path, content: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        Questions(path=write(content)).dataset("pool")


def spans_of(data: Questions) -> tuple[Any, Any, list[str]]:
    """The pool's batch, its spans, and the text that the tokens of each hold."""
    with speaking(Level.NORMAL):
        data.setup("fit")
        rows = np.arange(len(data.samples("pool")))
        batch = data.transform(data.loader("train").gather(rows))
    assert isinstance(batch.y, Spans)
    held = []
    for i, (first, last) in enumerate(batch.y.places.tolist()):
        raw, places = batch.x["context_text"][i].numpy().tobytes(), batch.x["context_places"][i]
        held.append("LOST" if first < 0 else raw[int(places[first, 0]) : int(places[last, 1])].decode())
    return batch, batch.y, held


@pytest.mark.parametrize("model", ["bpe", "wordpiece", "words", "characters"])
def test_tokens_hold_the_answers_whatever_makes_them(work: Path, model: Any) -> None:
    data = Questions(path=write(), model=model, size=500, lower=True, split=Ratio(val=0.25))
    batch, found, held = spans_of(data)
    assert held == ["9 Uhr", "", "nach Bonn", "regnet"]
    assert found.places[1].tolist() == [0, 0]  # the begin, where there is no answer
    assert found.answers.strings() == ["9 Uhr", "", "nach Bonn\x1fBonn", "regnet"]
    assert batch.x["context"][:, 0].tolist() == [2] * 4
    assert batch.x["question"].dtype == torch.int64
    tokenizers = data.preprocess.parts  # type: ignore[attr-defined]
    assert tokenizers["question"].state() == tokenizers["context"].state()


def test_answers_that_are_cut_off_or_end_inside_a_token_are_said(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = copy.deepcopy(FILE)
    content["data"][0]["paragraphs"][0]["qas"][0]["answers"] = [{"text": "Zug", "answer_start": 4}]
    content["data"][0]["paragraphs"][0]["qas"][2]["answers"] = [{"text": "fähr", "answer_start": 8}]
    content["data"][1]["paragraphs"][0]["qas"][0]["answers"] = [{"text": "regnet.", "answer_start": 3}]
    data = Questions(path=write(content), model="words", max_context=4, split=Ratio(val=0.25))
    _, found, held = spans_of(data)
    assert held == ["Zug", "", "fährt", "regnet."]
    said = " ".join(capsys.readouterr().out.split())
    assert "3 of 4 texts are longer than 4 tokens and are cut there" in said
    assert "1 of 4 answers begin or end inside a token" in said
    data = Questions(path="q.json", model="words", max_context=3, split=Ratio(val=0.25))
    _, found, held = spans_of(data)
    assert held == ["Zug", "", "LOST", "LOST"]
    assert found.places[2:].tolist() == [[-100, -100]] * 2
    assert found.answers.strings()[2] == "fähr"  # still what is right
    assert "2 of 4 answers stand where texts are cut: they train nothing" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize("language", ["en", "de"])
def test_xquad_is_read_whole_and_every_answer_is_in_its_tokens(language: str) -> None:
    path = shared(f"xquad/xquad.{language}.json.gz")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        content = json.load(file)
    data = Questions(path=str(path), size=1000, max_context=None, split=Ratio(val=0.2))
    expected = {
        q["id"]: (p["context"], q["answers"][0]["text"])
        for a in content["data"]
        for p in a["paragraphs"]
        for q in p["qas"]
    }
    pool = data.samples("pool")
    assert pool.table["id"].tolist() == list(expected)
    assert data.findings["pool"]["kind"].isin(["duplicate", "near_duplicate", "conflict"]).all()
    assert [text[b:e] for text, (b, e) in zip(texts(pool, "context"), spans(pool), strict=True)] == [
        answer for _, answer in expected.values()
    ]
    _, _, held = spans_of(data)
    assert len(held) == 1190
    pairs = list(zip(held, expected.values(), strict=True))
    assert all(answer in text for text, (_, answer) in pairs)
    assert sum(text == answer for text, (_, answer) in pairs) > 0.85 * len(pairs)


def test_a_folder_of_jaquad_is_read_whole(work: Path) -> None:
    with tarfile.open(shared("jaquad/jaquad.tar.xz")) as archive:
        members = [m for m in archive.getmembers() if m.name.startswith("data/dev/")]
        archive.extractall(work, members, filter="data")
    (work / "data/dev/README.md").write_text("x")
    count = sum(
        len(p["qas"])
        for file in (work / "data/dev").glob("*.json")
        for a in json.loads(file.read_text())["data"]
        for p in a["paragraphs"]
    )
    samples = Questions(path="data/dev").dataset("pool")
    assert len(samples) == count == 3939
    assert samples.findings["id"].tolist() == ["README.md"]
    first = slice(0, 200)
    for text, (b, e), raw in zip(texts(samples, "context")[first], spans(samples)[first], range(200), strict=True):
        answers: Any = samples.targets.texts  # type: ignore[union-attr]
        assert text[b:e] == answers[raw].tobytes().decode().split("\x1f")[0]


def test_spans_of_a_users_own_data_are_checked(work: Path) -> None:
    table, answers = pd.DataFrame({"id": ["a", "b"]}), answer_values([["it"], ["on"]])
    payload = np.array([[0, 2], [3, 5]])
    good = Targets(payload, "spans", ("text",), answers)
    text = text_values(["it is", "it goes"])
    for inputs, some, said in (
        (Several({"text": Part(np.zeros((2, 3)))}), good, "spans are of 'text', which is no text among text"),
        (Several({"other": text}), good, "spans are of 'text', which is no text among other"),
    ):
        with pytest.raises(UserError, match=said):
            Samples(inputs, table, targets=some)
    for shape, names, right, said in (
        (payload[:, :1], ("text",), answers, "spans need .N, 2. whole numbers"),
        (payload.astype(float), ("text",), answers, "spans need .N, 2. whole numbers"),
        (payload, (), answers, "spans need .N, 2. whole numbers and the name of one input"),
        (payload, ("text",), None, "spans need their texts"),
    ):
        with pytest.raises(UserError, match=said):
            Targets(shape, "spans", names, right)
    samples = Samples(Several({"text": text}), table, targets=good)
    told = targets(samples)
    assert told["id"].tolist() == ["b"]
    assert (
        told["detail"][0] == "its answer 'on' is not at character 3 of its text, where 'go' is, and it is nowhere in it"
    )
    one = samples.take(np.array([0]))
    for tokenizer, said in (
        (Tokenizer("words"), "targets are parts of this text; give its Tokenizer places=True"),
        (Tokenizer("words", places=True), None),
    ):
        preprocess = Each({"text": tokenizer})
        preprocess.fit(one, np.arange(1))
        if said is None:
            assert preprocess.located(one, preprocess.recoded(one)).payload[np.arange(1)].tolist() == [[0, 0]]
            continue
        with pytest.raises(UserError, match=said):
            preprocess.located(one, preprocess.recoded(one))
    nothing = Samples(
        Several({"text": text}), table, targets=Targets(payload * 0, "spans", ("text",), answer_values([[], []]))
    )
    preprocess = Each({"text": Tokenizer("words", places=True)})
    preprocess.fit(nothing, np.arange(2))
    with pytest.raises(UserError, match="no part of this text is right for 2 samples"):
        preprocess.located(nothing, preprocess.recoded(nothing))
