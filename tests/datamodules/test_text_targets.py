"""Claims about several values and labels of texts: as tables have them, by columns or by lists in cells."""

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score

from datamodules.table import Table
from datamodules.text import Text
from lightning_base.clean.cleaning import Cleaning
from lightning_base.errors import UserError
from lightning_base.samples.samples import Samples
from tests.helpers import Run, crossval, read_json, shared

ROWS = pd.DataFrame(
    {
        "text": ["a red ball", "a large dog", "!", "", "a large red house", "the sea"],
        "tags": ["red", "large", "red", "large", "red; large", ""],
        "red": [1, 0, 1, 0, 1, 0],
        "large": [0, 1, 0, 1, 1, 0],
        "size": [1.5, 7, 1, 1, 20, 3],
        "age": [3, 4, 1, 1, 90, 1000],
    }
)
CONFIG = """
name: acts
audit: "off"
trainer: {max_epochs: 15, logger: false, accelerator: cpu}
model:
  class_path: lightning_base.tasks.MultiLabel
  init_args:
    network: {class_path: models.embedding_bag.EmbeddingBag, init_args: {vocabulary: 2000, num_outputs: 4, dim: 16}}
    optimizer: {class_path: torch.optim.Adam, init_args: {lr: 0.02}}
data:
  class_path: datamodules.text.Text
  init_args:
    path: said.csv
    ids: name
    group: dialogue
    max_words: 2000
    test_size: 0.2
    predict: said.csv
    split: {class_path: sklearn.model_selection.GroupKFold, init_args: {n_splits: 2}}
"""


def y_of(samples: Samples) -> Any:
    assert samples.targets is not None
    return np.asarray(samples.targets.payload[np.arange(len(samples))])


def said() -> pd.DataFrame:
    """What users of the first 150 dialogues of WOZ 2.0 say, and which kinds of slots each turn states, in two ways."""
    with gzip.open(shared("woz2/woz_train_en.json.gz"), "rt", encoding="utf-8") as file:
        dialogues = json.load(file)[:150]
    kinds, rows = ["area", "food", "price range", "request"], []
    for d in dialogues:
        for turn in d["dialogue"]:
            stated = {slot for slot, _ in turn["turn_label"]} & {*kinds}
            name = f"{d['dialogue_idx']}-{turn['turn_idx']}"
            of = {"name": name, "dialogue": f"d{d['dialogue_idx']}", "text": turn["transcript"]}
            rows.append(of | {"acts": "|".join(sorted(stated))} | {kind: int(kind in stated) for kind in kinds})
    table = pd.DataFrame(rows)
    return table[table["text"].str.contains(r"\w")].drop_duplicates("text").reset_index(drop=True)


@pytest.mark.parametrize("ending", ["csv", "parquet", "jsonl"])
def test_columns_and_lists_give_the_same_labels_as_a_table_has(work: Path, ending: str) -> None:
    name = f"t.{ending}"
    if ending == "jsonl":
        ROWS.to_json(name, orient="records", lines=True)
    else:
        ROWS.to_csv(name, index=False) if ending == "csv" else ROWS.to_parquet(name)
    by_column = Text(path=name, target=["large", "red"]).dataset("pool")
    by_list = Text(path=name, target="tags", label_separator=";").dataset("pool")
    table = Table(path=name, target="tags", label_separator=";", columns=["size"]).dataset("pool")
    for samples in (by_column, by_list):
        assert (samples.kind, samples.classes) == ("labels", ())
        assert samples.targets is not None
        assert samples.targets.names == ("large", "red")
        assert samples.table["id"].tolist() == [f"{i:08d}" for i in (0, 1, 2, 4, 5)]  # the fourth has no words
        assert y_of(samples).tolist() == y_of(table)[[0, 1, 2, 4, 5]].tolist()
        assert samples.findings[["id", "kind"]].to_numpy().tolist() == [["00000003", "empty"]]
    values = Text(path=name, target=["size", "age"]).dataset("pool")
    assert values.kind == "values"
    assert y_of(values).tolist() == ROWS[["size", "age"]].to_numpy()[[0, 1, 2, 4, 5]].tolist()
    assert Text(path=name, target=["red"], task="regression").dataset("pool").kind == "values"


def test_a_test_file_is_read_like_the_pool(work: Path) -> None:
    ROWS.to_csv("t.csv", index=False)
    ROWS.assign(red=1, large=[0, 1, 2, 0, 0, 1], tags="large;blue").to_csv("test.csv", index=False)
    data = Text(path="t.csv", test_path="test.csv", target=["red", "large"], clean=Cleaning(empty="drop"))
    with pytest.raises(UserError, match=r"row '00000002' has target 'large' 2.0 is neither 0 nor 1"):
        data.samples("test")
    test = Text(
        path="t.csv", test_path="test.csv", target="tags", label_separator=";", clean=Cleaning(empty="drop")
    ).dataset("test")
    assert y_of(test).tolist() == [[1, 0]] * 5
    assert set(test.findings["detail"][test.findings["kind"] == "target"]) == {"label 'blue', none of large, red"}


def test_what_is_no_number_is_named_with_its_line(work: Path) -> None:
    ROWS.astype({"size": object}).assign(size=["1.5", "huge", "1", "1", "", "3"]).to_csv("t.csv", index=False)
    found = Text(path="t.csv", target=["size", "age"]).dataset("pool").findings
    assert ["00000001", "target", "'huge' in column 'size', line 3, is no number"] in found.to_numpy().tolist()
    with pytest.raises(UserError, match=r"column 'tags' \(data\.target\) has no number; name columns of numbers"):
        Text(path="t.csv", target=["age", "tags"]).dataset("pool")
    data = Text(path="t.csv", target=["size", "age"], clean=Cleaning(empty="drop", target="drop"))
    assert data.samples("pool").table["id"].tolist() == ["00000000", "00000002", "00000005"]
    assert sorted(set(data.findings["pool"]["id"])) == ["00000001", "00000003", "00000004"]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"path": "t.csv", "target": []}, "data.target: an empty list, or a name twice"),
        ({"path": "t.csv", "target": ["a", "b"], "label_separator": ";"}, "data.label_separator: is for one target"),
        ({"path": "t.csv", "label_separator": ""}, "data.label_separator: is for one target column, and not empty"),
        ({"files": {"a": "b"}, "target": ["a", "b"]}, "data.files: a text has the class of its file"),
        ({"path": "t.csv", "target": ["text"]}, "data.target: 'text' is named as something else too"),
        ({"path": "t.csv", "target": ["a"], "class_names": ["a"]}, "data.class_names: the columns of data.target name"),
        ({"path": "t.csv", "target": "a", "task": "regression"}, "data.task: regression is for target columns"),
        ({"path": ".", "target": ["a", "b"]}, "data.path: . is a folder, whose texts have one class each"),
        ({"path": "t.csv", "target": ["red", "rde"]}, "has no column 'rde', .*did you mean"),
        ({"path": "t.csv", "target": "none", "label_separator": ";"}, "no row of 'none' .data.target. lists a label"),
    ],
)
def test_settings_that_name_no_targets_are_refused(work: Path, given: dict[str, Any], said: str) -> None:
    ROWS.assign(none="").to_csv("t.csv", index=False)
    with pytest.raises(UserError, match=said):
        Text(**given).dataset("pool")


def test_labels_of_real_texts_are_learnt_from_yaml_scored_and_predicted(run: Run, work: Path) -> None:
    table = said()
    table.to_csv("said.csv", index=False)
    kinds = ["area", "food", "price range", "request"]
    (work / "acts.yaml").write_text(CONFIG)
    targets: dict[str, tuple[object, ...]] = {
        "columns": ("--data.target", json.dumps(kinds)),
        "lists": ("--data.target", "acts", "--data.label_separator", "|"),
    }
    for name, options in targets.items():
        run("crossval", "--config", "acts.yaml", "--name", name, *options)
    oof = pd.read_parquet(crossval("columns") / "oof.parquet").set_index("id")
    other = pd.read_parquet(crossval("lists") / "oof.parquet").set_index("id")
    pd.testing.assert_frame_equal(oof, other.loc[oof.index])
    y, p = oof.filter(like="target_").to_numpy(), oof.filter(like="prob_").to_numpy()
    assert (y == table.set_index("name").loc[oof.index, kinds].to_numpy()).all()
    metrics = read_json(crossval("columns") / "summary.json")["metrics"]
    for fold in (0, 1):
        held = (oof["fold"] == fold).to_numpy()
        expected = f1_score(y[held], p[held] > 0.5, average="micro")
        assert metrics["micro_f1"]["folds"][fold] == pytest.approx(expected, abs=1e-6)
        assert expected > 0.6 > metrics["micro_f1"]["trivial"]
    run("test", "--ckpt_path", crossval("columns"))
    run("predict", "--ckpt_path", crossval("columns"), "--out", "answers.csv")
    assert len(pd.read_csv("answers.csv")) == len(table)
