"""Claims about dialogues: turns with their history, states as labels, responses as texts, each dialogue on one side."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from datamodules.dialogues import Dialogues
from lightning_base.clean.cleaning import Cleaning
from lightning_base.data import Ragged, Samples
from lightning_base.errors import UserError
from lightning_base.preprocess import Tokenizer
from lightning_base.runtime.marks import mark
from tests.helpers import CONFIGS, Run, crossval, read_json, refused, shared

A, B = mark(0), mark(1)
CHAT = [
    {
        "name": "x",
        "dialogue": [
            {"speaker": "user", "text": "Chinese food?", "belief_state": {"food": "chinese", "area": None}},
            {"speaker": "system", "text": " Where? "},
            {"speaker": "user", "text": "East.", "belief_state": [["food", "chinese"], ["area", ["east", "north"]]]},
        ],
    },
    {"name": "y", "dialogue": [{"speaker": "user", "text": "Bye", "belief_state": {}}]},
]
WOZ = {"system": "system_transcript", "user": "transcript"}


def write(path: str, content: Any) -> None:
    raw = "\n".join(map(json.dumps, content)) if "jsonl" in path else json.dumps(content)
    Path(path).write_bytes(gzip.compress(raw.encode()) if path.endswith(".gz") else raw.encode())


def chat(**given: Any) -> Dialogues:
    return Dialogues(**{"path": "chat.json", "speakers": ["user", "system"], "ids": "name", "of": "user"} | given)


def woz(part: str) -> list[dict[str, Any]]:
    with gzip.open(shared(f"woz2/woz_{part}_en.json.gz"), "rt", encoding="utf-8") as file:
        found: list[dict[str, Any]] = json.load(file)
    return found


def texts(payload: object) -> list[str]:
    assert isinstance(payload, Ragged)
    return [payload[i].tobytes().decode() for i in range(len(payload))]


def labels(samples: Samples) -> list[set[str]]:
    """The labels of each sample."""
    assert samples.targets is not None
    return [{samples.targets.names[c] for c in np.flatnonzero(row)} for row in np.asarray(samples.targets.payload)]


@pytest.mark.parametrize("path", ["chat.json", "chat.jsonl", "chat.json.gz", "chat.jsonl.gz", "folder", "turns.jsonl"])
def test_turns_come_with_what_was_said_before_and_the_state_after(work: Path, path: str) -> None:
    if path == "folder":
        Path("folder").mkdir()
        for one in CHAT:
            write(f"folder/{one['name']}.json", one)
        (work / "folder" / "notes.txt").write_text("x")
    else:
        write(path, [one["dialogue"] for one in CHAT] if path == "turns.jsonl" else CHAT)
    bare = path == "turns.jsonl"
    samples = chat(path=path, ids=None if bare else "name").dataset("pool")
    x, y = ("0", "1") if bare else ("x", "y")
    assert samples.table.to_dict("list") == {"id": [f"{x}/0", f"{x}/2", f"{y}/0"], "group": [x, x, y]}
    assert texts(samples.inputs) == [f"{A} Chinese food?", f"{A} Chinese food? {B} Where? {A} East.", f"{A} Bye"]
    assert labels(samples) == [{"food=chinese"}, {"food=chinese", "area=east", "area=north"}, set()]
    assert samples.findings["id"].tolist() == (["notes.txt"] if path == "folder" else [])
    short = chat(path=path, ids=None, history=1).dataset("pool")
    assert texts(short.inputs)[1] == f"{B} Where? {A} East."


def test_responses_are_what_is_said_next(work: Path) -> None:
    write("chat.json", CHAT)
    samples = chat(target="response", of=None, predict="chat.json").dataset("pool")
    assert samples.kind == "sequence"
    assert samples.table["id"].tolist() == ["x/1", "x/2"]
    assert texts(samples.inputs) == [f"{A} Chinese food?", f"{A} Chinese food? {B} Where?"]
    assert samples.targets is not None
    assert texts(samples.targets.payload) == ["Where?", "East."]
    assert samples.findings.to_numpy().tolist() == [["y", "unused", "no turn of it is a sample"]]
    assert chat(target="response", of="system").dataset("pool").table["id"].tolist() == ["x/1"]
    asked = chat(target="response", predict="chat.json", history=1).dataset("predict")
    assert asked.targets is None
    assert asked.table["id"].tolist() == ["x", "y"]
    assert texts(asked.inputs) == [f"{A} East.", f"{A} Bye"]


@pytest.mark.parametrize("part", ["train", "validate", "test"])
def test_each_turn_of_woz_is_read_as_it_stands(part: str) -> None:
    path = str(shared(f"woz2/woz_{part}_en.json.gz"))
    samples = Dialogues(path=path, speakers=WOZ, ids="dialogue_idx", history=None).dataset("pool")
    assert samples.findings.empty
    turns = [(d, i, turn) for d in woz(part) for i, turn in enumerate(d["dialogue"])]
    assert len(samples) == len(turns)
    found = zip(samples.table["id"], samples.table["group"], texts(samples.inputs), labels(samples), strict=True)
    for (name, group, text, have), (d, i, turn) in zip(found, turns, strict=True):
        assert (name, group) == (f"{d['dialogue_idx']}/{i}", str(d["dialogue_idx"])) or len(d["dialogue"]) > 10
        said = [t[key].strip() for t in d["dialogue"][: i + 1] for key in WOZ.values()]
        assert text.replace(f"{A} ", "\n").replace(f"{B} ", "\n").replace(" \n", "\n")[1:] == "\n".join(
            filter(None, said)
        )
        state = [(b["act"], *slot) for b in turn["belief_state"] for slot in b["slots"]]
        assert have == {f"{'request' if act == 'request' else slot}={value}" for act, slot, value in state}
    informed = Dialogues(path=path, speakers=WOZ, acts=["inform"]).dataset("pool")
    assert not any(one.startswith("request") for some in labels(informed) for one in some)


def test_speakers_are_single_tokens_that_no_text_spells_and_the_last_tokens_are_kept(work: Path) -> None:
    write("chat.json", CHAT)
    data = chat(model="words", max_length=4)
    tokenizer = data.make_preprocess()
    assert isinstance(tokenizer, Tokenizer)
    samples = data.dataset("pool")
    tokenizer.fit(samples, np.arange(3))
    assert tokenizer.special[4:] == ("< mark 0 >", "< mark 1 >")
    codes = tokenizer.recoded(samples).inputs
    assert isinstance(codes, Ragged)
    east = [tokenizer.decode([one]) for one in codes[1].tolist()]
    assert codes[1].tolist()[1] == 4
    assert east == ["?", "", "East", "."]  # a mark is no text
    assert codes[2].tolist()[0] == 4
    for model in ("bpe", "wordpiece", "characters"):
        other = Tokenizer(model, size=400, marks=2)
        other.fit(samples, np.arange(3))
        [found] = other.encode([f"{A} East. {B} < mark 0 >"])
        assert [one for one in found.tolist() if one in (4, 5)] == [4, 5]
        assert other.decode(found.tolist()).replace(" ", "").startswith("East.<")
    spelt = [{"dialogue": [{"speaker": "user", "text": f"a {B} b", "belief_state": {}}]}]
    write("spelt.json", spelt + CHAT)
    told = chat(path="spelt.json", ids=None).dataset("pool").findings
    assert told["kind"].tolist() == ["unreadable"]
    assert "has a character from U+F0000 on" in told["detail"][0]


FAULTS: dict[str, tuple[Any, str]] = {
    "no object": ("hello", "str in place of a dialogue is no object"),
    "no turns": ({"name": "z"}, "'dialogue' is missing, among name"),
    "empty": ({"name": "z", "dialogue": []}, "it has no turn"),
    "turn": ({"name": "z", "dialogue": ["hi"]}, "str of turn 0 is no object"),
    "text": ({"name": "z", "dialogue": [{"speaker": "user", "text": 7}]}, "'text' of turn 0 is no text"),
    "speaker": (
        {"name": "z", "dialogue": [{"speaker": "bot", "text": "a"}]},
        "'bot' of turn 0 is none of the speakers",
    ),
    "state": (
        {"name": "z", "dialogue": [{"speaker": "user", "text": "a", "belief_state": [["food"]]}]},
        "the state of turn 0 is neither",
    ),
    "value": (
        {"name": "z", "dialogue": [{"speaker": "user", "text": "a", "belief_state": {"food": {"a": 1}}}]},
        "the value of 'food' of turn 0 is no text",
    ),
}


@pytest.mark.parametrize("case", FAULTS)
def test_a_dialogue_that_cannot_be_read_is_a_finding_as_a_whole(work: Path, case: str) -> None:
    fault, said = FAULTS[case]
    write("chat.json", [*CHAT, fault])
    ids = None if case == "no object" else "name"
    with pytest.raises(UserError, match=said):
        chat(ids=ids).samples("pool")
    data = chat(ids=ids, clean=Cleaning(unreadable="drop"))
    assert len(data.samples("pool")) == 3
    told = data.findings["pool"]
    assert told["id"].tolist() == ["2" if ids is None else "z"]
    assert told["detail"][0].startswith(f"chat.json: dialogue 3: {said}")


def test_turns_without_words_or_state_are_findings(work: Path) -> None:
    turns = [{"speaker": "user", "text": "  ", "belief_state": {"a": "b"}}, {"speaker": "user", "text": "hi"}]
    write("chat.json", [*CHAT, {"name": "z", "dialogue": turns}])
    found = chat().dataset("pool")
    assert found.findings[["id", "kind"]].to_numpy().tolist() == [["z/0", "empty"], ["z/1", "target"]]
    assert "z" not in found.table["group"].tolist()


@pytest.mark.parametrize(
    ("content", "given", "said"),
    [
        (CHAT, {"path": "none.json"}, r"data.path: none.json cannot be read"),
        (CHAT, {"path": "chat.csv"}, r"data.path: chat.csv is no JSON by its name"),
        (CHAT, {"path": "."}, None),
        (CHAT, {"speakers": []}, "data.speakers: 0 names"),
        (CHAT, {"of": "bot"}, "data.of: 'bot' is none of the speakers user, system"),
        (CHAT, {"speakers": WOZ}, "data.of: here a turn is what all speakers say in it"),
        (CHAT, {"history": 0, "target": "response"}, "data.history: 0 turns before"),
        (CHAT, {"target": "response", "class_names": ["a"]}, "data.class_names: names of labels"),
        (
            CHAT,
            {"text": "txet"},
            r"gives no sample \(x: chat.json: dialogue 1: 'txet' of turn 0 is missing, among speaker",
        ),
        (CHAT, {"state": "stat"}, r"gives no sample \(x/0: it has no 'stat' \(data.state, data.of\)\)"),
        (CHAT[1:], {}, "has no slot with a value in 'belief_state'"),
        ([*CHAT, CHAT[0]], {}, r"dialogue 1 and chat.json: dialogue 3 have the same 'name', 'x' \(data.ids\)"),
        (CHAT, {"ids": "nmae"}, r"dialogue 1 has no name as 'nmae' \(data.ids\)"),
    ],
)
def test_settings_and_files_that_are_no_dialogues_are_refused(
    work: Path, content: Any, given: dict[str, Any], said: str | None
) -> None:
    write("chat.json", content)
    if said is None:
        assert len(chat(**given).dataset("pool")) == 3
        return
    with pytest.raises(UserError, match=said):
        chat(**given).dataset("pool")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"[1, 2", r"chat.json is no JSON \(Expecting ',' delimiter: line 1 column 6"),
        (b'[{"a": 1, "a": 2}]', "a key stands in it twice"),
        (b"[" * 100_000, "chat.json is no JSON"),
        (b"\xff\xfe[", "chat.json: line 1 has byte"),
        (b'["\xe9"]', "chat.json: line 1 has byte 0xe9 at column 3, which is not utf-8"),
        (b"\x1f\x8b\x08", "chat.json: damaged gzip"),
    ],
)
def test_json_that_cannot_be_read_names_the_place(work: Path, raw: bytes, said: str) -> None:
    (work / "chat.json").write_bytes(raw)
    with pytest.raises(UserError, match=said) as caught:
        chat().dataset("pool")
    assert "\n" not in str(caught.value)


def test_slots_are_learnt_by_the_shipped_config_and_no_dialogue_is_on_two_sides(run: Run, work: Path) -> None:
    write("train.json", woz("train")[:150])
    write("test.jsonl", woz("test")[:40])
    pool = Dialogues(path="train.json", speakers=WOZ, ids="dialogue_idx").dataset("pool")
    assert pool.targets is not None
    files = ("--data.path", "train.json", "--data.test_path", "test.jsonl", "--data.predict", "test.jsonl")
    run(
        *("crossval", "--config", CONFIGS / "woz2_slots.yaml", *files, "--data.split.n_splits", 2, "--audit", "off"),
        *(
            "--model.network.num_outputs",
            len(pool.targets.names),
            "--trainer.max_epochs",
            12,
            "--data.batch_size",
            16,
            "--trainer.logger",
            "false",
        ),
    )
    directory = crossval("woz2_slots")
    oof = pd.read_parquet(directory / "oof.parquet")
    assert len(oof) == len(pool)
    split = pd.read_parquet(directory / "split.parquet")
    split["dialogue"] = split["id"].str.partition("/")[0]
    for _, fold in split.groupby("fold"):
        assert (fold.groupby("dialogue")["role"].nunique() == 1).all()
    names = pool.targets.names
    y, p = oof[[f"target_{n}" for n in names]].to_numpy(), oof[[f"prob_{n}" for n in names]].to_numpy()
    order = pool.table.reset_index().set_index("id").loc[oof["id"], "index"]
    assert (y == np.asarray(pool.targets.payload)[order]).all()
    metric = read_json(directory / "summary.json")["metrics"]["micro_f1"]
    for fold in (0, 1):
        held = (oof["fold"] == fold).to_numpy()
        expected = f1_score(y[held], p[held] > 0.5, average="micro", zero_division=0)
        assert metric["folds"][fold] == pytest.approx(expected, abs=1e-6)
        assert expected > 0.25 > metric["trivial"]
    run("test", "--ckpt_path", directory)
    test = pd.read_parquet(directory / "test.parquet")
    of_test = Dialogues(path="test.jsonl", speakers=WOZ, ids="dialogue_idx").dataset("pool")
    told = [set(names) >= have for have in labels(of_test)]  # a label that the pool lacks cannot be told
    assert test["id"].tolist() == of_test.table["id"][told].tolist()
    assert len(told) > sum(told) > 100
    run("predict", "--ckpt_path", directory, "--out", "answers.csv")
    assert len(pd.read_csv("answers.csv")) == sum(len(d["dialogue"]) for d in woz("test")[:40])


RESPONSES = """
name: answers
audit: "off"
trainer: {max_epochs: 1, logger: false, accelerator: cpu}
model:
  class_path: lightning_base.tasks.Translation
  init_args:
    network: {class_path: models.seq2seq.Seq2Seq, init_args: {vocabulary: 400, num_outputs: 400, dim: 16, hidden: 16}}
    longest: 10
data:
  class_path: datamodules.dialogues.Dialogues
  init_args:
    path: train.json
    speakers: {system: system_transcript, user: transcript}
    ids: dialogue_idx
    target: response
    of: system
    size: 400
    response_size: 400
    history: 1
    predict: train.json
    test_size: 0.2
    clean: {conflict: keep}
    split: {class_path: sklearn.model_selection.GroupKFold, init_args: {n_splits: 2}}
"""


def test_responses_are_learnt_as_texts(run: Run, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write("train.json", woz("train")[:40])
    (work / "answers.yaml").write_text(RESPONSES)
    run("crossval", "--config", "answers.yaml")
    oof = pd.read_parquet(crossval("answers") / "oof.parquet")
    said = {
        f"{d['dialogue_idx']}/{i}/system": turn["system_transcript"].strip()
        for d in woz("train")[:40]
        for i, turn in enumerate(d["dialogue"])
        if turn["system_transcript"].strip()
    }
    assert oof["target"].tolist() == [said[id_] for id_ in oof["id"]]
    run("test", "--ckpt_path", crossval("answers"))
    test = pd.read_parquet(crossval("answers") / "test.parquet")
    assert sorted([*oof["id"], *test["id"]]) == sorted(said)
    assert not set(oof["id"].str.partition("/")[0]) & set(test["id"].str.partition("/")[0])
    run("predict", "--ckpt_path", crossval("answers"), "--out", "next.csv")
    assert pd.read_csv("next.csv")["id"].astype(str).tolist() == [str(d["dialogue_idx"]) for d in woz("train")[:40]]
    refused(capsys, ["crossval", "--config", "answers.yaml", "--name", "w", "--data.target", "slots"], "data.of")
