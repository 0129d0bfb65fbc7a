"""Claims about dialogues: turns are counted as training counts them."""

import json
from pathlib import Path

import pandas as pd
import pytest

from lightning_base.runtime.errors import InputError
from lightning_base.runtime.model import load
from tests.helpers import CONFIGS, run_in

ASKED = ["cheap food please", "north: or south?", "something in the centre", "where is it", "thai food"]
TOLD = ["", "what area?", "which food?", "it is near", "what else"]


def dialogues(n: int, labelled: bool) -> list[dict[str, object]]:
    found = []
    for i in range(n):
        turns = []
        for j in range(1 + i % 3):
            turn = {
                "system_transcript": TOLD[(i + j) % 5] if j else "",
                "transcript": f"{ASKED[(i * 3 + j) % 5]} {i % 7}",
            }
            area = "north" if (i + j) % 2 else "centre"
            turns.append(turn | ({"belief_state": [{"act": "inform", "slots": [["area", area]]}]} if labelled else {}))
        found.append({"dialogue_idx": i, "dialogue": turns})
    return found


def test_of_turns_that_several_speak_in_as_many_are_taken_as_in_training(work: Path) -> None:
    (work / "train.json").write_text(json.dumps(dialogues(60, labelled=True)))
    new = dialogues(9, labelled=False)
    (work / "new.json").write_text(json.dumps(new))
    run_in(
        work,
        *("fit", "--config", CONFIGS / "woz2_slots.yaml", "--data.path", "train.json", "--data.test_path", "null"),
        *("--data.history", 1, "--trainer.max_epochs", 2, "--name", "d", "--audit", "off"),
    )
    run_in(work, "export", "runs/d/fit/version_0", "--out", "d", "--samples", 10)
    run_in(
        work, "predict", "--ckpt_path", "runs/d/fit/version_0", "--data.predict", "new.json", "--out", "said.parquet"
    )
    said = pd.read_parquet(work / "said.parquet")
    model = load(work / "d")
    texts = [
        "\n".join(
            f"{name}: {turn[key]}"
            for turn in one["dialogue"][: place + 1]  # type: ignore[index]
            for name, key in (("system", "system_transcript"), ("user", "transcript"))
            if turn[key]
        )
        for one in new
        for place in range(len(one["dialogue"]))  # type: ignore[arg-type]
    ]
    answers = model.run([model.read({"text": text}) for text in texts])
    columns = [name for name in said.columns if name.startswith("prob")]
    assert len(answers) == len(said)
    for answer, row in zip(answers, said[columns].to_numpy(), strict=True):
        assert list(answer["prob"].values()) == pytest.approx(row.tolist(), abs=1e-6)
    alone = [model.run([model.read({"text": text.split("\n")[-1]})])[0] for text in texts]
    assert alone != answers  # the turn before counts
    with pytest.raises(InputError, match="over 200000 characters"):
        model.read({"text": [{"speaker": "user", "text": "a" * 150_000}] * 2})
