"""Claims about exported models of dialogues: turns are asked by who says them, and answered as predict answers."""

import gzip
import json
from pathlib import Path

import pytest

from lightning_base.runtime.errors import InputError
from lightning_base.runtime.model import load
from tests.exporting.helpers import exported, predicted, trained
from tests.helpers import shared


def test_slots_of_a_dialogue_are_those_of_predict(tmp_path: Path) -> None:
    with gzip.open(shared("woz2") / "woz_train_en.json.gz", "rt", encoding="utf-8") as file:
        dialogues = json.load(file)[:60]
    (tmp_path / "train.json").write_text(json.dumps(dialogues))
    (tmp_path / "new.json").write_text(json.dumps(dialogues[:2]))
    overrides = {"data__path": str(tmp_path / "train.json"), "data__test_path": None}
    run = trained(tmp_path, "fit", "woz2_slots", trainer__max_epochs=2, **overrides)
    expected = predicted(run, tmp_path / "new.json")
    model = load(exported(run, samples=20))
    given: list[list[dict[str, str]]] = []
    for dialogue in dialogues[:2]:
        said: list[dict[str, str]] = []
        for turn in dialogue["dialogue"]:
            for who, key in (("system", "system_transcript"), ("user", "transcript")):
                said = [*said, {"speaker": who, "text": turn[key]}]
            given.append(said)
    found = model.run([model.read({"text": one}) for one in given])
    assert len(found) == len(expected)
    for answer, (_, row) in zip(found, expected.iterrows(), strict=True):
        assert {name: row[f"prob_{name}"] for name in answer["prob"]} == pytest.approx(answer["prob"], abs=1e-6)
        assert answer["pred"] == [name for name in answer["prob"] if row[f"pred_{name}"]]
    lines = "\n".join(f"{one['speaker']}: {one['text']}" for one in given[1] if one["text"])
    assert model.run([model.read({"text": lines})])[0] == found[1]
    turns = ({"speaker": "cook", "text": "a"}, {"speaker": "user"}, {"speaker": "user", "text": 3})
    for bad in ("hello", [], *([turn] for turn in turns)):
        with pytest.raises(InputError, match="text"):
            model.read({"text": bad})
